//! Giving one module to the kernel (finit_module(2)), once however many ask for it at the same time.

use crate::error::{Result, SysError};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

const NAME: &str = "modules.load";
/// MODULE_INIT_COMPRESSED_FILE of linux/module.h.
const COMPRESSED_FILE: i32 = 4;
/// No module is larger when decompressed; the largest of today have 30 MB.
const LIMIT: u64 = 256 << 20;

/// By name: true once it is loaded. Its lock is held while it is being loaded.
static LOADED: LazyLock<Mutex<HashMap<String, Arc<Mutex<bool>>>>> = LazyLock::new(Mutex::default);

/// Whether a file is removed once the kernel has it.
static DISCARD: AtomicBool = AtomicBool::new(false);

pub fn discard_loaded() {
    DISCARD.store(true, Ordering::Relaxed);
}

/// Also resolves when somebody else has loaded it.
pub fn insert(path: &Path, name: &str, parameters: &str) -> Result<()> {
    let state = LOADED.lock().expect("no panic inside").entry(name.to_owned()).or_default().clone();
    let mut loaded = state.lock().expect("no panic inside");
    if !*loaded {
        let live = std::fs::read_to_string(format!("/sys/module/{name}/initstate"));
        if !live.is_ok_and(|state| state.trim() == "live") {
            give(path, name, parameters)?;
            if DISCARD.load(Ordering::Relaxed) {
                // What stays costs memory, and fails nothing.
                std::fs::remove_file(path).ok();
            }
        }
        *loaded = true;
    }
    Ok(())
}

fn give(path: &Path, name: &str, parameters: &str) -> Result<()> {
    // What the command line says of a module holds for those that are loaded as dependencies, too.
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let parameters = [from_command_line(&command_line, name).as_str(), parameters].join(" ");
    let parameters = CString::new(parameters.trim())
        .map_err(|_| SysError::new("EINVAL", NAME, name, "a parameter has a NUL byte in it"))?;
    let failed = |error: std::io::Error| SysError::os(NAME, path.display().to_string(), error);
    let file = File::open(path).map_err(failed)?;
    let given = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let bytes = limited(flate2::read::MultiGzDecoder::new(file)).map_err(failed)?;
            rustix::system::init_module(&bytes, &parameters)
        }
        Some("zst") => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(file);
            let decoder = decoder.map_err(|error| failed(std::io::Error::other(error.to_string())))?;
            let bytes = limited(decoder).map_err(failed)?;
            rustix::system::init_module(&bytes, &parameters)
        }
        // Linux 5.17 can decompress by itself, where it is built to.
        Some("xz") => rustix::system::finit_module(&file, &parameters, COMPRESSED_FILE),
        _ => rustix::system::finit_module(&file, &parameters, 0),
    };
    match given {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(refused(path, name, errno)),
    }
}

fn limited(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the kernel means. ENOENT is ours for a module that the initrd lacks, so its own, for symbols, is told
/// as ENOEXEC.
fn refused(path: &Path, name: &str, errno: Errno) -> SysError {
    let compressed = path.extension().is_some_and(|extension| extension == "xz");
    let words = match errno {
        Errno::INVAL | Errno::OPNOTSUPP | Errno::NOEXEC if compressed => {
            "this kernel does not decompress xz: the initrd must hold the module unpacked, or as .gz or .zst"
        }
        Errno::NOENT => {
            "it needs a symbol that no loaded module has, or was given a parameter that it does not know"
        }
        Errno::NOEXEC => "it is not made for this kernel",
        Errno::NODEV => "the hardware that it drives is not here",
        Errno::KEYREJECTED | Errno::NOKEY => "its signature is not by a key of this kernel",
        Errno::PERM => "loading modules is forbidden (kernel lockdown, or modules_disabled)",
        _ => "see the kernel's log",
    };
    let mut error = SysError::os(NAME, name, if errno == Errno::NOENT { Errno::NOEXEC } else { errno });
    error.message = match errno {
        Errno::NOENT => format!("the kernel refused the module: {words}"),
        _ => format!("{}: {words}", error.message),
    };
    error
}

/// `e1000.debug=3` on the kernel's command line is `debug=3` for e1000. Values may be in double quotes; what
/// follows `--` is not the kernel's.
fn from_command_line(command_line: &str, name: &str) -> String {
    let mut quoted = false;
    let words = command_line.trim_end().split(|character: char| {
        quoted ^= character == '"';
        !quoted && character.is_ascii_whitespace()
    });
    let ours = words.take_while(|word| *word != "--").filter_map(|word| {
        let word = word.strip_prefix('"').map_or(word, |word| word.strip_suffix('"').unwrap_or(word));
        let (module, parameter) = word.split_once('.')?;
        (module.replace('-', "_") == name).then_some(parameter)
    });
    ours.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_from_the_command_line() {
        let line =
            "quiet e1000.debug=3 snd-hda-intel.id=\"a b\" \"snd_hda_intel.model=c d\" e1000.x -- e1000.y\n";
        assert_eq!(from_command_line(line, "e1000"), "debug=3 x");
        assert_eq!(from_command_line(line, "snd_hda_intel"), "id=\"a b\" model=c d");
        assert_eq!(from_command_line(line, "e100"), "");
        assert_eq!(from_command_line("", "e100"), "");
    }

    #[test]
    fn a_module_that_cannot_be_read_says_which_file() {
        let error = insert(Path::new("/nonexistent/x.ko"), "nonexistent_x", "").expect_err("no such file");
        assert_eq!((error.code.as_str(), error.subject.as_str()), ("ENOENT", "/nonexistent/x.ko"));
    }

    #[test]
    fn refusals_are_told_in_words() {
        let told = |path: &str, errno| {
            let error = refused(Path::new(path), "x", errno);
            (error.code, error.message)
        };
        assert_eq!(told("x.ko", Errno::NOENT).0, "ENOEXEC");
        assert!(told("x.ko.xz", Errno::INVAL).1.contains("does not decompress xz"));
        assert!(told("x.ko", Errno::NOEXEC).1.contains("not made for this kernel"));
    }
}
