//! The table of operations that TypeScript can call, and the three ways in which one is run.
//!
//! An operation takes one JSON value and answers once, with a JSON value or a `SysError`. Streams and progress are
//! events emitted while the call is under way; a stream's call ends when it is cancelled. JavaScript stays on the
//! main thread: `inline` operations run there and must not block; `pool` operations run on a worker thread;
//! `deferred` operations start there and answer when they like, from any thread.

use crate::error::{Result, SysError};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The wire form of an answer: JSON text or an error.
pub type Answer = std::result::Result<String, SysError>;

/// Where a deferred operation sends its answer. Dropping it unanswered is a bug and rejects the promise.
pub struct Reply {
    send: Option<Box<dyn FnOnce(Answer) + Send>>,
}

impl Reply {
    pub fn new(send: impl FnOnce(Answer) + Send + 'static) -> Self {
        Reply { send: Some(Box::new(send)) }
    }

    pub fn answer<T: Serialize>(self, result: Result<T>) {
        self.send(result.map(text));
    }

    fn send(mut self, answer: Answer) {
        if let Some(send) = self.send.take() {
            send(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(send) = self.send.take() {
            send(Err(SysError::new("EIO", "host", "call", "the host dropped the call without an answer")));
        }
    }
}

#[derive(Default)]
struct CancelState {
    cancelled: bool,
    hooks: Vec<Box<dyn FnOnce() + Send>>,
}

/// True once TypeScript has given the call up (an AbortSignal): stop at the next chance and answer with ABORTED.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<CancelState>>);

impl Cancel {
    pub fn cancelled(&self) -> bool {
        self.0.lock().expect("no panic inside").cancelled
    }

    pub fn cancel(&self) {
        let hooks = {
            let mut state = self.0.lock().expect("no panic inside");
            state.cancelled = true;
            std::mem::take(&mut state.hooks)
        };
        hooks.into_iter().for_each(|hook| hook());
    }

    /// Runs `hook` when the call is given up, at once if it already was: shut a socket down, write to an eventfd.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock().expect("no panic inside");
        if state.cancelled {
            drop(state);
            hook();
        } else {
            state.hooks.push(Box::new(hook));
        }
    }

    /// An eventfd that becomes readable when the call is given up: to poll(2) beside what is waited for.
    pub fn descriptor(&self) -> std::io::Result<Arc<std::os::fd::OwnedFd>> {
        use rustix::event::{EventfdFlags, eventfd};
        let descriptor = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let weak = Arc::downgrade(&descriptor);
        self.on_cancel(move || {
            if let Some(descriptor) = weak.upgrade() {
                // An eventfd takes eight bytes unless its counter is full, and then it is readable already.
                let _ = rustix::io::write(&*descriptor, &1u64.to_ne_bytes());
            }
        });
        Ok(descriptor)
    }
}

/// Events of a call that is under way (progress): delivered to TypeScript's `onEvent(id, json)`.
pub struct Emit {
    send: Box<dyn Fn(String) + Send + Sync>,
}

impl Emit {
    pub fn new(send: impl Fn(String) + Send + Sync + 'static) -> Self {
        Emit { send: Box::new(send) }
    }

    pub fn event<T: Serialize>(&self, value: &T) {
        (self.send)(text(value));
    }
}

pub struct Call {
    pub reply: Reply,
    pub cancel: Cancel,
    pub emit: Emit,
}

pub(crate) enum Run {
    Inline(Box<dyn Fn(&str) -> Answer>),
    Pool(Arc<dyn Fn(&str, &Cancel, &Emit) -> Answer + Send + Sync>),
    Deferred(Box<dyn Fn(&str, Call)>),
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
    pub fn inline<A: DeserializeOwned + 'static, T: Serialize + 'static>(
        &mut self,
        name: &'static str,
        run: fn(A) -> Result<T>,
    ) {
        self.add(name, Run::Inline(Box::new(move |json| run(parse(name, json)?).map(text))));
    }

    /// Runs on a worker thread; may block.
    pub fn pool<A: DeserializeOwned + 'static, T: Serialize + 'static>(
        &mut self,
        name: &'static str,
        run: fn(A, &Cancel, &Emit) -> Result<T>,
    ) {
        self.add(
            name,
            Run::Pool(Arc::new(move |json, cancel, emit| run(parse(name, json)?, cancel, emit).map(text))),
        );
    }

    /// Starts on the JavaScript thread without blocking it, and answers through `call.reply` later.
    pub fn deferred<A: DeserializeOwned + 'static>(&mut self, name: &'static str, run: fn(A, Call)) {
        self.add(
            name,
            Run::Deferred(Box::new(move |json, call| match parse(name, json) {
                Ok(arguments) => run(arguments, call),
                Err(error) => call.reply.send(Err(error)),
            })),
        );
    }

    fn add(&mut self, name: &'static str, run: Run) {
        let previous = self.table.insert(name, run);
        assert!(previous.is_none(), "the operation {name} is registered twice");
    }
}
