//! The program inside the program: `--compile` makes QuickJS bytecode of a bundle, `--append` puts it at the end of
//! a copy of this binary, and the engine finds it there.
//!
//! Appended: the bytecode, its length (8 bytes, little endian), `MAGIC`. Bytecode loads only in the very engine that
//! wrote it, so a bytecode file starts with the SHA-256 of the binary that compiled it, and `--append` compares.

use rquickjs::module::{WriteOptions, WriteOptionsEndianness};
use rquickjs::{CatchResultExt, Context, Module, Runtime};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"DISKLSBC";
const HEADER: &[u8; 16] = b"diskless bytes 1";
const DIGEST: usize = 32;

/// The path that the kernel executed. Not /proc/self/exe: /proc is not mounted when PID 1 starts.
pub fn own_path() -> PathBuf {
    // SAFETY: getauxval takes any type and returns 0 when the kernel gave none.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return PathBuf::from("/init");
    }
    // SAFETY: AT_EXECFN is the address of a NUL-terminated string that stays for the life of the process.
    let name = unsafe { std::ffi::CStr::from_ptr(address as *const libc::c_char) };
    PathBuf::from(std::ffi::OsStr::new(name.to_str().unwrap_or("/init")))
}

/// Where the appended bytecode lies in a file: its offset and length. Without any, the offset is the file's end.
fn find(file: &mut File) -> std::io::Result<(u64, usize)> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut trailer = [0; 16];
    if end >= 16 {
        file.seek(SeekFrom::Start(end - 16))?;
        file.read_exact(&mut trailer)?;
    }
    let (length, magic) = trailer.split_at(8);
    if magic != MAGIC {
        return Ok((end, 0));
    }
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    match (end - 16).checked_sub(length) {
        Some(start) => Ok((start, length as usize)),
        None => Err(std::io::Error::other("the length in its trailer is wrong")),
    }
}

/// The bytecode appended to this binary. The engine refers to it for as long as it lives.
pub fn load() -> Result<&'static [u8], String> {
    let path = own_path();
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        let (start, length) = find(&mut file)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.is_empty() => {
            Err(format!("{} carries no program: --append puts one in", path.display()))
        }
        Ok(bytes) => Ok(bytes.leak()),
        Err(error) => Err(format!("{}: its program cannot be read: {error}", path.display())),
    }
}

/// This binary without what was appended to it.
fn host() -> Result<Vec<u8>, String> {
    let path = own_path();
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        let (start, _) = find(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.take(start).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}

fn digest(bytes: &[u8]) -> ring::digest::Digest {
    ring::digest::digest(&ring::digest::SHA256, bytes)
}

fn write(path: &Path, mode: u32, parts: &[&[u8]]) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        // Of this process alone: two builds may run at once.
        let beside = format!("{}.{}.new", path.display(), std::process::id());
        let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        for part in parts {
            file.write_all(part)?;
        }
        std::fs::rename(beside, path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

/// `--compile BUNDLE.js OUT`: an ES module to bytecode. Lines and columns stay, for stacks; the source does not.
pub fn compile(source: &Path, out: &Path) -> Result<(), String> {
    let text = std::fs::read(source).map_err(|error| format!("{}: {error}", source.display()))?;
    let name = source.file_name().unwrap_or(source.as_os_str()).to_string_lossy().into_owned();
    let options = WriteOptions {
        endianness: WriteOptionsEndianness::Native,
        allow_shared_array_buffer: false,
        object_reference: false,
        strip_source: true,
        strip_debug: false,
    };
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let context = Context::full(&runtime).map_err(|error| error.to_string())?;
    let bytecode = context.with(|ctx| {
        Module::declare(ctx.clone(), name, text)
            .and_then(|module| module.write(options))
            .catch(&ctx)
            .map_err(|error| format!("{}: {error}", source.display()))
    })?;
    write(out, 0o644, &[HEADER, digest(&host()?).as_ref(), &bytecode])
}

/// `--append BYTECODE OUT`: this binary with that bytecode, in place of any that it carries.
pub fn append(bytecode: &Path, out: &Path) -> Result<(), String> {
    let bytes = std::fs::read(bytecode).map_err(|error| format!("{}: {error}", bytecode.display()))?;
    let rest = bytes
        .strip_prefix(HEADER)
        .filter(|rest| rest.len() > DIGEST)
        .ok_or_else(|| format!("{}: not bytecode made by --compile", bytecode.display()))?;
    let (made_by, code) = rest.split_at(DIGEST);
    let host = host()?;
    if digest(&host).as_ref() != made_by {
        return Err(format!(
            "{}: compiled by another build of this program: compile it again",
            bytecode.display()
        ));
    }
    write(out, 0o755, &[&host, code, &(code.len() as u64).to_le_bytes(), MAGIC])
}
