//! Ways for a test to kill the engine in a guest: only where the kernel's command line asks for that very one,
//! `diskless.crash=panic|native-stack|kill`. The three others are JavaScript's own to do.

use crate::error::{Result, SysError};
use crate::ops::{Cancel, Emit, Ops};
use serde::Deserialize;

#[derive(Deserialize)]
struct How {
    how: String,
}

fn crash(arguments: How, _: &Cancel, _: &Emit) -> Result<()> {
    let How { how } = arguments;
    if crate::cmdline::has(&format!("diskless.crash={how}")) {
        match how.as_str() {
            "panic" => panic!("asked for by diskless.crash=panic"),
            "native-stack" => drop(recurse(1)),
            "kill" => rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .map_err(|error| SysError::os("test.crash", "itself", error))?,
            _ => {}
        }
    }
    Err(SysError::new("ENOSYS", "test.crash", how, "not asked for on the kernel's command line, or unknown"))
}

/// Not a tail call, and not to be seen through: the stack ends long before the depth does.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 128]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_add(block[depth as usize % 128]) }
}

pub fn register(ops: &mut Ops) {
    ops.pool("test.crash", crash);
}
