//! The room `devices` of `Sys` (src/sys/sys.ts): what the kernel has found, from /sys/devices; its uevents, what is on
//! block devices, and files as block devices.

mod containers;
mod file_systems;
mod format;
mod loops;
mod medium;
mod optical;
mod partition;
mod probe;
#[cfg(test)]
mod probe_tests;
mod reader;
mod uevents;

use crate::error::{Result, SysError};
use crate::ops::Ops;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub fn register(ops: &mut Ops) {
    ops.pool("devices.list", |_: Nothing, _, _| list("/sys"));
    ops.deferred("devices.watch", uevents::watch);
    ops.deferred("devices.probe", probe::probe);
    ops.pool("devices.attachLoop", |it, _, _| loops::attach(&it));
    ops.pool("devices.detachLoop", |it: loops::Detach, _, _| loops::detach(&it.device));
}

#[derive(Deserialize)]
pub struct Nothing {}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modalias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pci_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devname: Option<String>,
}

/// Directories of attributes in which no device is: half of all, and so half of the time.
const ATTRIBUTES: [&[u8]; 9] =
    [b"power", b"statistics", b"queues", b"queue", b"mq", b"msi_irqs", b"integrity", b"cpufreq", b"topology"];
/// Deeper than any bus: a loop would be the kernel's mistake.
const DEPTH: usize = 64;

fn list(sys: &str) -> Result<Vec<Device>> {
    let failed = |errno: Errno| SysError::os("devices.list", format!("{sys}/devices"), errno);
    let root = open_directory(CWD, format!("{sys}/devices").as_str()).map_err(failed)?;
    let mut devices = Vec::new();
    walk(root.as_fd(), "devices", DEPTH, &mut devices);
    Ok(devices)
}

fn open_directory<P: rustix::path::Arg>(at: BorrowedFd<'_>, name: P) -> rustix::io::Result<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

/// What goes away during the walk is passed over: a uevent tells of it.
fn walk(directory: BorrowedFd<'_>, path: &str, depth: usize, devices: &mut Vec<Device>) {
    let mut space = Vec::with_capacity(8192);
    let mut entries = rustix::fs::RawDir::new(directory, space.spare_capacity_mut());
    let (mut below, mut uevent, mut modalias) = (Vec::new(), false, false);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        match (name.to_bytes(), entry.file_type()) {
            (b"." | b"..", _) => {}
            (name, FileType::Directory) if ATTRIBUTES.contains(&name) => {}
            (_, FileType::Directory) => below.push(name.to_owned()),
            (b"uevent", _) => uevent = true,
            (b"modalias", _) => modalias = true,
            _ => {}
        }
    }
    if uevent {
        devices.push(device(directory, path, modalias));
    }
    for name in below {
        if let (Ok(child), true) = (open_directory(directory, name.as_c_str()), depth > 0) {
            walk(child.as_fd(), &format!("{path}/{}", name.to_string_lossy()), depth - 1, devices);
        }
    }
}

fn device(directory: BorrowedFd<'_>, path: &str, modalias: bool) -> Device {
    let mut device =
        Device { path: path.to_owned(), subsystem: link_name(directory, "subsystem"), ..Device::default() };
    for line in attribute(directory, "uevent").lines() {
        match line.split_once('=') {
            Some(("MODALIAS", value)) => device.modalias = Some(value.to_owned()),
            // Written without its leading zeros.
            Some(("PCI_CLASS", value)) => {
                device.pci_class = Some(format!("{:0>6}", value.to_ascii_lowercase()))
            }
            Some(("DRIVER", value)) => device.driver = Some(value.to_owned()),
            Some(("DEVNAME", value)) => device.devname = Some(value.to_owned()),
            _ => {}
        }
    }
    if modalias && device.modalias.is_none() {
        device.modalias =
            Some(attribute(directory, "modalias").trim_end().to_owned()).filter(|text| !text.is_empty());
    }
    device
}

fn link_name(directory: BorrowedFd<'_>, name: &str) -> Option<String> {
    let target = readlinkat(directory, name, Vec::new()).ok()?;
    Some(target.to_string_lossy().rsplit('/').next()?.to_owned())
}

/// At most a page, as sysfs gives; empty when it cannot be read.
fn attribute(directory: BorrowedFd<'_>, name: &str) -> String {
    let mut buffer = [0; 4096];
    let read = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::read(file, &mut buffer));
    String::from_utf8_lossy(&buffer[..read.unwrap_or(0)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_in_a_tree_with_what_they_say() {
        let sys = std::env::temp_dir().join(format!("diskless-devices-{}", std::process::id()));
        let card = sys.join("devices/pci0000:00/0000:00:03.0");
        std::fs::create_dir_all(card.join("virtio0/net/eth0/queues/rx-0")).expect("made");
        std::fs::create_dir_all(card.join("power")).expect("made");
        let write = |path: &str, text: &str| std::fs::write(card.join(path), text).expect("written");
        write(
            "uevent",
            "DRIVER=virtio-pci\nPCI_CLASS=20000\nPCI_ID=1AF4:1000\nMODALIAS=pci:v00001AF4d00001000sv\n",
        );
        write("virtio0/uevent", "");
        write("virtio0/modalias", "virtio:d00000001v00001AF4\n");
        write("virtio0/net/eth0/uevent", "INTERFACE=eth0\n");
        write("virtio0/net/eth0/queues/rx-0/uevent", "");
        write("power/uevent", "");
        std::os::unix::fs::symlink("../../../bus/pci", card.join("subsystem")).expect("linked");
        std::os::unix::fs::symlink("..", card.join("virtio0/net/eth0/device")).expect("linked");
        let mut found = list(sys.to_str().expect("UTF-8")).expect("listed");
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let at = |path: &str| format!("devices/pci0000:00/0000:00:03.0{path}");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                Device {
                    path: at(""),
                    subsystem: text("pci"),
                    modalias: text("pci:v00001AF4d00001000sv"),
                    pci_class: text("020000"),
                    driver: text("virtio-pci"),
                    devname: None,
                },
                Device {
                    path: at("/virtio0"),
                    modalias: text("virtio:d00000001v00001AF4"),
                    ..Device::default()
                },
                Device { path: at("/virtio0/net/eth0"), ..Device::default() },
            ]
        );
        std::fs::remove_dir_all(sys).expect("removed");
        assert_eq!(list("/nonexistent").expect_err("nothing there").code, "ENOENT");
    }

    #[test]
    fn this_machines_devices_are_listed() {
        let before = std::time::Instant::now();
        let found = list("/sys").expect("listed");
        eprintln!("{} devices in {:?}", found.len(), before.elapsed());
        let null = found.iter().find(|device| device.devname.as_deref() == Some("null")).expect("/dev/null");
        assert_eq!(null.subsystem.as_deref(), Some("mem"));
    }
}
