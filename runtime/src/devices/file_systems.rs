//! File systems by their superblocks, in the order in which they are asked.

use super::format::{Format, Found};
use super::medium::Medium;
use super::optical::{iso9660, udf};

pub const FILE_SYSTEMS: [Format; 12] = [
    Format { name: "swap", magics: &SWAP, read: swap },
    Format { name: "xfs", magics: &[(0, b"XFSB")], read: xfs },
    Format { name: "squashfs", magics: &[(0, b"hsqs")], read: squashfs },
    Format { name: "ext4", magics: &[(0x438, b"\x53\xef")], read: ext },
    Format { name: "f2fs", magics: &[(0x400, b"\x10\x20\xf5\xf2")], read: f2fs },
    Format { name: "erofs", magics: &[(0x400, b"\xe2\xe1\xf5\xe0")], read: erofs },
    Format { name: "btrfs", magics: &[(0x10040, b"_BHRfS_M")], read: btrfs },
    Format { name: "exfat", magics: &[(3, b"EXFAT   ")], read: exfat },
    Format { name: "ntfs", magics: &[(3, b"NTFS    ")], read: ntfs },
    Format { name: "vfat", magics: &[(510, b"\x55\xaa")], read: fat },
    Format { name: "udf", magics: &[(0x8001, b"BEA01"), (0x8001, b"CD001")], read: udf },
    Format { name: "iso9660", magics: &[(0x8001, b"CD001")], read: iso9660 },
];

/// At the end of the first page, of whatever size.
const SWAP: [(u64, &[u8]); 5] = [
    (0xff6, b"SWAPSPACE2"),
    (0x1ff6, b"SWAPSPACE2"),
    (0x3ff6, b"SWAPSPACE2"),
    (0x7ff6, b"SWAPSPACE2"),
    (0xfff6, b"SWAPSPACE2"),
];

/// Linux' swap.h. A file system made since has overwritten the version.
fn swap(medium: &mut Medium) -> Option<Found> {
    (medium.le32(0x400)? == 1).then(|| Found { uuid: medium.uuid(0x40c), label: medium.text(0x41c, 16) })
}

fn xfs(medium: &mut Medium) -> Option<Found> {
    let block = medium.be32(4)?;
    let valid = block.is_power_of_two() && (512..=65536).contains(&block);
    valid.then(|| Found { uuid: medium.uuid(32), label: medium.text(108, 12) })
}

fn squashfs(medium: &mut Medium) -> Option<Found> {
    (medium.le16(28)? == 4).then_some(Found { uuid: None, label: None })
}

/// ext2, ext3 and ext4; the kernel's ext4 mounts them all. A journal of its own device is none.
fn ext(medium: &mut Medium) -> Option<Found> {
    const JOURNAL_DEVICE: u32 = 8;
    let valid = medium.le32(0x460)? & JOURNAL_DEVICE == 0;
    valid.then(|| Found { uuid: medium.uuid(0x468), label: medium.text(0x478, 16) })
}

fn f2fs(medium: &mut Medium) -> Option<Found> {
    Some(Found { uuid: medium.uuid(0x46c), label: medium.wide_text(0x47c, 1024, u16::from_le_bytes) })
}

fn erofs(medium: &mut Medium) -> Option<Found> {
    Some(Found { uuid: medium.uuid(0x430), label: medium.text(0x440, 16) })
}

fn btrfs(medium: &mut Medium) -> Option<Found> {
    Some(Found { uuid: medium.uuid(0x10020), label: medium.text(0x1012b, 256) })
}

/// The exFAT specification: the label is an entry (0x83) of the root directory, nearly always its first.
fn exfat(medium: &mut Medium) -> Option<Found> {
    let serial = medium.le32(100)?;
    let (sector, cluster) = (medium.byte(108)?, medium.byte(109)?);
    if !(9..=12).contains(&sector) || cluster > 25 - sector {
        return None;
    }
    let heap = u64::from(medium.le32(88)?) << sector;
    let root = heap + (u64::from(medium.le32(96)?.checked_sub(2)?) << (sector + cluster));
    let label = directory(root, 1u64 << (sector + cluster)).find_map(|at| {
        let used = medium.byte(at)? == 0x83;
        let length = usize::from(medium.byte(at + 1)?.min(11));
        used.then(|| medium.wide_text(at + 2, length * 2, u16::from_le_bytes))?
    });
    Some(Found { uuid: Some(volume_id(serial)), label })
}

/// Entries of 32 bytes; a label is not looked for further in.
fn directory(start: u64, bytes: u64) -> impl Iterator<Item = u64> {
    (0..bytes.min(64 << 10) / 32).filter_map(move |entry| start.checked_add(entry * 32))
}

fn volume_id(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// The label is attribute 0x60 of the file $Volume, record 3 of the master file table.
fn ntfs(medium: &mut Medium) -> Option<Found> {
    let sector = u64::from(medium.le16(11)?);
    let cluster = match medium.byte(13)? {
        few @ 0..=0x80 => sector * u64::from(few),
        // A negative power of two.
        many => sector.checked_shl(256 - u32::from(many))?,
    };
    if !sector.is_power_of_two() || sector < 256 || cluster == 0 {
        return None;
    }
    let found = Found { uuid: Some(format!("{:016X}", medium.le64(0x48)?)), label: None };
    let label = ntfs_label(medium, cluster);
    Some(Found { label, ..found })
}

fn ntfs_label(medium: &mut Medium, cluster: u64) -> Option<String> {
    let record = match medium.byte(0x40)? as i8 {
        clusters @ 1.. => cluster.checked_mul(clusters as u64)?,
        power => 1u64.checked_shl(u32::from(power.unsigned_abs()))?,
    };
    let table = medium.le64(0x30)?.checked_mul(cluster)?;
    let volume = table.checked_add(record.checked_mul(3)?)?;
    if !medium.has(volume, b"FILE") {
        return None;
    }
    let end = volume.checked_add(record.min(64 << 10))?;
    let mut at = volume + u64::from(medium.le16(volume + 20)?);
    while at < end {
        let length = u64::from(medium.le32(at + 4)?);
        if medium.le32(at)? == 0x60 {
            let (bytes, value) = (medium.le32(at + 16)?, medium.le16(at + 20)?);
            return medium.wide_text(at + u64::from(value), bytes.min(512) as usize, u16::from_le_bytes);
        }
        at += Some(length).filter(|length| *length >= 16)?;
    }
    None
}

/// Microsoft's FAT specification. Boot code ends in 55 AA as well, so the numbers must make sense.
fn fat(medium: &mut Medium) -> Option<Found> {
    let sector = u64::from(medium.le16(11)?);
    let (cluster, reserved, fats, media) =
        (medium.byte(13)?, medium.le16(14)?, medium.byte(16)?, medium.byte(21)?);
    let valid = matches!(sector, 512 | 1024 | 2048 | 4096)
        && cluster.is_power_of_two()
        && reserved > 0
        && (1..=4).contains(&fats)
        && (media == 0xf0 || media >= 0xf8);
    if !valid {
        return None;
    }
    let (short, entries) = (u64::from(medium.le16(22)?), u64::from(medium.le16(17)?));
    let length = if short > 0 { short } else { u64::from(medium.le32(36)?) };
    if length == 0 {
        return None;
    }
    let after_fats = (u64::from(reserved) + u64::from(fats) * length) * sector;
    let cluster = u64::from(cluster) * sector;
    // FAT32 has its root directory in clusters, and so later fields.
    let (serial, root, bytes) = match short {
        0 => (67, after_fats + u64::from(medium.le32(44)?.checked_sub(2)?) * cluster, cluster),
        _ => (39, after_fats, entries * 32),
    };
    let in_directory = directory(root, bytes).map_while(|at| fat_entry(medium, at)).flatten().next();
    let in_boot_sector = medium.text(serial + 4, 11).filter(|label| label != "NO NAME");
    Some(Found { uuid: Some(volume_id(medium.le32(serial)?)), label: in_directory.or(in_boot_sector) })
}

/// None ends the directory; Some(None) is the entry of something else.
fn fat_entry(medium: &mut Medium, at: u64) -> Option<Option<String>> {
    const VOLUME: u8 = 8;
    const DIRECTORY: u8 = 16;
    const LONG_NAME: u8 = 15;
    let first = medium.byte(at)?;
    let attributes = medium.byte(at + 11)?;
    let label = attributes & (VOLUME | DIRECTORY) == VOLUME && attributes & 63 != LONG_NAME && first != 0xe5;
    (first != 0).then(|| if label { medium.text(at, 11) } else { None })
}
