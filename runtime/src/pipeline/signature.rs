//! A detached signature over what passes: checked at the end, before any sink says that it is done.

use super::failure::fail;
use crate::rsa::{Digest, PublicKey, base64_decode};
use ring::digest::{Context, SHA256, SHA512};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

/// A signature, or a key in PEM, is some hundred bytes.
const LARGEST: u64 = 64 << 10;
const MOST_KEYS: usize = 32;

pub struct Signature<R> {
    source: R,
    signature: Vec<u8>,
    keys: Vec<PublicKey>,
    /// What is said of a signature that is by none of them.
    stranger: String,
    /// SHA-256 and SHA-512, as a signature does not tell which it is over. None once the end was seen.
    contexts: Option<(Context, Context)>,
    subject: String,
}

impl<R: Read> Signature<R> {
    /// Reads the signature and the keys: what cannot be checked is refused before anything is read of the source.
    pub fn new(source: R, path: &str, keys: &BTreeMap<String, String>, subject: &str) -> io::Result<Self> {
        let refuse = |message: String| fail("SIGNATURE", "signature", subject, message);
        let signature = small(path)
            .map_err(|error| refuse(format!("no signature could be read from {path}: {error}")))?;
        // That 256 bytes or more are all digits of base64 by chance, nobody will see.
        let written = std::str::from_utf8(&signature).ok().and_then(base64_decode);
        let signature = written.unwrap_or(signature);
        if keys.len() > MOST_KEYS {
            return Err(refuse(format!("{} keys are given, and {MOST_KEYS} are the limit", keys.len())));
        }
        let (mut usable, mut names, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        for (name, path) in keys {
            let pem = small(path)
                .map_err(|error| refuse(format!("the key {name} could not be read from {path}: {error}")))?;
            match PublicKey::of_pem(&pem) {
                Some(key) => {
                    usable.push(key);
                    names.push(name.as_str());
                }
                None => unusable.push(name.as_str()),
            }
        }
        let apart = match unusable.as_slice() {
            [] => String::new(),
            unusable => {
                format!("; not a public RSA key of 2048 to 8192 bits in PEM: {}", unusable.join(", "))
            }
        };
        if usable.is_empty() {
            return Err(refuse(format!("there is no key to check the signature with{apart}")));
        }
        let stranger = format!(
            "{path} is not a signature of it by any of these keys: {}{apart}. It is damaged, was changed, or was signed by another",
            names.join(", ")
        );
        Ok(Signature {
            source,
            signature,
            keys: usable,
            stranger,
            contexts: Some((Context::new(&SHA256), Context::new(&SHA512))),
            subject: subject.to_owned(),
        })
    }

    fn check(&self, sha256: Context, sha512: Context) -> io::Result<()> {
        let (sha256, sha512) = (sha256.finish(), sha512.finish());
        let digests = [Digest::Sha256(sha256.as_ref()), Digest::Sha512(sha512.as_ref())];
        let good =
            self.keys.iter().any(|key| digests.iter().any(|digest| key.verifies(&self.signature, digest)));
        if good { Ok(()) } else { Err(fail("SIGNATURE", "signature", &self.subject, &self.stranger)) }
    }
}

impl<R: Read> Read for Signature<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(to)?;
        if count > 0 {
            if let Some((sha256, sha512)) = &mut self.contexts {
                sha256.update(&to[..count]);
                sha512.update(&to[..count]);
            }
        } else if !to.is_empty()
            && let Some((sha256, sha512)) = self.contexts.take()
        {
            self.check(sha256, sha512)?;
        }
        Ok(count)
    }
}

/// A file of at most `LARGEST` bytes, or why it is not read, in words.
fn small(path: &str) -> Result<Vec<u8>, String> {
    let words = |error: io::Error| match error.raw_os_error() {
        Some(number) => crate::error::errno_text(number),
        None => error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(words)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is longer than {LARGEST} bytes"));
    }
    Ok(bytes)
}
