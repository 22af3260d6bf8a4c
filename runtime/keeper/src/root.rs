//! The new system's files, as far as the keeper reads and writes them. Nothing there is held open, so that it is never
//! busy.

use alloc::string::String;
use alloc::vec::Vec;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};

/// Larger than any file that we write.
const LONGEST: usize = 64 << 10;

pub struct Root(pub String);

impl Root {
    /// EFBIG: it is none of ours.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY)?;
        let (mut found, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            match rustix::io::read(&file, &mut buffer)? {
                0 => return Ok(found),
                length => found.extend_from_slice(&buffer[..length]),
            }
            if found.len() > LONGEST {
                return Err(Errno::FBIG);
            }
        }
    }

    /// Replaces what is in a file that is there.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write_with(path, OFlags::TRUNC, bytes)
    }

    /// Makes it where it is not there; not its directories.
    pub fn create(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write_with(path, OFlags::CREATE | OFlags::TRUNC, bytes)
    }

    /// In one piece, as /dev/kmsg wants it.
    pub fn append(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write_with(path, OFlags::APPEND, bytes)
    }

    fn write_with(&self, path: &str, flags: OFlags, mut bytes: &[u8]) -> Result<()> {
        let file = self.open(path, OFlags::WRONLY | flags)?;
        while !bytes.is_empty() {
            bytes = bytes.get(rustix::io::write(&file, bytes)?..).unwrap_or_default();
        }
        Ok(())
    }

    /// As the new system sees the path: symlinks in it lead nowhere else. The root is looked up each time.
    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, self.0.as_str(), directory, Mode::empty())?;
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&root, path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, mode, inside)
    }
}
