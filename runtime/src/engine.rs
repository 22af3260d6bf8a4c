//! The engine: runs init's bytecode in QuickJS on the main thread, and feeds it answers, events and timers.
//!
//! There is one way out for whatever goes wrong in JavaScript: `run` returns the text for the person at the console.
//! QuickJS would by itself say nothing of an async main that rejects, and rquickjs would go on after a failed job.

use crate::calls::{Calls, Message};
use crate::failure::describe;
use crate::{bundle, clock, link, operations};
use rquickjs::context::intrinsic;
use rquickjs::function::Func;
use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Function, Module, Object, Persistent, Promise, Runtime, Value};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Far below the stack that the kernel gives a process (8 MiB), so JavaScript's recursion is an exception.
const STACK: usize = 1 << 20;
/// JavaScript holds no payload: what needs more than this is a mistake. Small machines give a quarter.
const MEMORY: u64 = 64 << 20;
/// Cycles are rare and boots are short: collecting them early only costs time.
const GC_THRESHOLD: usize = 8 << 20;
/// What runs for so long without letting go is an endless loop: no job of init's takes a second, on the slowest machine.
const TURN: Duration = Duration::from_secs(10);

/// Rejected promises that nobody handles yet, with the reason.
type Rejections = Rc<RefCell<Vec<(Persistent<Value<'static>>, Persistent<Value<'static>>)>>>;

/// What `host.fatal` was told.
type Told = Rc<RefCell<Option<String>>>;

/// Runs the appended bytecode until it fails or the process is replaced. Returns what to tell the person.
pub fn run() -> String {
    let program = match bundle::load() {
        Ok(program) => program,
        Err(text) => return text,
    };
    let (name, value) = crate::pipeline::resolve::RESOLVER;
    // SAFETY: this process has one thread so far.
    unsafe { std::env::set_var(name, value) };
    let memory = rustix::system::sysinfo();
    let limit = (memory.totalram as u64 * memory.mem_unit as u64 / 4).min(MEMORY);
    match Engine::new(limit as usize) {
        // Never dropped: QuickJS would insist that no value is left, and the process ends anyway.
        Ok(engine) => ManuallyDrop::new(engine).run(program),
        Err(error) => format!("the engine does not start: {error}"),
    }
}

struct Engine {
    runtime: Runtime,
    context: Context,
    calls: Rc<Calls>,
    messages: Receiver<Message>,
    rejections: Rejections,
    told: Told,
    limit: usize,
    /// When JavaScript last began to run.
    turn: Rc<Cell<Instant>>,
}

impl Engine {
    fn new(limit: usize) -> rquickjs::Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(limit);
        runtime.set_max_stack_size(STACK);
        runtime.set_gc_threshold(GC_THRESHOLD);
        let rejections = Rejections::default();
        let tracked = rejections.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, handled| {
            let promise = Persistent::save(&ctx, promise);
            let mut tracked = tracked.borrow_mut();
            match handled {
                false => tracked.push((promise, Persistent::save(&ctx, reason))),
                true => tracked.retain(|(other, _)| *other != promise),
            }
        })));
        let turn = Rc::new(Cell::new(Instant::now()));
        let began = turn.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || began.get().elapsed() > TURN)));
        // Each intrinsic costs some of the time before the first line: those that init uses, and no others.
        let context = Context::builder()
            .with::<(
                intrinsic::Date,
                intrinsic::RegExp,
                intrinsic::RegExpCompiler,
                intrinsic::Json,
                intrinsic::MapSet,
                intrinsic::Promise,
            )>()
            .build(&runtime)?;
        let (calls, messages) = Calls::new(operations::all());
        let engine = Engine {
            runtime,
            context,
            calls: Rc::new(calls),
            messages,
            rejections,
            told: Told::default(),
            limit,
            turn,
        };
        engine.context.with(|ctx| engine.open_host(&ctx))?;
        Ok(engine)
    }

    /// The global `host`, the whole of what JavaScript sees of the machine.
    fn open_host(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let host = Object::new(ctx.clone())?;
        let calls = self.calls.clone();
        host.set(
            "call",
            Func::from(move |id: u32, op: String, arguments: String| calls.start(id, &op, arguments)),
        )?;
        let calls = self.calls.clone();
        host.set("cancel", Func::from(move |id: u32| calls.cancel(id)))?;
        host.set("now", Func::from(clock::now))?;
        host.set("wall", Func::from(clock::wall))?;
        host.set("started", clock::started())?;
        host.set("random", Func::from(clock::random))?;
        let told = self.told.clone();
        host.set(
            "fatal",
            Func::from(move |text: String| {
                told.borrow_mut().get_or_insert(text);
            }),
        )?;
        host.set("log", Func::from(|text: String| eprintln!("{text}")))?;
        ctx.globals().set("host", host)
    }

    fn run(&self, program: &'static [u8]) -> String {
        match self.start(program) {
            Err(text) => text,
            Ok(main) => self.go_on(main).unwrap_or_else(|text| text),
        }
    }

    fn start(&self, program: &'static [u8]) -> Result<Persistent<Promise<'static>>, String> {
        self.turn.set(Instant::now());
        let started = self.context.with(|ctx| {
            // SAFETY: --append checked that this very binary compiled the bytecode.
            let module = unsafe { Module::load(ctx.clone(), program) }?;
            let (_, promise) = module.eval()?;
            Ok(Persistent::save(&ctx, promise))
        });
        started.map_err(|error| self.failure(error))
    }

    /// The loop. Ends with the text of what went wrong; `Ok` and `Err` are the same to the caller.
    fn go_on(&self, main: Persistent<Promise<'static>>) -> Result<String, String> {
        loop {
            self.run_jobs(&main)?;
            let next = clock::fire();
            match self.next_message(next) {
                Some(message) => self.deliver(message)?,
                None if next.is_some() => {}
                None => return Ok(self.nothing_left(&main)),
            }
        }
    }

    /// The next answer or event; none when the next timer is due first, or when nothing can come any more.
    fn next_message(&self, next: Option<Duration>) -> Option<Message> {
        if let Ok(message) = self.messages.try_recv() {
            return Some(message);
        }
        match next {
            None if self.calls.pending() == 0 => None,
            None => self.messages.recv().ok(),
            Some(wait) => self.messages.recv_timeout(wait).ok(),
        }
    }

    fn deliver(&self, message: Message) -> Result<(), String> {
        self.turn.set(Instant::now());
        let delivered = self.context.with(|ctx| {
            let host: Object = ctx.globals().get("host")?;
            match message {
                Message::Answer(id, answer) => {
                    self.calls.ended(id);
                    let receive: Function = host.get("onAnswer")?;
                    match answer {
                        Ok(json) => receive.call((id, true, json)),
                        Err(error) => {
                            let json = serde_json::to_string(&error).expect("errors serialize");
                            receive.call((id, false, json))
                        }
                    }
                }
                Message::Event(id, json) => {
                    let receive: Function = host.get("onEvent")?;
                    receive.call((id, json))
                }
            }
        });
        delivered.map_err(|error| self.failure(error))
    }

    /// Runs promise jobs until none is left; then what was rejected and not handled is fatal.
    fn run_jobs(&self, main: &Persistent<Promise<'static>>) -> Result<(), String> {
        loop {
            self.turn.set(Instant::now());
            match self.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => break,
                // The exception stays with the context until it is described.
                Err(_) => return Err(self.explain("init failed in a job", |ctx| Ok(ctx.catch()))),
            }
        }
        if let Some(text) = self.told.borrow_mut().take() {
            return Err(text);
        }
        let Some((promise, reason)) = self.rejections.borrow().first().cloned() else { return Ok(()) };
        let is_main = self.context.with(|ctx| -> rquickjs::Result<bool> {
            Ok(promise.restore(&ctx)? == main.clone().restore(&ctx)?.into_value())
        });
        let what = match is_main {
            Ok(true) => "init failed",
            _ => "init failed: nobody handled a rejected promise",
        };
        Err(self.explain(what, |ctx| reason.restore(ctx)))
    }

    fn nothing_left(&self, main: &Persistent<Promise<'static>>) -> String {
        self.context.with(|ctx| match main.clone().restore(&ctx).map(|main| main.state()) {
            Ok(PromiseState::Pending) => "init waits for something that can never come".to_owned(),
            _ => "init ended without handing over".to_owned(),
        })
    }

    fn failure(&self, error: rquickjs::Error) -> String {
        match error {
            rquickjs::Error::Exception => self.explain("init failed", |ctx| Ok(ctx.catch())),
            other => format!("init failed: {other}"),
        }
    }

    fn explain(
        &self,
        what: &str,
        thrown: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<Value<'js>>,
    ) -> String {
        // What is reported after a lack of memory needs some itself.
        self.runtime.set_memory_limit(self.limit + (1 << 20));
        let text = self.context.with(|ctx| match thrown(&ctx) {
            Ok(value) => describe(&ctx, value, link::debugging()),
            Err(error) => error.to_string(),
        });
        match text.contains("out of memory") {
            true => format!("{what}: {text}\n  JavaScript may use {} MiB", self.limit >> 20),
            false => format!("{what}: {text}"),
        }
    }
}
