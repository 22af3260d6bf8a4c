//! The host of diskless: one static binary that is PID 1, the engine that runs init's bytecode, and a few commands.

extern crate alloc;

mod ask;
mod bundle;
mod calls;
mod clock;
mod cmdline;
mod commands;
mod consoles;
mod copy_tree;
mod crash;
mod devices;
mod ending;
mod engine;
mod error;
mod failure;
mod files;
#[cfg(test)]
mod fuzz;
mod handoff;
mod keeper;
mod keymap;
mod kmsg;
mod link;
mod modules;
mod mount_options;
mod mounts;
mod network;
mod operations;
mod ops;
mod packages;
mod pipeline;
mod processes;
mod protocol;
mod rsa;
mod session;
mod shell;
mod signals;
mod spawn;
mod supervisor;
mod terminal;
mod tree;
mod wait;
mod workers;

use std::path::Path;
use std::process::exit;

/// sysexits.h EX_SOFTWARE: how an engine ends that has said why.
const EX_SOFTWARE: i32 = 70;

const USAGE: &str = "usage: init --compile BUNDLE.js OUT | --append BYTECODE OUT | --engine | shell\n\
    As PID 1 it boots the machine. Called retry, log, plan or timeline it asks the init that runs.";

/// std opens /dev/null for descriptors that are closed, before main, and aborts where there is none.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = handoff::open_standard_streams;

fn main() {
    clock::started();
    if rustix::process::getpid() == rustix::process::Pid::INIT {
        supervisor::run();
    }
    let mut arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let name = Path::new(arguments.first().map_or("", String::as_str)).file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    // The kernel calls /sbin/modprobe, a link to us.
    if name == "modprobe" {
        exit(modules::modprobe(&arguments[1..]));
    }
    if commands::NAMES.contains(&name.as_str()) {
        arguments[0] = name;
        exit(commands::run(arguments));
    }
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let outcome = match words[..] {
        ["--compile", source, out] => bundle::compile(Path::new(source), Path::new(out)),
        ["--append", bytecode, out] => bundle::append(Path::new(bytecode), Path::new(out)),
        ["--engine"] => {
            link::catch_panics();
            link::end(&engine::run())
        }
        ["shell"] => exit(shell::run()),
        _ => Err(USAGE.to_owned()),
    };
    if let Err(text) = outcome {
        eprintln!("{text}");
        exit(1);
    }
}
