//! Signatures of an index: RSA, PKCS #1 v1.5, over SHA-1 (`.SIGN.RSA.`) or SHA-256 (`.SIGN.RSA256.`).

use crate::error::{Result, SysError};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use std::collections::HashMap;

const OPERATION: &str = "packages.verifyIndex";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    /// `RSA.alpine-devel@….rsa.pub`: the algorithm and the key's name. Other algorithms are unknown to us.
    pub fn of_file(name: &str) -> Option<(Algorithm, String)> {
        let (kind, key) = name.split_once('.')?;
        match kind {
            "RSA" => Some((Algorithm::Sha1, key.to_owned())),
            "RSA256" => Some((Algorithm::Sha256, key.to_owned())),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "RSA",
            Algorithm::Sha256 => "RSA256",
        }
    }

    fn parameters(self) -> &'static RsaParameters {
        match self {
            // As weak as it is, it is what Alpine signs its indexes with.
            Algorithm::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

pub struct Signature {
    pub algorithm: Algorithm,
    pub key_name: String,
    pub bytes: Vec<u8>,
}

/// The name of the first key that is known and verifies. `keys`: paths of PEM files by key name.
pub fn verify(
    signatures: &[Signature],
    signed: &[u8],
    keys: &HashMap<String, String>,
    subject: &str,
) -> Result<String> {
    let refuse = |message: String| Err(SysError::new("SIGNATURE", OPERATION, subject, message));
    if signatures.is_empty() {
        return refuse("the index is not signed".to_owned());
    }
    let mut tried = Vec::new();
    for signature in signatures {
        let Some(path) = keys.get(&signature.key_name) else { continue };
        let pem = std::fs::read(path).map_err(|error| SysError::os(OPERATION, path, error))?;
        let Some(key) = rsa_key_of_pem(&pem) else {
            return Err(SysError::new("FORMAT", OPERATION, path, "this is not a public RSA key in PEM"));
        };
        let key = UnparsedPublicKey::new(signature.algorithm.parameters(), key);
        if key.verify(signed, &signature.bytes).is_ok() {
            return Ok(signature.key_name.clone());
        }
        tried.push(signature.key_name.as_str());
    }
    if !tried.is_empty() {
        let tried = tried.join(" and ");
        return refuse(format!("the signature by {tried} is wrong: the index is damaged, or was changed"));
    }
    let names: Vec<&str> = signatures.iter().map(|signature| signature.key_name.as_str()).collect();
    refuse(format!("it is signed by {}, which is none of the {} keys here", names.join(" and "), keys.len()))
}

/// The RSAPublicKey inside a SubjectPublicKeyInfo (RFC 5280, 4.1) in PEM: that is what ring takes.
fn rsa_key_of_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, body) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = body.split_once("-----END PUBLIC KEY-----")?;
    let der = base64_decode(body)?;
    let (info, _) = element(0x30, &der)?;
    let (algorithm, rest) = element(0x30, info)?;
    // rsaEncryption, 1.2.840.113549.1.1.1
    let (oid, _) = element(0x06, algorithm)?;
    if oid != [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] {
        return None;
    }
    let (bits, _) = element(0x03, rest)?;
    bits.strip_prefix(&[0]).map(<[u8]>::to_vec)
}

/// The content of a DER element with this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=3).contains(&count))?;
        (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
    };
    rest.split_at_checked(length)
}

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
