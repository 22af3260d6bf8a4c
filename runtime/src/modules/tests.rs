//! Orders and aliases over tables as depmod writes them, and over the real ones of a kernel where one is installed.

use super::*;
use std::path::PathBuf;
use std::time::Instant;

/// A directory of tables, removed at the end of a test.
struct Made(PathBuf);

impl Made {
    fn new(test: &str, files: &[(&str, &str)]) -> (Made, Tables) {
        let directory = std::env::temp_dir().join(format!("diskless-modules-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("made");
        for (name, text) in files {
            std::fs::write(directory.join(name), text).expect("written");
        }
        let tables = Tables::new(&directory);
        (Made(directory), tables)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("removed");
    }
}

const FILES: [(&str, &str); 5] = [
    (
        "modules.dep",
        "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n\
         kernel/fs/jbd2/jbd2.ko:\nkernel/lib/crc16.ko:\n\
         kernel/crypto/crc32c_generic.ko:\nkernel/crypto/crc32c-intel.ko.gz:\n\
         kernel/net/e1000.ko:\nkernel/net/virtio_net.ko: kernel/net/failover.ko\nkernel/net/failover.ko:\n\
         kernel/a.ko:\nkernel/b.ko:\n",
    ),
    (
        "modules.alias",
        "# Aliases extracted from modules themselves.\n\
         alias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c-intel\n\
         alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\nalias pci:v*d*sv*sd*bc02sc00i* not_in_this_initrd\n\
         alias virtio:d00000001v* virtio_net\nalias fs-ext4 ext4\n",
    ),
    ("modules.softdep", "softdep ext4 pre: crypto-crc32c\nsoftdep a pre: b post: e1000\nsoftdep b pre: a\n"),
    ("modules.builtin", "kernel/fs/proc/proc-fs.ko\n"),
    ("modules.builtin.modinfo", "proc_fs.license=GPL\0proc_fs.alias=fs-proc\0"),
];

fn names(order: &[Step]) -> Vec<&str> {
    order.iter().map(|step| step.name.as_str()).collect()
}

#[test]
fn aliases_give_modules_of_this_initrd_once_in_the_order_of_the_modaliases() {
    let (_made, tables) = Made::new("match", &FILES);
    let asked = [
        "virtio:d00000001v00001AF4",
        "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
        "virtio:d00000001v00001AF4",
        "virtio:d00000009v00001AF4",
        "crypto_crc32c",
    ];
    let found = matching(&tables, &asked.map(str::to_owned));
    assert_eq!(found, ["virtio_net", "e1000", "crc32c_generic", "crc32c_intel"]);
}

#[test]
fn a_module_comes_after_what_it_needs_and_wants() {
    let (_made, tables) = Made::new("order", &FILES);
    for word in ["ext4", "fs-ext4"] {
        let orders = orders(&tables, word);
        assert_eq!(orders.len(), 1);
        assert_eq!(names(&orders[0]), ["crc32c_generic", "crc32c_intel", "crc16", "jbd2", "ext4"]);
        let required: Vec<bool> = orders[0].iter().map(|step| step.required).collect();
        assert_eq!(required, [false, false, true, true, true]);
        assert_eq!(orders[0][1].path, "kernel/crypto/crc32c-intel.ko.gz");
    }
    assert_eq!(names(&orders(&tables, "virtio-net")[0]), ["failover", "virtio_net"]);
    assert_eq!(orders(&tables, "crypto-crc32c").len(), 2);
}

#[test]
fn soft_dependencies_in_a_circle_end() {
    let (_made, tables) = Made::new("circle", &FILES);
    assert_eq!(names(&orders(&tables, "a")[0]), ["b", "a", "e1000"]);
}

#[test]
fn what_is_built_in_is_loaded_and_what_is_not_there_is_told() {
    let (_made, tables) = Made::new("load", &FILES);
    for word in ["proc-fs", "proc_fs", "fs-proc", "fs_proc"] {
        load(&tables, word, "").expect(word);
    }
    let error = load(&tables, "zfs", "").expect_err("there is none");
    assert_eq!((error.code.as_str(), error.subject.as_str()), ("ENOENT", "zfs"));
    assert!(error.message.contains("has no module of that name"), "{}", error.message);
    // In modules.dep, but its file is not there.
    let error = load(&tables, "e1000", "").expect_err("no file");
    assert!(error.subject.ends_with("kernel/net/e1000.ko"), "{}", error.subject);
}

#[test]
fn without_tables_nothing_is_found() {
    let tables = Tables::new(Path::new("/nonexistent"));
    assert!(matching(&tables, &["virtio:d1".to_owned()]).is_empty());
    assert_eq!(load(&tables, "e1000", "").expect_err("nothing").code, "ENOENT");
}

/// The modaliases of a QEMU machine, on the whole tables of a distribution's kernel.
#[test]
fn a_real_kernels_tables_are_read_fast() {
    let installed = std::fs::read_dir("/lib/modules").ok().and_then(|mut all| {
        all.find_map(|entry| {
            entry.ok().map(|entry| entry.path()).filter(|path| path.join("modules.alias").exists())
        })
    });
    let Some(directory) = installed else {
        eprintln!("SKIPPED: no kernel's modules are installed");
        return;
    };
    let asked: Vec<String> = (0..60)
        .map(|number| match number % 4 {
            0 => format!("pci:v00008086d0000{:04X}sv00001AF4sd00001100bc02sc00i00", 0x100e + number),
            1 => format!("virtio:d{number:08X}v00001AF4"),
            2 => format!("acpi:PNP0{number:03}:"),
            _ => format!("usb:v0627p00{number:02}d0000dc00dsc00dp00ic03isc00ip00in00"),
        })
        .collect();
    let tables = Tables::new(&directory);
    let before = Instant::now();
    let found = matching(&tables, &asked);
    let cold = before.elapsed();
    let before = Instant::now();
    assert_eq!(matching(&tables, &asked), found);
    eprintln!("{} matches in {cold:?}, again in {:?}", found.len(), before.elapsed());
    assert!(
        found.contains(&"e1000") && found.contains(&"virtio_net") && found.contains(&"usbhid"),
        "{found:?}"
    );
}
