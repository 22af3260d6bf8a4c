//! The gzip members of a package or an index, one by one, with an eye on the compressed bytes of each: apk's
//! checksums and signatures are about those.

use super::checksum::{Algorithm, Hash};
use crate::pipeline::failure::fail;
use crate::pipeline::inflate::{CHUNK, gzip_error};
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// A stream whose bytes are counted, hashed and kept as they are used up, and not as they are read ahead.
pub struct Tap<R> {
    source: BufReader<R>,
    digest: Option<Hash>,
    /// What was used up since it was set.
    pub kept: Option<Vec<u8>>,
    pub bytes: u64,
}

impl<R: Read> Tap<R> {
    pub fn new(source: R) -> Self {
        Tap { source: BufReader::with_capacity(CHUNK, source), digest: None, kept: None, bytes: 0 }
    }

    /// From here on.
    pub fn hash(&mut self, algorithm: Algorithm) {
        self.digest = Some(Hash::new(algorithm));
    }

    pub fn hashed(&mut self) -> Option<Vec<u8>> {
        self.digest.take().map(Hash::finish)
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Tap<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        let used = &self.source.buffer()[..count];
        if let Some(digest) = &mut self.digest {
            digest.update(used);
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(used);
        }
        self.bytes += count as u64;
        self.source.consume(count);
    }
}

/// The inflated bytes of one member; the tap stands behind it when this is read to its end.
pub struct Member<'a, R: Read> {
    decoder: GzDecoder<&'a mut Tap<R>>,
    subject: &'a str,
}

/// The next member; `None` at the end of the stream.
pub fn next_member<'a, R: Read>(
    tap: &'a mut Tap<R>,
    stage: &str,
    subject: &'a str,
) -> io::Result<Option<Member<'a, R>>> {
    let first = tap.bytes == 0;
    match tap.fill_buf()? {
        [] => return Ok(None),
        [0x1f, 0x8b, ..] | [0x1f] => {}
        [b'A', b'D', b'B', ..] => {
            let message = "this is the format of apk-tools 3 (ADB); only the one of apk-tools 2 is read here, which \
                abuild and `apk index` write unless they are told otherwise";
            return Err(fail("FORMAT", stage, subject, message));
        }
        _ if first => return Err(fail("FORMAT", stage, subject, "this is not gzip data")),
        _ => {
            return Err(fail("FORMAT", stage, subject, "after its gzip members comes what is not gzip data"));
        }
    }
    Ok(Some(Member { decoder: GzDecoder::new(tap), subject }))
}

impl<R: Read> Read for Member<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(to).map_err(|error| gzip_error(error, self.subject))
    }
}

/// Reads at most as many bytes as are left; more are TOO_BIG.
pub struct Bounded<'a, R> {
    pub source: R,
    pub left: &'a mut u64,
    pub stage: &'static str,
    pub subject: &'a str,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(to)?;
        *self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            fail("TOO_BIG", self.stage, self.subject, "it is bigger than anything of its kind should be")
        })?;
        Ok(count)
    }
}
