//! Whether an index is by somebody who is trusted.

use super::checksum::Algorithm;
use super::index::Index;
use crate::error::{Result, SysError};
use crate::rsa::{Digest, PublicKey};
use std::collections::HashMap;

const OPERATION: &str = "packages.verifyIndex";

/// The name of the first key that is known and verifies. `keys`: paths of PEM files by key name.
pub fn verify(index: &Index, keys: &HashMap<String, String>) -> Result<String> {
    let Index { signatures, subject, .. } = index;
    let refuse = |message: String| Err(SysError::new("SIGNATURE", OPERATION, subject, message));
    if signatures.is_empty() {
        return refuse("the index is not signed".to_owned());
    }
    let mut tried = Vec::new();
    for signature in signatures {
        let Some(path) = keys.get(&signature.key_name) else { continue };
        let pem = std::fs::read(path).map_err(|error| SysError::os(OPERATION, path, error))?;
        let Some(key) = PublicKey::of_pem(&pem) else {
            let message = "this is not a public RSA key of 2048 to 8192 bits in PEM";
            return Err(SysError::new("FORMAT", OPERATION, path, message));
        };
        let digest = index.digest(signature.algorithm);
        let digest = match signature.algorithm {
            Algorithm::Sha1 => Digest::Sha1(&digest),
            Algorithm::Sha256 => Digest::Sha256(&digest),
        };
        if key.verifies(&signature.bytes, &digest) {
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
