//! What holds other devices or is held by one. Each may have the magic of a file system that was there before, or of
//! the one inside (RAID 1), so these are asked first, as libblkid does.

use super::format::{Format, Found};
use super::medium::{Medium, uuid};

pub const CONTAINERS: [Format; 5] = [
    Format { name: "linux_raid_member", magics: &[], read: raid },
    Format { name: "LVM2_member", magics: &[], read: lvm },
    Format { name: "crypto_LUKS", magics: &[(0, b"LUKS\xba\xbe")], read: luks },
    Format { name: "bcache", magics: &[(0x1018, BCACHE)], read: bcache },
    Format { name: "zfs_member", magics: &[(0x4000, b"\x01\x01\0\0"), (0x4000, b"\x01\0\0\0")], read: zfs },
];

const BCACHE: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
/// Of md(4)'s superblocks.
const RAID: u32 = 0xa92b_4efc;

/// Linux' md_p.h: version 0.90 in the last 64 KiB, 1.0 near the end, 1.1 at the beginning, 1.2 at 4 KiB.
fn raid(medium: &mut Medium) -> Option<Found> {
    if medium.optical {
        return None;
    }
    if let Some(at) = (medium.size & !0xffff).checked_sub(0x10000)
        && medium.le32(at)? == RAID
        && medium.le32(at + 4)? == 0
    {
        let mut id = [0; 16];
        for (index, word) in [20, 52, 56, 60].into_iter().enumerate() {
            id[index * 4..][..4].copy_from_slice(&medium.le32(at + word)?.to_be_bytes());
        }
        return Some(Found { uuid: uuid(id), label: None });
    }
    let near_end = (medium.size / 512).checked_sub(16).map(|sector| (sector & !7) * 512);
    [near_end, Some(0), Some(4096)].into_iter().flatten().find_map(|at| raid_1(medium, at))
}

fn raid_1(medium: &mut Medium, at: u64) -> Option<Found> {
    // It says where it is: what was copied elsewhere does not count.
    let valid = medium.le32(at)? == RAID && medium.le32(at + 4)? == 1 && medium.le64(at + 128)? == at / 512;
    valid.then(|| Found { uuid: medium.uuid(at + 16), label: medium.text(at + 32, 32) })
}

/// lvm2's label_header, in one of the first four sectors.
fn lvm(medium: &mut Medium) -> Option<Found> {
    (0..4).find_map(|sector: u64| {
        let at = sector * 512;
        let valid =
            medium.has(at, b"LABELONE") && medium.has(at + 24, b"LVM2 001") && medium.le64(at + 8)? == sector;
        let header = u64::from(medium.le32(at + 20)?);
        if !valid || header > 512 - 32 {
            return None;
        }
        let id = medium.text(at + header, 32).filter(|id| id.len() == 32 && id.is_ascii())?;
        let parts = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32].map(|part| &id[part]);
        Some(Found { uuid: Some(parts.join("-")), label: None })
    })
}

/// The LUKS On-Disk Formats, 1.2 and 2: the same place for the UUID.
fn luks(medium: &mut Medium) -> Option<Found> {
    match medium.be16(6)? {
        1 => Some(Found { uuid: medium.text(168, 40), label: None }),
        2 => Some(Found { uuid: medium.text(168, 40), label: medium.text(24, 48) }),
        _ => None,
    }
}

/// Linux' bcache.h, struct cache_sb: in sector 8, which it says.
fn bcache(medium: &mut Medium) -> Option<Found> {
    (medium.le64(0x1008)? == 8).then(|| Found { uuid: medium.uuid(0x1028), label: medium.text(0x1048, 32) })
}

/// The ZFS On-Disk Specification, 1.3: labels of 256 KiB, each with an XDR list of pairs at 16 KiB and a ring of
/// uberblocks at 128 KiB. What a later mkfs has left of one label is no pool, so the first two must be there.
fn zfs(medium: &mut Medium) -> Option<Found> {
    const LABEL: u64 = 256 << 10;
    let guid = zfs_value(medium, "pool_guid", 8)?;
    for label in [0, LABEL] {
        let ring = label + (128 << 10);
        let magics = [0x00ba_b10cu64.to_le_bytes(), 0x00ba_b10cu64.to_be_bytes()];
        (0..128).find(|slot| magics.iter().any(|magic| medium.has(ring + slot * 1024, magic)))?;
    }
    let guid = u64::from(medium.be32(guid)?) << 32 | u64::from(medium.be32(guid + 4)?);
    let name = zfs_value(medium, "name", 9);
    let label = name.and_then(|at| Some((at, medium.be32(at)?.min(256) as usize)));
    Some(Found {
        uuid: Some(guid.to_string()),
        label: label.and_then(|(at, length)| medium.text(at + 4, length)),
    })
}

/// Where the value of a pair of this type is: its size, its decoded size, its name, type, count, value.
fn zfs_value(medium: &mut Medium, name: &str, kind: u32) -> Option<u64> {
    const LIST: u64 = 16 << 10;
    let mut at = LIST + 12;
    while at < LIST + (112 << 10) {
        let (size, length) = (u64::from(medium.be32(at)?), u64::from(medium.be32(at + 8)?));
        let after_name = at + 12 + length.next_multiple_of(4);
        if medium.has(at + 12, name.as_bytes())
            && length == name.len() as u64
            && medium.be32(after_name)? == kind
        {
            return Some(after_name + 8);
        }
        // A size of 0 ends the list.
        at += Some(size).filter(|size| *size >= 12)?;
    }
    None
}
