//! Moves a stage into the root, as apk-tools 2.14 does with `--clean-protected --force-overwrite`, and enters it in
//! the database.

use super::checksum::{q1, q1_of_xattrs, sha1, sha1_of};
use super::database::{Acl, Database, Package, PackageDirectory, PackageFile};
use super::owners::Owners;
use super::settle::{prepare, settle};
use super::stage::{Stage, Staged};
use crate::pipeline::archive::Kind;
use crate::pipeline::failure::fail;
use crate::pipeline::inflate::CHUNK;
use crate::pipeline::inside::{Root, split};
use crate::pipeline::sink::writing;
use crate::pipeline::tree::times;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fsetxattr, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

pub const COMMIT: &str = "packages.commit";
pub const ENTER: &str = "packages.enter";

#[derive(Deserialize)]
pub struct CommitRequest {
    pub stage: u32,
    pub name: String,
    stanza: String,
    takes: Vec<String>,
    yields: Vec<String>,
    #[serde(default)]
    triggers: Vec<String>,
}

#[derive(Serialize)]
pub struct CommitResult {
    conflicts: Vec<Conflict>,
    directories: Vec<String>,
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
    database.unsettled = true;
    database.root.forget();
    let mut commit = Commit {
        owners: Owners::read(&database.root),
        database,
        stage,
        request,
        package: &mut package,
        conflicts: Vec::new(),
    };
    let entries = std::mem::take(&mut commit.stage.entries);
    for staged in &entries {
        match staged.slot {
            None => commit.directory(staged)?,
            Some(slot) => commit.file(staged, slot)?,
        }
    }
    let conflicts = commit.conflicts;
    for directory in &package.directories {
        settle(database, &directory.path)?;
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
    Ok(CommitResult { conflicts, directories })
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
    owners: Owners,
    package: &'a mut Package,
    conflicts: Vec<Conflict>,
}

impl Commit<'_> {
    fn acl(&self, staged: &Staged) -> Acl {
        let entry = &staged.entry;
        Acl {
            mode: entry.mode,
            uid: self.owners.user(&entry.uname, entry.uid),
            gid: self.owners.group(&entry.gname, entry.gid),
            xattrs: q1_of_xattrs(&entry.xattrs),
        }
    }

    fn directory(&mut self, staged: &Staged) -> io::Result<()> {
        let acl = self.acl(staged);
        // Whether it was there is asked before this package's wish counts.
        self.database.directories.entry(staged.path.clone()).or_default();
        prepare(self.database, &staged.path, COMMIT, &self.request.name)?;
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
        if !self.stays(path)? {
            self.place(staged, slot, &acl)?;
        }
        self.database.take(path);
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
        files.push(PackageFile { name: name.to_vec(), acl, checksum: staged.checksum.clone() });
        Ok(())
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
        let parent = self.database.root.directory(directory, false)?;
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

    fn place(&mut self, staged: &Staged, slot: u32, acl: &Acl) -> io::Result<()> {
        let (path, from) = (&staged.path, slot.to_string());
        let (directory, name) = split(path);
        dress(&self.stage.fd, &from, staged, acl).map_err(|error| self.database.root.error(error, path))?;
        let parent = self.database.root.directory(directory, false)?;
        match renameat(&self.stage.fd, from.as_str(), &*parent, name) {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => copy_over(&self.stage.fd, &from, &parent, staged, acl, &self.database.root),
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                let message = format!("{} is a file in the package, and a directory in the root", text(path));
                Err(fail("EISDIR", COMMIT, &self.request.name, message))
            }
            Err(error) => Err(self.database.root.error(error, path)),
        }
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Owner, then set-id bits, then extended attributes: each of them is lost by the one before.
fn dress(directory: &OwnedFd, name: &str, staged: &Staged, acl: &Acl) -> rustix::io::Result<()> {
    if (acl.uid, acl.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(acl.uid), Gid::from_raw(acl.gid));
        chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if acl.mode & 0o7000 != 0 && !matches!(staged.entry.kind, Kind::Symlink(_)) {
            chmodat(directory, name, Mode::from_raw_mode(acl.mode), AtFlags::empty())?;
        }
    }
    if staged.entry.xattrs.is_empty() || !matches!(staged.entry.kind, Kind::File | Kind::HardLink(_)) {
        return Ok(());
    }
    let file = openat(directory, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    for (name, value) in &staged.entry.xattrs {
        fsetxattr(&file, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

fn checksum_of(parent: &OwnedFd, name: &[u8]) -> io::Result<String> {
    let fd = openat(parent, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let (mut file, mut digest, mut buffer) = (File::from(fd), sha1(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(q1(digest.finish().as_ref())),
            count => digest.update(&buffer[..count]),
        }
    }
}

/// Into another file system that is mounted in the root: copied beside its place and renamed.
fn copy_over(
    stage: &OwnedFd,
    from: &str,
    parent: &OwnedFd,
    staged: &Staged,
    acl: &Acl,
    root: &Root,
) -> io::Result<()> {
    let failed = |error: Errno| root.error(error, &staged.path);
    let beside = format!(".apk.{from}.{}", std::process::id());
    let status = statat(stage, from, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    match unlinkat(parent, beside.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    let mode = Mode::from_raw_mode(status.st_mode & 0o7777);
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => {
            let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut source = File::from(openat(stage, from, read, Mode::empty()).map_err(failed)?);
            let mut copy = File::from(openat(parent, beside.as_str(), write, mode).map_err(failed)?);
            io::copy(&mut source, &mut copy)
                .map_err(|error| writing(error, COMMIT, &text(&staged.path), parent))?;
            rustix::fs::fchmod(&copy, mode)
                .and_then(|()| rustix::fs::futimens(&copy, &times(staged.entry.mtime)))
                .map_err(failed)?;
        }
        FileType::Symlink => {
            let target = readlinkat(stage, from, Vec::new()).map_err(failed)?;
            symlinkat(target.as_c_str(), parent, beside.as_str()).map_err(failed)?;
        }
        kind => {
            rustix::fs::mknodat(parent, beside.as_str(), kind, mode, status.st_rdev).map_err(failed)?;
            chmodat(parent, beside.as_str(), mode, AtFlags::empty()).map_err(failed)?;
        }
    }
    dress(parent, &beside, staged, acl).map_err(failed)?;
    renameat(parent, beside.as_str(), parent, split(&staged.path).1).map_err(failed)
}
