//! Threads that are kept: each takes one job after the other, and a new one starts when none is idle.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::Builder;

/// As std has it.
const STACK: usize = 2 << 20;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

#[derive(Clone)]
pub struct Workers {
    name: &'static str,
    most: usize,
    nice: i32,
    queue: Arc<(Mutex<Queue>, Condvar)>,
}

impl Workers {
    /// `most`: threads; what comes beyond that waits in order. `nice`: as setpriority(2) has it, of each.
    pub fn new(name: &'static str, most: usize, nice: i32) -> Workers {
        Workers { name, most, nice, queue: Arc::default() }
    }

    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.0.lock().expect("a panic aborts");
        queue.jobs.push_back(Box::new(job));
        if queue.idle < queue.jobs.len() && queue.threads < self.most {
            queue.threads += 1;
            let workers = self.clone();
            let thread = Builder::new().name(self.name.into()).stack_size(STACK);
            if let Err(error) = thread.spawn(move || workers.work()) {
                queue.threads -= 1;
                assert!(queue.threads > 0, "no {} thread can be started: {error}", self.name);
            }
        }
        drop(queue);
        self.queue.1.notify_one();
    }

    fn work(&self) {
        if self.nice > 0 {
            // Linux has it of threads. To yield more is never refused.
            let _ = rustix::process::nice(self.nice);
        }
        let (queue, ready) = &*self.queue;
        loop {
            let mut queue = queue.lock().expect("a panic aborts");
            queue.idle += 1;
            let job = loop {
                match queue.jobs.pop_front() {
                    Some(job) => break job,
                    None => queue = ready.wait(queue).expect("a panic aborts"),
                }
            };
            queue.idle -= 1;
            drop(queue);
            job();
        }
    }
}
