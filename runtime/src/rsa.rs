//! Public RSA keys in PEM, and signatures by them over a digest that was computed on the way (RFC 8017, 8.2.2).

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};

/// DER of DigestInfo up to the digest itself (RFC 8017, 9.2, note 1).
const SHA1_INFO: [u8; 15] = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];
const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
const SHA512_INFO: [u8; 19] =
    [0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40];

/// Bytes of a modulus: 2048 to 8192 bits, the bounds that ring has.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// A digest and what it is of.
pub enum Digest<'a> {
    /// Weak. For what has no other.
    Sha1(&'a [u8]),
    Sha256(&'a [u8]),
    Sha512(&'a [u8]),
}

pub struct PublicKey {
    modulus: BoxedMontyParams,
    exponent: BoxedUint,
    /// Of the modulus, and of every signature.
    bytes: usize,
}

impl PublicKey {
    /// None for what is not a public RSA key of a length that is safe and sane.
    pub fn of_pem(pem: &[u8]) -> Option<PublicKey> {
        let der = rsa_key_of_pem(pem)?;
        let (key, _) = element(0x30, &der)?;
        let (modulus, rest) = element(0x02, key)?;
        let (exponent, _) = element(0x02, rest)?;
        let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
        let exponent = exponent.strip_prefix(&[0]).unwrap_or(exponent);
        let sane = MODULUS.contains(&modulus.len())
            && modulus.first().is_some_and(|&first| first >= 0x80)
            && (1..=5).contains(&exponent.len())
            && exponent.last().is_some_and(|last| last & 1 == 1)
            && exponent != [1];
        if !sane {
            return None;
        }
        let odd = Odd::new(BoxedUint::from_be_slice_vartime(modulus)).into_option()?;
        Some(PublicKey {
            modulus: BoxedMontyParams::new_vartime(odd),
            exponent: BoxedUint::from_be_slice_vartime(exponent),
            bytes: modulus.len(),
        })
    }

    /// Whether `signature` is by this key over this digest. The whole padding is compared, so nothing in it is parsed.
    pub fn verifies(&self, signature: &[u8], digest: &Digest<'_>) -> bool {
        let (info, digest): (&[u8], _) = match digest {
            Digest::Sha1(digest) => (&SHA1_INFO, *digest),
            Digest::Sha256(digest) => (&SHA256_INFO, *digest),
            Digest::Sha512(digest) => (&SHA512_INFO, *digest),
        };
        if signature.len() != self.bytes {
            return false;
        }
        let modulus: &BoxedUint = self.modulus.modulus().as_ref();
        let Ok(signature) = BoxedUint::from_be_slice(signature, modulus.bits_precision()) else {
            return false;
        };
        if signature >= *modulus {
            return false;
        }
        let padding = self.bytes - 3 - info.len() - digest.len();
        let expected = [&[0, 1][..], &vec![0xff; padding], &[0], info, digest].concat();
        let opened = BoxedMontyForm::new(signature, &self.modulus).pow(&self.exponent).retrieve();
        opened == BoxedUint::from_be_slice_vartime(&expected)
    }
}

/// The RSAPublicKey inside a SubjectPublicKeyInfo (RFC 5280, 4.1) in PEM.
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

/// White space and padding count for nothing.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
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
