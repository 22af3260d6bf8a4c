//! Reads a tar archive: ustar, pax (POSIX.1-2001), GNU long names and numbers, and the checksums of apk-tools.
//!
//! By hand and not with the tar crate: that one reads a header's extension into memory whatever its length, and
//! hides the pax records that apk-tools defines. Here every length is bounded before it is believed.

use super::failure::fail;
use super::pax::{Records, number, parse_pax, seconds, sha1_of, until_nul};
use std::io::{self, BufRead, Read};

/// The longest extension (pax records, a long name) that is read into memory.
const EXTENSION: u64 = 1 << 20;
/// All extensions of one entry, with the global ones.
const EXTENSIONS: u64 = 4 << 20;
/// The longest path; Linux takes no longer one.
const PATH: usize = 4095;
const BLOCK: usize = 512;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// Where it points to.
    Symlink(Vec<u8>),
    /// The path in the archive of the file that it is another name of.
    HardLink(Vec<u8>),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

#[derive(Clone, Debug)]
pub struct Entry {
    /// As it is in the archive.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub uname: Vec<u8>,
    pub gname: Vec<u8>,
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `APK-TOOLS.checksum.SHA1`: of the content, or of a symlink's target.
    pub sha1: Option<[u8; 20]>,
}

pub struct Archive<R> {
    source: R,
    /// Bytes of the entry's content that are not read yet, and of the padding after it.
    content: u64,
    padding: u64,
    stage: &'static str,
    subject: String,
    global: Records,
    /// Bytes of global records so far.
    held: u64,
    entries: u64,
}

impl<R: Read> Archive<R> {
    pub fn new(source: R, stage: &'static str, subject: &str) -> Self {
        let subject = subject.to_owned();
        Archive {
            source,
            content: 0,
            padding: 0,
            stage,
            subject,
            global: Records::new(),
            held: 0,
            entries: 0,
        }
    }

    /// The stream behind the archive's end.
    pub fn into_source(self) -> R {
        self.source
    }

    /// The next entry, or `None` at the end: two empty blocks, or the end of the data between two entries.
    /// What is left of the content of the entry before is skipped.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut records: Records = Records::new();
        let (mut long_name, mut long_link) = (None, None);
        let mut held = self.held;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = match records.get(&b"size"[..]) {
                Some(text) => self.number_of(text)?,
                None => self.number(&header[124..136])?,
            };
            if matches!(header[156], b'x' | b'g' | b'L' | b'K') {
                held = held.saturating_add(size);
                if held > EXTENSIONS {
                    return Err(self.format("its extended headers are longer than 4 MiB"));
                }
            }
            match header[156] {
                b'x' => parse_pax(&self.extension(size)?, &mut records).ok_or_else(|| self.damaged())?,
                b'g' => {
                    self.held += size;
                    let mut global = std::mem::take(&mut self.global);
                    parse_pax(&self.extension(size)?, &mut global).ok_or_else(|| self.damaged())?;
                    self.global = global;
                }
                b'L' => long_name = Some(until_nul(&self.extension(size)?).to_vec()),
                b'K' => long_link = Some(until_nul(&self.extension(size)?).to_vec()),
                kind => {
                    for (name, value) in &self.global {
                        records.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                    let entry = self.entry(&header, kind, size, &mut records, long_name, long_link)?;
                    self.content = if entry.kind == Kind::File { entry.size } else { 0 };
                    self.padding = self.content.next_multiple_of(BLOCK as u64) - self.content;
                    return Ok(Some(entry));
                }
            }
        }
    }

    fn entry(
        &self,
        header: &[u8; BLOCK],
        kind: u8,
        size: u64,
        records: &mut Records,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> io::Result<Entry> {
        let number = |name: &str, field: &[u8]| match records.get(name.as_bytes()) {
            Some(text) => self.number_of(text),
            None => self.number(field),
        };
        if records.keys().any(|name| name.starts_with(b"GNU.sparse.")) {
            return Err(self.format("it holds a sparse file, which is not supported"));
        }
        let uid = number("uid", &header[108..116])? as u32;
        let gid = number("gid", &header[116..124])? as u32;
        let mtime = match records.get(&b"mtime"[..]) {
            Some(text) => seconds(text).ok_or_else(|| self.damaged())?,
            None => self.number(&header[136..148])? as i64,
        };
        let device =
            || Ok::<_, io::Error>((self.number(&header[329..337])?, self.number(&header[337..345])?));
        let mut text = |name: &str, field: &[u8]| {
            records.remove(name.as_bytes()).unwrap_or_else(|| until_nul(field).to_vec())
        };
        let path = match long_name {
            Some(name) => name,
            None if records_path(header) => {
                let mut path = until_nul(&header[345..500]).to_vec();
                path.push(b'/');
                path.extend_from_slice(until_nul(&header[..100]));
                text("path", &path)
            }
            None => text("path", &header[..100]),
        };
        let link = match long_link {
            Some(link) => link,
            None => text("linkpath", &header[157..257]),
        };
        let (uname, gname) = (text("uname", &header[265..297]), text("gname", &header[297..329]));
        if path.is_empty() || path.len() > PATH || link.len() > PATH || path.contains(&0) || link.contains(&0)
        {
            return Err(self.format("an entry's name is empty, too long, or holds a NUL"));
        }
        let kind = match kind {
            b'0' | 0 | b'7' if path.ends_with(b"/") && size == 0 => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' | b'4' => {
                let (major, minor) = device()?;
                let (major, minor) = (major as u32, minor as u32);
                if kind == b'3' { Kind::Char(major, minor) } else { Kind::Block(major, minor) }
            }
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                let other = char::from(other).escape_default();
                return Err(self.format(&format!("it holds an entry of the unknown type {other}")));
            }
        };
        let sha1 = records.get(&b"APK-TOOLS.checksum.SHA1"[..]).and_then(|text| sha1_of(text));
        let mut xattrs: Vec<(Vec<u8>, Vec<u8>)> = records
            .drain()
            .filter_map(|(name, value)| Some((name.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value)))
            .filter(|(name, _)| !name.is_empty() && !name.contains(&0))
            .collect();
        xattrs.sort();
        let mode = self.number(&header[100..108])? as u32 & 0o7777;
        Ok(Entry { path, kind, mode, uid, gid, uname, gname, size, mtime, xattrs, sha1 })
    }

    /// One header block; `None` at the end of the archive.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut empty = 0;
        loop {
            match self.fill(&mut block)? {
                0 => return Ok(None),
                BLOCK => {}
                _ if self.entries == 0 => return Err(self.not_tar()),
                _ => return Err(self.truncated()),
            }
            if block.iter().any(|&byte| byte != 0) {
                break;
            }
            empty += 1;
            if empty == 2 {
                return Ok(None);
            }
        }
        // Its own field counts as spaces.
        let mut sum: u64 = 8 * u64::from(b' ');
        for part in [&block[..148], &block[156..]] {
            for &byte in part {
                sum += u64::from(byte);
            }
        }
        if self.number(&block[148..156]).ok() != Some(sum) {
            return Err(if self.entries == 0 { self.not_tar() } else { self.damaged() });
        }
        self.entries += 1;
        Ok(Some(block))
    }

    fn fill(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < block.len() {
            match self.source.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The content of an extension entry, whole.
    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > EXTENSION {
            return Err(self.format("an extended header is longer than 1 MiB"));
        }
        let mut bytes = vec![0; size.next_multiple_of(BLOCK as u64) as usize];
        if self.fill(&mut bytes)? < bytes.len() {
            return Err(self.truncated());
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn skip(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        let mut left = self.content + self.padding;
        while left > 0 {
            let want = left.min(buffer.len() as u64) as usize;
            let count = self.fill(&mut buffer[..want])?;
            if count == 0 {
                return Err(self.truncated());
            }
            left -= count as u64;
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    fn number(&self, field: &[u8]) -> io::Result<u64> {
        number(field).ok_or_else(|| self.damaged())
    }

    /// A pax record's decimal number.
    fn number_of(&self, text: &[u8]) -> io::Result<u64> {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.filter(|&number| number <= i64::MAX as u64).ok_or_else(|| self.damaged())
    }

    fn format(&self, message: &str) -> io::Error {
        fail("FORMAT", self.stage, &self.subject, format!("the archive is not usable: {message}"))
    }
    fn damaged(&self) -> io::Error {
        self.format(&format!("its header number {} is damaged", self.entries))
    }
    fn not_tar(&self) -> io::Error {
        fail("FORMAT", self.stage, &self.subject, "this is not a tar archive")
    }
    fn truncated(&self) -> io::Error {
        let message = format!("the archive ends in the middle of its entry number {}", self.entries);
        fail("TRUNCATED", self.stage, &self.subject, message)
    }
}

/// The content of the entry that `next` gave.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let want = self.content.min(to.len() as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        match self.source.read(&mut to[..want])? {
            0 => Err(self.truncated()),
            count => {
                self.content -= count as u64;
                Ok(count)
            }
        }
    }
}

/// The same without a copy.
impl<R: BufRead> BufRead for Archive<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.content == 0 {
            return Ok(&[]);
        }
        if self.source.fill_buf()?.is_empty() {
            return Err(self.truncated());
        }
        let bytes = self.source.fill_buf()?;
        Ok(&bytes[..self.content.min(bytes.len() as u64) as usize])
    }

    fn consume(&mut self, count: usize) {
        self.content -= count as u64;
        self.source.consume(count);
    }
}

/// ustar's prefix field; GNU tar has other things there.
fn records_path(header: &[u8; BLOCK]) -> bool {
    &header[257..263] == b"ustar\0" && header[345] != 0
}
