//! Users and groups of the root, by name: packages name the owners of their files.

use crate::pipeline::inside::Root;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

/// passwd(5) or group(5): a number by name. Big enough for any; a longer one is cut.
const LIMIT: u64 = 4 << 20;

pub struct Owners {
    users: HashMap<Vec<u8>, u32>,
    groups: HashMap<Vec<u8>, u32>,
}

impl Owners {
    /// As the root's files are now: a script may have added a user.
    pub fn read(root: &Root) -> Owners {
        Owners { users: numbers(root, b"etc/passwd"), groups: numbers(root, b"etc/group") }
    }

    /// An unknown name means the number, as it does to apk.
    pub fn user(&self, name: &[u8], number: u32) -> u32 {
        self.users.get(name).copied().unwrap_or(number)
    }

    pub fn group(&self, name: &[u8], number: u32) -> u32 {
        self.groups.get(name).copied().unwrap_or(number)
    }
}

fn numbers(root: &Root, path: &[u8]) -> HashMap<Vec<u8>, u32> {
    let mut bytes = Vec::new();
    if let Ok(fd) = root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK) {
        // Before the base system is there, there is no such file; every name is unknown then.
        let _ = File::from(fd).take(LIMIT).read_to_end(&mut bytes);
    }
    let mut numbers = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        if let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
            && let Some(number) = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok())
        {
            numbers.entry(name.to_vec()).or_insert(number);
        }
    }
    numbers
}
