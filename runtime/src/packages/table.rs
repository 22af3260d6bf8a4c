//! Where an index's stanzas are, and who speaks of what: made of its text while that still comes.

use super::names::NameTable;
use memchr::memchr;
use std::collections::HashSet;
use std::ops::Range;

/// Alpine's community has 20,000 packages with 60,000 names.
const MOST_PACKAGES: usize = 1 << 18;
const MOST_NAMES: usize = 1 << 20;

pub struct Table {
    stanzas: Vec<Range<u32>>,
    /// By name and by what they provide.
    names: NameTable,
    /// Stanzas with an install_if, in order.
    conditional: Vec<u32>,
    /// Of these, those with a condition that must hold, by one such.
    conditions: NameTable,
    /// The others: they have conflicts only.
    unconditional: Vec<u32>,
    under_way: UnderWay,
}

/// The stanza that is being read.
#[derive(Default)]
struct UnderWay {
    start: usize,
    /// Where its current line begins, and how far an end of that was looked for.
    line: usize,
    searched: usize,
    name: Option<Range<usize>>,
    provides: Range<usize>,
    install_if: Range<usize>,
}

impl Table {
    pub fn new() -> Self {
        Table {
            stanzas: Vec::new(),
            names: NameTable::new(),
            conditional: Vec::new(),
            conditions: NameTable::new(),
            unconditional: Vec::new(),
            under_way: UnderWay::default(),
        }
    }

    /// `text`: what was there before, and more. Fails where that is more than anybody has, with the reason.
    pub fn advance(&mut self, text: &[u8]) -> Result<(), String> {
        while let Some(length) = memchr(b'\n', &text[self.under_way.searched..]) {
            let end = self.under_way.searched + length;
            self.end_line(text, end)?;
        }
        self.under_way.searched = text.len();
        Ok(())
    }

    /// The text is whole: what it ends with is a stanza, too.
    pub fn finish(&mut self, text: &[u8]) -> Result<(), String> {
        if self.under_way.line < text.len() {
            self.end_line(text, text.len())?;
        }
        self.end_stanza(text, text.len())
    }

    fn end_line(&mut self, text: &[u8], end: usize) -> Result<(), String> {
        let under_way = &mut self.under_way;
        let value = under_way.line + 2..end;
        match &text[under_way.line..end] {
            [] => self.end_stanza(text, end)?,
            [b'P', b':', ..] => under_way.name = Some(value),
            [b'p', b':', ..] => under_way.provides = value,
            [b'i', b':', ..] => under_way.install_if = value,
            _ => {}
        }
        self.under_way.line = end + 1;
        self.under_way.searched = end + 1;
        Ok(())
    }

    /// What has no name is no package. `end`: of the empty line after the stanza.
    fn end_stanza(&mut self, text: &[u8], end: usize) -> Result<(), String> {
        let next = UnderWay { start: end + 1, ..UnderWay::default() };
        let stanza = std::mem::replace(&mut self.under_way, next);
        let Some(name) = stanza.name else { return Ok(()) };
        if self.stanzas.len() == MOST_PACKAGES {
            return Err(format!("it has more than {MOST_PACKAGES} packages"));
        }
        let number = self.stanzas.len() as u32;
        self.names.insert(&text[name.clone()], name.start, number);
        for word in words(text, stanza.provides) {
            if self.names.len() == MOST_NAMES {
                return Err(format!("its packages have more than {MOST_NAMES} names"));
            }
            let word = name_in(text, word);
            self.names.insert(&text[word.clone()], word.start, number);
        }
        self.add_conditions(text, stanza.install_if, number);
        // Without its last line's end.
        let end = end - usize::from(text[end - 1] == b'\n');
        self.stanzas.push(stanza.start as u32..end as u32);
        Ok(())
    }

    /// A condition with a version is mostly the package that this one belongs to; others (`docs`) have many waiting.
    fn add_conditions(&mut self, text: &[u8], install_if: Range<usize>, number: u32) {
        let mut all = words(text, install_if).peekable();
        if all.peek().is_none() {
            return;
        }
        self.conditional.push(number);
        let needed: Vec<_> = all.filter(|word| text[word.start] != b'!').collect();
        let exact = needed.iter().find(|word| text[(*word).clone()].contains(&b'='));
        match exact.or(needed.first()) {
            Some(word) => {
                let word = name_in(text, word.clone());
                self.conditions.insert(&text[word.clone()], word.start, number);
            }
            None => self.unconditional.push(number),
        }
    }

    pub fn packages(&self) -> usize {
        self.stanzas.len()
    }

    /// Where the stanzas of, or providing, one of the names are; in index order.
    pub fn lookup(&self, text: &[u8], names: &[String]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for name in names {
            self.names.find(text, name, |stanza| found.push(stanza));
        }
        self.places(found)
    }

    /// Where those are that have an install_if which can matter when these names are in reach: see
    /// `Packages.installIf`.
    pub fn install_if(&self, text: &[u8], names: &[String]) -> Vec<Range<usize>> {
        let reached: HashSet<&[u8]> = names.iter().map(String::as_bytes).collect();
        let mut found = self.unconditional.clone();
        for name in names {
            self.conditions.find(text, name, |stanza| {
                if self.can_hold(text, stanza, &reached) {
                    found.push(stanza);
                }
            });
            self.names.find(text, name, |stanza| {
                if self.conditional.binary_search(&stanza).is_ok() {
                    found.push(stanza);
                }
            });
        }
        self.places(found)
    }

    fn can_hold(&self, text: &[u8], stanza: u32, reached: &HashSet<&[u8]>) -> bool {
        let place = self.place(stanza);
        let mut conditions = 0..0;
        let mut line = place.start;
        while line < place.end {
            let end = memchr(b'\n', &text[line..place.end]).map_or(place.end, |length| line + length);
            if text[line..end].starts_with(b"i:") {
                conditions = line + 2..end;
            }
            line = end + 1;
        }
        words(text, conditions)
            .all(|word| text[word.start] == b'!' || reached.contains(&text[name_in(text, word)]))
    }

    fn place(&self, stanza: u32) -> Range<usize> {
        let Range { start, end } = self.stanzas[stanza as usize];
        start as usize..end as usize
    }

    fn places(&self, mut stanzas: Vec<u32>) -> Vec<Range<usize>> {
        stanzas.sort_unstable();
        stanzas.dedup();
        stanzas.into_iter().map(|stanza| self.place(stanza)).collect()
    }
}

/// The words in a part of the text.
fn words(text: &[u8], within: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        while at < within.end && text[at] == b' ' {
            at += 1;
        }
        let start = at;
        while at < within.end && text[at] != b' ' {
            at += 1;
        }
        (start < at).then_some(start..at)
    })
}

/// A dependency's name ends where its version's operator or its tag begins.
fn name_in(text: &[u8], word: Range<usize>) -> Range<usize> {
    let is_end = |byte: &u8| matches!(byte, b'=' | b'<' | b'>' | b'~' | b'@');
    let length = text[word.clone()].iter().position(is_end).unwrap_or(word.len());
    word.start..word.start + length
}
