//! The kernel's log, as /dev/kmsg gives it (Documentation/ABI/testing/dev-kmsg): one record a read.

use rustix::fs::{Mode, OFlags, SeekFrom};
use std::os::fd::OwnedFd;

pub struct Log(OwnedFd);

#[derive(Debug, PartialEq)]
pub struct Line {
    /// Since the kernel started.
    pub microseconds: u64,
    pub text: String,
}

impl Line {
    /// As dmesg prints it.
    pub fn shown(&self) -> String {
        format!("[{:5}.{:06}] {}", self.microseconds / 1_000_000, self.microseconds % 1_000_000, self.text)
    }
}

impl Log {
    fn open() -> rustix::io::Result<OwnedFd> {
        rustix::fs::open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
    }

    /// From the oldest record that is left.
    pub fn whole() -> rustix::io::Result<Self> {
        Self::open().map(Log)
    }

    /// From now on.
    pub fn tail() -> rustix::io::Result<Self> {
        let descriptor = Self::open()?;
        rustix::fs::seek(&descriptor, SeekFrom::End(0))?;
        Ok(Log(descriptor))
    }

    /// What has come; does not wait.
    pub fn read(&self) -> Vec<Line> {
        // LOG_LINE_MAX and its prefix fit; a record that does not is skipped by the kernel with EINVAL.
        let mut buffer = [0; 8192];
        let mut lines = Vec::new();
        loop {
            match rustix::io::read(&self.0, &mut buffer) {
                Ok(0) => return lines,
                Ok(length) => lines.extend(parse(&buffer[..length])),
                // EPIPE: records were overwritten before we came; the next read goes on after them.
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::INTR) => {}
                Err(_) => return lines,
            }
        }
    }
}

/// `6,339,5140900,-;NET: Registered protocol family 10`, then lines ` KEY=value` that we do not show.
fn parse(record: &[u8]) -> Option<Line> {
    let record = String::from_utf8_lossy(record);
    let (prefix, message) = record.split_once(';')?;
    let microseconds = prefix.split(',').nth(2)?.parse().ok()?;
    let text = message.lines().next().unwrap_or_default().to_owned();
    Some(Line { microseconds, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let line = parse(b"6,1,5140900,-;NET: family; 10\n SUBSYSTEM=net\n").unwrap();
        assert_eq!(line.shown(), "[    5.140900] NET: family; 10");
        assert_eq!(parse(b"no record"), None);
        assert_eq!(parse(b"6,1,x,-;text"), None);
    }
}
