//! The filters in their order, and those that pass bytes on as they are: a digest to match, a limit on how many.

use super::decrypt::{Cipher, Decrypt, Derivation, Password};
use super::failure::fail;
use super::inflate::{CHUNK, Gunzip, Unzstd};
use super::signature::Signature;
use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Filter {
    Gunzip,
    Unzstd,
    Digest {
        algorithm: DigestName,
        expected: String,
    },
    #[serde(rename_all = "camelCase")]
    Decrypt {
        cipher: Cipher,
        key_derivation: Derivation,
        password: Password,
    },
    Signature {
        signature: String,
        keys: BTreeMap<String, String>,
    },
    Limit {
        bytes: u64,
    },
}

/// Refuses what announces more than a limit allows, unless the length changes on the way to that limit.
pub fn check_announced(filters: &[Filter], total: u64, subject: &str) -> io::Result<()> {
    for filter in filters {
        match filter {
            Filter::Gunzip | Filter::Unzstd | Filter::Decrypt { .. } => break,
            Filter::Digest { .. } | Filter::Signature { .. } => {}
            Filter::Limit { bytes } if total > *bytes => {
                let message = format!("{total} bytes are announced, and {bytes} are the limit");
                return Err(fail("TOO_BIG", "limit", subject, message));
            }
            Filter::Limit { .. } => {}
        }
    }
    Ok(())
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum DigestName {
    Sha1,
    Sha256,
    Sha512,
}

impl DigestName {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            DigestName::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            DigestName::Sha256 => &SHA256,
            DigestName::Sha512 => &SHA512,
        }
    }
    fn name(self) -> &'static str {
        match self {
            DigestName::Sha1 => "SHA-1",
            DigestName::Sha256 => "SHA-256",
            DigestName::Sha512 => "SHA-512",
        }
    }
}

/// Puts the filters over a source, in order.
pub fn apply<'a>(
    filters: &[Filter],
    source: Box<dyn Read + 'a>,
    subject: &str,
) -> io::Result<Box<dyn Read + 'a>> {
    let over = |source: Box<dyn Read + 'a>, filter: &Filter| -> io::Result<Box<dyn Read + 'a>> {
        Ok(match filter {
            Filter::Gunzip => Box::new(Gunzip::new(BufReader::with_capacity(CHUNK, source), subject)),
            Filter::Unzstd => Box::new(Unzstd::new(source, subject)),
            Filter::Digest { algorithm, expected } => Box::new(Digest {
                source,
                name: *algorithm,
                context: Some(Context::new(algorithm.algorithm())),
                expected: expected.to_ascii_lowercase(),
                subject: subject.to_owned(),
            }),
            Filter::Decrypt { cipher, key_derivation, password } => {
                Box::new(Decrypt::new(source, *cipher, *key_derivation, password, subject))
            }
            Filter::Signature { signature, keys } => {
                Box::new(Signature::new(source, signature, keys, subject)?)
            }
            Filter::Limit { bytes } => {
                Box::new(Limit { source, left: *bytes, bytes: *bytes, subject: subject.to_owned() })
            }
        })
    };
    filters.iter().try_fold(source, over)
}

struct Digest<R> {
    source: R,
    name: DigestName,
    /// None once the end was seen.
    context: Option<Context>,
    expected: String,
    subject: String,
}

impl<R: Read> Read for Digest<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(to)?;
        if count > 0 {
            if let Some(context) = &mut self.context {
                context.update(&to[..count]);
            }
        } else if !to.is_empty()
            && let Some(context) = self.context.take()
        {
            let found = hex(context.finish().as_ref());
            if found != self.expected {
                let name = self.name.name();
                let message = format!("its {name} is {found}, and should be {}", self.expected);
                return Err(fail("DIGEST", "digest", &self.subject, message));
            }
        }
        Ok(count)
    }
}

struct Limit<R> {
    source: R,
    left: u64,
    bytes: u64,
    subject: String,
}

impl<R: Read> Read for Limit<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(to)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                let message = format!("more than {} bytes came, which is the limit", self.bytes);
                return Err(fail("TOO_BIG", "limit", &self.subject, message));
            }
        }
        Ok(count)
    }
}

/// Lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
        text
    })
}
