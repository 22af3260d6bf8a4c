//! `consoles.setKeymap`: what busybox' dumpkmap writes, into the kernel's keyboard tables, as its loadkmap does.

use crate::error::{Result, SysError};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

const SET: &str = "consoles.setKeymap";
const MAGIC: &[u8] = b"bkeymap";
/// A flag for each table (Linux' MAX_NR_KEYMAPS), then the flagged tables: 128 keys of 16 bits in the machine's order.
const TABLES: usize = 256;
const KEYS: usize = 128;
const LARGEST: usize = MAGIC.len() + TABLES + TABLES * KEYS * 2;
/// Linux' kd.h.
const KDSKBENT: libc::Ioctl = 0x4b47;
/// Any of them leads to the tables, which all virtual terminals share.
const TERMINALS: [&str; 2] = ["/dev/tty0", "/dev/console"];

/// Linux' struct kbentry.
#[repr(C)]
#[derive(Debug, PartialEq)]
struct Entry {
    table: u8,
    key: u8,
    value: u16,
}

pub fn set(path: &str) -> Result<()> {
    let entries = entries(&read(path)?).ok_or_else(|| {
        let message = "it is no keymap of busybox' dumpkmap (bkeymap), or is cut off";
        SysError::new("FORMAT", SET, path, message)
    })?;
    let terminal = terminal()?;
    let mut refused = 0;
    for entry in &entries {
        match put(&terminal, entry) {
            Ok(()) => {}
            // A key or an action that this kernel does not have: the rest counts.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused += 1,
            Err(error) => return Err(SysError::os(SET, path, error)),
        }
    }
    match refused == entries.len() {
        true => Err(SysError::new("EINVAL", SET, path, "the kernel took none of its keys")),
        false => Ok(()),
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| SysError::os(SET, path, error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(bytes);
    }
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .take(LARGEST as u64 + 1)
        .read_to_end(&mut whole)
        .map_err(|error| SysError::new("FORMAT", SET, path, format!("it cannot be uncompressed: {error}")))?;
    Ok(whole)
}

/// None: not of the format. Bytes after the tables are not looked at.
fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (flags, mut rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(TABLES)?;
    let mut entries = Vec::new();
    for table in (0..=u8::MAX).filter(|table| flags[usize::from(*table)] == 1) {
        let (keys, after) = rest.split_at_checked(KEYS * 2)?;
        rest = after;
        let values = keys.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
        entries.extend((0..).zip(values).map(|(key, value)| Entry { table, key, value }));
    }
    (!entries.is_empty()).then_some(entries)
}

fn terminal() -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for device in TERMINALS {
        match rustix::fs::open(device, flags, Mode::empty()) {
            Ok(terminal) if is_virtual(&terminal) => return Ok(terminal),
            Ok(_) | Err(Errno::NOENT | Errno::NXIO | Errno::NODEV | Errno::IO) => {}
            Err(error) => return Err(SysError::os(SET, device, error)),
        }
    }
    let message = "this machine has no virtual terminal (a screen and a keyboard), so no keymap either";
    Err(SysError::new("ENODEV", SET, TERMINALS[0], message))
}

/// KDGKBTYPE, which only virtual terminals know.
fn is_virtual(terminal: &OwnedFd) -> bool {
    const KDGKBTYPE: libc::Ioctl = 0x4b33;
    let mut kind = 0u8;
    // SAFETY: the request writes one byte to where the pointer leads.
    unsafe { libc::ioctl(terminal.as_raw_fd(), KDGKBTYPE, &raw mut kind) == 0 }
}

fn put(terminal: &OwnedFd, entry: &Entry) -> std::io::Result<()> {
    // SAFETY: the request reads a struct kbentry, which lives during the call.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), KDSKBENT, entry as *const Entry) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The tables 0 and 2.
    fn map() -> Vec<u8> {
        let mut bytes = [MAGIC, &[0; TABLES]].concat();
        (bytes[7], bytes[9]) = (1, 1);
        let values = 0..2 * KEYS as u16;
        bytes.extend(values.flat_map(|value| (value | 0xf000).to_ne_bytes()));
        bytes
    }

    #[test]
    fn tables_are_read_by_their_flags() {
        let entries = entries(&map()).unwrap();
        assert_eq!(entries.len(), 2 * KEYS);
        assert_eq!(entries[1], Entry { table: 0, key: 1, value: 0xf001 });
        assert_eq!(entries[KEYS + 5], Entry { table: 2, key: 5, value: 0xf085 });
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let map = map();
        for length in 0..map.len() {
            assert_eq!(entries(&map[..length]), None);
        }
        let mut empty = map[..MAGIC.len() + TABLES].to_vec();
        empty[7..].fill(0);
        assert_eq!(entries(&empty), None);
        // All 256 tables, and the last byte of them missing.
        let mut full = [MAGIC, &[1; TABLES], &vec![0; TABLES * KEYS * 2]].concat();
        assert_eq!(full.len(), LARGEST);
        assert_eq!(entries(&full).unwrap().len(), TABLES * KEYS);
        full.pop();
        assert_eq!(entries(&full), None);
    }

    #[test]
    fn files_are_read_compressed_or_not() {
        let path = std::env::temp_dir().join(format!("diskless-keymap-{}", std::process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(&path, map()).unwrap();
        assert!(read(name).unwrap() == map());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&map()).unwrap();
        let gzip = gzip.finish().unwrap();
        std::fs::write(&path, &gzip).unwrap();
        assert!(read(name).unwrap() == map());
        std::fs::write(&path, &gzip[..gzip.len() / 2]).unwrap();
        assert_eq!(read(name).unwrap_err().code, "FORMAT");
        // A bomb is not unpacked.
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        bomb.write_all(&vec![0; 8 << 20]).unwrap();
        std::fs::write(&path, bomb.finish().unwrap()).unwrap();
        assert_eq!(set(name).unwrap_err().code, "FORMAT");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(set(name).unwrap_err().code, "ENOENT");
    }
}
