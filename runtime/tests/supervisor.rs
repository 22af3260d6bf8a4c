//! PID 1 in a PID namespace of its own, with a console that the test reads and a command line that the test writes.
//! Needs root for the namespaces; says so and passes without.

mod common;

use common::{Place, text};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// Runs an init as PID 1 until the machine ends. What the consoles showed, what standard error did, and how it ended:
/// reboot(2) in a PID namespace ends its init by SIGHUP for a restart and SIGINT for a power-off.
fn machine(name: &str, command_line: &str, program: &str) -> Option<(String, String, Option<i32>)> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root for a PID namespace");
        return None;
    }
    let place = Place::new(name);
    let init = place.program(name, program);
    let console = place.path("console");
    rustix::fs::mknodat(rustix::fs::CWD, &console, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // Both ends: neither side waits for the other.
    let mut reader = std::fs::File::options().read(true).write(true).open(&console).unwrap();
    std::fs::write(place.path("cmdline"), command_line).unwrap();
    std::fs::write(place.path("consoles"), "").unwrap();
    let script = "
        cd \"$1\" && mount -t tmpfs none /dev && mknod /dev/null c 1 3 && touch /dev/console /dev/full &&
        mount --bind console /dev/console && mount --bind cmdline /proc/cmdline &&
        mount --bind consoles /proc/consoles && exec \"$2\"";
    let output = Command::new("unshare")
        .args(["--fork", "--pid", "--mount", "--mount-proc", "sh", "-c", script, "sh"])
        .args([place.0.as_path(), &init])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let mut shown = Vec::new();
    // Ends with EAGAIN, as the test itself holds the other end.
    let _ = reader.read_to_end(&mut shown);
    let signal = output.status.signal().or(output.status.code().map(|code| code - 128));
    Some((text(&shown), text(&output.stderr), signal))
}

/// Which start this is, by a file that outlives the engine.
const COUNT: &str = "
    const counter = await call('files.readText', { path: '/dev/count' }).catch(() => '')
    await call('files.writeText', { path: '/dev/count', text: counter + 'x' })
    const start = counter.length";

#[test]
fn a_dead_engine_is_reported_with_what_it_did_and_started_again() {
    let program = format!(
        "{COUNT}
        await call('supervisor.note', {{ text: 'looking for the cable' }})
        if (start === 0) throw new Error('no network', {{ cause: new Error('no carrier') }})
        if (start === 1) await call('processes.run', {{ argv: ['sh', '-c', 'kill -9 $PPID'], timeoutMs: 10000 }})
        await call('supervisor.reboot', {{ how: 'poweroff' }})"
    );
    let Some((shown, _, signal)) = machine("restart", "diskless.onfail=retry panic=0", &program) else {
        return;
    };
    let first = "diskless: init failed: no network\n  because: no carrier\n  while: looking for the cable\n\
                 diskless: trying again in 1 s\ndiskless: starting init again\n";
    let second = "diskless: init died without a word: killed by SIGKILL";
    assert!(shown.contains(first), "{shown}");
    assert!(shown[shown.find(first).unwrap()..].contains(second), "{shown}");
    assert!(shown.contains("trying again in 2 s"), "the pause grows: {shown}");
    assert_eq!(signal, Some(libc::SIGINT), "{shown}");
}

#[test]
fn panic_is_a_reboot_after_the_message() {
    let Some((shown, _, signal)) = machine("reboot", "quiet panic=-1", "throw new Error('lost')") else {
        return;
    };
    assert!(shown.contains("init failed: lost\n  while: starting\ndiskless: rebooting in 0 s\n"), "{shown}");
    assert_eq!(signal, Some(libc::SIGHUP), "{shown}");
}

#[test]
fn what_init_decided_comes_before_the_command_line() {
    let program = "
        await call('supervisor.setPolicy', { action: 'reboot', delayMs: 0, consoles: [] })
        host.fatal('decided')";
    let Some((shown, _, signal)) = machine("policy", "diskless.onfail=shell", program) else { return };
    assert!(shown.contains("diskless: decided\n") && shown.contains("rebooting in 0 s"), "{shown}");
    assert_eq!(signal, Some(libc::SIGHUP));
}

#[test]
fn a_shell_that_cannot_be_had_is_another_try() {
    // The console is no terminal, so no session can be led on it.
    let program = format!(
        "{COUNT}\nif (start === 0) throw new Error('lost')\nawait call('supervisor.reboot', {{ how: 'reboot' }})"
    );
    let Some((shown, _, signal)) = machine("no-shell", "", &program) else { return };
    assert!(shown.contains("no shell: trying again in 1 s"), "{shown}");
    assert_eq!(signal, Some(libc::SIGHUP));
}

#[test]
fn orphans_are_reaped_while_the_engine_runs() {
    let program = "
        const run = (script) => call('processes.run', { argv: ['sh', '-c', script], timeoutMs: 20000 })
        await run('for n in 1 2 3 4 5 6 7 8; do (exit 7) & done')
        const deadline = host.now() + 20000
        for (;;) {
          const zombies = (await run('cat /proc/[0-9]*/stat | grep -c \") Z \"')).output.trim()
          if (zombies === '0') break
          if (host.now() > deadline) throw new Error(zombies + ' zombies')
        }
        await call('supervisor.reboot', { how: 'poweroff' })";
    let Some((shown, _, signal)) = machine("orphans", "panic=-1", program) else { return };
    assert_eq!(signal, Some(libc::SIGINT), "{shown}");
}

#[test]
fn a_handoff_that_would_empty_a_real_root_is_refused_and_nothing_is_lost() {
    let program = "
        const handoff = { root: '/dev', init: '/null', arguments: [], console: '/dev/console' }
        const error = await failure(call('supervisor.handoff', handoff))
        host.log([error.code, error.operation, error.message].join('|'))
        await call('supervisor.reboot', { how: 'poweroff' })";
    let Some((_, said, signal)) = machine("refused", "panic=-1", program) else { return };
    assert!(said.contains("EINVAL|supervisor.handoff|it is not an initramfs"), "{said}");
    assert_eq!(signal, Some(libc::SIGINT));
}
