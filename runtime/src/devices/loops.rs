//! Files as block devices: loop(4), by LOOP_CONFIGURE (Linux 5.8). The module is loaded by who asks.

use crate::error::{Result, SysError};
use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

const ATTACH: &str = "devices.attachLoop";
const CONTROL: &str = "/dev/loop-control";
/// Another process may take the free device that we were told of.
const TRIES: usize = 16;

// Linux' loop.h.
const LOOP_CLR_FD: libc::Ioctl = 0x4c01;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
const PARTSCAN: u32 = 8;

/// struct loop_config, with struct loop_info64 in it.
#[repr(C)]
struct Configuration {
    descriptor: u32,
    block_size: u32,
    /// device, inode, rdevice, offset, sizelimit.
    places: [u64; 5],
    /// number, encrypt_type, encrypt_key_size.
    numbers: [u32; 3],
    flags: u32,
    /// file_name, crypt_name, encrypt_key.
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// A device clears itself when its last user closes it, so it has us as one: until `detachLoop`, or the end of this
/// process, before which somebody will have mounted it.
static ATTACHED: Mutex<Option<HashMap<String, OwnedFd>>> = Mutex::new(None);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attach {
    file: String,
    read_only: bool,
    #[serde(default)]
    partitions: bool,
}

#[derive(Deserialize)]
pub struct Detach {
    pub device: String,
}

fn ioctl(descriptor: BorrowedFd, request: libc::Ioctl, argument: usize) -> std::io::Result<libc::c_int> {
    // SAFETY: the requests above take nothing, or a pointer to a structure of this file that lives during the call.
    match unsafe { libc::ioctl(descriptor.as_raw_fd(), request, argument) } {
        -1 => Err(std::io::Error::last_os_error()),
        number => Ok(number),
    }
}

fn open(path: &str, read_only: bool) -> rustix::io::Result<OwnedFd> {
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())
}

pub fn attach(request: &Attach) -> Result<String> {
    let file =
        open(&request.file, request.read_only).map_err(|error| SysError::os(ATTACH, &request.file, error))?;
    let control = open(CONTROL, false).map_err(|error| {
        let mut failed = SysError::os(ATTACH, CONTROL, error);
        failed.message += ": is the kernel module loop loaded?";
        failed
    })?;
    let mut flags = AUTOCLEAR;
    flags |= if request.read_only { READ_ONLY } else { 0 };
    flags |= if request.partitions { PARTSCAN } else { 0 };
    let mut name = [0; 160];
    // Shown by losetup(8); cut, and ended by a NUL.
    let shown = request.file.as_bytes();
    let shown = &shown[..shown.len().min(63)];
    name[..shown.len()].copy_from_slice(shown);
    let configuration = Configuration {
        descriptor: file.as_raw_fd() as u32,
        block_size: 0,
        places: [0; 5],
        numbers: [0; 3],
        flags,
        names: name,
        init: [0; 2],
        reserved: [0; 8],
    };
    for _ in 0..TRIES {
        let number = ioctl(control.as_fd(), LOOP_CTL_GET_FREE, 0)
            .map_err(|error| SysError::os(ATTACH, CONTROL, error))?;
        let path = format!("/dev/loop{number}");
        let device = open(&path, request.read_only).map_err(|error| SysError::os(ATTACH, &path, error))?;
        match ioctl(device.as_fd(), LOOP_CONFIGURE, &raw const configuration as usize) {
            Ok(_) => {
                ATTACHED.lock().expect("a panic aborts").get_or_insert_default().insert(path.clone(), device);
                return Ok(path);
            }
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(SysError::os(ATTACH, format!("{} as {path}", request.file), error)),
        }
    }
    let message = format!("{TRIES} free loop devices were taken by others first");
    Err(SysError::new("EBUSY", ATTACH, &request.file, message))
}

/// A device in use goes when its last user does.
pub fn detach(device: &str) -> Result<()> {
    let failed = |error: std::io::Error| SysError::os("devices.detachLoop", device, error);
    let ours = ATTACHED.lock().expect("a panic aborts").get_or_insert_default().remove(device);
    if ours.is_some() {
        // It clears itself when this closes it, after what was written is out.
        return Ok(());
    }
    let open = open(device, true).map_err(|error| failed(error.into()))?;
    ioctl(open.as_fd(), LOOP_CLR_FD, 0).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_as_large_as_the_kernels() {
        assert_eq!(size_of::<Configuration>(), 4 + 4 + 232 + 64);
    }

    #[test]
    fn a_file_is_a_device_until_it_is_detached() {
        let file = std::env::temp_dir().join(format!("diskless-loop-{}", std::process::id()));
        let mut bytes = vec![0; 1 << 20];
        bytes[..5].copy_from_slice(b"there");
        std::fs::write(&file, &bytes).unwrap();
        let request = Attach { file: file.to_str().unwrap().to_owned(), read_only: true, partitions: false };
        if std::fs::File::open(CONTROL).is_err() || !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: needs root and loop devices");
            return;
        }
        let device = attach(&request).unwrap();
        let backing = format!("/sys/block/{}/loop/backing_file", device.trim_start_matches("/dev/"));
        assert_eq!(std::fs::read_to_string(&backing).unwrap().trim(), request.file);
        assert!(std::fs::read(&device).unwrap() == bytes);
        assert!(std::fs::write(&device, b"x").is_err());
        let again = attach(&Attach { read_only: false, ..request }).unwrap();
        assert_ne!(device, again);
        std::fs::write(&again, b"wrote").unwrap();
        detach(&again).unwrap();
        detach(&device).unwrap();
        assert!(!std::path::Path::new(&backing).exists());
        assert!(std::fs::read(&file).unwrap().starts_with(b"wrote"));
        assert_eq!(detach(&device).unwrap_err().code, "ENXIO");
        std::fs::remove_file(&file).unwrap();
        let gone = Attach { file: "/nonexistent".into(), read_only: true, partitions: true };
        assert_eq!(attach(&gone).unwrap_err().code, "ENOENT");
    }
}
