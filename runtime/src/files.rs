//! The files room of `Sys`: small files, directories, and where paths lead.

use crate::error::{Result, SysError};
use crate::ops::{Cancel, Emit, Ops};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// readText takes no more: payload does not enter JavaScript.
const TEXT_LIMIT: u64 = 1 << 20;

#[derive(Deserialize)]
struct OnePath {
    path: String,
}

fn failed<E: Into<std::io::Error>>(method: &str, path: &str) -> impl FnOnce(E) -> SysError {
    move |error| SysError::os(&format!("files.{method}"), path, error)
}

/// Sizes in /proc and /sys are 0 or 4096, so the limit is on what comes.
fn text_of(path: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(TEXT_LIMIT + 1).read_to_end(&mut bytes));
    let length = read.map_err(failed("readText", path))?;
    if length as u64 > TEXT_LIMIT {
        return Err(SysError::new("TOO_BIG", "files.readText", path, "it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_text(arguments: OnePath, _: &Cancel, _: &Emit) -> Result<String> {
    text_of(&arguments.path)
}

#[derive(Deserialize)]
struct Paths {
    paths: Vec<String>,
}

fn read_texts(arguments: Paths, _: &Cancel, _: &Emit) -> Result<BTreeMap<String, String>> {
    Ok(arguments.paths.into_iter().filter_map(|path| text_of(&path).ok().map(|text| (path, text))).collect())
}

#[derive(Deserialize)]
struct WriteText {
    path: String,
    text: String,
    mode: Option<u32>,
    #[serde(default)]
    append: bool,
}

fn write_text(arguments: WriteText, _: &Cancel, _: &Emit) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).append(arguments.append).truncate(!arguments.append);
        let mut file = options.mode(arguments.mode.unwrap_or(0o644)).open(&arguments.path)?;
        if let Some(mode) = arguments.mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        // One write: files in /proc and /sys take the whole value at once.
        file.write_all(arguments.text.as_bytes())
    };
    write().map_err(failed("writeText", &arguments.path))
}

#[derive(Serialize)]
struct FileStatus {
    kind: &'static str,
    mode: u32,
    size: i64,
    uid: u32,
    gid: u32,
    device: String,
}

fn kind_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::BlockDevice => "block",
        FileType::CharacterDevice => "char",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::RegularFile | FileType::Unknown => "file",
    }
}

fn describe(stat: Stat) -> FileStatus {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let device = match kind {
        FileType::BlockDevice | FileType::CharacterDevice => stat.st_rdev,
        _ => stat.st_dev,
    };
    FileStatus {
        kind: kind_of(kind),
        mode: stat.st_mode & 0o7777,
        size: stat.st_size,
        uid: stat.st_uid,
        gid: stat.st_gid,
        device: format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device)),
    }
}

fn status(arguments: OnePath, _: &Cancel, _: &Emit) -> Result<Option<FileStatus>> {
    match rustix::fs::lstat(&arguments.path) {
        Ok(stat) => Ok(Some(describe(stat))),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(error) => Err(failed("status", &arguments.path)(error)),
    }
}

#[derive(Deserialize)]
struct Directory {
    directory: String,
}

fn list(arguments: Directory, _: &Cancel, _: &Emit) -> Result<Vec<String>> {
    let read = || -> std::io::Result<Vec<String>> {
        fs::read_dir(&arguments.directory)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    let mut names = read().map_err(failed("list", &arguments.directory))?;
    names.sort_unstable();
    Ok(names)
}

#[derive(Deserialize)]
struct PathMode {
    path: String,
    mode: Option<u32>,
}

fn make_directory(arguments: PathMode, _: &Cancel, _: &Emit) -> Result<()> {
    let path = Path::new(&arguments.path);
    let make = || -> std::io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        let mode = arguments.mode.unwrap_or(0o755);
        match fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) if arguments.mode.is_some() => fs::set_permissions(path, Permissions::from_mode(mode)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    };
    make().map_err(failed("makeDirectory", &arguments.path))
}

fn remove(arguments: OnePath, _: &Cancel, _: &Emit) -> Result<()> {
    crate::tree::remove(Path::new(&arguments.path)).map_err(failed("remove", &arguments.path))
}

#[derive(Deserialize)]
struct FromTo {
    from: String,
    to: String,
}

fn rename(arguments: FromTo, _: &Cancel, _: &Emit) -> Result<()> {
    let FromTo { from, to } = arguments;
    fs::rename(&from, &to).map_err(failed("rename", &format!("{from} to {to}")))
}

#[derive(Deserialize)]
struct Symlink {
    target: String,
    path: String,
}

fn symlink(arguments: Symlink, _: &Cancel, _: &Emit) -> Result<()> {
    std::os::unix::fs::symlink(&arguments.target, &arguments.path).map_err(failed("symlink", &arguments.path))
}

fn read_link(arguments: OnePath, _: &Cancel, _: &Emit) -> Result<String> {
    let target = fs::read_link(&arguments.path).map_err(failed("readLink", &arguments.path))?;
    Ok(target.to_string_lossy().into_owned())
}

#[derive(Deserialize)]
struct SetMode {
    path: String,
    mode: u32,
}

fn set_mode(arguments: SetMode, _: &Cancel, _: &Emit) -> Result<()> {
    fs::set_permissions(&arguments.path, Permissions::from_mode(arguments.mode))
        .map_err(failed("setMode", &arguments.path))
}

fn copy(arguments: FromTo, _: &Cancel, _: &Emit) -> Result<()> {
    let FromTo { from, to } = arguments;
    let copy = || -> std::io::Result<()> {
        if !fs::metadata(&from)?.is_file() {
            return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
        }
        fs::copy(&from, &to).map(drop)
    };
    copy().map_err(failed("copy", &format!("{from} to {to}")))
}

fn copy_tree(arguments: FromTo, cancel: &Cancel, _: &Emit) -> Result<crate::copy_tree::Copied> {
    crate::copy_tree::copy(&arguments.from, &arguments.to, cancel)
}

#[derive(Deserialize)]
struct ResolveIn {
    root: String,
    path: String,
}

fn resolve_in(arguments: ResolveIn, _: &Cancel, _: &Emit) -> Result<Option<String>> {
    use rustix::io::Errno;
    let resolve = || -> rustix::io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::open(&arguments.root, flags | OFlags::DIRECTORY, Mode::empty())?;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = rustix::fs::openat2(&root, &arguments.path, flags, Mode::empty(), inside)?;
        let outer = rustix::fs::readlink(format!("/proc/self/fd/{}", found.as_raw_fd()), Vec::new())?;
        Ok(PathBuf::from(outer.to_string_lossy().into_owned()))
    };
    match resolve() {
        Ok(path) => Ok(Some(path.to_string_lossy().into_owned())),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(failed("resolveIn", &format!("{} in {}", arguments.path, arguments.root))(error)),
    }
}

#[derive(Serialize)]
struct Space {
    total: u64,
    free: u64,
}

fn space(arguments: OnePath, _: &Cancel, _: &Emit) -> Result<Space> {
    let found = rustix::fs::statvfs(&arguments.path).map_err(failed("space", &arguments.path))?;
    Ok(Space { total: found.f_blocks * found.f_frsize, free: found.f_bavail * found.f_frsize })
}

#[derive(Deserialize)]
struct Nothing {}

fn sync(_: Nothing, _: &Cancel, _: &Emit) -> Result<()> {
    rustix::fs::sync();
    Ok(())
}

pub fn register(ops: &mut Ops) {
    ops.pool("files.readText", read_text);
    ops.pool("files.readTexts", read_texts);
    ops.pool("files.writeText", write_text);
    ops.pool("files.status", status);
    ops.pool("files.list", list);
    ops.pool("files.makeDirectory", make_directory);
    ops.pool("files.remove", remove);
    ops.pool("files.rename", rename);
    ops.pool("files.symlink", symlink);
    ops.pool("files.readLink", read_link);
    ops.pool("files.setMode", set_mode);
    ops.pool("files.copy", copy);
    ops.pool("files.copyTree", copy_tree);
    ops.pool("files.resolveIn", resolve_in);
    ops.pool("files.space", space);
    ops.pool("files.sync", sync);
}
