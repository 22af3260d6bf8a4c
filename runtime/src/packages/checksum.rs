//! The digests that apk has, and its way of writing a SHA-1: `Q1` and base64.

use crate::pipeline::url::base64;
use ring::digest::{Context, SHA256};
use sha1::{Digest as _, Sha1};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// As weak as it is, it is what apk knows a package by, and what Alpine signs its indexes with.
    Sha1,
    Sha256,
}

pub enum Hash {
    Sha1(Sha1),
    Sha256(Context),
}

impl Hash {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Hash::Sha1(Sha1::new()),
            Algorithm::Sha256 => Hash::Sha256(Context::new(&SHA256)),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    pub fn finish(self) -> Vec<u8> {
        match self {
            Hash::Sha1(hash) => hash.finalize().to_vec(),
            Hash::Sha256(hash) => hash.finish().as_ref().to_vec(),
        }
    }

    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut hash = Hash::new(algorithm);
        hash.update(bytes);
        hash.finish()
    }
}

pub fn q1(sum: &[u8]) -> String {
    format!("Q1{}", base64(sum))
}

pub fn sha1() -> Hash {
    Hash::new(Algorithm::Sha1)
}

pub fn sha1_of(bytes: &[u8]) -> Vec<u8> {
    Hash::of(Algorithm::Sha1, bytes)
}

/// Of extended attributes, which are sorted by name: each name and value after its length (32 bits, big endian).
pub fn q1_of_xattrs(xattrs: &[(Vec<u8>, Vec<u8>)]) -> Option<String> {
    if xattrs.is_empty() {
        return None;
    }
    let mut context = sha1();
    for part in xattrs.iter().flat_map(|(name, value)| [name, value]) {
        context.update(&(part.len() as u32).to_be_bytes());
        context.update(part);
    }
    Some(q1(context.finish().as_ref()))
}
