//! Pipelines: a source, filters and one sink, run on a thread of their own. `Pipelines` in src/sys/pipeline.ts.

pub mod archive;
pub mod failure;
pub mod filter;
mod http;
pub mod inflate;
pub mod inside;
mod pax;
mod resolve;
pub mod sink;
mod source;
#[cfg(test)]
pub mod tests;
mod tftp;
mod tftp_packet;
pub mod tree;
pub mod url;
mod watch;

use crate::error::Result;
use crate::ops::{Call, Cancel, Emit, Ops};
use crate::packages::{self, IndexHandle, StagedPackage};
use failure::{fail, sys_error};
use filter::Filter;
use serde::{Deserialize, Serialize};
use source::{Metered, Source};
use std::io;
use std::rc::Rc;
use std::time::Instant;
use watch::{Watch, watched};

pub fn register(ops: &mut Ops) {
    ops.deferred("pipelines.run", start);
}

#[derive(Deserialize)]
pub struct Pipeline {
    source: Source,
    filters: Vec<Filter>,
    sink: Sink,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Sink {
    File { path: String, mode: u32 },
    Tree { root: String },
    Text { bytes: u64 },
    ApkIndex,
    ApkStage { root: String, checksum: String },
}

impl Sink {
    fn stage(&self) -> &'static str {
        match self {
            Sink::File { .. } => "file",
            Sink::Tree { .. } => "tree",
            Sink::Text { .. } => "text",
            Sink::ApkIndex => "apk-index",
            Sink::ApkStage { .. } => "apk-stage",
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome {
    File { bytes: u64 },
    Tree { bytes: u64, paths: Vec<String> },
    Text { bytes: u64, text: String },
    Index { bytes: u64, index: IndexHandle },
    Stage { bytes: u64, stage: StagedPackage },
}

/// A pipeline may wait long for a network, so it never takes one of the pool's few threads.
fn start(pipeline: Pipeline, call: Call) {
    let thread = std::thread::Builder::new().name("pipeline".into()).stack_size(1 << 20);
    // Without a thread the closure is dropped and the reply in it tells the caller.
    let _ = thread.spawn(move || {
        let result = run(&pipeline, &call.cancel, &call.emit);
        call.reply.answer(result);
    });
}

pub fn run(pipeline: &Pipeline, cancel: &Cancel, emit: &Emit) -> Result<Outcome> {
    let (source, subject) = (&pipeline.source, pipeline.source.subject());
    let watch = Rc::new(Watch::new(source.stage(), &subject, cancel, source.deadlines()));
    let stage = pipeline.sink.stage();
    watched(&watch, || transfer(pipeline, &watch, emit, &subject))
        .map_err(|error| sys_error(error, stage, &subject))
}

fn transfer(pipeline: &Pipeline, watch: &Rc<Watch>, emit: &Emit, subject: &str) -> io::Result<Outcome> {
    watch.check()?;
    let source = pipeline.source.open(watch)?;
    if let (Some(Filter::Limit { bytes }), Some(total)) = (pipeline.filters.first(), source.total)
        && total > *bytes
    {
        let message = format!("{total} bytes are announced, and {bytes} are the limit");
        return Err(fail("TOO_BIG", "limit", subject, message));
    }
    let metered =
        Metered { source, watch: watch.clone(), emit, bytes: 0, told: Instant::now(), told_bytes: 0 };
    let mut from = filter::apply(&pipeline.filters, Box::new(metered), subject);
    let outcome = match &pipeline.sink {
        Sink::File { path, mode } => return Ok(Outcome::File { bytes: sink::file(&mut from, path, *mode)? }),
        Sink::Tree { root } => {
            let (bytes, paths) = tree::unpack(&mut from, root, subject)?;
            Outcome::Tree { bytes, paths }
        }
        Sink::Text { bytes } => {
            let (bytes, text) = sink::text(&mut from, *bytes, subject)?;
            Outcome::Text { bytes, text }
        }
        Sink::ApkIndex => {
            let (bytes, index) = packages::index::read(&mut from, subject)?;
            return Ok(Outcome::Index { bytes, index: packages::keep_index(index) });
        }
        Sink::ApkStage { root, checksum } => {
            let stage = packages::stage::read(&mut from, root, checksum, subject)?;
            return Ok(Outcome::Stage { bytes: stage.package_bytes, stage: packages::keep_stage(stage) });
        }
    };
    sink::drain(&mut from)?;
    Ok(outcome)
}
