//! Paths inside a root: the kernel resolves them so that neither `..` nor a symlink leads out (openat2(2),
//! RESOLVE_IN_ROOT: an absolute symlink means what it will mean once the root is /).

use super::failure::{fail, failure, sys_error};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// The directory that becomes /.
pub struct Root {
    fd: OwnedFd,
    stage: &'static str,
    subject: String,
    /// The directory that was used last: entries come in order.
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Root {
    /// `subject` is what errors are about; the archive, not the root.
    pub fn open(path: &str, stage: &'static str, subject: &str) -> io::Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| failure(sys_error(error.into(), stage, path)))?;
        Ok(Root { fd, stage, subject: subject.to_owned(), last: None })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a path inside the root. The last component is followed unless `flags` say O_NOFOLLOW.
    pub fn open_at(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        loop {
            // EAGAIN: something was renamed meanwhile and the kernel cannot be sure; openat2(2) says to ask again.
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), RESOLVE) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// A directory inside the root; `create`: it and its parents are made, 0755, where they are missing.
    pub fn directory(&mut self, path: &[u8], create: bool) -> io::Result<Arc<OwnedFd>> {
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(fd.clone());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = match self.open_at(path, flags) {
            Err(Errno::NOENT) if create && !path.is_empty() => {
                let (parent, name) = split(path);
                let parent = self.directory(parent, true)?;
                match mkdirat(&*parent, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) => self.open_at(path, flags),
                    Err(Errno::EXIST) => return Err(self.dangling(path)),
                    Err(error) => Err(error),
                }
            }
            result => result,
        };
        let fd = Arc::new(fd.map_err(|error| self.error(error, path))?);
        self.last = Some((path.to_vec(), fd.clone()));
        Ok(fd)
    }

    /// To be called when a symlink or a directory was replaced: a path may lead elsewhere now.
    pub fn forget(&mut self) {
        self.last = None;
    }

    fn dangling(&self, path: &[u8]) -> io::Error {
        let name = String::from_utf8_lossy(path);
        let message = format!(
            "{name} is a symbolic link to what is not inside the root; nothing is written through it"
        );
        fail("ESCAPE", self.stage, &self.subject, message)
    }

    /// A failed system call on a path inside.
    pub fn error(&self, error: Errno, path: &[u8]) -> io::Error {
        let name = String::from_utf8_lossy(path);
        match error {
            Errno::NOSPC | Errno::DQUOT => {
                super::sink::writing(error.into(), self.stage, &self.subject, &self.fd)
            }
            Errno::XDEV | Errno::LOOP => {
                let message = format!("{name} leads through links that do not end inside the root");
                fail("ESCAPE", self.stage, &self.subject, message)
            }
            Errno::NOTDIR => {
                let message = format!("something on the way to {name} is not a directory");
                fail("ENOTDIR", self.stage, &self.subject, message)
            }
            _ => {
                let mut error = sys_error(error.into(), self.stage, &self.subject);
                error.message = format!("{name}: {}", error.message);
                failure(error)
            }
        }
    }
}

/// Parent and last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A name from an archive as a path below the root, without `.` and double slashes; empty for the root itself.
/// `None` for a name that asks for a place outside: absolute, or with `..`.
pub fn normalize(name: &[u8]) -> Option<Vec<u8>> {
    if name.first() == Some(&b'/') {
        return None;
    }
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Some(path)
}
