//! The last steps, done by PID 1 itself: the new root becomes /, the initramfs is emptied, and init is executed.
//!
//! The rules are switch_root's (util-linux, busybox): PID 1, an initramfs that says so in three ways, a new root on a
//! file system of its own, and never across a mount.

use crate::protocol::{Action, Handoff, Refused};
use crate::{ending, keeper, shell, signals, terminal, tree};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{Pid, Signal};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// linux/magic.h
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Everything that can be known before anything is touched.
pub fn check(handoff: &Handoff) -> Result<(), Refused> {
    let at = |subject: &str| {
        let subject = subject.to_owned();
        move |error: rustix::io::Errno| Refused::os(&subject, error)
    };
    if rustix::process::getpid() != Pid::INIT {
        return Err(Refused::new("EPERM", "/", "only PID 1 hands over"));
    }
    let magic = rustix::fs::statfs("/").map_err(at("/"))?.f_type as u64;
    if magic != RAMFS_MAGIC && magic != TMPFS_MAGIC {
        return Err(Refused::new("EINVAL", "/", "it is not an initramfs, and would be emptied"));
    }
    let marker = rustix::fs::lstat("/init").map_err(at("/init"))?;
    if !rustix::fs::FileType::from_raw_mode(marker.st_mode).is_file() {
        return Err(Refused::new(
            "EINVAL",
            "/init",
            "it is not a file: / is not an initramfs, and would be emptied",
        ));
    }
    let root = &handoff.root;
    let old = rustix::fs::stat("/").map_err(at("/"))?;
    let new = rustix::fs::stat(root).map_err(at(root))?;
    if old.st_dev == new.st_dev {
        return Err(Refused::new("EXDEV", root, "the new root is not a file system of its own"));
    }
    let init = &handoff.init;
    let root_directory = open_directory(root).map_err(at(root))?;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found =
        openat2(&root_directory, init.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside)
            .map_err(at(init))?;
    let found = rustix::fs::fstat(&found).map_err(at(init))?;
    if !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() || found.st_mode & 0o111 == 0 {
        return Err(Refused::new("EACCES", init, "it is not an executable file"));
    }
    let words = handoff.arguments.iter().chain([init, root, &handoff.console]);
    match words.into_iter().any(|word| word.contains('\0')) {
        true => Err(Refused::new("EINVAL", "arguments", "they contain a NUL")),
        false => Ok(()),
    }
}

/// Executes the new init. Returns only when it failed while the initramfs was still whole; after that it does the
/// best that is left, and does not return.
pub fn perform(handoff: &Handoff, action: Action) -> String {
    kill_leftovers(&handoff.root);
    // Read now: the configuration is emptied with the rest.
    let open_shell = matches!(shell::configured(), Ok(shell::Kind::Open));
    let keeper = handoff.keeper.as_deref().and_then(keeper::start);
    let old_root = match move_root(&handoff.root) {
        Ok(old_root) => old_root,
        Err(error) => {
            if let Some(keeper) = keeper {
                keeper::stop(keeper);
            }
            return format!("{}: the root cannot be moved: {error}", handoff.root);
        }
    };
    if let Err(error) = tree::empty(old_root.as_fd(), tree::Mounts::Keep) {
        // It costs memory and nothing else.
        terminal::print_everywhere(&format!("diskless: the initramfs is not quite emptied: {error}"));
    }
    drop(old_root);
    open_console(&handoff.console);
    signals::reset_all();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Standard input, output and error are the console; the new init inherits nothing else.
    // SAFETY: no descriptor above 2 is used after this.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let error = execute(&handoff.init, &handoff.arguments);
    terminal::print_everywhere(&format!(
        "diskless: {}: the new init cannot be executed: {error}",
        handoff.init
    ));
    if open_shell && action == Action::Shell {
        terminal::print_everywhere(
            "diskless: a shell of the new root; leaving it panics the kernel: use `reboot -f`",
        );
        let error = execute("/bin/sh", &[]);
        terminal::print_everywhere(&format!("diskless: /bin/sh: {error}"));
    }
    ending::last_resort("diskless: nothing is left to try", Duration::from_secs(30))
}

fn open_directory(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// What is left of the engine's children. A program whose name starts with `@` asks to stay, as systemd has it
/// (the storage daemon of a root).
fn kill_leftovers(root: &str) {
    // TypeScript has moved the mounts into the root by now.
    let proc = if Path::new("/proc/self").exists() { "/proc".to_owned() } else { format!("{root}/proc") };
    let deadline = Instant::now() + Duration::from_secs(2);
    while kill_once(&proc) > 0 && Instant::now() < deadline {
        // Each is a child of PID 1 by now, or will be when its parent has ended.
        if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
            break;
        }
    }
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

/// How many were there to kill.
fn kill_once(proc: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(proc) else { return 0 };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut killed = 0;
    for pid in pids.filter_map(Pid::from_raw).filter(|pid| *pid != Pid::INIT) {
        // A kernel thread and a zombie have none.
        let command = std::fs::read(format!("{proc}/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        if !command.is_empty() && !command.starts_with(b"@") {
            killed += usize::from(rustix::process::kill_process(pid, Signal::KILL).is_ok());
        }
    }
    killed
}

/// The new root is / afterwards; the descriptor is the old one's.
fn move_root(root: &str) -> rustix::io::Result<OwnedFd> {
    let old_root = open_directory("/")?;
    rustix::process::chdir(root)?;
    rustix::mount::mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    Ok(old_root)
}

/// As the kernel opens it for a first process: no controlling terminal.
fn open_console(path: &str) {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let opened = [path, "/dev/console", "/dev/null"]
        .into_iter()
        .find_map(|path| rustix::fs::openat(CWD, path, flags, Mode::empty()).ok());
    // Without any, init keeps the initramfs's console, which we have open.
    if let Some(console) = opened {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        let _ = rustix::stdio::dup2_stderr(&console);
    }
}

/// Returns why it could not. The environment is the kernel's.
fn execute(program: &str, arguments: &[String]) -> std::io::Error {
    let words = std::iter::once(program).chain(arguments.iter().map(String::as_str));
    let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(key, value)| CString::new([key.into_vec(), value.into_vec()].join(&b'=')).ok())
        .collect();
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&words), pointers(&environment));
    // SAFETY: both are arrays of NUL-terminated strings that end in a null pointer and outlive the call.
    unsafe { libc::execve(argv[0], argv.as_ptr(), envp.as_ptr()) };
    std::io::Error::last_os_error()
}

/// What a shell needs, where init died before it had mounted anything.
pub fn mount_essentials() {
    use rustix::mount::{MountFlags, mount};
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (kind, target, marker, flags) in [
        ("proc", "/proc", "/proc/self", flags | MountFlags::NODEV),
        ("sysfs", "/sys", "/sys/kernel", flags | MountFlags::NODEV),
        ("devtmpfs", "/dev", "/dev/full", flags),
    ] {
        if !Path::new(marker).exists() {
            // The shell is poorer without; there is nobody else to do it.
            let _ = std::fs::create_dir_all(target);
            let _ = mount(kind, target, kind, flags, None);
        }
    }
}

/// Something to be, should the image lack it: std aborts when descriptors 0 to 2 are closed and /dev/null is missing.
/// Runs before main.
pub extern "C" fn open_standard_streams() {
    // SAFETY: plain system calls on constant strings, before any thread or allocation.
    unsafe {
        if libc::getpid() != 1 || libc::fcntl(2, libc::F_GETFD) >= 0 {
            return;
        }
        libc::mkdir(c"/dev".as_ptr(), 0o755);
        libc::mknod(c"/dev/console".as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(5, 1));
        libc::mknod(c"/dev/null".as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3));
        for _ in 0..3 {
            let console = libc::open(c"/dev/console".as_ptr(), libc::O_RDWR | libc::O_NOCTTY);
            if console < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}
