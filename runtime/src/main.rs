//! The host of diskless: one static binary that is PID 1, the engine that runs init's bytecode, and a few commands.

mod bundle;
mod calls;
mod clock;
mod devices;
mod engine;
mod error;
mod failure;
mod files;
mod link;
mod modules;
mod network;
mod operations;
mod ops;
mod pipeline;
mod tree;
mod wait;

use std::path::Path;
use std::process::exit;

/// sysexits.h EX_SOFTWARE: how an engine ends that has said why.
const EX_SOFTWARE: i32 = 70;

const USAGE: &str = "usage: init --compile BUNDLE.js OUT | --append BYTECODE OUT | --engine\n\
    As PID 1 it boots the machine.";

fn main() {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    // The kernel calls /sbin/modprobe, a link to us.
    if arguments.first().is_some_and(|name| name.rsplit('/').next() == Some("modprobe")) {
        exit(modules::modprobe(&arguments[1..]));
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.get(1..).unwrap_or_default() {
        ["--compile", source, out] => bundle::compile(Path::new(source), Path::new(out)),
        ["--append", bytecode, out] => bundle::append(Path::new(bytecode), Path::new(out)),
        ["--engine"] => {
            link::fatal(&engine::run());
            exit(EX_SOFTWARE);
        }
        _ => Err(USAGE.to_owned()),
    };
    if let Err(text) = outcome {
        eprintln!("{text}");
        exit(1);
    }
}
