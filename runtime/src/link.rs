//! The engine's end of the link to the supervisor.

/// The last words of an engine: told to the supervisor, or printed where there is none.
pub fn fatal(text: &str) {
    eprintln!("{text}");
}

/// `diskless.debug` on the kernel's command line: failures show stacks.
pub fn debugging() -> bool {
    command_line().split_whitespace().any(|word| word == "diskless.debug")
}

fn command_line() -> String {
    std::fs::read_to_string("/proc/cmdline").unwrap_or_default()
}
