//! The calls of TypeScript that are under way: starts operations and queues the answers.

use crate::error::SysError;
use crate::ops::{Answer, Call, Cancel, Emit, Ops, Reply, Run};
use crate::workers::Workers;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Operations that block, at once. More wait in order; what may hang for long is deferred and owns its thread.
const WORKERS: usize = 8;

pub enum Message {
    Answer(u32, Answer),
    Event(u32, String),
}

pub struct Calls {
    ops: Ops,
    pool: Workers,
    sender: Sender<Message>,
    running: Mutex<HashMap<u32, Cancel>>,
}

impl Calls {
    pub fn new(ops: Ops) -> (Self, Receiver<Message>) {
        let (sender, receiver) = channel();
        (Calls { ops, pool: Workers::new("worker", WORKERS, 0), sender, running: Mutex::default() }, receiver)
    }

    /// Starts a call; its answer comes through the channel, never before this returns to JavaScript.
    pub fn start(&self, id: u32, op: &str, arguments: String) {
        let cancel = Cancel::default();
        self.running.lock().expect("a panic aborts").insert(id, cancel.clone());
        let answers = self.sender.clone();
        // The receiver lives as long as the process.
        let answer = move |answer: Answer| drop(answers.send(Message::Answer(id, answer)));
        let events = self.sender.clone();
        let emit = Emit::new(move |event| drop(events.send(Message::Event(id, event))));
        match self.ops.table.get(op) {
            None => answer(Err(SysError::new("ENOSYS", op, "host", "this host has no such operation"))),
            Some(Run::Inline(run)) => answer(run(&arguments)),
            Some(Run::Deferred(run)) => run(&arguments, Call { reply: Reply::new(answer), cancel, emit }),
            Some(Run::Pool(run)) => {
                let run = run.clone();
                let operation = op.to_owned();
                self.pool.run(move || {
                    answer(match cancel.cancelled() {
                        true => Err(SysError::aborted(&operation, "before it began")),
                        false => run(&arguments, &cancel, &emit),
                    });
                });
            }
        }
    }

    pub fn cancel(&self, id: u32) {
        let cancel = self.running.lock().expect("a panic aborts").get(&id).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
    }

    /// Its answer has been delivered.
    pub fn ended(&self, id: u32) {
        self.running.lock().expect("a panic aborts").remove(&id);
    }

    pub fn pending(&self) -> usize {
        self.running.lock().expect("a panic aborts").len()
    }
}
