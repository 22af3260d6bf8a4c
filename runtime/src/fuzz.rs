//! Numbers that repeat, and damage made of them: bad input for decoders. Every run does a few thousand inputs, always the
//! same; `FUZZ_INPUTS=1000000 FUZZ_SEED=7 cargo test fuzzed` is a long one with others.

pub struct Chance(u64);

/// How many inputs a test is to make.
pub fn inputs(usual: usize) -> usize {
    setting("FUZZ_INPUTS").map_or(usual, |inputs| inputs as usize)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

impl Chance {
    pub fn new() -> Chance {
        // Not zero, which xorshift64 never leaves.
        Chance(0x9e37_79b9_7f4a_7c15 ^ setting("FUZZ_SEED").unwrap_or(0) << 20)
    }

    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    pub fn byte(&mut self) -> u8 {
        match self.below(8) {
            at @ 0..=4 => [0, 1, 0x7f, 0x80, 0xff][at],
            _ => self.below(256) as u8,
        }
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.below(256) as u8).collect()
    }

    /// One of the good ones with something changed, put in, left out, said twice or cut off; at times nothing but chance.
    pub fn damaged(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        if self.below(20) == 0 {
            return self.bytes(600);
        }
        let mut bytes = good[self.below(good.len())].clone();
        for _ in 0..=self.below(5) {
            let (at, length) = (self.below(bytes.len() + 1), self.below(9));
            let end = (at + length).min(bytes.len());
            match self.below(12) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let more = self.bytes(8);
                    bytes.splice(at..at, more);
                }
                3 => {
                    let again = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, again);
                }
                _ if at < bytes.len() => bytes[at] = self.byte(),
                _ => {}
            }
        }
        bytes
    }
}
