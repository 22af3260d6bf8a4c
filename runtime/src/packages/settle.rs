//! Modes and owners of directories: several packages may have one, and want different things of it.

use super::database::{Database, DirectoryState};
use crate::pipeline::inside::split;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, fchmod, fchown, mkdirat, statat};
use rustix::io::Errno;
use std::io;

/// Makes a package's directory unless it is there. One that is there keeps its mode and owner, unless they are just
/// what packages had wanted: then it goes on following them. False where something else is in its place.
pub fn prepare(database: &mut Database, path: &[u8], mode: u32) -> io::Result<bool> {
    let Some(state) = database.directories.get(path) else { return Ok(true) };
    if state.met || path.is_empty() {
        return Ok(true);
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
            _ => return Ok(false),
        },
        Err(Errno::NOENT) => {
            // mkdir(2) takes no set-id bits and heeds the umask, which apk clears.
            mkdirat(&*parent, name, Mode::from_raw_mode(mode))
                .and_then(|()| match mode & 0o022 {
                    0 => Ok(()),
                    _ => chmodat(&*parent, name, Mode::from_raw_mode(mode & 0o1777), AtFlags::empty()),
                })
                .map_err(|error| database.root.error(error, path))?;
            true
        }
        Err(error) => return Err(database.root.error(error, path)),
    };
    let state = database.directories.entry(path.to_vec()).or_default();
    (state.met, state.ours) = (true, ours);
    Ok(true)
}

/// Sets mode and owner of the directories that are ours to what their packages want: once, when all packages are
/// there and before the triggers run. Until then the owner is root, and scripts may change what they like.
pub fn settle(database: &Database) -> io::Result<()> {
    database.directories.iter().try_for_each(|(path, state)| settle_one(database, path, state))
}

fn settle_one(database: &Database, path: &[u8], state: &DirectoryState) -> io::Result<()> {
    let DirectoryState { acl: Some(acl), ours: true, .. } = state else { return Ok(()) };
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
