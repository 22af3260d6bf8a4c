//! The formats of optical discs, which start at 32 KiB with descriptors of 2 KiB: ECMA-119 (ISO 9660), with Joliet's
//! names, and ECMA-167 (UDF).

use super::format::Found;
use super::medium::Medium;

const FIRST: u64 = 32 << 10;
const SECTOR: u64 = 2 << 10;
/// Both specifications end the sequence by a descriptor; this ends it when that is missing.
const DESCRIPTORS: u64 = 64;

pub fn iso9660(medium: &mut Medium) -> Option<Found> {
    let (mut primary, mut joliet) = (None, None);
    for at in (0..DESCRIPTORS).map(|number| FIRST + number * SECTOR) {
        if !medium.has(at + 1, b"CD001") {
            break;
        }
        match medium.byte(at)? {
            1 => primary = primary.or(Some(at)),
            2 if is_joliet(medium, at) => joliet = Some(at),
            255 => break,
            _ => {}
        }
    }
    let primary = primary?;
    let plain = medium.text(primary + 40, 32);
    // Joliet's has lower case, and only half of the length.
    let wide = joliet.and_then(|at| medium.wide_text(at + 40, 32, u16::from_be_bytes));
    let label = match (plain, wide) {
        (Some(plain), Some(wide)) => match plain.get(..wide.len()) {
            Some(start) if start.eq_ignore_ascii_case(&wide) => Some(wide.clone() + &plain[wide.len()..]),
            _ => Some(wide),
        },
        (plain, wide) => plain.or(wide),
    };
    // Modified, else created.
    let uuid = [830, 813].into_iter().find_map(|field| date(medium, primary + field));
    Some(Found { uuid, label })
}

fn is_joliet(medium: &mut Medium, at: u64) -> bool {
    [b"%/@", b"%/C", b"%/E"].into_iter().any(|escape| medium.has(at + 88, escape))
}

/// `2024012610304500` and a time zone: not there when all is zero.
fn date(medium: &mut Medium, at: u64) -> Option<String> {
    let digits = medium.bytes(at, 16)?;
    let set = digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0');
    let text = String::from_utf8(digits).ok().filter(|_| set)?;
    Some([0..4, 4..6, 6..8, 8..10, 10..12, 12..14, 14..16].map(|part| &text[part]).join("-"))
}

/// A disc of both kinds (a bridge) counts as UDF.
pub fn udf(medium: &mut Medium) -> Option<Found> {
    let sequence = (0..DESCRIPTORS).map(|number| FIRST + number * SECTOR);
    let mut names = sequence.map_while(|at| medium.bytes(at + 1, 5).filter(|name| name != &[0; 5]));
    names.find(|name| name == b"NSR02" || name == b"NSR03")?;
    let found = [2048, 512, 4096].into_iter().find_map(|block| udf_names(medium, block));
    Some(found.unwrap_or(Found { uuid: None, label: None }))
}

/// ECMA-167, part 3: the anchor in block 256 says where the volume's descriptors are.
fn udf_names(medium: &mut Medium, block: u64) -> Option<Found> {
    let anchor = 256 * block;
    if medium.le16(anchor)? != 2 || medium.le32(anchor + 12)? != 256 {
        return None;
    }
    let start = u64::from(medium.le32(anchor + 20)?) * block;
    let (mut uuid, mut label) = (None, None);
    for at in (0..DESCRIPTORS).map(|number| start + number * block) {
        match medium.le16(at)? {
            1 => uuid = dstring(medium, at + 72, 128).and_then(|set| set_id(&set)),
            6 => label = dstring(medium, at + 84, 128),
            8 => break,
            _ => {}
        }
    }
    Some(Found { uuid, label })
}

/// A compression, the characters, and in the last byte how many bytes are used.
fn dstring(medium: &mut Medium, at: u64, length: u64) -> Option<String> {
    let used = usize::from(medium.byte(at + length - 1)?).clamp(1, length as usize - 1) - 1;
    match medium.byte(at)? {
        8 => {
            let text: String = medium.bytes(at + 1, used)?.into_iter().map(char::from).collect();
            Some(text.split('\0').next()?.trim_end().to_owned()).filter(|text| !text.is_empty())
        }
        16 => medium.wide_text(at + 1, used, u16::from_be_bytes),
        _ => None,
    }
}

/// What libblkid makes of the identifier of the volume set: its first 16 hexadecimal digits; what is none, in hex.
fn set_id(set: &str) -> Option<String> {
    let bytes = set.as_bytes();
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digits = bytes.iter().take(16).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = |part: &[u8]| String::from_utf8_lossy(part).to_lowercase();
    match digits {
        16 => Some(text(&bytes[..16])),
        8.. => Some(text(&bytes[..8]) + &hex(bytes.get(8..12)?)),
        _ => Some(hex(bytes.get(..8)?)),
    }
}
