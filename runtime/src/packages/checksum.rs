//! apk's way of writing a SHA-1: `Q1` and base64.

use crate::pipeline::url::base64;
use ring::digest::{Context, Digest, SHA1_FOR_LEGACY_USE_ONLY};

pub fn q1(sum: &[u8]) -> String {
    format!("Q1{}", base64(sum))
}

pub fn sha1() -> Context {
    Context::new(&SHA1_FOR_LEGACY_USE_ONLY)
}

pub fn sha1_of(bytes: &[u8]) -> Digest {
    ring::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes)
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
