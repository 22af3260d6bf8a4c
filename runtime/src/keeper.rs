//! Starting the lease keeper (src/keeper/), which stays when the new system runs.

use crate::terminal;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Where the builder puts it.
const PROGRAM: &str = "/sbin/diskless-lease";
/// systemd spares at shutdown what begins with `@` (ROOT_STORAGE_DAEMONS); the lease may be the root's.
const NAME: &str = "@diskless-lease";

/// Started while / is the initramfs, which stays its root, emptied: it keeps no file system of the new system busy.
/// Without it the machine boots all the same, with a word.
pub fn start(plan: &str) -> Option<Child> {
    match try_start(plan) {
        Ok(child) => Some(child),
        Err(error) => {
            terminal::print_everywhere(&format!(
                "diskless: {PROGRAM} cannot be started ({error}): nobody renews the lease"
            ));
            None
        }
    }
}

fn try_start(plan: &str) -> std::io::Result<Child> {
    // The initramfs's own: /dev is with the new system by now.
    let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let mut child = Command::new(PROGRAM)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(nowhere.try_clone()?)
        .stderr(nowhere)
        .spawn()?;
    // A pipe holds a plan whole, so this does not wait.
    if let Some(Err(error)) = child.stdin.take().map(|mut input| input.write_all(plan.as_bytes())) {
        stop(child);
        return Err(error);
    }
    Ok(child)
}

/// The new system cannot be started after all.
pub fn stop(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
