//! The signatures that an index brings: RSA, PKCS #1 v1.5, over SHA-1 (`.SIGN.RSA.`) or SHA-256 (`.SIGN.RSA256.`).

use super::checksum::Algorithm;

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
}

pub struct Signature {
    pub algorithm: Algorithm,
    pub key_name: String,
    pub bytes: Vec<u8>,
}
