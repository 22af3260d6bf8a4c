//! The bytes of a device or an image, by offset: what cannot be read, or is not there, is None, so that a format is
//! read as a sequence of `?`. Nothing that the bytes say makes it read much: there are only so many blocks.

use std::collections::BTreeMap;

pub const BLOCK: u64 = 64 << 10;
/// All formats together look at fewer, unless they are led around.
const BLOCKS: usize = 64;

pub struct Medium<'a> {
    /// Bytes.
    pub size: u64,
    /// A disc: reading its end may take long and fail, and nothing that we look for is there.
    pub optical: bool,
    /// The block from this offset on, as far as it can be read.
    fetch: Box<dyn FnMut(u64) -> Vec<u8> + 'a>,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<'a> Medium<'a> {
    pub fn new(size: u64, fetch: impl FnMut(u64) -> Vec<u8> + 'a) -> Self {
        Medium { size, optical: false, fetch: Box::new(fetch), blocks: BTreeMap::new() }
    }

    pub fn bytes(&mut self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let end = offset.checked_add(length as u64)?;
        if end > self.size || length as u64 > BLOCKS as u64 * BLOCK {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        let mut at = offset;
        while at < end {
            let start = at - at % BLOCK;
            let stop = end.min(start + BLOCK);
            bytes.extend_from_slice(self.block(start)?.get((at - start) as usize..(stop - start) as usize)?);
            at = stop;
        }
        Some(bytes)
    }

    fn block(&mut self, start: u64) -> Option<&[u8]> {
        if !self.blocks.contains_key(&start) {
            if self.blocks.len() == BLOCKS {
                return None;
            }
            let block = (self.fetch)(start);
            self.blocks.insert(start, block);
        }
        self.blocks.get(&start).map(Vec::as_slice)
    }

    fn array<const N: usize>(&mut self, offset: u64) -> Option<[u8; N]> {
        self.bytes(offset, N)?.try_into().ok()
    }

    pub fn has(&mut self, offset: u64, expected: &[u8]) -> bool {
        self.bytes(offset, expected.len()).is_some_and(|bytes| bytes == expected)
    }

    pub fn byte(&mut self, offset: u64) -> Option<u8> {
        self.array(offset).map(|[byte]| byte)
    }

    pub fn le16(&mut self, offset: u64) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn le32(&mut self, offset: u64) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn le64(&mut self, offset: u64) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    pub fn be16(&mut self, offset: u64) -> Option<u16> {
        self.array(offset).map(u16::from_be_bytes)
    }

    pub fn be32(&mut self, offset: u64) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    /// Up to a NUL, without spaces at its end; None when nothing is left.
    pub fn text(&mut self, offset: u64, length: usize) -> Option<String> {
        tidy(String::from_utf8_lossy(&self.bytes(offset, length)?))
    }

    /// UTF-16 in this many bytes.
    pub fn wide_text(&mut self, offset: u64, length: usize, unit: fn([u8; 2]) -> u16) -> Option<String> {
        let bytes = self.bytes(offset, length)?;
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        tidy(String::from_utf16_lossy(&units).into())
    }

    /// As RFC 9562 writes it; none when it is all zero.
    pub fn uuid(&mut self, offset: u64) -> Option<String> {
        uuid(self.array(offset)?)
    }

    /// GPT's order: the first three fields are little-endian.
    pub fn guid(&mut self, offset: u64) -> Option<String> {
        let mut bytes: [u8; 16] = self.array(offset)?;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        uuid(bytes)
    }
}

fn tidy(text: std::borrow::Cow<str>) -> Option<String> {
    let text = text.split('\0').next()?.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

pub fn uuid(bytes: [u8; 16]) -> Option<String> {
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].map(hex);
    (bytes != [0; 16]).then(|| parts.join("-"))
}
