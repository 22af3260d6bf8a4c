//! Which stanzas of an index speak of a name: a hash table over the index's text, which grows with it.

/// Names are slices of the index's text; a chain holds those of one bucket.
pub struct NameTable {
    /// As many as a power of two.
    buckets: Vec<u32>,
    entries: Vec<Entry>,
}

struct Entry {
    hash: u32,
    start: u32,
    length: u32,
    stanza: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl NameTable {
    pub fn new() -> Self {
        NameTable { buckets: vec![NONE; 1 << 10], entries: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// `start`: where the name is in the text.
    pub fn insert(&mut self, name: &[u8], start: usize, stanza: u32) {
        if self.entries.len() == self.buckets.len() {
            self.grow();
        }
        let hash = hash_of(name);
        let number = self.entries.len() as u32;
        let bucket = self.bucket(hash);
        let next = std::mem::replace(&mut self.buckets[bucket], number);
        self.entries.push(Entry { hash, start: start as u32, length: name.len() as u32, stanza, next });
    }

    fn grow(&mut self) {
        self.buckets = vec![NONE; self.buckets.len() * 2];
        for number in 0..self.entries.len() {
            let bucket = self.bucket(self.entries[number].hash);
            self.entries[number].next = std::mem::replace(&mut self.buckets[bucket], number as u32);
        }
    }

    /// Calls `found` with every stanza that was inserted with this name.
    pub fn find(&self, text: &[u8], name: &str, mut found: impl FnMut(u32)) {
        let hash = hash_of(name.as_bytes());
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let &Entry { hash: other, start, length, stanza, next } = &self.entries[at as usize];
            if other == hash && &text[start as usize..(start + length) as usize] == name.as_bytes() {
                found(stanza);
            }
            at = next;
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }
}

/// FNV-1a. A repository can make its own lookups slow, and nothing else.
fn hash_of(name: &[u8]) -> u32 {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}
