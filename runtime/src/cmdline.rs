//! The few words of the kernel's command line that the host itself reads, when there is nobody to decide for it.
//! All else is TypeScript's.

use crate::protocol::{Action, Policy};
use std::time::Duration;

fn read() -> String {
    std::fs::read_to_string("/proc/cmdline").unwrap_or_default()
}

pub fn has(word: &str) -> bool {
    read().split_whitespace().any(|other| other == word)
}

/// The value of the last `key=value`.
pub fn last(key: &str) -> Option<String> {
    last_of(&read(), key).map(str::to_owned)
}

fn last_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// How long a shell may be idle before the next try, `diskless.idle=SECONDS`: none for 0, 120 s unless told.
pub fn idle() -> Option<Duration> {
    idle_of(&read())
}

fn idle_of(line: &str) -> Option<Duration> {
    let seconds = last_of(line, "diskless.idle").and_then(|seconds| seconds.parse().ok()).unwrap_or(120);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// What to do with a dead engine that has not said: `diskless.onfail=`, else `panic=N` as Alpine means it.
pub fn policy() -> Policy {
    policy_of(&read())
}

fn policy_of(line: &str) -> Policy {
    let panic: Option<i64> = last_of(line, "panic").and_then(|seconds| seconds.parse().ok());
    let action = match last_of(line, "diskless.onfail") {
        Some("retry") => Action::Retry,
        Some("reboot") => Action::Reboot,
        Some("shell") => Action::Shell,
        _ if panic.is_some_and(|seconds| seconds != 0) => Action::Reboot,
        _ => Action::Shell,
    };
    let seconds = panic.map_or(10, |seconds| seconds.clamp(0, 86_400));
    Policy { action, delay_ms: seconds as u64 * 1000, consoles: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_with_an_idle_shell() {
        assert_eq!(idle_of("quiet"), Some(Duration::from_secs(120)));
        assert_eq!(idle_of("diskless.idle=5"), Some(Duration::from_secs(5)));
        assert_eq!(idle_of("diskless.idle=5 diskless.idle=0"), None);
        assert_eq!(idle_of("diskless.idle=soon"), Some(Duration::from_secs(120)));
    }

    #[test]
    fn the_policy_of_a_command_line() {
        let of = |line: &str| {
            let policy = policy_of(line);
            (policy.action, policy.delay_ms)
        };
        assert_eq!(of("quiet\n"), (Action::Shell, 10_000));
        assert_eq!(of("panic=5 quiet"), (Action::Reboot, 5_000));
        assert_eq!(of("panic=-1"), (Action::Reboot, 0));
        assert_eq!(of("panic=0"), (Action::Shell, 0));
        assert_eq!(of("panic=5 diskless.onfail=retry"), (Action::Retry, 5_000));
        assert_eq!(of("diskless.onfail=retry diskless.onfail=reboot"), (Action::Reboot, 10_000));
        assert_eq!(of("diskless.onfail=nonsense"), (Action::Shell, 10_000));
    }
}
