//! Pipelines: a source, filters and one sink, run on a thread of their own. `Pipelines` in src/sys/pipeline.ts.

pub mod archive;
mod aside;
mod connect;
mod decrypt;
pub mod failure;
pub mod filter;
mod http;
mod http_date;
pub mod inflate;
pub mod inside;
mod opened;
mod pax;
mod request;
pub mod resolve;
mod resume;
mod signature;
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
use crate::workers::Workers;
use aside::{Aside, Copied, Tee};
use failure::{operation, sys_error};
use filter::Filter;
use opened::Validator;
use serde::{Deserialize, Serialize};
use source::{Metered, Source};
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Instant;
use watch::{Watch, watched};

pub fn register(ops: &mut Ops) {
    ops.deferred("pipelines.run", start);
}

#[derive(Deserialize)]
pub struct Pipeline {
    source: Source,
    aside: Option<AsideAt>,
    filters: Vec<Filter>,
    sink: Sink,
}

#[derive(Deserialize)]
struct AsideAt {
    path: String,
    bytes: u64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Sink {
    File {
        path: String,
        mode: u32,
    },
    Discard,
    Tree {
        root: String,
    },
    Text {
        bytes: u64,
    },
    ApkIndex,
    ApkStage {
        root: String,
        checksum: String,
        #[serde(default)]
        digested: bool,
    },
}

impl Sink {
    fn stage(&self) -> &'static str {
        match self {
            Sink::File { .. } => "file",
            Sink::Discard => "discard",
            Sink::Tree { .. } => "tree",
            Sink::Text { .. } => "text",
            Sink::ApkIndex => "apk-index",
            Sink::ApkStage { .. } => "apk-stage",
        }
    }
}

/// `Flow`, and what the sink made.
#[derive(Serialize)]
pub struct Outcome {
    /// Read from the source.
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<Validator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<Copied>,
    #[serde(flatten)]
    pub made: Made,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Made {
    File {},
    Discard {},
    Tree { paths: Vec<String> },
    Text { text: String },
    Index { index: IndexHandle },
    Stage { stage: StagedPackage },
}

/// A pipeline may wait long for a network, so none ever waits for another's thread. What many of them unpack has its turn
/// after what is decided and run meanwhile: that goes one step after the other, and is what a boot waits for.
static THREADS: LazyLock<Workers> = LazyLock::new(|| Workers::new("pipeline", usize::MAX, 5));

fn start(pipeline: Pipeline, call: Call) {
    THREADS.run(move || {
        let result = run(&pipeline, &call.cancel, &call.emit);
        call.reply.answer(result);
    });
}

pub fn run(pipeline: &Pipeline, cancel: &Cancel, emit: &Emit) -> Result<Outcome> {
    let (source, subject) = (&pipeline.source, pipeline.source.subject());
    let stage = pipeline.sink.stage();
    let mut outcome = Watch::new(source.stage(), &subject, cancel, source.deadlines())
        .and_then(|watch| {
            let watch = Rc::new(watch);
            watched(&watch, || transfer(pipeline, &watch, emit, &subject))
        })
        .map_err(|error| sys_error(error, stage, &subject));
    // Garbage of a wrong password is first seen by whatever reads it.
    if let Err(error) = &mut outcome
        && error.code == "FORMAT"
        && error.operation != operation("decrypt")
        && pipeline.filters.iter().any(|filter| matches!(filter, Filter::Decrypt { .. }))
    {
        error.message = format!("{}: {}", decrypt::WRONG, error.message);
    }
    outcome
}

fn transfer(pipeline: &Pipeline, watch: &Rc<Watch>, emit: &Emit, subject: &str) -> io::Result<Outcome> {
    watch.check()?;
    let mut source = pipeline.source.open(watch, emit)?;
    let validator = source.validator.take();
    if let Some(total) = source.total {
        filter::check_announced(&pipeline.filters, total, subject)?;
    }
    let metered =
        Metered { source, watch: watch.clone(), emit, bytes: 0, told: Instant::now(), told_bytes: 0 };
    let aside = pipeline.aside.as_ref().map(|at| RefCell::new(Aside::new(&at.path, at.bytes)));
    let raw: Box<dyn Read> = match &aside {
        None => Box::new(metered),
        Some(aside) => Box::new(Tee { source: metered, aside }),
    };
    let mut from = filter::apply(&pipeline.filters, raw, subject)?;
    let made = match &pipeline.sink {
        Sink::File { path, mode } => {
            sink::file(&mut from, path, *mode)?;
            Made::File {}
        }
        Sink::Discard => Made::Discard {},
        Sink::Tree { root } => Made::Tree { paths: tree::unpack(&mut from, root, subject)? },
        Sink::Text { bytes } => Made::Text { text: sink::text(&mut from, *bytes, subject)? },
        Sink::ApkIndex => {
            let index = packages::index::read(&mut from, subject)?;
            sink::drain(&mut from)?;
            Made::Index { index: packages::keep_index(index) }
        }
        Sink::ApkStage { root, checksum, digested } => {
            let digested =
                *digested && pipeline.filters.iter().any(|filter| matches!(filter, Filter::Digest { .. }));
            let stage = packages::stage::read(&mut from, root, checksum, digested, subject)?;
            sink::drain(&mut from)?;
            Made::Stage { stage: packages::keep_stage(stage) }
        }
    };
    sink::drain(&mut from)?;
    drop(from);
    let copied = aside.map(|aside| aside.into_inner().keep());
    Ok(Outcome { bytes: watch.bytes(), validator, copied, made })
}
