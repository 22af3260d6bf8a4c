//! Which stanzas of an index speak of a name: a hash table over the index's text, built in one pass.

/// Names are slices of the index's text; a chain holds those of one bucket.
pub struct NameTable {
    buckets: Vec<u32>,
    entries: Vec<Entry>,
}

struct Entry {
    start: u32,
    length: u32,
    stanza: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl NameTable {
    /// `expected`: about how many names there will be.
    pub fn new(expected: usize) -> Self {
        let buckets = expected.next_power_of_two().clamp(16, 1 << 22);
        NameTable { buckets: vec![NONE; buckets], entries: Vec::with_capacity(expected) }
    }

    pub fn insert(&mut self, text: &str, start: usize, length: usize, stanza: u32) {
        let bucket = self.bucket(&text.as_bytes()[start..start + length]);
        let next = std::mem::replace(&mut self.buckets[bucket], self.entries.len() as u32);
        self.entries.push(Entry { start: start as u32, length: length as u32, stanza, next });
    }

    /// Calls `found` with every stanza that was inserted with this name.
    pub fn find(&self, text: &str, name: &str, mut found: impl FnMut(u32)) {
        let mut at = self.buckets[self.bucket(name.as_bytes())];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if &text.as_bytes()[entry.start as usize..(entry.start + entry.length) as usize]
                == name.as_bytes()
            {
                found(entry.stanza);
            }
            at = entry.next;
        }
    }

    /// FNV-1a. A repository can make its own lookups slow, and nothing else.
    fn bucket(&self, name: &[u8]) -> usize {
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash ^ (hash >> 32)) as usize & (self.buckets.len() - 1)
    }
}
