//! An apk v2 repository index, APKINDEX.tar.gz: gzip members with signatures, then DESCRIPTION and APKINDEX.
//!
//! Stanzas stay text: TypeScript parses those that it asks for.

use super::checksum::sha1_of;
use super::member::{Bounded, Tap, next_member};
use super::names::NameTable;
use super::signature::{Algorithm, Signature};
use crate::pipeline::archive::{Archive, Kind};
use crate::pipeline::failure::fail;
use crate::pipeline::sink::drain;
use std::collections::HashSet;
use std::io::{self, Read};
use std::ops::Range;

const STAGE: &str = "apk-index";
/// Alpine's biggest index is 3 MiB, 15 MiB inflated.
const COMPRESSED: u64 = 64 << 20;
const INFLATED: u64 = 256 << 20;
const SIGNATURE: u64 = 16 << 10;

pub struct Index {
    pub subject: String,
    pub signatures: Vec<Signature>,
    /// The members with signatures, as they came.
    head: Vec<u8>,
    /// The bytes that are signed: all after the members with signatures.
    pub signed: Vec<u8>,
    pub description: String,
    text: String,
    stanzas: Vec<Range<u32>>,
    /// By name and by what they provide.
    names: NameTable,
    /// Stanzas with an `i:` line.
    install_if: Vec<u32>,
}

/// Reads an index to its end; what its signatures are worth is another question.
pub fn read(from: &mut dyn Read, subject: &str) -> io::Result<Index> {
    let mut compressed = COMPRESSED;
    let mut tap = Tap::new(Bounded { source: from, left: &mut compressed, stage: STAGE, subject });
    let mut inflated = INFLATED;
    let (mut signatures, mut description, mut text) = (Vec::new(), String::new(), None);
    let (mut content, mut head) = (false, Vec::new());
    loop {
        if !content {
            head.extend(tap.kept.replace(Vec::new()).unwrap_or_default());
        }
        let Some(member) = next_member(&mut tap, STAGE, subject)? else { break };
        let member = Bounded { source: member, left: &mut inflated, stage: STAGE, subject };
        let mut archive = Archive::new(member, STAGE, subject);
        while let Some(entry) = archive.next()? {
            if !content && let Some(name) = entry.path.strip_prefix(b".SIGN.") {
                let mut bytes = Vec::new();
                archive.by_ref().take(SIGNATURE).read_to_end(&mut bytes)?;
                let signature = Algorithm::of_file(&String::from_utf8_lossy(name))
                    .map(|(algorithm, key_name)| Signature { algorithm, key_name, bytes });
                signatures.extend(signature);
                continue;
            }
            content = true;
            match (entry.path.as_slice(), &entry.kind) {
                (b"DESCRIPTION", Kind::File) => {
                    let mut bytes = Vec::new();
                    archive.by_ref().take(4096).read_to_end(&mut bytes)?;
                    let line = String::from_utf8_lossy(&bytes);
                    description = line.lines().next().unwrap_or_default().to_owned();
                }
                (b"APKINDEX", Kind::File) => {
                    let mut bytes = Vec::new();
                    archive.read_to_end(&mut bytes)?;
                    text = Some(
                        String::from_utf8(bytes)
                            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()),
                    );
                }
                _ => {}
            }
        }
        drain(&mut archive.into_source())?;
    }
    let Some(text) = text else {
        return Err(fail(
            "FORMAT",
            STAGE,
            subject,
            "there is no APKINDEX in it; it is not an index of packages",
        ));
    };
    let signed = tap.kept.take().unwrap_or_default();
    let (stanzas, names, install_if) = tabulate(&text);
    let subject = subject.to_owned();
    Ok(Index { subject, signatures, head, signed, description, text, stanzas, names, install_if })
}

impl Index {
    /// The file as it was fetched, into a repository's place in a cache of apk's: the URL's SHA-1 names it, as
    /// apk_repo_format_cache_index of apk-tools 2.14 does.
    pub fn save(&self, directory: &str, url: &str) -> io::Result<()> {
        let name: String =
            sha1_of(url.as_bytes()).as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("{directory}/APKINDEX.{name}.tar.gz");
        let beside = format!("{path}.new");
        std::fs::write(&beside, [&self.head[..], &self.signed].concat())?;
        std::fs::rename(beside, path)
    }
}

/// One pass over the text: where its stanzas are, and who speaks of what.
fn tabulate(text: &str) -> (Vec<Range<u32>>, NameTable, Vec<u32>) {
    let mut names = NameTable::new(text.len() / 100);
    let (mut stanzas, mut install_if) = (Vec::new(), Vec::new());
    let (mut start, mut named, mut at) = (0, false, 0usize);
    for line in text.split('\n').chain([""]) {
        let stanza = stanzas.len() as u32;
        let value = at + 2;
        if line.is_empty() {
            if named {
                stanzas.push(start as u32..at.saturating_sub(1) as u32);
            }
            (start, named) = (at + 1, false);
        } else if let Some(name) = line.strip_prefix("P:") {
            names.insert(text, value, name.len(), stanza);
            named = true;
        } else if let Some(provides) = line.strip_prefix("p:") {
            for word in words(provides) {
                let length = name_length(&provides[word.clone()]);
                names.insert(text, value + word.start, length, stanza);
            }
        } else if line.starts_with("i:") {
            install_if.push(stanza);
        }
        at += line.len() + 1;
    }
    install_if.retain(|&stanza| (stanza as usize) < stanzas.len());
    (stanzas, names, install_if)
}

fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split(' ').filter_map(move |word| {
        let start = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some(start..start + word.len())
    })
}

/// A dependency's name ends where its version's operator or its tag begins.
fn name_length(dependency: &str) -> usize {
    dependency.find(['=', '<', '>', '~', '@']).unwrap_or(dependency.len())
}

impl Index {
    pub fn packages(&self) -> usize {
        self.stanzas.len()
    }

    fn stanza(&self, number: u32) -> &str {
        let Range { start, end } = self.stanzas[number as usize];
        &self.text[start as usize..end as usize]
    }

    /// Those of, or providing, one of the names; in index order.
    pub fn lookup(&self, names: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for name in names {
            self.names.find(&self.text, name, |stanza| found.push(stanza));
        }
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .filter(|&stanza| (stanza as usize) < self.stanzas.len())
            .map(|stanza| self.stanza(stanza).to_owned())
            .collect()
    }

    /// Those with an install_if that can matter when these names are in reach: see `Packages.installIf`.
    pub fn install_if(&self, names: &[String]) -> Vec<String> {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let matters = |stanza: &str| {
            let field = |letter: &str| stanza.lines().find_map(|line| line.strip_prefix(letter));
            let known = |word: Range<usize>, text: &str| {
                let word = &text[word];
                names.contains(&word[..name_length(word)])
            };
            let conditions = field("i:").unwrap_or_default();
            let provides = field("p:").unwrap_or_default();
            words(conditions).all(|word| conditions[word.clone()].starts_with('!') || known(word, conditions))
                || names.contains(field("P:").unwrap_or_default())
                || words(provides).any(|word| known(word, provides))
        };
        let stanzas = self.install_if.iter().map(|&stanza| self.stanza(stanza));
        stanzas.filter(|stanza| matters(stanza)).map(str::to_owned).collect()
    }
}
