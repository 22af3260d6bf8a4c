//! `files.copyTree`: a directory tree into another, as `cp -ax` does, through directory descriptors, so that symlinks
//! lead neither the reading nor the writing out of the two trees.

use crate::error::{Result, SysError};
use crate::ops::Cancel;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, SeekFrom, Stat, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const COPY: &str = "files.copyTree";
/// Deeper trees are refused: each level holds two descriptors open.
const DEPTH: usize = 250;
const CHUNK: usize = 256 << 10;

#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Copied {
    /// Of regular files, holes not counted.
    bytes: u64,
    /// All that is no directory.
    files: u64,
}

/// One name in the source's directory and in the target's.
#[derive(Clone, Copy)]
struct Entry<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    name: &'a CStr,
}

struct Copy<'a> {
    target: &'a OwnedFd,
    /// Device and inode of the target: it may be below the source.
    itself: (u64, u64),
    /// Where the first of several names of a file was copied to, below the target.
    links: HashMap<(u64, u64), PathBuf>,
    /// Where we are, below both.
    at: PathBuf,
    done: Copied,
    cancel: &'a Cancel,
}

pub fn copy(from: &str, to: &str, cancel: &Cancel) -> Result<Copied> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |error: Errno| SysError::os(COPY, path, error)
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = rustix::fs::open(from, flags, Mode::empty()).map_err(failed(from))?;
    std::fs::create_dir_all(to).map_err(|error| SysError::os(COPY, to, error))?;
    let target = rustix::fs::open(to, flags, Mode::empty()).map_err(failed(to))?;
    let stat = rustix::fs::fstat(&target).map_err(failed(to))?;
    let mut copy = Copy {
        target: &target,
        itself: (stat.st_dev, stat.st_ino),
        links: HashMap::new(),
        at: PathBuf::new(),
        done: Copied::default(),
        cancel,
    };
    let done = copy.directory(source.as_fd(), target.as_fd());
    let done = done.and_then(|()| {
        let stat = rustix::fs::fstat(&source)?;
        attributes(Entry { from: source.as_fd(), to: target.as_fd(), name: c"." }, &stat)
    });
    if cancel.cancelled() {
        return Err(SysError::aborted(COPY, from));
    }
    let at = Path::new(from).join(&copy.at);
    done.map_err(|error| SysError::os(COPY, format!("{} into {to}", at.display()), error))?;
    Ok(copy.done)
}

impl Copy<'_> {
    /// `at` stays where it failed.
    fn directory(&mut self, from: BorrowedFd, to: BorrowedFd) -> rustix::io::Result<()> {
        if self.at.components().count() > DEPTH {
            return Err(Errno::MLINK);
        }
        let names = Dir::read_from(from)?
            .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
            .collect::<rustix::io::Result<Vec<CString>>>()?;
        for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            if self.cancel.cancelled() {
                return Err(Errno::CANCELED);
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(Entry { from, to, name })?;
            self.at.pop();
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(entry.from, entry.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return self.below(entry, &stat);
        }
        // cp's --remove-destination: what is there is never written through.
        match rustix::fs::unlinkat(entry.to, entry.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inode = rustix::fs::openat2(self.target, first, flags, Mode::empty(), inside)?;
                rustix::fs::linkat(&inode, c"", entry.to, entry.name, AtFlags::EMPTY_PATH)?;
                self.done.files += 1;
                return Ok(());
            }
            self.links.insert((stat.st_dev, stat.st_ino), self.at.clone());
        }
        let private = Mode::RUSR | Mode::WUSR;
        match kind {
            FileType::RegularFile => match open(entry.from, entry.name, OFlags::RDONLY) {
                // Mounted there.
                Err(Errno::XDEV) => return Ok(()),
                Err(error) => return Err(error),
                Ok(source) => {
                    let flags =
                        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let target = rustix::fs::openat(entry.to, entry.name, flags, private)?;
                    self.done.bytes += contents(&source, &target)?;
                }
            },
            FileType::Symlink => {
                let leads_to = rustix::fs::readlinkat(entry.from, entry.name, Vec::new())?;
                rustix::fs::symlinkat(&*leads_to, entry.to, entry.name)?;
            }
            _ => rustix::fs::mknodat(entry.to, entry.name, kind, private, stat.st_rdev)?,
        }
        self.done.files += 1;
        attributes(entry, &stat)
    }

    /// A directory that something is mounted on is made and stays empty.
    fn below(&mut self, entry: Entry, stat: &Stat) -> rustix::io::Result<()> {
        if (stat.st_dev, stat.st_ino) == self.itself {
            return Ok(());
        }
        match rustix::fs::mkdirat(entry.to, entry.name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        match open(entry.from, entry.name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::XDEV) => {}
            Err(error) => return Err(error),
            Ok(source) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let target = rustix::fs::openat(entry.to, entry.name, flags, Mode::empty())?;
                self.directory(source.as_fd(), target.as_fd())?;
            }
        }
        // Last: what was made in it has changed its times, and a default ACL is not for the copies.
        attributes(entry, stat)
    }
}

fn open(directory: BorrowedFd, name: &CStr, access: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inside = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, name, flags, Mode::empty(), inside)
}

/// Data, and holes as holes: an image in RAM is as small as it was.
fn contents(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<u64> {
    let size = rustix::fs::seek(from, SeekFrom::End(0))?;
    rustix::fs::ftruncate(to, size)?;
    let (mut at, mut bytes) = (0, 0);
    let mut buffer = Vec::new();
    while at < size {
        let (start, end) = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => (start, rustix::fs::seek(from, SeekFrom::Hole(start))?),
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            // It cannot tell.
            Err(Errno::INVAL) => (at, size),
            Err(error) => return Err(error),
        };
        bytes += range(from, to, start, end, &mut buffer)?;
        at = end.max(start + 1);
    }
    Ok(bytes)
}

fn range(
    from: &OwnedFd,
    to: &OwnedFd,
    start: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> rustix::io::Result<u64> {
    let mut at = start;
    while at < end {
        buffer.resize(CHUNK, 0);
        let wanted = (end - at).min(CHUNK as u64) as usize;
        let length = rustix::io::pread(from, &mut buffer[..wanted], at)?;
        if length == 0 {
            break;
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let written = rustix::io::pwrite(to, rest, at)?;
            rest = &rest[written..];
            at += written as u64;
        }
    }
    Ok(at - start)
}

/// Owner first, as a change of it takes set-user-ID and capabilities away; times last.
fn attributes(entry: Entry, stat: &Stat) -> rustix::io::Result<()> {
    let Entry { to, name, .. } = entry;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
    }
    extended(entry)?;
    let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::utimensat(to, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// What the target's file system does not know is left out, as cp does.
fn extended(entry: Entry) -> rustix::io::Result<()> {
    let path = |directory: BorrowedFd| {
        let prefix = format!("/proc/self/fd/{}/", directory.as_raw_fd());
        [prefix.as_bytes(), entry.name.to_bytes()].concat()
    };
    let (from, to) = (path(entry.from), path(entry.to));
    // The kernel's limits (xattr(7)): 64 KiB of names, 64 KiB a value.
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(&from[..], &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut value = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        value.resize(64 << 10, 0);
        let length = match rustix::fs::lgetxattr(&from[..], name, &mut value[..]) {
            Ok(length) => length,
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            Err(error) => return Err(error),
        };
        match rustix::fs::lsetxattr(&to[..], name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::Command;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("diskless-copy-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("from")).unwrap();
            Place(path)
        }

        fn sh(&self, line: &str) -> String {
            let output = Command::new("sh").args(["-ec", line]).current_dir(&self.0).output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        }

        fn copy(&self) -> Result<Copied> {
            let path = |name: &str| self.0.join(name).to_str().unwrap().to_owned();
            super::copy(&path("from"), &path("to"), &Cancel::default())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn root() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            eprintln!("SKIPPED: needs root for owners and devices");
        }
        root
    }

    #[test]
    fn a_tree_is_the_same_with_all_that_inodes_hold() {
        if !root() {
            return;
        }
        let place = Place::new("same");
        place.sh("cd from; mkdir -p a/b c; echo one > a/one; ln a/one a/b/two; ln -s ../nowhere c/link
             mknod c/null c 1 3; mkfifo c/fifo; chown -h 12:34 a/one c/link c/null; chmod 4751 a/one
             chmod 1777 c; touch -hd 2001-02-03T04:05:06.789 a/one c/link c/fifo c a; truncate -s 9M hole
             printf end >> hole; : > \"$(printf 'odd \\377name')\"; chown 5:6 .; chmod 750 .
             touch -d 2002-02-02 .");
        rustix::fs::lsetxattr(place.0.join("from/a/b"), "trusted.x", b"y", XattrFlags::empty()).unwrap();
        let copied = place.copy().unwrap();
        assert_eq!(copied.files, 7);
        assert!(copied.bytes < 1 << 20, "{copied:?}");
        let seen = |tree: &str| {
            place.sh(&format!(
                "cd {tree}; find . -printf '%p %y %M %n %U:%G %T@ %l %s %i\\n' | sort | sed 's/ [0-9]*$//'
                 sha256sum a/one hole; stat -c %t:%T c/null; [ a/one -ef a/b/two ]"
            ))
        };
        assert_eq!(seen("from"), seen("to"));
        let mut value = [0; 9];
        let length = rustix::fs::lgetxattr(place.0.join("to/a/b"), "trusted.x", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"y");
        assert!(fs::metadata(place.0.join("to/hole")).unwrap().blocks() * 512 < 1 << 20);
        // Again, over what is there.
        assert_eq!(place.copy().unwrap(), copied);
        assert_eq!(seen("from"), seen("to"));
    }

    #[test]
    fn symlinks_in_the_target_lead_nowhere_and_the_target_may_be_inside() {
        if !root() {
            return;
        }
        let place = Place::new("links");
        place.sh(
            "mkdir outside from/dir to; echo mine > outside/file; echo new > from/file; echo x > from/dir/x",
        );
        symlink("../outside/file", place.0.join("to/file")).unwrap();
        symlink("../outside", place.0.join("to/dir")).unwrap();
        let error = place.copy().unwrap_err();
        assert!(["ELOOP", "ENOTDIR"].contains(&error.code.as_str()), "{error:?}");
        assert!(error.subject.contains("from/dir into "), "{error:?}");
        fs::remove_file(place.0.join("to/dir")).unwrap();
        place.copy().unwrap();
        assert_eq!(place.sh("cat outside/file to/file; ls outside"), "mine\nnew\nfile\n");
        let path = place.0.to_str().unwrap();
        let inside = super::copy(path, &format!("{path}/from/inside"), &Cancel::default()).unwrap();
        assert!(!place.0.join("from/inside/from/inside").exists(), "{inside:?}");
        assert!(fs::metadata(place.0.join("from/inside/to/file")).unwrap().permissions().mode() > 0);
    }

    #[test]
    fn mounts_are_not_crossed_and_giving_up_stops_it() {
        if !root() {
            return;
        }
        let place = Place::new("mounts");
        place.sh("mkdir from/proc; mount -t tmpfs x from/proc; echo x > from/proc/x; echo y > from/y");
        let copied = place.copy();
        place.sh("umount from/proc");
        assert_eq!(copied.unwrap(), Copied { bytes: 2, files: 1 });
        assert_eq!(place.sh("ls -A to to/proc"), "to:\nproc\ny\n\nto/proc:\n");
        let cancel = Cancel::default();
        cancel.cancel();
        let path = place.0.to_str().unwrap();
        assert_eq!(super::copy(path, &format!("{path}-2"), &cancel).unwrap_err().code, "ABORTED");
        fs::remove_dir(format!("{path}-2")).unwrap();
        let gone = super::copy("/nonexistent", &format!("{path}-2"), &Cancel::default()).unwrap_err();
        assert_eq!((gone.code.as_str(), gone.subject.as_str()), ("ENOENT", "/nonexistent"));
    }
}
