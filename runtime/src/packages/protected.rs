//! Directories whose files a package does not overwrite once somebody changed them: /etc, and what
//! etc/apk/protected_paths.d/*.list of the root says (apk-tools' apk-protected_paths(5)).

use crate::pipeline::inside::Root;
use rustix::fs::{Dir, OFlags};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;

const DEFAULT: &str = "+etc\n@etc/init.d\n!etc/apk\n";
const LIMIT: u64 = 1 << 20;

struct Rule {
    /// One pattern a component.
    pattern: Vec<CString>,
    protects: bool,
}

pub struct Protected(Vec<Rule>);

impl Protected {
    pub fn read(root: &Root) -> Protected {
        let mut text = DEFAULT.to_owned();
        let directory = b"etc/apk/protected_paths.d";
        if let Ok(fd) = root.open_at(directory, OFlags::RDONLY | OFlags::DIRECTORY)
            && let Ok(entries) = Dir::read_from(&fd)
        {
            let mut names: Vec<Vec<u8>> =
                entries.filter_map(|entry| Some(entry.ok()?.file_name().to_bytes().to_vec())).collect();
            names.retain(|name| name.ends_with(b".list") && !name.starts_with(b"."));
            names.sort();
            for name in names {
                let path = [&directory[..], b"/", &name].concat();
                if let Ok(fd) = root.open_at(&path, OFlags::RDONLY | OFlags::NONBLOCK) {
                    // A list that cannot be read protects nothing, as with apk.
                    let _ = File::from(fd).take(LIMIT).read_to_string(&mut text);
                    text.push('\n');
                }
            }
        }
        Protected(text.lines().filter_map(rule).collect())
    }

    /// Whether the files of this directory are protected. The last rule that matches a component decides; a
    /// directory takes after its parent.
    pub fn protects(&self, directory: &[u8]) -> bool {
        let mut rules: Vec<(&[CString], bool)> =
            self.0.iter().map(|rule| (rule.pattern.as_slice(), rule.protects)).collect();
        let mut protected = false;
        if directory.is_empty() {
            return false;
        }
        for component in directory.split(|&byte| byte == b'/') {
            let Ok(component) = CString::new(component) else { return protected };
            let mut below = Vec::new();
            for (pattern, protects) in rules {
                match pattern {
                    [first, rest @ ..] if matches(first, &component) => {
                        if rest.is_empty() {
                            protected = protects;
                        } else {
                            below.push((rest, protects));
                        }
                    }
                    _ => {}
                }
            }
            rules = below;
        }
        protected
    }
}

fn rule(line: &str) -> Option<Rule> {
    let (protects, pattern) = match line.chars().next()? {
        '#' => return None,
        '-' => (false, &line[1..]),
        '+' | '@' | '!' => (true, &line[1..]),
        _ => (true, line),
    };
    let pattern = pattern.trim_matches('/').split('/').map(CString::new).collect::<Result<_, _>>().ok()?;
    Some(Rule { pattern, protects })
}

fn matches(pattern: &CStr, name: &CStr) -> bool {
    // SAFETY: both are strings that end in NUL and live through the call, which keeps neither.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), libc::FNM_PATHNAME) == 0 }
}
