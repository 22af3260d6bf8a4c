//! One file of a stage, dressed and put in its place in the root.

use super::checksum::{q1, sha1};
use super::database::Acl;
use super::stage::Staged;
use crate::pipeline::archive::Kind;
use crate::pipeline::inflate::CHUNK;
use crate::pipeline::inside::{Root, split};
use crate::pipeline::sink::writing;
use crate::pipeline::tree::times;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fsetxattr, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// What errors say was being done.
pub const COMMIT: &str = "packages.commit";

/// How a file was put in its place. What is in the way stays there: apk tells, and goes on.
pub enum Placed {
    Whole,
    /// apk has no checksum of it then, either.
    WithoutAttributes(String),
    /// A directory is there.
    Not(String),
    /// Not even beside its place: then apk has no checksum of it.
    Nowhere(String),
}

pub fn place(
    stage: &OwnedFd,
    slot: u32,
    parent: &OwnedFd,
    name: &[u8],
    staged: &Staged,
    acl: &Acl,
    root: &Root,
) -> io::Result<Placed> {
    let (path, from) = (&staged.path, slot.to_string());
    let placed = match dress(stage, &from, staged, acl) {
        Ok(()) => Placed::Whole,
        Err(Errno::OPNOTSUPP) => {
            let path = String::from_utf8_lossy(path);
            Placed::WithoutAttributes(format!(
                "{path} lacks its extended attributes: the root's file system does not take them"
            ))
        }
        Err(error) => return Err(root.error(error, path)),
    };
    match renameat(stage, from.as_str(), parent, name) {
        Ok(()) => Ok(placed),
        Err(Errno::XDEV) => copy_over(stage, &from, parent, staged, acl, root).map(|()| placed),
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            let path = String::from_utf8_lossy(path);
            Ok(Placed::Not(format!("{path} is not there: the root has a directory in its place")))
        }
        Err(error) => Err(root.error(error, path)),
    }
}

/// Owner, then set-id bits, then extended attributes: each of them is lost by the one before.
fn dress(directory: &OwnedFd, name: &str, staged: &Staged, acl: &Acl) -> rustix::io::Result<()> {
    // Another name of a file that was dressed already: chown(2) takes its set-id bits and capabilities again.
    let again = matches!(staged.entry.kind, Kind::HardLink(_));
    if (acl.uid, acl.gid) != (0, 0) || again {
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

pub fn checksum_of(parent: &OwnedFd, name: &[u8]) -> io::Result<String> {
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
                .map_err(|error| writing(error, COMMIT, &String::from_utf8_lossy(&staged.path), parent))?;
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
    match dress(parent, &beside, staged, acl) {
        // Told already.
        Ok(()) | Err(Errno::OPNOTSUPP) => {}
        Err(error) => return Err(failed(error)),
    }
    renameat(parent, beside.as_str(), parent, split(&staged.path).1).map_err(failed)
}
