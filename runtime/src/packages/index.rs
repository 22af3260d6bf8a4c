//! An apk v2 repository index, APKINDEX.tar.gz: gzip members with signatures, then DESCRIPTION and APKINDEX.
//!
//! All that can be done while it still comes is done then: it is inflated, hashed for its signature, and its stanzas
//! are put into a table. They stay text: TypeScript parses those that it asks for.

use super::checksum::{Algorithm, Hash, sha1_of};
use super::member::{Bounded, Tap, next_member};
use super::signature::Signature;
use super::table::Table;
use crate::pipeline::archive::{Archive, Kind};
use crate::pipeline::failure::fail;
use crate::pipeline::inflate::CHUNK;
use crate::pipeline::sink::drain;
use std::io::{self, Read};
use std::ops::Range;

const STAGE: &str = "apk-index";
/// Alpine's biggest index is 3 MiB, 15 MiB inflated.
const COMPRESSED: u64 = 32 << 20;
const INFLATED: u64 = 96 << 20;
const SIGNATURE: u64 = 16 << 10;

pub struct Index {
    pub subject: String,
    pub signatures: Vec<Signature>,
    /// The members with signatures, as they came.
    head: Vec<u8>,
    /// The bytes that are signed: all after the members with signatures.
    signed: Vec<u8>,
    /// Of these, as the first signature has it.
    digest: Option<Vec<u8>>,
    pub description: String,
    /// UTF-8, if its maker kept to that.
    text: Vec<u8>,
    table: Table,
}

/// Reads an index to its end; what its signatures are worth is another question.
pub fn read(from: &mut dyn Read, subject: &str) -> io::Result<Index> {
    let mut compressed = COMPRESSED;
    let mut tap = Tap::new(Bounded { source: from, left: &mut compressed, stage: STAGE, subject });
    let mut inflated = INFLATED;
    let (mut signatures, mut description, mut content) = (Vec::<Signature>::new(), String::new(), None);
    let (mut unsigned, mut head) = (true, Vec::new());
    loop {
        if unsigned {
            head.extend(tap.kept.replace(Vec::new()).unwrap_or_default());
            if let Some(first) = signatures.first() {
                tap.hash(first.algorithm);
            }
        }
        let Some(member) = next_member(&mut tap, STAGE, subject)? else { break };
        let member = Bounded { source: member, left: &mut inflated, stage: STAGE, subject };
        let mut archive = Archive::new(member, STAGE, subject);
        while let Some(entry) = archive.next()? {
            if unsigned && let Some(name) = entry.path.strip_prefix(b".SIGN.") {
                let mut bytes = Vec::new();
                archive.by_ref().take(SIGNATURE).read_to_end(&mut bytes)?;
                let signature = Algorithm::of_file(&String::from_utf8_lossy(name))
                    .map(|(algorithm, key_name)| Signature { algorithm, key_name, bytes });
                signatures.extend(signature);
                continue;
            }
            unsigned = false;
            match (entry.path.as_slice(), &entry.kind) {
                (b"DESCRIPTION", Kind::File) => {
                    let mut bytes = Vec::new();
                    archive.by_ref().take(4096).read_to_end(&mut bytes)?;
                    let line = String::from_utf8_lossy(&bytes);
                    description = line.lines().next().unwrap_or_default().to_owned();
                }
                (b"APKINDEX", Kind::File) => content = Some(read_stanzas(&mut archive, subject)?),
                _ => {}
            }
        }
        drain(&mut archive.into_source())?;
    }
    let Some((text, table)) = content else {
        return Err(fail(
            "FORMAT",
            STAGE,
            subject,
            "there is no APKINDEX in it; it is not an index of packages",
        ));
    };
    let digest = tap.hashed();
    let signed = tap.kept.take().unwrap_or_default();
    let subject = subject.to_owned();
    Ok(Index { subject, signatures, head, signed, digest, description, text, table })
}

fn read_stanzas(mut from: impl Read, subject: &str) -> io::Result<(Vec<u8>, Table)> {
    let too_big = |reason: String| fail("TOO_BIG", STAGE, subject, reason);
    let (mut text, mut table) = (Vec::new(), Table::new());
    while from.by_ref().take(CHUNK as u64).read_to_end(&mut text)? > 0 {
        table.advance(&text).map_err(too_big)?;
    }
    table.finish(&text).map_err(too_big)?;
    text.shrink_to_fit();
    Ok((text, table))
}

impl Index {
    /// Of what is signed.
    pub fn digest(&self, algorithm: Algorithm) -> Vec<u8> {
        match (&self.digest, self.signatures.first()) {
            (Some(digest), Some(first)) if first.algorithm == algorithm => digest.clone(),
            _ => Hash::of(algorithm, &self.signed),
        }
    }

    /// The file as it was fetched, into a repository's place in a cache of apk's: the URL's SHA-1 names it, as
    /// apk_repo_format_cache_index of apk-tools 2.14 does.
    pub fn save(&self, directory: &str, url: &str) -> io::Result<()> {
        let name: String = sha1_of(url.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("{directory}/APKINDEX.{name}.tar.gz");
        let beside = format!("{path}.new");
        std::fs::write(&beside, [&self.head[..], &self.signed].concat())?;
        std::fs::rename(beside, path)
    }

    pub fn packages(&self) -> usize {
        self.table.packages()
    }

    /// The stanzas of, or providing, one of the names; in index order.
    pub fn lookup(&self, names: &[String]) -> Vec<String> {
        self.stanzas(self.table.lookup(&self.text, names))
    }

    /// Those with an install_if that can matter when these names are in reach: see `Packages.installIf`.
    pub fn install_if(&self, names: &[String]) -> Vec<String> {
        self.stanzas(self.table.install_if(&self.text, names))
    }

    fn stanzas(&self, places: Vec<Range<usize>>) -> Vec<String> {
        places.into_iter().map(|place| String::from_utf8_lossy(&self.text[place]).into_owned()).collect()
    }
}
