//! lib/apk/db of a root: `installed`, `scripts.tar`, `triggers` and `lock`, byte for byte as apk-tools 2.14 has them
//! (src/database.c: apk_db_write_fdb, apk_db_scriptdb_write, apk_db_triggers_write).

use super::control::SCRIPTS;
use super::database::{Acl, Broken, Database, Package, PackageDirectory, PackageFile};
use super::stage::PLACE;
use crate::pipeline::archive::{Archive, Kind};
use crate::pipeline::failure::fail;
use crate::pipeline::inside::Root;
use crate::pipeline::sink::writing;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

pub const WRITE: &str = "packages.writeDatabase";
pub const READ: &str = "packages.openDatabase";
const PLACE_OF_DATABASE: &[u8] = b"lib/apk/db";
/// A database of everything that Alpine has is half as big.
const LIMIT: u64 = 256 << 20;

/// The packages that a root's database lists; none when it has none.
pub fn read(root: &Root) -> io::Result<Vec<Package>> {
    let Some(bytes) = content(root, b"lib/apk/db/installed")? else { return Ok(Vec::new()) };
    let mut packages: Vec<Package> = bytes
        .split(|&byte| byte == b'\n')
        .collect::<Vec<_>>()
        .split(|line| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| parse(lines).ok_or_else(|| damaged(lines)))
        .collect::<io::Result<_>>()?;
    let by_checksum: HashMap<String, usize> =
        packages.iter().enumerate().map(|(number, package)| (package.checksum.clone(), number)).collect();
    for line in content(root, b"lib/apk/db/triggers")?.unwrap_or_default().split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        if let Some(&number) = words.next().and_then(|checksum| by_checksum.get(checksum)) {
            packages[number].triggers = words.map(str::to_owned).collect();
        }
    }
    if let Some(bytes) = content(root, b"lib/apk/db/scripts.tar")? {
        let mut archive = Archive::new(bytes.as_slice(), READ, "lib/apk/db/scripts.tar");
        while let Some(entry) = archive.next()? {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            let Some((rest, script)) = name.rsplit_once('.') else { continue };
            let Some((_, checksum)) = rest.rsplit_once('.') else { continue };
            if let Some(&number) = by_checksum.get(checksum)
                && entry.kind == Kind::File
            {
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes)?;
                packages[number].scripts.push((script.to_owned(), bytes));
            }
        }
    }
    Ok(packages)
}

fn damaged(lines: &[&[u8]]) -> io::Error {
    let first = lines.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
    let message = format!("the entry that begins with {first} is not as apk writes it");
    fail("FORMAT", READ, "lib/apk/db/installed", message)
}

fn content(root: &Root, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let fd = match root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(root.error(error, path)),
    };
    let mut bytes = Vec::new();
    File::from(fd).take(LIMIT).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn parse(lines: &[&[u8]]) -> Option<Package> {
    let (mut stanza, mut broken, mut directories) = (String::new(), Broken::default(), Vec::new());
    for line in lines {
        let [letter, b':', value @ ..] = line else { return None };
        let directory: Option<&mut PackageDirectory> = directories.last_mut();
        match letter {
            b'F' => {
                let (path, acl) = (value.to_vec(), Acl::of_directory());
                directories.push(PackageDirectory { path, acl, files: Vec::new() });
            }
            b'M' => directory?.acl = parse_acl(value)?,
            b'R' => {
                let (name, acl) = (value.to_vec(), Acl::of_file());
                directory?.files.push(PackageFile { name, acl, checksum: None });
            }
            b'a' => directory?.files.last_mut()?.acl = parse_acl(value)?,
            b'Z' => directory?.files.last_mut()?.checksum = Some(String::from_utf8(value.to_vec()).ok()?),
            b'f' => broken = Broken::of(value),
            _ => {
                stanza.push_str(&String::from_utf8_lossy(line));
                stanza.push('\n');
            }
        }
    }
    let package = Package { broken, directories, ..Package::new(stanza) };
    (!package.name.is_empty()).then_some(package)
}

/// `uid:gid:mode` and perhaps `:Q1…`.
fn parse_acl(value: &[u8]) -> Option<Acl> {
    let mut fields = std::str::from_utf8(value).ok()?.splitn(4, ':');
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    Some(Acl { mode, uid, gid, xattrs: fields.next().map(str::to_owned) })
}

/// `broken`: packages of which a script failed. `untagged`: those of them that failed before they were installed, which
/// apk then does not note the tag of.
pub fn write(database: &mut Database, broken: &[String], untagged: &[String]) -> io::Result<()> {
    for package in &mut database.packages {
        package.broken.scripts |= broken.contains(&package.name);
        if untagged.contains(&package.name) {
            package.untag();
        }
    }
    // All stages are gone: so is their place. One that was left by an earlier engine keeps it.
    let _ = unlinkat(database.root.fd(), PLACE, AtFlags::REMOVEDIR);
    database.root.forget();
    let directory = database.root.directory(PLACE_OF_DATABASE, true)?;
    let mut sorted: Vec<&Package> = database.packages.iter().collect();
    sorted.sort_by_key(|package| (package.name.to_ascii_lowercase(), package.name.clone()));
    let (mut installed, mut carried) = (Vec::new(), Vec::new());
    for package in sorted {
        write_package(&mut installed, &mut carried, package);
    }
    replace(&directory, "installed", &installed)?;
    replace(&directory, "scripts.tar", &scripts(&database.packages))?;
    let mut triggers = String::new();
    for package in database.packages.iter().filter(|package| !package.triggers.is_empty()) {
        triggers += &format!("{} {}\n", package.checksum, package.triggers.join(" "));
    }
    replace(&directory, "triggers", triggers.as_bytes())?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&*directory, "lock", flags, Mode::RUSR | Mode::WUSR) {
        Ok(_) => Ok(()),
        Err(error) => Err(database.root.error(error, b"lib/apk/db/lock")),
    }
}

fn replace(directory: &OwnedFd, name: &str, content: &[u8]) -> io::Result<()> {
    let subject = format!("lib/apk/db/{name}");
    let new = format!("{name}.new");
    let failed = |error: io::Error| writing(error, WRITE, &subject, directory);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let fd = openat(directory, new.as_str(), flags, mode).map_err(|error| failed(error.into()))?;
    let mut file = File::from(fd);
    file.write_all(content).map_err(failed)?;
    fchmod(&file, mode)
        .and_then(|()| renameat(directory, new.as_str(), directory, name))
        .map_err(|error| failed(error.into()))
}

/// apk 2.14 has `r:`, `q:`, `s:` and `f:` in a buffer that it writes with the first directory: of a package without
/// directories they end up with the next package that has some (its apk_db_write_fdb), or nowhere. So do ours, in
/// `carried`: the new system's apk would move them there at its first change.
fn write_package(to: &mut Vec<u8>, carried: &mut Vec<u8>, package: &Package) {
    for line in package.stanza.split_inclusive('\n') {
        let is_carried = ["r:", "q:", "s:"].iter().any(|letter| line.starts_with(letter));
        if is_carried { &mut *carried } else { &mut *to }.extend_from_slice(line.as_bytes());
    }
    let flags = package.broken.flags();
    if !flags.is_empty() {
        write_line(carried, b"f:", flags.as_bytes());
    }
    if !package.directories.is_empty() {
        to.append(carried);
    }
    for directory in &package.directories {
        write_line(to, b"F:", &directory.path);
        if directory.acl != Acl::of_directory() {
            write_acl(to, 'M', &directory.acl);
        }
        for file in &directory.files {
            write_line(to, b"R:", &file.name);
            if file.acl != Acl::of_file() {
                write_acl(to, 'a', &file.acl);
            }
            if let Some(checksum) = &file.checksum {
                write_line(to, b"Z:", checksum.as_bytes());
            }
        }
    }
    to.push(b'\n');
}

fn write_line(to: &mut Vec<u8>, letter: &[u8], value: &[u8]) {
    to.extend_from_slice(letter);
    to.extend_from_slice(value);
    to.push(b'\n');
}

fn write_acl(to: &mut Vec<u8>, letter: char, acl: &Acl) {
    let Acl { mode, uid, gid, xattrs } = acl;
    let xattrs = xattrs.as_ref().map(|sum| format!(":{sum}")).unwrap_or_default();
    to.extend_from_slice(format!("{letter}:{uid}:{gid}:{mode:o}{xattrs}\n").as_bytes());
}

/// A tar archive with every script, named `PACKAGE-VERSION.CHECKSUM.SCRIPT`.
fn scripts(packages: &[Package]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut bytes = Vec::new();
    for package in packages {
        for kind in SCRIPTS {
            let Some((_, script)) = package.scripts.iter().find(|(name, _)| name == kind) else { continue };
            let name = format!("{}-{}.{}.{kind}", package.name, package.version, package.checksum);
            let mut header = [0u8; 512];
            let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
            // apk cuts a name that is too long, too.
            put(0, &name.as_bytes()[..name.len().min(99)]);
            put(100, b"0000755");
            put(108, b"0000000");
            put(116, b"0000000");
            put(124, format!("{:012o}", script.len()).as_bytes());
            put(136, format!("{now:012o}").as_bytes());
            put(148, b"        ");
            put(156, b"0");
            put(257, b"ustar  ");
            put(265, b"root");
            put(297, b"root");
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(script);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
