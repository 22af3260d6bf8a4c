//! Decompression: gzip of any number of members (RFC 1952), zstd of any number of frames (RFC 8878).

use super::failure::{fail, failure, unwrap_failure};
use crate::error::SysError;
use flate2::bufread::GzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// Decoders read this much at a time.
pub const CHUNK: usize = 64 << 10;

/// The largest window that a zstd frame may ask for, as zstd(1) allows without `--long`.
const ZSTD_WINDOW: u64 = 128 << 20;

pub struct Gunzip<B> {
    state: State<B>,
    members: u64,
    subject: String,
}

enum State<B> {
    Between(B),
    Inside(Box<GzDecoder<B>>),
    Done,
}

impl<B: BufRead> Gunzip<B> {
    pub fn new(source: B, subject: &str) -> Self {
        Gunzip { state: State::Between(source), members: 0, subject: subject.to_owned() }
    }
}

impl<B: BufRead> Read for Gunzip<B> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Between(mut source) => {
                    match source.fill_buf()? {
                        [] if self.members > 0 => return Ok(0),
                        [] | [0x1f, 0x8b, ..] | [0x1f] => {}
                        _ => {
                            let message = match self.members {
                                0 => "this is not gzip data".to_owned(),
                                members => {
                                    format!("after {members} gzip members comes what is not gzip data")
                                }
                            };
                            return Err(fail("FORMAT", "gunzip", &self.subject, message));
                        }
                    }
                    self.members += 1;
                    self.state = State::Inside(Box::new(GzDecoder::new(source)));
                }
                State::Inside(mut decoder) => {
                    let count = decoder.read(to).map_err(|error| gzip_error(error, &self.subject))?;
                    if count > 0 {
                        self.state = State::Inside(decoder);
                        return Ok(count);
                    }
                    self.state = State::Between(decoder.into_inner());
                }
                State::Done => return Ok(0),
            }
        }
    }
}

/// What a gzip decoder reports, in our codes. Errors of the source pass.
pub fn gzip_error(error: io::Error, subject: &str) -> io::Error {
    if unwrap_failure(&error).is_some() {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            fail("TRUNCATED", "gunzip", subject, "the compressed data ends too early")
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            fail("FORMAT", "gunzip", subject, format!("this is not good gzip data: {error}"))
        }
        _ => error,
    }
}

/// Keeps what the source said, which ruzstd buries in its own errors.
struct Remember<R> {
    source: R,
    ended: bool,
    error: Option<SysError>,
}

impl<R: Read> Read for Remember<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let result = self.source.read(to);
        match &result {
            Ok(count) => self.ended = *count == 0 && !to.is_empty(),
            Err(error) => self.error = unwrap_failure(error).cloned(),
        }
        result
    }
}

pub struct Unzstd<R: Read> {
    source: BufReader<Remember<R>>,
    decoder: FrameDecoder,
    inside: bool,
    frames: u64,
    subject: String,
}

impl<R: Read> Unzstd<R> {
    pub fn new(source: R, subject: &str) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        let source = BufReader::with_capacity(CHUNK, Remember { source, ended: false, error: None });
        Unzstd { source, decoder, inside: false, frames: 0, subject: subject.to_owned() }
    }

    fn explain(&mut self, reason: &str) -> io::Error {
        let source = self.source.get_mut();
        if let Some(error) = source.error.take() {
            return failure(error);
        }
        if source.ended {
            return fail("TRUNCATED", "unzstd", &self.subject, "the compressed data ends too early");
        }
        fail("FORMAT", "unzstd", &self.subject, format!("this is not zstd data: {reason}"))
    }

    /// Reads the head of the next frame; false after the last.
    fn next_frame(&mut self) -> io::Result<bool> {
        if self.source.fill_buf()?.is_empty() && self.frames > 0 {
            return Ok(false);
        }
        self.frames += 1;
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = u64::from(length);
                if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                    return Err(self.explain("a skippable frame is cut"));
                }
            }
            Err(error) => return Err(self.explain(&error.to_string())),
        }
        Ok(true)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.inside = false;
        match self.decoder.get_checksum_from_data() {
            Some(sum) if self.decoder.get_calculated_checksum() != Some(sum) => {
                Err(self.explain("a frame does not match its checksum"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Unzstd<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if !self.next_frame()? {
                    return Ok(0);
                }
            } else if self.decoder.can_collect() > 0 {
                return self.decoder.read(to);
            } else if self.decoder.is_finished() {
                self.end_frame()?;
            } else {
                let result =
                    self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                if let Err(error) = result {
                    return Err(self.explain(&error.to_string()));
                }
            }
        }
    }
}
