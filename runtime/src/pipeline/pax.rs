//! The fields of tar's headers, and pax records (POSIX.1-2001, pax Interchange Format).

use std::collections::HashMap;

pub type Records = HashMap<Vec<u8>, Vec<u8>>;

/// Octal, or GNU's base 256.
pub fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (first, rest) = (u64::from(field[0] & 0x7f), &field[1..]);
        return rest
            .iter()
            .try_fold(first, |value, &byte| value.checked_mul(256)?.checked_add(u64::from(byte)))
            .filter(|&value| value <= i64::MAX as u64);
    }
    until_nul(field).trim_ascii().iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

pub fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// `LENGTH NAME=VALUE\n`, one after the other.
pub fn parse_pax(mut bytes: &[u8], records: &mut Records) -> Option<()> {
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        bytes = &bytes[length..];
    }
    Some(())
}

/// A pax time: seconds with a fraction, which is dropped.
pub fn seconds(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.split('.').next()?.parse().ok()
}

pub fn sha1_of(text: &[u8]) -> Option<[u8; 20]> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 40 && text.is_ascii())?;
    let mut sum = [0; 20];
    for (byte, digits) in sum.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sum)
}
