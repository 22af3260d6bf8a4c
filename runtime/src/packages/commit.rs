//! Moves a stage into the root, as apk-tools 2.14 does with `--clean-protected --force-overwrite`, and enters it in
//! the database.

use super::checksum::{q1, q1_of_xattrs, sha1_of};
use super::database::{Acl, Database, Package, PackageDirectory, PackageFile};
use super::place::{COMMIT, Placed, checksum_of, place};
use super::settle::prepare;
use super::stage::{Stage, Staged};
use crate::pipeline::archive::Kind;
use crate::pipeline::failure::{fail, unwrap_failure};
use crate::pipeline::inside::split;
use rustix::fs::{AtFlags, FileType, readlinkat, statat};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub const ENTER: &str = "packages.enter";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitRequest {
    pub stage: u32,
    pub name: String,
    stanza: String,
    takes: Vec<String>,
    yields: Vec<String>,
    #[serde(default)]
    triggers: Vec<String>,
    /// Since the commit before.
    #[serde(default)]
    script_ran: bool,
}

#[derive(Serialize)]
pub struct CommitResult {
    conflicts: Vec<Conflict>,
    directories: Vec<String>,
    /// What is not as the package has it, a sentence each.
    broken: Vec<String>,
}

#[derive(Serialize)]
struct Conflict {
    path: String,
    owner: String,
}

pub fn commit(
    database: &mut Database,
    stage: &mut Stage,
    request: &CommitRequest,
) -> io::Result<CommitResult> {
    let mut package = new_package(database, COMMIT, &request.name, &request.stanza)?;
    database.root.forget();
    if request.script_ran {
        database.ids.forget();
    }
    database.ids.reread();
    let mut commit = Commit {
        database,
        stage,
        request,
        package: &mut package,
        conflicts: Vec::new(),
        broken: Vec::new(),
        unchecked: false,
    };
    let entries = std::mem::take(&mut commit.stage.entries);
    for staged in &entries {
        match staged.slot {
            None => commit.directory(staged)?,
            Some(slot) => commit.file(staged, slot)?,
        }
    }
    let Commit { conflicts, broken, .. } = commit;
    if package.broken.files {
        package.untag();
    }
    package.scripts = std::mem::take(&mut stage.scripts);
    package.triggers = request.triggers.clone();
    let directories = package.directories.iter().map(|directory| text(&directory.path)).collect();
    let number = database.packages.len();
    for directory in &package.directories {
        for file in &directory.files {
            database.owners.insert(super::database::join(&directory.path, &file.name), number);
        }
    }
    database.packages.push(package);
    Ok(CommitResult { conflicts, directories, broken })
}

#[derive(Deserialize)]
pub struct EnterRequest {
    pub name: String,
    stanza: String,
}

/// Enters a package that has no files, and so needs no stage.
pub fn enter(database: &mut Database, request: &EnterRequest) -> io::Result<()> {
    let package = new_package(database, ENTER, &request.name, &request.stanza)?;
    database.packages.push(package);
    Ok(())
}

fn new_package(database: &Database, operation: &str, name: &str, stanza: &str) -> io::Result<Package> {
    if database.packages.iter().any(|package| package.name == name) {
        return Err(fail("EEXIST", operation, name, "a package of this name is installed already"));
    }
    let lines = stanza.lines().filter(|line| !line.is_empty());
    Ok(Package::new(lines.map(|line| format!("{line}\n")).collect()))
}

struct Commit<'a> {
    database: &'a mut Database,
    stage: &'a mut Stage,
    request: &'a CommitRequest,
    package: &'a mut Package,
    conflicts: Vec<Conflict>,
    broken: Vec<String>,
    /// A file without a checksum was told of.
    unchecked: bool,
}

impl Commit<'_> {
    fn acl(&mut self, staged: &Staged) -> Acl {
        let (entry, Database { ids, root, .. }) = (&staged.entry, &mut *self.database);
        Acl {
            mode: entry.mode,
            uid: ids.user(root, &entry.uname, entry.uid),
            gid: ids.group(root, &entry.gname, entry.gid),
            xattrs: q1_of_xattrs(&entry.xattrs),
        }
    }

    fn directory(&mut self, staged: &Staged) -> io::Result<()> {
        let acl = self.acl(staged);
        // Whether it was there is asked before this package's wish counts.
        self.database.directories.entry(staged.path.clone()).or_default();
        if !prepare(self.database, &staged.path, acl.mode)? {
            self.broken.push(format!("{} is a directory in it, and a file in the root", text(&staged.path)));
        }
        self.database.wants(&staged.path, &acl);
        match self.package.directory(&staged.path) {
            Some(at) => self.package.directories[at].acl = acl,
            None => {
                let path = staged.path.clone();
                self.package.directories.push(PackageDirectory { path, acl, files: Vec::new() });
            }
        }
        Ok(())
    }

    fn file(&mut self, staged: &Staged, slot: u32) -> io::Result<()> {
        let path = &staged.path;
        let (directory, name) = split(path);
        let owner = self.database.owners.get(path).map(|&number| self.database.packages[number].name.clone());
        if let Some(owner) = &owner {
            if self.request.yields.contains(owner) {
                return Ok(());
            }
            if !self.request.takes.contains(owner) {
                self.conflicts.push(Conflict { path: text(path), owner: owner.clone() });
            }
        }
        let acl = self.acl(staged);
        let mut checksum = self.checksum(staged);
        if !self.stays(path)? {
            match self.place(staged, slot, &acl)? {
                Placed::Whole => {}
                Placed::Not(why) => self.lacks(why),
                Placed::Nowhere(why) => {
                    self.lacks(why);
                    checksum = None;
                }
                Placed::WithoutAttributes(why) => {
                    self.package.broken.xattrs = true;
                    self.broken.push(why);
                    checksum = None;
                }
            }
        }
        self.database.take(path);
        // The overlay's file is the package's now: another package that has it, too, may take it, as with apk.
        self.database.keep.remove(path);
        let at = match self.package.directory(directory) {
            Some(at) => at,
            None => {
                // Only the root itself comes without an entry of its own.
                let (path, acl) = (directory.to_vec(), Acl::of_directory());
                self.package.directories.push(PackageDirectory { path, acl, files: Vec::new() });
                self.package.directories.len() - 1
            }
        };
        let files = &mut self.package.directories[at].files;
        files.retain(|file| file.name != name);
        files.push(PackageFile { name: name.to_vec(), acl, checksum });
        Ok(())
    }

    fn lacks(&mut self, why: String) {
        self.package.broken.files = true;
        self.broken.push(why);
    }

    /// apk holds a package to be broken that has none for what has a content.
    fn checksum(&mut self, staged: &Staged) -> Option<String> {
        let has_content = matches!(staged.entry.kind, Kind::File | Kind::HardLink(_) | Kind::Symlink(_));
        if staged.checksum.is_none() && has_content {
            self.package.broken.files = true;
            if !std::mem::replace(&mut self.unchecked, true) {
                self.broken.push("it has no checksums of its files".to_owned());
            }
        }
        staged.checksum.clone()
    }

    /// Whether what is at a path now stays there: the overlay's file, and in a protected directory a file that is
    /// no package's or was changed.
    fn stays(&mut self, path: &[u8]) -> io::Result<bool> {
        let known = String::from_utf8_lossy(path);
        if self.database.keep.contains(known.as_bytes()) {
            return Ok(true);
        }
        let (directory, name) = split(path);
        if !self.database.protected.protects(directory) {
            return Ok(false);
        }
        let Some(parent) = self.parent(directory)? else { return Ok(false) };
        let Ok(status) = statat(&*parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(false) };
        let Some(expected) = self.database.file(path).and_then(|(_, file)| file.checksum.clone()) else {
            return Ok(true);
        };
        let found = match FileType::from_raw_mode(status.st_mode) {
            FileType::Symlink => readlinkat(&*parent, name, Vec::new())
                .map(|target| q1(sha1_of(target.as_bytes()).as_ref()))
                .ok(),
            FileType::RegularFile => checksum_of(&parent, name).ok(),
            _ => None,
        };
        Ok(found != Some(expected))
    }

    fn place(&mut self, staged: &Staged, slot: u32, acl: &Acl) -> io::Result<Placed> {
        let path = &staged.path;
        let (directory, name) = split(path);
        match self.parent(directory)? {
            Some(parent) => place(&self.stage.fd, slot, &parent, name, staged, acl, &self.database.root),
            None => Ok(Placed::Nowhere(format!("{} is not there: its directory is none", text(path)))),
        }
    }

    /// A script may have removed the directory, and the root have a file there.
    fn parent(&mut self, directory: &[u8]) -> io::Result<Option<Arc<OwnedFd>>> {
        match self.database.root.directory(directory, false) {
            Ok(parent) => Ok(Some(parent)),
            Err(error) => match unwrap_failure(&error).map(|error| error.code.as_str()) {
                Some("ENOENT" | "ENOTDIR") => Ok(None),
                _ => Err(error),
            },
        }
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
