//! The tables of depmod(8) in their text form: modules.dep, modules.alias, modules.softdep, modules.builtin.
//!
//! Each is read when it is first needed and stays for the life of the process.

use super::glob;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub struct Tables {
    pub directory: PathBuf,
    files: OnceLock<HashMap<String, File>>,
    builtin: OnceLock<HashSet<String>>,
    aliases: OnceLock<Aliases>,
    soft: OnceLock<HashMap<String, Soft>>,
}

/// A line of modules.dep: paths below the directory.
pub struct File {
    pub path: &'static str,
    /// All of them, each after those that it is needed by.
    pub needs: &'static str,
}

/// A line of modules.softdep: names or aliases.
#[derive(Default)]
pub struct Soft {
    pub pre: Vec<&'static str>,
    pub post: Vec<&'static str>,
}

/// modules.alias, in order, and a hash table of the literal text that a pattern begins with: what a boot asks for
/// is found without trying thousands of patterns.
struct Aliases {
    /// Pattern, folded, and module.
    all: Vec<(&'static [u8], &'static str)>,
    /// By hash, the last line with it; `previous` leads from there to the others.
    last: Vec<Option<u32>>,
    previous: Vec<Option<u32>>,
    /// The lengths that beginnings have; of longer ones only so much counts.
    lengths: [bool; 64],
}

/// FNV-1a, a byte at a time. Collisions cost a comparison.
const SEED: u32 = 0x811c_9dc5;

fn hash(sum: u32, byte: u8) -> u32 {
    (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

/// `snd-hda-intel.ko.xz` in a directory is the module `snd_hda_intel`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

impl Tables {
    pub fn new(directory: &Path) -> Self {
        Tables {
            directory: directory.to_owned(),
            files: OnceLock::new(),
            builtin: OnceLock::new(),
            aliases: OnceLock::new(),
            soft: OnceLock::new(),
        }
    }

    /// A table that is not there is empty: what is asked for is then not found, by name.
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.directory.join(name)).unwrap_or_default()
    }

    fn text(&self, name: &str) -> &'static str {
        String::from_utf8_lossy(&self.read(name)).into_owned().leak()
    }

    pub fn file(&self, name: &str) -> Option<&File> {
        let files = self.files.get_or_init(|| {
            let lines = self.text("modules.dep").lines().filter_map(|line| line.split_once(':'));
            lines.map(|(path, needs)| (name_of(path), File { path, needs })).collect()
        });
        files.get(name)
    }

    pub fn builtin(&self, name: &str) -> bool {
        self.builtin
            .get_or_init(|| self.text("modules.builtin").lines().map(name_of).collect())
            .contains(name)
    }

    /// True for an alias of a built-in module: the strings of modules.builtin.modinfo are `module.alias=pattern`.
    pub fn builtin_alias(&self, alias: &str) -> bool {
        let mut alias = alias.as_bytes().to_vec();
        glob::fold(&mut alias);
        self.read("modules.builtin.modinfo").split_mut(|byte| *byte == 0).any(|entry| {
            const KEY: &[u8] = b".alias=";
            let Some(at) = entry.windows(KEY.len()).position(|window| window == KEY) else { return false };
            let pattern = &mut entry[at + KEY.len()..];
            glob::fold(pattern);
            glob::matches(pattern, &alias)
        })
    }

    pub fn soft(&self, name: &str) -> Option<&Soft> {
        let soft = self.soft.get_or_init(|| {
            let mut all = HashMap::<String, Soft>::new();
            for line in self.text("modules.softdep").lines() {
                let mut words = line.split_ascii_whitespace();
                if let (Some("softdep"), Some(name)) = (words.next(), words.next()) {
                    read_soft(words, all.entry(name_of(name)).or_default());
                }
            }
            all
        });
        soft.get(name)
    }

    /// The modules that an alias stands for, in the order of modules.alias, those that are no files here left out.
    pub fn matching(&self, alias: &str) -> Vec<&'static str> {
        let aliases = self.aliases.get_or_init(|| Aliases::read(self.read("modules.alias").leak()));
        let mut alias = alias.as_bytes().to_vec();
        glob::fold(&mut alias);
        let mut found = aliases.matching(&alias);
        found.retain(|name| self.file(name).is_some());
        found
    }
}

fn read_soft(words: impl Iterator<Item = &'static str>, into: &mut Soft) {
    let mut post = None;
    for word in words {
        match (word, post) {
            ("pre:", _) => post = Some(false),
            ("post:", _) => post = Some(true),
            (name, Some(true)) => into.post.push(name),
            (name, Some(false)) => into.pre.push(name),
            (_, None) => {}
        }
    }
}

impl Aliases {
    fn read(text: &'static mut [u8]) -> Self {
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        let mut aliases = Aliases {
            all: Vec::with_capacity(lines),
            last: vec![None; (2 * lines).next_power_of_two()],
            previous: Vec::with_capacity(lines),
            lengths: [false; 64],
        };
        for line in text.split_mut(|byte| *byte == b'\n') {
            let Some((keyword, rest)) = line.split_at_mut_checked(6) else { continue };
            let Some(space) = rest.iter().rposition(|byte| *byte == b' ') else { continue };
            let (pattern, module) = rest.split_at_mut(space);
            glob::fold(pattern);
            glob::fold(module);
            let Some(module) = std::str::from_utf8(&module[1..]).ok().filter(|_| keyword == b"alias ") else {
                continue;
            };
            let literal = glob::literal(pattern).min(aliases.lengths.len() - 1);
            aliases.lengths[literal] = true;
            let bucket = aliases.bucket(pattern[..literal].iter().fold(SEED, |sum, byte| hash(sum, *byte)));
            aliases.previous.push(aliases.last[bucket].replace(aliases.all.len() as u32));
            aliases.all.push((pattern, module));
        }
        aliases
    }

    fn bucket(&self, sum: u32) -> usize {
        sum as usize & (self.last.len() - 1)
    }

    fn matching(&self, alias: &[u8]) -> Vec<&'static str> {
        let (mut found, mut sum) = (Vec::new(), SEED);
        for length in 0..=alias.len().min(self.lengths.len() - 1) {
            if length > 0 {
                sum = hash(sum, alias[length - 1]);
            }
            let mut at = self.last[self.bucket(sum)].filter(|_| self.lengths[length]);
            while let Some(line) = at {
                let line = line as usize;
                if glob::matches(self.all[line].0, alias) {
                    found.push(line);
                }
                at = self.previous[line];
            }
        }
        // Two lengths may share a bucket.
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|line| self.all[line].1).collect()
    }
}
