//! Images that the tools of the file systems make, read as blkid(8) reads them; containers made by hand; and what
//! nobody would make.

use super::medium::{BLOCK, Medium};
use super::partition::{self, Identity, Place};
use super::probe::{Contents, Probe, contents, look};
use crate::ops::Cancel;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

struct Images(PathBuf);

impl Images {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diskless-probe-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("tree")).unwrap();
        std::fs::write(path.join("tree/file"), "x").unwrap();
        Images(path)
    }

    /// Runs a line of shell with `image` there; false, and a word, when a tool is not here.
    fn make(&self, size: u64, line: &str) -> bool {
        let _ = std::fs::remove_file(self.0.join("image"));
        if size > 0 {
            File::create(self.0.join("image")).unwrap().set_len(size).unwrap();
        }
        let shell =
            format!("PATH=$PATH:/usr/sbin:/sbin; command -v {} && {line}", line.split(' ').next().unwrap());
        let output = Command::new("sh").args(["-c", &shell]).current_dir(&self.0).output().unwrap();
        if output.status.code() == Some(127) {
            eprintln!("SKIPPED: not here: {line}");
            return false;
        }
        assert!(output.status.success(), "{line}: {output:?}");
        true
    }

    fn image(&self) -> String {
        self.0.join("image").to_str().unwrap().to_owned()
    }

    fn probe(&self) -> Contents {
        look(&Probe { path: self.image(), timeout_ms: 20_000.0 }, &Cancel::default()).unwrap()
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of(bytes: &[u8]) -> Medium<'_> {
    Medium::new(bytes.len() as u64, |offset| {
        let rest = &bytes[offset as usize..];
        rest[..rest.len().min(BLOCK as usize)].to_vec()
    })
}

fn blkid(image: &str) -> Option<HashMap<String, String>> {
    let output = Command::new("/usr/sbin/blkid").args(["-p", "-o", "export", image]).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap().replace('\\', "");
    Some(
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    )
}

const MIB: u64 = 1 << 20;
const MADE: [(u64, &str); 25] = [
    (8 * MIB, "mkfs.ext4 -q -L 'a label' image"),
    (8 * MIB, "mkfs.ext2 -q image"),
    (16 * MIB, "mkfs.ext3 -q -L sixteen-letters- image"),
    (128 * MIB, "mkfs.btrfs -q -L btr image"),
    (320 * MIB, "mkfs.xfs -q -L xfslabel image"),
    (64 * MIB, "mkfs.f2fs -q -l flash image"),
    (MIB, "mkfs.vfat -n TWELVE image"),
    (40 * MIB, "mkfs.vfat -F 16 -n 'SIX TEEN' image"),
    (64 * MIB, "mkfs.vfat -F 32 -n THIRTYTWO -i 00ab12cd image"),
    (40 * MIB, "mkfs.vfat image"),
    (8 * MIB, "mkfs.vfat -S 4096 -n BIG image"),
    (16 * MIB, "mkfs.exfat -L exlabel image"),
    (16 * MIB, "mkfs.exfat image"),
    (16 * MIB, "mkfs.ntfs -F -q -L nt-label image"),
    (16 * MIB, "mkfs.ntfs -F -q -c 65536 image"),
    (0, "xorriso -as mkisofs -quiet -V ALPINE_STD -o image tree"),
    (0, "xorriso -as mkisofs -quiet -J -V 'alpine-std 3.19.1 x86_64' -o image tree"),
    (0, "xorriso -as mkisofs -quiet -J -V SHORT -o image tree"),
    (0, "mksquashfs tree image -quiet -no-progress"),
    (0, "mkfs.erofs image tree"),
    (MIB, "mkswap -L swappy image"),
    (MIB, "mkswap -p 65536 image"),
    (16 * MIB, "mkudffs --label=udisk image"),
    (
        32 * MIB,
        "cryptsetup -q luksFormat --type luks2 --label luk --pbkdf-force-iterations 4 image tree/file",
    ),
    (8 * MIB, "mkfs.ext4 -q -O journal_dev image"),
];

#[test]
fn what_the_tools_made_is_what_blkid_says() {
    let images = Images::new("made");
    for (size, line) in MADE {
        if !images.make(size, line) {
            continue;
        }
        let Some(expected) = blkid(&images.image()) else {
            eprintln!("SKIPPED: no blkid here");
            return;
        };
        let found = images.probe();
        let text = |name: &str| expected.get(name).cloned();
        let kind = text("TYPE").map(|kind| if kind.starts_with("ext") { "ext4".into() } else { kind });
        // A journal is no file system.
        let kind = kind.filter(|kind| kind != "jbd");
        if kind.is_none() {
            assert_eq!((found.kind, found.uuid), (None, None), "{line}");
            continue;
        }
        assert_eq!(found.kind.map(str::to_owned), kind, "{line}");
        assert_eq!((found.uuid, found.label), (text("UUID"), text("LABEL")), "{line}: {expected:?}");
        assert_eq!(found.size, std::fs::metadata(images.image()).unwrap().len(), "{line}");
    }
}

/// By hand, as their tools need devices. Where blkid of this machine knows one, it must say the same.
#[test]
fn containers_win_over_the_file_systems_inside() {
    let images = Images::new("containers");
    if !images.make(8 * MIB, "mkfs.ext4 -q -L inside image") {
        return;
    }
    let file_system = std::fs::read(images.image()).unwrap();
    let id: Vec<u8> = (0x10..0x20).collect();
    let uuid = "10111213-1415-1617-1819-1a1b1c1d1e1f";
    let put = |parts: &[(usize, &[u8])]| {
        let mut bytes = file_system.clone();
        for (at, part) in parts {
            bytes[*at..*at + part.len()].copy_from_slice(part);
        }
        bytes
    };
    // Modulo carries, as the drivers compute it.
    let sign = |bytes: &mut [u8], at: usize| {
        let sum: u64 =
            bytes.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
        bytes[at..at + 4].copy_from_slice(&((sum & 0xffff_ffff) + (sum >> 32)).to_le_bytes()[..4]);
    };
    let raid = |at: usize| {
        let sector = (at as u64 / 512).to_le_bytes();
        let magic: &[u8] = b"\xfc\x4e\x2b\xa9\x01\0\0\0";
        let clear: &[u8] = &[0; 256];
        let mut bytes =
            put(&[(at, clear), (at, magic), (at + 16, &id), (at + 32, b"host:0"), (at + 128, &sector)]);
        sign(&mut bytes[at..at + 256], 216);
        bytes
    };
    let expect = |bytes: Vec<u8>, kind: &str, uuid: &str, label: Option<&str>| {
        let found = contents(&mut of(&bytes));
        let seen = (found.kind, found.uuid.as_deref(), found.label.as_deref());
        assert_eq!(seen, (Some(kind), Some(uuid), label));
        std::fs::write(images.image(), &bytes).unwrap();
        if let Some(theirs) =
            blkid(&images.image()).filter(|theirs| theirs.get("TYPE").is_some_and(|it| it == kind))
        {
            assert_eq!(theirs["UUID"], uuid, "{kind}");
        }
    };
    for at in [0, 4096, 8 * MIB as usize - 8192] {
        expect(raid(at), "linux_raid_member", uuid, Some("host:0"));
    }
    let at = 8 * MIB as usize - 65536;
    let words: Vec<u8> =
        id.chunks(4).flat_map(|word| word.iter().rev().copied().collect::<Vec<u8>>()).collect();
    let mut old =
        put(&[(at, b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0"), (at + 20, &words[..4]), (at + 52, &words[4..])]);
    sign(&mut old[at..at + 4096], 152);
    expect(old, "linux_raid_member", uuid, None);
    let mut luks = put(&[(0, b"LUKS\xba\xbe\0\x02"), (24, b"secret\0"), (168, uuid.as_bytes())]);
    luks[208] = 0;
    expect(luks, "crypto_LUKS", uuid, Some("secret"));
    let bcache = put(&[
        (0x1008, b"\x08\0\0\0\0\0\0\0"),
        (0x1018, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
        (0x1028, &id),
    ]);
    let found = contents(&mut of(&bcache));
    assert_eq!((found.kind, found.uuid.as_deref()), (Some("bcache"), Some(uuid)));
    // blkid checks its checksum.
    let lvm = put(&[
        (512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001"),
        (544, b"abcdefghijklmnopqrstuvwxyzABCDEF"),
    ]);
    expect(lvm, "LVM2_member", "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF", None);
    // An XDR list with name and pool_guid, and an uberblock in each of two labels.
    let mut list = b"\x01\x01\0\0\0\0\0\0\0\0\0\x01".to_vec();
    list.extend(b"\0\0\0\x20\0\0\0\x20\0\0\0\x04name\0\0\0\x09\0\0\0\x01\0\0\0\x04tank");
    list.extend(
        b"\0\0\0\x28\0\0\0\x28\0\0\0\x09pool_guid\0\0\0\0\0\0\x08\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\0",
    );
    let block: &[u8] = b"\x0c\xb1\xba\0\0\0\0\0";
    let zfs = put(&[(0x4000, &list), (0x21000, block), (0x61000, block)]);
    let found = contents(&mut of(&zfs));
    let seen = (found.kind, found.uuid.as_deref(), found.label.as_deref());
    assert_eq!(seen, (Some("zfs_member"), Some("4294967298"), Some("tank")));
    // What mkfs left of a label is no pool.
    assert_eq!(contents(&mut of(&put(&[(0x4000, &list), (0x21000, block)]))).kind, Some("ext4"));
}

#[test]
fn partitions_are_known_by_their_table() {
    let images = Images::new("partitions");
    if !images.make(
        8 * MIB,
        "sgdisk -n 1:2048:4095 -c 1:boot -u 1:01234567-89AB-CDEF-0123-456789ABCDEF -n 3:4096:0 image",
    ) {
        return;
    }
    let mut bytes = std::fs::read(images.image()).unwrap();
    let place = |number, start| Place { disk: String::new(), number, start, sector: 512 };
    let named = Some(Identity {
        uuid: Some("01234567-89ab-cdef-0123-456789abcdef".into()),
        label: Some("boot".into()),
    });
    let first = place(1, MIB);
    assert_eq!(partition::identify(&mut of(&bytes), &first), named);
    // Not where the kernel has it, not there, and none.
    for wrong in [place(1, 2 * MIB), place(2, 0), place(0, 0), place(200, 0)] {
        let found = partition::identify(&mut of(&bytes), &wrong).and_then(|identity| identity.uuid);
        assert_eq!(found, None, "{wrong:?}");
    }
    // The copy at the end serves; two damaged headers do not.
    bytes[512 + 60] ^= 1;
    assert_eq!(partition::identify(&mut of(&bytes), &first), named);
    let last = bytes.len() - 512;
    bytes[last + 60] ^= 1;
    assert_eq!(partition::identify(&mut of(&bytes), &first), None);
    let script = "label: dos\\nlabel-id: 0xa1b2c3d4\\n2048 2048 83\\n4096 8192 5\\n6144 2048 83\\n";
    if images.make(8 * MIB, &format!("sfdisk --version && printf '{script}' | sfdisk -q image")) {
        let bytes = std::fs::read(images.image()).unwrap();
        let found = partition::identify(&mut of(&bytes), &place(5, 3 * MIB)).unwrap();
        assert_eq!(found, Identity { uuid: Some("a1b2c3d4-05".into()), label: None });
    }
}

#[test]
fn what_is_no_image_is_nothing_and_never_a_panic() {
    let images = Images::new("junk");
    let mut chance = crate::fuzz::Chance::new();
    let mut random = move |below: usize| chance.below(below);
    let sizes = [0, 1, 511, 512, 1080, 4096, 32769, 65536, 65600, 1 << 20];
    for size in sizes {
        let junk: Vec<u8> = (0..size).map(|_| random(256) as u8).collect();
        assert_eq!(contents(&mut of(&junk)), Contents { size: size as u64, ..Contents::default() });
        assert_eq!(contents(&mut of(&vec![0; size])).kind, None);
        assert_eq!(contents(&mut of(&vec![255; size])).kind, None);
    }
    for (size, line) in MADE.into_iter().filter(|(size, _)| *size <= 16 * MIB) {
        if !images.make(size, line) {
            continue;
        }
        let file = File::open(images.image()).unwrap();
        let whole = file.metadata().unwrap().len().min(2 * MIB) as usize;
        let mut bytes = vec![0; whole];
        file.read_exact_at(&mut bytes, 0).unwrap();
        for _ in 0..300 {
            let mut damaged = bytes[..random(whole + 1)].to_vec();
            for _ in 0..random(12) {
                // Mostly where superblocks are.
                let area = [512, 2048, 40 << 10, whole][random(4)].min(damaged.len());
                if area > 0 {
                    let value = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
                    damaged[random(area)] = value;
                }
            }
            contents(&mut of(&damaged));
            let place = Place { disk: String::new(), number: 1, start: 0, sector: 512 };
            partition::identify(&mut of(&damaged), &place);
        }
    }
}

#[test]
fn a_device_that_does_not_answer_and_one_that_is_not_there() {
    let images = Images::new("hangs");
    // Opening a pipe without a writer hangs like a dead disk.
    rustix::fs::mknodat(rustix::fs::CWD, images.image(), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let ask =
        |path: String, timeout_ms, cancel: &Cancel| look(&Probe { path, timeout_ms }, cancel).unwrap_err();
    let late = ask(images.image(), 50.0, &Cancel::default());
    assert_eq!((late.code.as_str(), late.message.as_str()), ("TIMEOUT", "no answer within 0.05 s"));
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(ask(images.image(), 20_000.0, &cancel).code, "ABORTED");
    let gone = ask("/nonexistent".into(), 20_000.0, &Cancel::default());
    assert_eq!((gone.code.as_str(), gone.operation.as_str()), ("ENOENT", "devices.probe"));
}
