//! Sinks that keep bytes as they are: a file, a text in memory.

use super::failure::{fail, failure, sys_error};
use super::inflate::CHUNK;
use rustix::fs::{Mode, StatVfs, fchmod, fstatvfs};
use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads on to the end, past what the sink needed: a digest, a checksum or a length is known only there.
pub fn drain(from: &mut dyn Read) -> io::Result<()> {
    // Hardly anything, as a rule.
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `io::copy` with a buffer of our size.
pub fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes a temporary file unless it was kept.
pub struct Temporary {
    path: String,
    kept: bool,
}

impl Temporary {
    pub fn new(path: String) -> Temporary {
        Temporary { path, kept: false }
    }

    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = remove_file(&self.path);
        }
    }
}

/// Writes beside `path` and renames when everything is there: what is at `path` stays until then.
pub fn file(from: &mut dyn Read, path: &str, mode: u32) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let at = |error| failure(sys_error(error, "file", path));
    let beside = format!("{path}.part-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut output = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(at)?;
    let temporary = Temporary::new(beside);
    copy(from, &mut Writer { file: &mut output, path })?;
    fchmod(&output, Mode::from_raw_mode(mode & 0o7777)).map_err(|error| at(error.into()))?;
    drop(output);
    rename(&temporary.path, path).map_err(at)?;
    temporary.keep();
    Ok(())
}

struct Writer<'a> {
    file: &'a mut File,
    path: &'a str,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| writing(error, "file", self.path, &*self.file))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A failed write, as a `SysError`; a full file system with its numbers.
pub fn writing(error: io::Error, stage: &str, subject: &str, place: impl AsFd) -> io::Error {
    if error.kind() == ErrorKind::Interrupted || super::failure::unwrap_failure(&error).is_some() {
        return error;
    }
    if !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return failure(sys_error(error, stage, subject));
    }
    let numbers = match fstatvfs(place) {
        Ok(StatVfs { f_blocks, f_bfree, f_frsize, f_files, f_ffree, .. }) => format!(
            "the file system is full: {} MiB of {} MiB free, {f_ffree} of {f_files} files free",
            (f_bfree * f_frsize) >> 20,
            (f_blocks * f_frsize) >> 20
        ),
        Err(_) => "the file system is full".to_owned(),
    };
    fail("ENOSPC", stage, subject, numbers)
}

/// At most `limit` bytes of UTF-8; invalid bytes are replaced.
pub fn text(from: &mut dyn Read, limit: u64, subject: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("the text is longer than {limit} bytes, which is the limit");
        return Err(fail("TOO_BIG", "text", subject, message));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
