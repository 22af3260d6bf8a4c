//! The identity of a partition, from the table of the disk that it is on: GPT (the UEFI specification, 5.3) or DOS.

use super::medium::Medium;

/// What sysfs says of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The disk's device file.
    pub disk: String,
    pub number: u32,
    /// Bytes.
    pub start: u64,
    /// Bytes of the disk's logical sector.
    pub sector: u64,
}

#[derive(Debug, Default, PartialEq)]
pub struct Identity {
    pub uuid: Option<String>,
    pub label: Option<String>,
}

/// Larger tables of partitions are not read.
const TABLE: u64 = 1 << 20;

/// None: the device is no partition.
pub fn place(sys: &str, major: u32, minor: u32) -> Option<Place> {
    let directory = format!("{sys}/dev/block/{major}:{minor}");
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("{directory}/{name}")).ok()?.trim().parse().ok()
    };
    let partition = number("partition")?;
    let disk = std::fs::read_to_string(format!("{directory}/../uevent")).ok()?;
    let disk = disk.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Place {
        disk: format!("/dev/{disk}"),
        number: u32::try_from(partition).ok()?,
        // Always counted in 512 bytes.
        start: number("start")?.checked_mul(512)?,
        sector: number("../queue/logical_block_size").unwrap_or(512).clamp(512, 4096),
    })
}

pub fn identify(disk: &mut Medium, place: &Place) -> Option<Identity> {
    if !disk.has(510, b"\x55\xaa") {
        return None;
    }
    let protective = (0..4).any(|entry| disk.byte(446 + entry * 16 + 4) == Some(0xee));
    if protective {
        let last = (disk.size / place.sector).checked_sub(1)?;
        return [1, last].into_iter().find_map(|header| gpt(disk, place, header));
    }
    // As the kernel and blkid write it, both numbers in hex. Logical partitions count from 5.
    let id = disk.le32(440).filter(|id| *id != 0)?;
    Some(Identity { uuid: Some(format!("{id:08x}-{:02x}", place.number)), label: None })
}

fn gpt(disk: &mut Medium, place: &Place, header: u64) -> Option<Identity> {
    let at = header.checked_mul(place.sector)?;
    let length = u64::from(disk.le32(at + 12)?);
    if !disk.has(at, b"EFI PART") || !(92..=place.sector).contains(&length) || disk.le64(at + 24)? != header {
        return None;
    }
    let mut bytes = disk.bytes(at, length as usize)?;
    // Its own checksum counts as zero.
    bytes[16..20].fill(0);
    let (count, size) = (u64::from(disk.le32(at + 80)?), u64::from(disk.le32(at + 84)?));
    let table = disk.le64(at + 72)?.checked_mul(place.sector)?;
    let whole = count.checked_mul(size).filter(|whole| *whole <= TABLE && size >= 128)?;
    if crc32(&bytes) != disk.le32(at + 16)?
        || crc32(&disk.bytes(table, whole as usize)?) != disk.le32(at + 88)?
    {
        return None;
    }
    let index = u64::from(place.number).checked_sub(1).filter(|index| *index < count)?;
    let entry = table + index * size;
    // The kernel may have the partitions of another table.
    let same = disk.le64(entry + 32)?.checked_mul(place.sector)? == place.start;
    same.then(|| Identity {
        uuid: disk.guid(entry + 16),
        label: disk.wide_text(entry + 56, 72, u16::from_le_bytes),
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
