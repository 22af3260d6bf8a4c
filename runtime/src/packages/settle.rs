//! Modes and owners of directories: several packages may have one, and want different things of it.

use super::database::{Database, DirectoryState};
use crate::pipeline::failure::fail;
use crate::pipeline::inside::split;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, mkdirat, statat};
use rustix::io::Errno;
use std::io;

/// Makes a package's directory unless it is there. One that is there keeps its mode and owner, unless they are just
/// what packages had wanted: then it goes on following them.
pub fn prepare(database: &mut Database, path: &[u8], operation: &str, subject: &str) -> io::Result<()> {
    let Some(state) = database.directories.get(path) else { return Ok(()) };
    if state.met || path.is_empty() {
        return Ok(());
    }
    let (parent, name) = split(path);
    let parent = database.root.directory(parent, true)?;
    let wanted = state.acl.clone();
    let ours = match statat(&*parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => wanted.is_some_and(|acl| {
                (acl.mode, acl.uid, acl.gid) == (status.st_mode & 0o7777, status.st_uid, status.st_gid)
            }),
            FileType::Symlink => false,
            _ => {
                let name = String::from_utf8_lossy(path);
                let message = format!("{name} is a directory in the package, and a file in the root");
                return Err(fail("ENOTDIR", operation, subject, message));
            }
        },
        Err(Errno::NOENT) => {
            mkdirat(&*parent, name, Mode::RWXU).map_err(|error| database.root.error(error, path))?;
            true
        }
        Err(error) => return Err(database.root.error(error, path)),
    };
    let state = database.directories.entry(path.to_vec()).or_default();
    (state.met, state.ours) = (true, ours);
    Ok(())
}

/// Gives every directory that is ours mode and owner, as apk does before the triggers run.
pub fn settle_all(database: &mut Database) -> io::Result<()> {
    if std::mem::take(&mut database.unsettled) {
        for path in database.directories.keys() {
            settle(database, path)?;
        }
    }
    Ok(())
}

/// Sets mode and owner of a directory that is ours to what its packages want.
pub fn settle(database: &Database, path: &[u8]) -> io::Result<()> {
    let Some(DirectoryState { acl: Some(acl), ours: true, .. }) = database.directories.get(path) else {
        return Ok(());
    };
    let failed = |error| database.root.error(error, path);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let fd = match database.root.open_at(path, flags) {
        Ok(fd) => fd,
        // A script removed it or put something else there.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let status = rustix::fs::fstat(&fd).map_err(failed)?;
    if (status.st_uid, status.st_gid) != (acl.uid, acl.gid) {
        fchown(&fd, Some(Uid::from_raw(acl.uid)), Some(Gid::from_raw(acl.gid))).map_err(failed)?;
    }
    if status.st_mode & 0o7777 != acl.mode {
        fchmod(&fd, Mode::from_raw_mode(acl.mode)).map_err(failed)?;
    }
    Ok(())
}
