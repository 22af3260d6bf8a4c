//! Unpacks an archive under a root: owners by number, modes with set-id, times, devices, extended attributes.
//!
//! An entry replaces a file of its name; a directory stays, with the entry's owner and mode, and so does a symlink
//! to a directory (/lib of a merged /usr). Symlinks are only data: they may point anywhere, and are resolved inside
//! the root when a later entry goes through one.

use super::archive::{Archive, Entry, Kind};
use super::failure::fail;
use super::inflate::CHUNK;
use super::inside::{Root, normalize, split};
use super::sink::writing;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fsetxattr,
    linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// More entries than any root has.
const ENTRIES: usize = 1_000_000;

const STAGE: &str = "tree";

/// Unpacks and gives the paths in archive order, directories with a slash at the end.
pub fn unpack(from: &mut dyn Read, root: &str, subject: &str) -> io::Result<Vec<String>> {
    let mut archive = Archive::new(from, STAGE, subject);
    let mut tree = Tree { root: Root::open(root, STAGE, subject)?, subject };
    let (mut paths, mut directories) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; CHUNK];
    while let Some(entry) = archive.next()? {
        let path = tree.place(&entry.path)?;
        if path.is_empty() {
            continue; // The root is not the archive's.
        }
        if paths.len() >= ENTRIES {
            return Err(fail(
                "TOO_BIG",
                STAGE,
                subject,
                format!("the archive has more than {ENTRIES} entries"),
            ));
        }
        tree.extract(&entry, &path, &mut archive, &mut buffer)?;
        let mut name = String::from_utf8_lossy(&path).into_owned();
        if entry.kind == Kind::Directory {
            name.push('/');
            directories.push((path, entry.mtime));
        }
        paths.push(name);
    }
    // Last and deepest first: every file that was made in a directory touched its time.
    for (path, mtime) in directories.iter().rev() {
        let fd = tree.root.directory(path, false)?;
        set_time(&fd, b".", *mtime).map_err(|error| tree.root.error(error, path))?;
    }
    Ok(paths)
}

struct Tree<'a> {
    root: Root,
    subject: &'a str,
}

impl Tree<'_> {
    fn place(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        normalize(name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            let message = format!("the archive wants to write to {name}, outside its root");
            fail("ESCAPE", STAGE, self.subject, message)
        })
    }

    fn extract(
        &mut self,
        entry: &Entry,
        path: &[u8],
        content: &mut dyn Read,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let (parent, name) = split(path);
        let parent = self.root.directory(parent, true)?;
        if entry.kind == Kind::Directory {
            return self.make_directory(entry, &parent, name).map_err(|error| self.root.error(error, path));
        }
        self.clear(&parent, name, path)?;
        let made = match &entry.kind {
            Kind::File => return self.write(entry, &parent, name, path, content, buffer),
            Kind::Directory => Ok(()),
            Kind::HardLink(target) => {
                let target = self.place(target)?;
                let (target_parent, target_name) = split(&target);
                let target_parent = self.root.directory(target_parent, false)?;
                return linkat(&*target_parent, target_name, &*parent, name, AtFlags::empty())
                    .map_err(|error| self.root.error(error, &target));
            }
            Kind::Symlink(target) => {
                self.root.forget();
                symlinkat(target.as_slice(), &*parent, name)
            }
            Kind::Char(major, minor) => {
                node(&parent, name, FileType::CharacterDevice, entry, makedev(*major, *minor))
            }
            Kind::Block(major, minor) => {
                node(&parent, name, FileType::BlockDevice, entry, makedev(*major, *minor))
            }
            Kind::Fifo => node(&parent, name, FileType::Fifo, entry, 0),
        };
        made.and_then(|()| own(&parent, name, entry))
            .and_then(|()| match entry.kind {
                Kind::Symlink(_) => Ok(()),
                _ => rustix::fs::chmodat(&*parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty()),
            })
            .and_then(|()| set_time(&parent, name, entry.mtime))
            .map_err(|error| self.root.error(error, path))
    }

    /// Removes what is in the way of a file; a directory is not removed.
    fn clear(&mut self, parent: &OwnedFd, name: &[u8], path: &[u8]) -> io::Result<()> {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => {
                self.root.forget();
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                let path = String::from_utf8_lossy(path);
                Err(fail(
                    "EISDIR",
                    STAGE,
                    self.subject,
                    format!("{path} is a directory in the root, and a file in the archive"),
                ))
            }
            Err(error) => Err(self.root.error(error, path)),
        }
    }

    fn make_directory(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
        match mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let status = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
                match FileType::from_raw_mode(status.st_mode) {
                    FileType::Directory => {}
                    FileType::Symlink => return Ok(()),
                    _ => return Err(Errno::NOTDIR),
                }
            }
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(parent, name, flags, Mode::empty())?;
        rustix::fs::fchown(&fd, uid(entry), gid(entry))?;
        fchmod(&fd, Mode::from_raw_mode(entry.mode))?;
        set_xattrs(&fd, entry)
    }

    fn write(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        path: &[u8],
        content: &mut dyn Read,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(parent, name, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| self.root.error(error, path))?;
        let mut file = File::from(fd);
        loop {
            match content.read(buffer)? {
                0 => break,
                count => file
                    .write_all(&buffer[..count])
                    .map_err(|error| writing(error, STAGE, self.subject, self.root.fd()))?,
            }
        }
        // The owner first: chown(2) clears set-id bits and capabilities.
        rustix::fs::fchown(&file, uid(entry), gid(entry))
            .and_then(|()| fchmod(&file, Mode::from_raw_mode(entry.mode)))
            .and_then(|()| set_xattrs(&file, entry))
            .and_then(|()| rustix::fs::futimens(&file, &times(entry.mtime)))
            .map_err(|error| self.root.error(error, path))
    }
}

fn node(parent: &OwnedFd, name: &[u8], kind: FileType, entry: &Entry, device: u64) -> rustix::io::Result<()> {
    mknodat(parent, name, kind, Mode::from_raw_mode(entry.mode), device)
}

fn uid(entry: &Entry) -> Option<Uid> {
    Some(Uid::from_raw(entry.uid))
}

fn gid(entry: &Entry) -> Option<Gid> {
    Some(Gid::from_raw(entry.gid))
}

fn own(parent: &OwnedFd, name: &[u8], entry: &Entry) -> rustix::io::Result<()> {
    chownat(parent, name, uid(entry), gid(entry), AtFlags::SYMLINK_NOFOLLOW)
}

fn set_xattrs(file: impl AsFd, entry: &Entry) -> rustix::io::Result<()> {
    for (name, value) in &entry.xattrs {
        fsetxattr(&file, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Modification and access time, to the second.
pub fn times(mtime: i64) -> Timestamps {
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn set_time(parent: &OwnedFd, name: &[u8], mtime: i64) -> rustix::io::Result<()> {
    utimensat(parent, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
}
