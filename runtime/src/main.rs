//! The host of diskless: one static binary that is PID 1, the engine that runs init's bytecode, and a few commands.
mod error;
mod ops;

fn main() {
    let _ = ops::Ops::default();
    let _: Option<error::SysError> = None;
}
