//! Ways for a test to kill the engine in a guest: `diskless.crash=panic|native-stack|kill` on the kernel's command
//! line. It happens as soon as the policy is told. The others (exception, rejection, stack, memory) are
//! src/init/crash.ts's to do.

/// Does nothing unless the command line asks for it.
pub fn if_asked() {
    match crate::cmdline::last("diskless.crash").as_deref() {
        Some("panic") => panic!("diskless.crash=panic asked for it"),
        Some("native-stack") => assert_ne!(recurse(1), 1),
        Some("kill") => {
            let killed =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            assert!(killed.is_ok(), "a process may kill itself");
        }
        _ => {}
    }
}

/// Not a tail call, and not to be seen through: the stack ends long before the depth does.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 128]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_add(block[depth as usize % 128]) }
}
