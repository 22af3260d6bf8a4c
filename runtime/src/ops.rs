//! The table of operations that TypeScript can call, and the three ways in which one is run.
//!
//! An operation takes one JSON value and answers once, with a JSON value or a `SysError`. Streams are operations
//! that are asked again (`…Next`). JavaScript stays on the main thread: `inline` operations run there and must not
//! block; `pool` operations run on a worker thread; `deferred` operations answer when they like, from any thread.

use crate::error::{Result, SysError};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// Where a deferred operation sends its answer. Dropping it unanswered is a bug and rejects the promise.
pub struct Reply {
    pub(crate) send: Box<dyn FnOnce(std::result::Result<String, SysError>) + Send>,
}

impl Reply {
    pub fn answer<T: Serialize>(self, result: Result<T>) {
        (self.send)(result.map(|value| serde_json::to_string(&value).expect("answers serialize")));
    }
}

/// True once TypeScript has given the call up (an AbortSignal): stop at the next chance and answer with ABORTED.
#[derive(Clone, Default)]
pub struct Cancel(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Cancel {
    pub fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
    pub fn cancel(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Events of a call that is under way (progress): delivered to TypeScript's `onEvent(id, json)`.
pub struct Emit {
    pub(crate) send: Box<dyn Fn(String) + Send + Sync>,
}

impl Emit {
    pub fn event<T: Serialize>(&self, value: &T) {
        (self.send)(serde_json::to_string(value).expect("events serialize"));
    }
}

pub struct Call {
    pub reply: Reply,
    pub cancel: Cancel,
    pub emit: Emit,
}

pub(crate) enum Run {
    Inline(Box<dyn Fn(&str) -> std::result::Result<String, SysError> + Send + Sync>),
    Pool(std::sync::Arc<dyn Fn(&str, &Cancel, &Emit) -> std::result::Result<String, SysError> + Send + Sync>),
    Deferred(Box<dyn Fn(&str, Call) + Send + Sync>),
}

#[derive(Default)]
pub struct Ops {
    pub(crate) table: HashMap<&'static str, Run>,
}

fn parse<A: DeserializeOwned>(name: &'static str, json: &str) -> Result<A> {
    serde_json::from_str(json).map_err(|error| SysError::new("EINVAL", name, "arguments", error.to_string()))
}

fn text<T: Serialize>(value: T) -> String {
    serde_json::to_string(&value).expect("answers serialize")
}

impl Ops {
    /// Runs on the JavaScript thread; must not block.
    pub fn inline<A: DeserializeOwned + 'static, T: Serialize + 'static>(&mut self, name: &'static str, run: fn(A) -> Result<T>) {
        self.table.insert(name, Run::Inline(Box::new(move |json| Ok(text(run(parse(name, json)?)?)))));
    }

    /// Runs on a worker thread; may block.
    pub fn pool<A: DeserializeOwned + 'static, T: Serialize + 'static>(
        &mut self,
        name: &'static str,
        run: fn(A, &Cancel, &Emit) -> Result<T>,
    ) {
        self.table.insert(
            name,
            Run::Pool(std::sync::Arc::new(move |json, cancel, emit| Ok(text(run(parse(name, json)?, cancel, emit)?)))),
        );
    }

    /// Starts, and answers through `call.reply` later.
    pub fn deferred<A: DeserializeOwned + 'static>(&mut self, name: &'static str, run: fn(A, Call)) {
        self.table.insert(
            name,
            Run::Deferred(Box::new(move |json, call| match parse(name, json) {
                Ok(arguments) => run(arguments, call),
                Err(error) => (call.reply.send)(Err(error)),
            })),
        );
    }
}
