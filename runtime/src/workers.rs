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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread::{ThreadId, current};

    /// Runs a job; the thread that did it.
    fn one(workers: &Workers) -> ThreadId {
        let (sender, receiver) = channel();
        workers.run(move || sender.send(current().id()).expect("it is awaited"));
        receiver.recv().expect("the job ran")
    }

    #[test]
    fn one_thread_keeps_the_order() {
        let workers = Workers::new("test", 1, 0);
        let (sender, receiver) = channel();
        for number in 0..100 {
            let sender = sender.clone();
            workers.run(move || sender.send((number, current().id())).expect("it is awaited"));
        }
        drop(sender);
        let ran: Vec<(i32, ThreadId)> = receiver.iter().collect();
        assert!(ran.iter().map(|(number, _)| *number).eq(0..100));
        assert!(ran.iter().all(|(_, thread)| *thread == ran[0].1));
    }

    #[test]
    fn no_job_waits_for_another_below_the_limit() {
        let workers = Workers::new("test", 8, 0);
        let (go, wait) = channel::<()>();
        let (sender, receiver) = channel();
        workers.run(move || wait.recv().expect("the second job ran meanwhile"));
        let second = sender.clone();
        workers.run(move || {
            go.send(()).expect("the first job waits");
            second.send(()).expect("it is awaited");
        });
        receiver.recv().expect("both ran");
    }

    #[test]
    fn an_idle_thread_is_used_again() {
        let workers = Workers::new("test", usize::MAX, 5);
        let first = one(&workers);
        for _ in 0..20 {
            // Its job is done a moment before it is idle.
            while workers.queue.0.lock().expect("no panic inside").idle == 0 {
                std::thread::yield_now();
            }
            assert_eq!(one(&workers), first);
        }
    }
}
