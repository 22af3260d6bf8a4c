//! Unpacks a package into a stage of its own, `ROOT/.diskless/stage-N`, and checks it on the way.
//!
//! A package is gzip members: signatures (not needed: the index is signed and has the control member's SHA-1), the
//! control member (.PKGINFO and scripts), and the data, whose SHA-256 .PKGINFO has. Both cover the compressed bytes,
//! so they cover everything in them; the SHA-1 that each file's header has is taken from there, as apk does.
//!
//! In the stage files have numbers for names. No name of the package is used until a commit moves them.

use super::checksum::{Algorithm, q1};
use super::control::{self, STAGE};
use super::member::Tap;
use crate::pipeline::archive::{Archive, Entry, Kind};
use crate::pipeline::failure::{fail, failure, sys_error};
use crate::pipeline::filter::hex;
use crate::pipeline::inflate::Gunzip;
use crate::pipeline::inside::{Root, normalize, split};
use crate::pipeline::sink::{drain, writing};
use crate::pipeline::tree::times;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, futimens, linkat, makedev, mkdirat, mknodat, openat,
};
use rustix::fs::{symlinkat, unlinkat, utimensat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

/// More entries than any package has.
const ENTRIES: usize = 1_000_000;

/// Inflated at a time, and written from there. Inflating starts anew each time, with a copy of the last 32 KiB. Of less than
/// glibc maps for itself and unmaps: that stops every thread.
const AHEAD: usize = 96 << 10;

/// Where stages are, inside the root.
pub const PLACE: &[u8] = b".diskless";

/// One entry of the data.
pub struct Staged {
    pub entry: Entry,
    /// Below the root, no slash at the end.
    pub path: Vec<u8>,
    /// `Q1…`, of a file's content or a symlink's target: what the package says of it.
    pub checksum: Option<String>,
    /// Its name in the stage; none for a directory.
    pub slot: Option<u32>,
}

pub struct Stage {
    /// Of the stage's directory.
    pub fd: OwnedFd,
    place: OwnedFd,
    name: String,
    slots: u32,
    pub pkginfo: String,
    pub scripts: Vec<(String, Vec<u8>)>,
    pub entries: Vec<Staged>,
}

/// Reads a package to its end. `checksum` is the index's `C:`. `digested`: whoever reads it knows every byte of it already.
pub fn read(
    from: &mut dyn Read,
    root: &str,
    checksum: &str,
    digested: bool,
    subject: &str,
) -> io::Result<Stage> {
    let mut tap = Tap::new(from);
    let control = control::read(&mut tap, checksum, subject)?;
    let mut stage = Stage::create(root, subject)?;
    (stage.pkginfo, stage.scripts) = (control.pkginfo, control.scripts);
    if !digested {
        tap.hash(Algorithm::Sha256);
    }
    stage.unpack(&mut tap, root, subject)?;
    let found = tap.hashed().map(|digest| hex(digest.as_ref()));
    if let Some(found) = found.filter(|found| *found != control.datahash) {
        let message = format!("its data's SHA-256 is {found}, and should be {}", control.datahash);
        return Err(fail("DIGEST", STAGE, subject, message));
    }
    Ok(stage)
}

impl Stage {
    fn create(root: &str, subject: &str) -> io::Result<Stage> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let root = Root::open(root, STAGE, subject)?;
        let error = |error| root.error(error, PLACE);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            match mkdirat(root.fd(), PLACE, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(failed) => return Err(error(failed)),
            }
            let name = format!("stage-{}", NEXT.fetch_add(1, Ordering::Relaxed));
            let made = openat(root.fd(), PLACE, flags, Mode::empty())
                .and_then(|place| mkdirat(&place, name.as_str(), Mode::RWXU).map(|()| place))
                .and_then(|place| Ok((openat(&place, name.as_str(), flags, Mode::empty())?, place)));
            match made {
                Ok((fd, place)) => {
                    return Ok(Stage {
                        fd,
                        place,
                        name,
                        slots: 0,
                        pkginfo: String::new(),
                        scripts: Vec::new(),
                        entries: Vec::new(),
                    });
                }
                // Left by an earlier engine; or another stage that ended just removed their common place.
                Err(Errno::EXIST | Errno::NOENT) => {}
                Err(failed) => return Err(error(failed)),
            }
        }
    }

    fn unpack<R: Read>(&mut self, tap: &mut Tap<R>, root: &str, subject: &str) -> io::Result<()> {
        // A package without files may end after its control member.
        if tap.fill_buf()?.is_empty() {
            return Ok(());
        }
        let root = Root::open(root, STAGE, subject)?;
        let inflated = BufReader::with_capacity(AHEAD, Gunzip::new(tap, subject));
        let mut archive = Archive::new(inflated, STAGE, subject);
        let mut directories = HashSet::from([Vec::new()]);
        let mut placed: HashMap<Vec<u8>, usize> = HashMap::new();
        while let Some(entry) = archive.next()? {
            let Some(path) = place(&entry, subject)? else { continue };
            if self.entries.len() >= ENTRIES {
                return Err(fail("TOO_BIG", STAGE, subject, format!("it has more than {ENTRIES} files")));
            }
            if entry.kind == Kind::Directory {
                directories.insert(path.clone());
                self.entries.push(Staged { entry, path, checksum: None, slot: None });
                continue;
            }
            let (parent, name) = split(&path);
            if name.len() > 6 && name.starts_with(b".keep_") {
                continue;
            }
            if !directories.contains(parent) {
                return Err(format(subject, &path, "comes without its directory"));
            }
            let slot = self.slots;
            self.slots += 1;
            let checksum = match &entry.kind {
                Kind::HardLink(target) => {
                    let target = normalize(target).ok_or_else(|| escape(subject, target))?;
                    let Some(&at) = placed.get(&target) else {
                        return Err(format(
                            subject,
                            &path,
                            "is a hard link to what the package does not have",
                        ));
                    };
                    let target = &self.entries[at];
                    let from = target.slot.unwrap_or_default().to_string();
                    linkat(&self.fd, from.as_str(), &self.fd, slot.to_string(), AtFlags::empty())
                        .map_err(|error| root.error(error, &path))?;
                    target.checksum.clone()
                }
                _ => entry.sha1.map(|sum| q1(&sum)),
            };
            match entry.kind {
                Kind::File => self.write(slot, &entry, &mut archive, subject)?,
                _ => self.make(slot, &entry).map_err(|error| root.error(error, &path))?,
            }
            placed.insert(path.clone(), self.entries.len());
            self.entries.push(Staged { entry, path, checksum, slot: Some(slot) });
        }
        drain(&mut archive.into_source())?;
        Ok(())
    }

    fn write(&self, slot: u32, entry: &Entry, content: &mut dyn BufRead, subject: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: io::Error| writing(error, STAGE, subject, &self.fd);
        let fd = openat(&self.fd, slot.to_string(), flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(fd.map_err(|error| failed(error.into()))?);
        loop {
            let part = content.fill_buf()?;
            if part.is_empty() {
                break;
            }
            file.write_all(part).map_err(failed)?;
            let count = part.len();
            content.consume(count);
        }
        fchmod(&file, Mode::from_raw_mode(entry.mode))
            .and_then(|()| futimens(&file, &times(entry.mtime)))
            .map_err(|error| failed(error.into()))
    }

    /// Makes what is not a file.
    fn make(&self, slot: u32, entry: &Entry) -> rustix::io::Result<()> {
        let (name, mode) = (slot.to_string(), Mode::from_raw_mode(entry.mode));
        let node = |kind, device| {
            mknodat(&self.fd, name.as_str(), kind, Mode::RUSR, device)?;
            rustix::fs::chmodat(&self.fd, name.as_str(), mode, AtFlags::empty())?;
            utimensat(&self.fd, name.as_str(), &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
        };
        match &entry.kind {
            Kind::Symlink(target) => symlinkat(target.as_slice(), &self.fd, name.as_str()),
            Kind::Char(major, minor) => node(FileType::CharacterDevice, makedev(*major, *minor)),
            Kind::Block(major, minor) => node(FileType::BlockDevice, makedev(*major, *minor)),
            Kind::Fifo => node(FileType::Fifo, 0),
            Kind::File | Kind::Directory | Kind::HardLink(_) => Ok(()),
        }
    }

    pub fn files(&self) -> usize {
        self.entries.iter().filter(|staged| staged.slot.is_some()).count()
    }

    pub fn installed_bytes(&self) -> u64 {
        let files = self.entries.iter().filter(|staged| staged.entry.kind == Kind::File);
        files.map(|staged| staged.entry.size).sum()
    }
}

impl Drop for Stage {
    /// What cannot be removed stays, and does no harm.
    fn drop(&mut self) {
        let remove = || unlinkat(&self.place, self.name.as_str(), AtFlags::REMOVEDIR);
        // A commit has moved everything, as a rule.
        if remove() != Err(Errno::NOTEMPTY) {
            return;
        }
        for slot in 0..self.slots {
            let _ = unlinkat(&self.fd, slot.to_string(), AtFlags::empty());
        }
        let _ = remove();
    }
}

/// Writes one of a package's scripts to a path, executable.
pub fn extract_script(
    scripts: &[(String, Vec<u8>)],
    operation: &str,
    script: &str,
    path: &str,
) -> io::Result<()> {
    let Some((_, bytes)) = scripts.iter().find(|(name, _)| name == script) else {
        return Err(fail("ENOENT", operation, path, format!("the package has no script {script}")));
    };
    let failed = |error| failure(sys_error(error, operation, path));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).map_err(|error| writing(error, operation, path, &file))?;
    fchmod(&file, Mode::from_raw_mode(0o755)).map_err(|error| failed(error.into()))
}

/// Where an entry goes, below the root; `None` for one that apk leaves out.
fn place(entry: &Entry, subject: &str) -> io::Result<Option<Vec<u8>>> {
    let name = &entry.path;
    let path = normalize(name).ok_or_else(|| escape(subject, name))?;
    if name.iter().any(|&byte| byte < 0x20 || byte == 0x7f) {
        return Err(format(subject, name, "has a control character in its name"));
    }
    if name.starts_with(b"./")
        || name.windows(3).any(|part| part == b"/./")
        || name.windows(2).any(|part| part == b"//")
    {
        return Err(format(subject, name, "has a name that packages do not have"));
    }
    // apk's own metadata, as .PKGINFO; nothing at the top of a root begins with a dot.
    Ok((!path.is_empty() && !path.starts_with(b".")).then_some(path))
}

fn escape(subject: &str, name: &[u8]) -> io::Error {
    let name = String::from_utf8_lossy(name);
    fail("ESCAPE", STAGE, subject, format!("the package wants to write to {name}, outside the root"))
}

fn format(subject: &str, name: &[u8], what: &str) -> io::Error {
    let name = name.escape_ascii().to_string();
    fail("FORMAT", STAGE, subject, format!("the package is not usable: {name} {what}"))
}
