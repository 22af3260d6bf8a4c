//! Removing directory trees through directory descriptors, without crossing mounts.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Deeper trees are refused: each level holds a descriptor open.
const DEPTH: usize = 400;

fn enter(parent: BorrowedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS)
}

/// What to do with a name that something is mounted on.
#[derive(Clone, Copy, PartialEq)]
pub enum Mounts {
    /// Fail with EBUSY.
    Refuse,
    /// Leave it, and the directories above it.
    Keep,
}

/// Empties a directory. False when something was kept.
pub fn empty(directory: BorrowedFd, mounts: Mounts) -> rustix::io::Result<bool> {
    empty_at(directory, mounts, 0)
}

fn empty_at(directory: BorrowedFd, mounts: Mounts, depth: usize) -> rustix::io::Result<bool> {
    if depth == DEPTH {
        return Err(Errno::MLINK);
    }
    let mut whole = true;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        whole &= remove_entry(directory, name, entry.file_type(), mounts, depth)?;
    }
    Ok(whole)
}

/// False when it was kept.
fn remove_entry(
    parent: BorrowedFd,
    name: &CStr,
    kind: FileType,
    mounts: Mounts,
    depth: usize,
) -> rustix::io::Result<bool> {
    if kind != FileType::Directory {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            Err(Errno::BUSY) if mounts == Mounts::Keep => return Ok(false),
            // Some file systems do not tell what kind an entry is.
            Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => {}
            Err(error) => return Err(error),
        }
    }
    match enter(parent, name) {
        Ok(child) => {
            if !empty_at(child.as_fd(), mounts, depth + 1)? {
                return Ok(false);
            }
        }
        Err(Errno::XDEV) if mounts == Mounts::Keep => return Ok(false),
        Err(Errno::XDEV) => return Err(Errno::BUSY),
        Err(Errno::NOENT) => return Ok(true),
        Err(error) => return Err(error),
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Removes a file, a symlink or a whole tree. No error when nothing is there.
pub fn remove(path: &std::path::Path) -> rustix::io::Result<()> {
    let Some(name) = path.file_name() else { return Err(Errno::BUSY) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::openat(CWD, parent.unwrap_or("/".as_ref()), flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(error),
    };
    let name = std::ffi::CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    remove_entry(parent.as_fd(), &name, FileType::Unknown, Mounts::Refuse, 0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn removes_a_tree_and_what_symlinks_point_at_stays() {
        let root = std::env::temp_dir().join(format!("diskless-tree-{}", std::process::id()));
        fs::create_dir_all(root.join("tree/a/b")).unwrap();
        fs::write(root.join("kept"), "kept").unwrap();
        fs::write(root.join("tree/a/b/file"), "gone").unwrap();
        std::os::unix::fs::symlink("../kept", root.join("tree/link")).unwrap();
        std::os::unix::fs::symlink("/", root.join("tree/a/root")).unwrap();
        remove(&root.join("tree")).unwrap();
        assert!(!root.join("tree").exists());
        assert_eq!(fs::read_to_string(root.join("kept")).unwrap(), "kept");
        remove(&root.join("tree")).expect("removing what is not there is no error");
        remove(&root.join("tree/below/nothing")).expect("nor below what is not there");
        remove(&root).unwrap();
        assert!(!root.exists());
    }
}
