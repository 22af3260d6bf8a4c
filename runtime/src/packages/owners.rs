//! Users and groups of the root, by name: packages name the owners of their files.

use crate::pipeline::inside::Root;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

/// passwd(5) or group(5): a number by name. Big enough for any; a longer one is cut.
const LIMIT: u64 = 4 << 20;

/// A name is looked up once, as apk does it: what was found then, or not found, counts until a script has run.
#[derive(Default)]
pub struct Owners {
    users: Names,
    groups: Names,
}

#[derive(Default)]
struct Names {
    known: HashMap<Vec<u8>, Option<u32>>,
    /// The file's content, while no file of the root changes.
    listed: Option<HashMap<Vec<u8>, u32>>,
}

impl Owners {
    /// A script may have added users.
    pub fn forget(&mut self) {
        self.users.known.clear();
        self.groups.known.clear();
    }

    /// A package's files may have come: names that are not known yet are looked up in what is there now.
    pub fn reread(&mut self) {
        (self.users.listed, self.groups.listed) = (None, None);
    }

    /// An unknown name means the number, as it does to apk.
    pub fn user(&mut self, root: &Root, name: &[u8], number: u32) -> u32 {
        self.users.find(root, b"etc/passwd", 7, name).unwrap_or(number)
    }

    pub fn group(&mut self, root: &Root, name: &[u8], number: u32) -> u32 {
        self.groups.find(root, b"etc/group", 4, name).unwrap_or(number)
    }
}

impl Names {
    fn find(&mut self, root: &Root, path: &[u8], fields: usize, name: &[u8]) -> Option<u32> {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let listed = self.listed.get_or_insert_with(|| numbers(root, path, fields));
        let number = listed.get(name).copied();
        self.known.insert(name.to_vec(), number);
        number
    }
}

/// Lines with fewer fields are none, as to the C library.
fn numbers(root: &Root, path: &[u8], fields: usize) -> HashMap<Vec<u8>, u32> {
    let mut bytes = Vec::new();
    if let Ok(fd) = root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK) {
        // Before the base system is there, there is no such file; every name is unknown then.
        let _ = File::from(fd).take(LIMIT).read_to_end(&mut bytes);
    }
    let mut numbers = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let values: Vec<&[u8]> = line.splitn(fields, |&byte| byte == b':').collect();
        if let [name, _, number, ..] = values[..]
            && values.len() == fields
            && let Some(number) = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok())
        {
            numbers.entry(name.to_vec()).or_insert(number);
        }
    }
    numbers
}
