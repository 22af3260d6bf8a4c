//! Starts a program as posix_spawn(3) does, and in a root of its own, which that cannot do: until it is another program the child
//! borrows the memory of its parent, whose thread waits for it (vfork(2)). A fork would copy the engine's page tables for every
//! script: some two milliseconds natively, in which the boot waits, and ten times that under emulation.

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::BorrowedFd;

/// What the child needs before it is another program; execve(2) needs no more.
const STACK: usize = 64 << 10;

pub struct Program<'a> {
    /// In `root`.
    pub path: &'a CStr,
    pub argv: &'a [CString],
    pub environment: &'a [CString],
    pub root: Option<&'a CStr>,
    /// Of `root`.
    pub directory: &'a CStr,
    pub input: BorrowedFd<'a>,
    /// Standard error, too.
    pub output: BorrowedFd<'a>,
}

struct Child<'a> {
    program: &'a Program<'a>,
    /// Null at the end, as execve(2) wants both.
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    refused: Option<Errno>,
}

/// It leads a process group of its own; signals are as a fresh kernel gives them. The error is that of whatever failed before it
/// was a program, execve(2) included.
pub fn spawn(program: &Program) -> Result<Pid, Errno> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(program.argv), pointers(program.environment));
    let mut child = Child { program, argv, environment, refused: None };
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let argument = (&raw mut child).cast::<c_void>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is ours, aligned, and grows down from its end. With CLONE_VFORK this returns when the child no longer
    // uses it or `child`. No handler of ours can run in the child meanwhile: signals are blocked, and there they are reset first.
    let pid = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let top = stack.as_mut_ptr().add(stack.capacity()).cast();
        let pid = libc::clone(begin, top, flags, argument);
        let error = std::io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        Pid::from_raw(pid).filter(|_| pid > 0).ok_or(error)
    };
    let pid = pid.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
    // SAFETY: by the pointer that the child wrote through; it is gone.
    match unsafe { (*argument.cast::<Child>()).refused } {
        None => Ok(pid),
        Some(errno) => {
            // It ended with that; there is nothing else to learn from it.
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            Err(errno)
        }
    }
}

/// The child. It shares our memory: nothing here allocates, and rustix' system calls go straight to the kernel.
extern "C" fn begin(argument: *mut c_void) -> c_int {
    // SAFETY: `spawn` gives it a child, which nobody else uses until this one is another program or has ended.
    let child = unsafe { &mut *argument.cast::<Child>() };
    let Err(errno) = become_program(child);
    child.refused = Some(errno);
    127
}

fn become_program(child: &Child) -> Result<Infallible, Errno> {
    let program = child.program;
    crate::signals::reset_all();
    rustix::process::setpgid(None, None)?;
    rustix::stdio::dup2_stdin(program.input)?;
    rustix::stdio::dup2_stdout(program.output)?;
    rustix::stdio::dup2_stderr(program.output)?;
    if let Some(root) = program.root {
        rustix::process::chroot(root)?;
    }
    rustix::process::chdir(program.directory)?;
    // SAFETY: both are arrays of NUL-terminated strings that end in a null pointer and outlive the call.
    unsafe { libc::execve(program.path.as_ptr(), child.argv.as_ptr(), child.environment.as_ptr()) };
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};

    fn run(path: &CStr, argv: &[CString]) -> (Result<i32, Errno>, String) {
        let input = OwnedFd::from(File::open("/dev/null").expect("it is there"));
        let output = memfd_create("output", MemfdFlags::CLOEXEC).expect("made");
        let program = Program {
            path,
            argv,
            environment: &[c"WORD=said".to_owned()],
            root: None,
            directory: c"/proc/self",
            input: input.as_fd(),
            output: output.as_fd(),
        };
        let status = spawn(&program).map(|pid| {
            let ended = rustix::process::waitpid(Some(pid), WaitOptions::empty()).expect("it is ours");
            ended.and_then(|(_, status)| status.exit_status()).expect("it exits")
        });
        seek(&output, SeekFrom::Start(0)).expect("a file");
        let mut text = String::new();
        File::from(output).read_to_string(&mut text).expect("read");
        (status, text)
    }

    #[test]
    fn a_program_has_what_it_was_given_and_signals_as_a_fresh_process() {
        let script =
            "echo $0 $WORD; echo err >&2; cut -d ' ' -f 1,5 stat; grep -E 'Sig(Blk|Ign)' status; exit 3";
        let words = [c"name", c"-c", &CString::new(script).expect("no NUL")].map(CStr::to_owned);
        let (status, text) = run(c"/bin/sh", &words);
        assert_eq!(status, Ok(3), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["name said", "err"]);
        // It leads its group.
        let (pid, group) = lines[2].split_once(' ').expect("two numbers");
        assert_eq!(pid, group);
        for line in &lines[3..] {
            let (_, mask) = line.split_once('\t').expect("a name and a mask");
            // Signals 32 and 33 are glibc's own: it lets nobody change them, and a shell hands down what it was given.
            let ours = u64::from_str_radix(mask, 16).expect("hex") & !(0b11 << 31);
            assert_eq!(ours, 0, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_executed_is_an_error_and_leaves_no_process() {
        let (status, _) = run(c"/no/such", &[c"such".to_owned()]);
        assert_eq!(status, Err(Errno::NOENT));
        let (status, _) = run(c"/proc/self/status", &[c"status".to_owned()]);
        assert_eq!(status, Err(Errno::ACCESS));
    }
}
