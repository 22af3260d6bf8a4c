//! The database of what is installed, in memory: packages with their directories and files, and who owns which path.

use super::owners::Owners;
use super::protected::Protected;
use crate::pipeline::inside::Root;
use std::collections::{HashMap, HashSet};

/// Mode, owner and extended attributes as the database writes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acl {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// `Q1…`
    pub xattrs: Option<String>,
}

impl Acl {
    pub fn of_directory() -> Acl {
        Acl { mode: 0o755, uid: 0, gid: 0, xattrs: None }
    }
    pub fn of_file() -> Acl {
        Acl { mode: 0o644, uid: 0, gid: 0, xattrs: None }
    }
}

/// What of a package is not as it should be.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Broken {
    /// A file could not be put in its place, or cannot be checked later.
    pub files: bool,
    pub scripts: bool,
    /// Extended attributes that the file system does not take.
    pub xattrs: bool,
}

impl Broken {
    pub fn of(flags: &[u8]) -> Broken {
        let has = |flag| flags.contains(&flag);
        Broken { files: has(b'f'), scripts: has(b's'), xattrs: has(b'x') }
    }

    /// As apk writes it; empty for nothing.
    pub fn flags(self) -> String {
        let flags = [(self.files, 'f'), (self.scripts, 's'), (self.xattrs, 'x')];
        flags.iter().filter(|(is, _)| *is).map(|(_, flag)| flag).collect()
    }
}

pub struct PackageFile {
    pub name: Vec<u8>,
    pub acl: Acl,
    pub checksum: Option<String>,
}

pub struct PackageDirectory {
    pub path: Vec<u8>,
    pub acl: Acl,
    pub files: Vec<PackageFile>,
}

pub struct Package {
    pub name: String,
    pub version: String,
    /// `Q1…`, the identity.
    pub checksum: String,
    /// The lines before the first `F:`, each with its newline, without `f:`.
    pub stanza: String,
    /// apk's flags of what is broken: the value of `f:`.
    pub broken: Broken,
    pub directories: Vec<PackageDirectory>,
    pub scripts: Vec<(String, Vec<u8>)>,
    pub triggers: Vec<String>,
}

impl Package {
    pub fn new(stanza: String) -> Package {
        let field = |letter: &str| {
            let value = stanza.lines().find_map(|line| line.strip_prefix(letter));
            value.unwrap_or_default().to_owned()
        };
        let (name, version, checksum) = (field("P:"), field("V:"), field("C:"));
        let broken = Broken::default();
        let (directories, scripts, triggers) = (Vec::new(), Vec::new(), Vec::new());
        Package { name, version, checksum, stanza, broken, directories, scripts, triggers }
    }

    /// Takes the repository's tag from its lines: apk notes it of what was installed without a failure.
    pub fn untag(&mut self) {
        let lines = self.stanza.split_inclusive('\n').filter(|line| !line.starts_with("s:"));
        self.stanza = lines.collect();
    }

    /// The number of a directory in `directories`. Packages list a directory's files right after it.
    pub fn directory(&self, path: &[u8]) -> Option<usize> {
        self.directories.iter().rposition(|directory| directory.path == path)
    }
}

/// What is known of a directory that packages have, as apk decides on its mode.
#[derive(Default)]
pub struct DirectoryState {
    /// Of the packages so far: see `settle`.
    pub acl: Option<Acl>,
    /// Whether it was looked for in the root.
    pub met: bool,
    /// Made by us, or just as packages want it: its mode and owner are set at the end.
    pub ours: bool,
}

pub struct Database {
    pub root: Root,
    /// Paths whose file stays, whoever brings another.
    pub keep: HashSet<Vec<u8>>,
    pub protected: Protected,
    pub packages: Vec<Package>,
    /// Which package, by its number in `packages`, has a path.
    pub owners: HashMap<Vec<u8>, usize>,
    pub directories: HashMap<Vec<u8>, DirectoryState>,
    /// Of users and groups.
    pub ids: Owners,
}

impl Database {
    /// `keep`: the paths of the overlay, those of directories with a slash at their end.
    pub fn new(root: Root, packages: Vec<Package>, keep: &[String]) -> Database {
        let mut database = Database {
            protected: Protected::read(&root),
            root,
            keep: HashSet::new(),
            packages: Vec::new(),
            owners: HashMap::new(),
            directories: HashMap::new(),
            ids: Owners::default(),
        };
        for path in keep {
            match path.strip_suffix('/') {
                // A directory of the overlay keeps its mode and owner.
                Some(directory) => {
                    let state = DirectoryState { met: true, ..DirectoryState::default() };
                    database.directories.insert(directory.as_bytes().to_vec(), state);
                }
                None => {
                    database.keep.insert(path.as_bytes().to_vec());
                }
            }
        }
        for package in packages {
            database.enter(package);
        }
        database
    }

    /// Makes the package the owner of its paths.
    pub fn enter(&mut self, package: Package) {
        let number = self.packages.len();
        for directory in &package.directories {
            self.wants(&directory.path, &directory.acl);
            for file in &directory.files {
                self.owners.insert(join(&directory.path, &file.name), number);
            }
        }
        self.packages.push(package);
    }

    /// A package's wish for a directory: of two owners the one with the smaller number, of two modes what both allow.
    pub fn wants(&mut self, path: &[u8], acl: &Acl) {
        let state = self.directories.entry(path.to_vec()).or_default();
        match &mut state.acl {
            Some(known) if (acl.uid, acl.gid) > (known.uid, known.gid) => {}
            Some(known) if (acl.uid, acl.gid) == (known.uid, known.gid) => known.mode &= acl.mode,
            known => *known = Some(acl.clone()),
        }
    }

    /// The file that the database has for a path, and its package's number.
    pub fn file(&self, path: &[u8]) -> Option<(usize, &PackageFile)> {
        let number = *self.owners.get(path)?;
        let (directory, name) = crate::pipeline::inside::split(path);
        let package = &self.packages[number];
        let directories = package.directories.iter().filter(|known| known.path == directory);
        let file = directories.flat_map(|known| &known.files).find(|file| file.name == name)?;
        Some((number, file))
    }

    /// Takes a path from its package's list.
    pub fn take(&mut self, path: &[u8]) {
        if let Some(number) = self.owners.remove(path) {
            let (directory, name) = crate::pipeline::inside::split(path);
            for known in self.packages[number].directories.iter_mut().filter(|known| known.path == directory)
            {
                known.files.retain(|file| file.name != name);
            }
        }
    }
}

pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
