//! What `openssl enc` writes (enc(1), EVP_BytesToKey(3)): `Salted__`, 8 bytes of salt, blocks of AES in CBC mode with
//! PKCS #7 padding. Nothing in it is authentic: a wrong password shows in the padding of the last block, 255 times in
//! 256, and in what reads the garbage.

use super::failure::fail;
use super::inflate::CHUNK;
use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::{Digest, Md5};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use serde::Deserialize;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroU32;
use std::ops::Range;

const BLOCK: usize = 16;
const MAGIC: &[u8; 8] = b"Salted__";
/// What enc(1) does with `-pbkdf2` and no `-iter`.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// What a person is told when the bytes make no sense.
pub const WRONG: &str = "the password is wrong, or it was not encrypted like this";

#[derive(Deserialize, Clone, Copy)]
pub enum Cipher {
    #[serde(rename = "aes-128-cbc")]
    Aes128,
    #[serde(rename = "aes-192-cbc")]
    Aes192,
    #[serde(rename = "aes-256-cbc")]
    Aes256,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Derivation {
    Pbkdf2,
    Sha256,
    Md5,
}

/// Not Debug: it is to be in no error and no log.
#[derive(Deserialize, Clone)]
pub struct Password(String);

impl Cipher {
    fn key_bytes(self) -> usize {
        match self {
            Cipher::Aes128 => 16,
            Cipher::Aes192 => 24,
            Cipher::Aes256 => 32,
        }
    }

    fn decryptor(self, key: &[u8], vector: &[u8]) -> Blocks {
        match self {
            Cipher::Aes128 => decryptor::<aes::Aes128>(key, vector),
            Cipher::Aes192 => decryptor::<aes::Aes192>(key, vector),
            Cipher::Aes256 => decryptor::<aes::Aes256>(key, vector),
        }
    }
}

/// Decrypts whole blocks in place, one after the other.
type Blocks = Box<dyn FnMut(&mut [u8])>;

fn decryptor<C>(key: &[u8], vector: &[u8]) -> Blocks
where
    cbc::Decryptor<C>: KeyIvInit + BlockModeDecrypt<BlockSize = U16> + 'static,
    C: aes::cipher::BlockCipherDecrypt,
{
    let mut mode = cbc::Decryptor::<C>::new_from_slices(key, vector).expect("lengths that the cipher has");
    Box::new(move |bytes| mode.decrypt_blocks(Array::slice_as_chunks_mut(bytes).0))
}

impl Derivation {
    /// Key and initial vector, `length` bytes in all.
    fn derive(self, password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
        match self {
            Derivation::Pbkdf2 => {
                let mut bytes = vec![0; length];
                pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, salt, password, &mut bytes);
                bytes
            }
            Derivation::Sha256 => bytes_to_key(password, salt, length, |bytes| {
                ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
            }),
            Derivation::Md5 => bytes_to_key(password, salt, length, |bytes| Md5::digest(bytes).to_vec()),
        }
    }
}

/// EVP_BytesToKey with one round: each digest is of the one before, the password and the salt.
fn bytes_to_key(password: &[u8], salt: &[u8], length: usize, digest: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::new(), Vec::new());
    while bytes.len() < length {
        last = digest(&[&last, password, salt].concat());
        bytes.extend_from_slice(&last);
    }
    bytes.truncate(length);
    bytes
}

pub struct Decrypt<R> {
    source: R,
    cipher: Cipher,
    derivation: Derivation,
    password: Password,
    subject: String,
    state: State,
    buffer: Vec<u8>,
    /// Decrypted and not yet given on; what follows up to `filled` is still encrypted.
    ready: Range<usize>,
    filled: usize,
}

enum State {
    Head,
    Body(Blocks),
    Done,
}

impl<R: Read> Decrypt<R> {
    pub fn new(
        source: R,
        cipher: Cipher,
        derivation: Derivation,
        password: &Password,
        subject: &str,
    ) -> Self {
        Decrypt {
            source,
            cipher,
            derivation,
            password: password.clone(),
            subject: subject.to_owned(),
            state: State::Head,
            buffer: vec![0; CHUNK],
            ready: 0..0,
            filled: 0,
        }
    }

    fn format(&self, message: &str) -> io::Error {
        fail("FORMAT", "decrypt", &self.subject, message)
    }

    fn head(&mut self) -> io::Result<Blocks> {
        let mut head = [0; 16];
        let whole = match self.source.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            result => result.map(|()| true)?,
        };
        let Some(salt) = head.strip_prefix(MAGIC).filter(|_| whole) else {
            return Err(
                self.format("it is not what openssl enc writes: it does not begin with Salted__ and a salt")
            );
        };
        let length = self.cipher.key_bytes();
        let bytes = self.derivation.derive(self.password.0.as_bytes(), salt, length + BLOCK);
        let (key, vector) = bytes.split_at(length);
        Ok(self.cipher.decryptor(key, vector))
    }

    /// Reads and decrypts; the last block only at the end, because its padding is not given on.
    fn fill(&mut self, decrypt: &mut Blocks) -> io::Result<bool> {
        self.buffer.copy_within(self.ready.end..self.filled, 0);
        self.filled -= self.ready.end;
        self.ready = 0..0;
        let count = self.source.read(&mut self.buffer[self.filled..])?;
        if count > 0 {
            self.filled += count;
            self.ready = 0..(self.filled - 1) / BLOCK * BLOCK;
            decrypt(&mut self.buffer[self.ready.clone()]);
            return Ok(true);
        }
        if self.filled != BLOCK {
            return Err(self.format(&format!(
                "it does not end with a whole block of the cipher: it is cut, or it was not encrypted like this ({})",
                match self.filled {
                    0 => "nothing comes after the salt".to_owned(),
                    rest => format!("{rest} bytes are left over"),
                }
            )));
        }
        decrypt(&mut self.buffer[..BLOCK]);
        let padding = self.buffer[BLOCK - 1];
        let plain = BLOCK.checked_sub(padding.into()).filter(|_| padding > 0);
        match plain.filter(|&plain| self.buffer[plain..BLOCK].iter().all(|&byte| byte == padding)) {
            Some(plain) => self.ready = 0..plain,
            None => return Err(self.format(WRONG)),
        }
        Ok(false)
    }
}

impl<R: Read> Read for Decrypt<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        while self.ready.is_empty() {
            self.state = match std::mem::replace(&mut self.state, State::Done) {
                State::Head => State::Body(self.head()?),
                State::Body(mut decrypt) => match self.fill(&mut decrypt) {
                    Ok(true) => State::Body(decrypt),
                    Ok(false) => State::Done,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {
                        self.state = State::Body(decrypt);
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                },
                State::Done => return Ok(0),
            };
        }
        let count = to.len().min(self.ready.len());
        to[..count].copy_from_slice(&self.buffer[self.ready.start..self.ready.start + count]);
        self.ready.start += count;
        Ok(count)
    }
}
