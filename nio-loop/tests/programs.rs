//! Random programs on a clock that jumps, run by a loop and by a model of its phases: the same
//! callbacks in the same order and at the same times.
//!
//! A program is hostile: its callbacks arm, clear, close, abort, wake, stop and panic at random, time
//! passes while they run, and it is run in turns of all kinds. The model has no heap, keys or
//! notifications: it has lists, and the phases as documented.

mod support;

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io::{Read, Write},
    mem,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
};

use nio_loop::{CallbackId, EventLoop, Handle, Interest, JoinHandle, MissedTicks};
use proptest::{prelude::*, test_runner::RngSeed};
use support::{automatic_loop, ms, pair, yield_once};

/// The actions of a callback, in order.
type Body = Vec<Act>;

#[derive(Clone, Debug)]
enum Act {
    Timeout(u64, Body),
    /// A period, the choice for missed periods, and the number of runs.
    Interval(u64, MissedTicks, u32, Body),
    Immediate(Body),
    Tick(Body),
    Post(Body),
    /// A byte is there to be read.
    Io(Body),
    Spawn(Vec<Step>),
    /// The number picks one of all callbacks so far.
    Clear(usize),
    Close(usize, Body),
    Reference(usize, bool),
    ReferenceTask(usize, bool),
    Abort(usize),
    Advance(u64),
    Stop,
    RemoteStop,
    Wake,
    Panic,
}

/// The actions of a task.
#[derive(Clone, Debug)]
enum Step {
    Act(Act),
    Sleep(u64),
    Yield,
    /// Wakes itself, and goes on in the same phase.
    Again,
    /// Awaits one of the tasks before it.
    Join(usize),
}

#[derive(Clone, Copy, Debug)]
enum Run {
    ToTheEnd,
    Once,
    NoWait,
}

/// A callback and its name.
#[derive(Clone)]
struct Job(usize, Body);

/// The error of a callback that panicked.
struct Panicked;

type Outcome = Result<(), Panicked>;

/// Runs programs: the loop or the model.
trait World {
    /// The next name.
    fn name(&self) -> usize;
    fn now(&self) -> u64;
    fn say(&self, text: String);
    fn timeout(&self, delay: u64, job: Job);
    fn interval(&self, period: u64, missed: MissedTicks, runs: u32, job: Job);
    fn immediate(&self, job: Job);
    fn tick(&self, job: Job);
    fn post(&self, job: Job);
    fn io(&self, job: Job);
    fn spawn(&self, name: usize, steps: Vec<Step>);
    fn clear(&self, which: usize) -> bool;
    fn close(&self, which: usize, job: Job) -> bool;
    fn reference(&self, which: usize, to: bool) -> bool;
    fn reference_task(&self, which: usize, to: bool) -> bool;
    fn abort(&self, which: usize);
    fn advance(&self, time: u64);
    fn stop(&self);
    fn remote_stop(&self);
    fn wake(&self);

    fn job(&self, body: &Body) -> Job {
        Job(self.name(), body.clone())
    }

    /// Runs a callback.
    fn run(&self, Job(name, body): &Job, more: &str) -> Outcome {
        self.say(format!("{name}{more}@{}", self.now()));
        body.iter().try_for_each(|act| self.act(act))
    }

    fn act(&self, act: &Act) -> Outcome {
        match act {
            Act::Timeout(delay, body) => self.timeout(*delay, self.job(body)),
            Act::Interval(period, missed, runs, body) => {
                self.interval(*period, *missed, *runs, self.job(body));
            }
            Act::Immediate(body) => self.immediate(self.job(body)),
            Act::Tick(body) => self.tick(self.job(body)),
            Act::Post(body) => self.post(self.job(body)),
            Act::Io(body) => self.io(self.job(body)),
            Act::Spawn(steps) => self.spawn(self.name(), steps.clone()),
            Act::Clear(which) => {
                let found = self.clear(*which);
                self.say(format!("clear:{found}"));
            }
            Act::Close(which, body) => {
                let found = self.close(*which, self.job(body));
                self.say(format!("close:{found}"));
            }
            Act::Reference(which, to) => {
                let found = self.reference(*which, *to);
                self.say(format!("ref:{found}"));
            }
            Act::ReferenceTask(which, to) => {
                let found = self.reference_task(*which, *to);
                self.say(format!("ref task:{found}"));
            }
            Act::Abort(which) => self.abort(*which),
            Act::Advance(time) => self.advance(*time),
            Act::Stop => self.stop(),
            Act::RemoteStop => self.remote_stop(),
            Act::Wake => self.wake(),
            Act::Panic => return Err(Panicked),
        }
        Ok(())
    }
}

// The loop.

#[derive(Clone)]
struct Real(Rc<Inner>);

struct Inner {
    handle: Handle,
    log: RefCell<Vec<String>>,
    names: Cell<usize>,
    ids: RefCell<Vec<CallbackId>>,
    tasks: RefCell<Vec<Rc<RefCell<JoinHandle<()>>>>>,
    joined: RefCell<Vec<bool>>,
    posted: RefCell<Vec<Job>>,
    bytes: (Rc<UnixStream>, UnixStream),
    io: RefCell<VecDeque<Job>>,
    watch: Cell<Option<CallbackId>>,
}

thread_local! {
    /// For closures that could go to another thread.
    static REAL: RefCell<Option<Real>> = const { RefCell::new(None) };
}

impl Real {
    fn new(handle: &Handle) -> Real {
        let (ours, theirs) = pair();
        let real = Real(Rc::new(Inner {
            handle: handle.clone(),
            log: RefCell::default(),
            names: Cell::new(0),
            ids: RefCell::default(),
            tasks: RefCell::default(),
            joined: RefCell::default(),
            posted: RefCell::default(),
            bytes: (Rc::new(ours), theirs),
            io: RefCell::default(),
            watch: Cell::new(None),
        }));
        REAL.set(Some(real.clone()));
        real
    }

    /// Runs a callback; a panic of it is one.
    fn call(&self, job: &Job, more: &str) {
        if self.run(job, more).is_err() {
            // Without a message.
            resume_unwind(Box::new(Panicked));
        }
    }

    fn calls(&self, job: Job) -> impl FnOnce(&Handle) + 'static {
        let real = self.clone();
        move |_| real.call(&job, "")
    }

    fn on_byte(&self, mut stream: &UnixStream) {
        let inner = &self.0;
        stream.read_exact(&mut [0]).unwrap();
        let job = inner.io.borrow_mut().pop_front().unwrap();
        let own = inner.watch.get();
        if inner.io.borrow().is_empty() {
            inner.handle.clear(own.unwrap());
            inner.watch.set(None);
        }
        if self.run(&job, " io").is_err() {
            // With a panic the watch is gone, unless this is another one.
            if inner.watch.get() == own {
                inner.watch.set(None);
            }
            resume_unwind(Box::new(Panicked));
        }
    }

    async fn steps(self, own: usize, name: usize, steps: Vec<Step>) {
        let handle = &self.0.handle;
        self.say(format!("task {name}@{}", self.now()));
        for step in steps {
            match step {
                Step::Act(act) => {
                    if self.act(&act).is_err() {
                        resume_unwind(Box::new(Panicked));
                    }
                    continue;
                }
                Step::Sleep(time) => handle.sleep(ms(time)).await,
                Step::Yield => handle.next_turn().await,
                Step::Again => yield_once().await,
                Step::Join(which) => {
                    if own == 0 || mem::replace(&mut self.0.joined.borrow_mut()[which % own], true)
                    {
                        continue;
                    }
                    let task = Rc::clone(&self.0.tasks.borrow()[which % own]);
                    let result = poll_fn(|context| Pin::new(&mut *task.borrow_mut()).poll(context));
                    let text = match result.await {
                        Ok(()) => "ok",
                        Err(error) if error.is_aborted() => "aborted",
                        Err(_) => "panicked",
                    };
                    self.say(format!("joined:{text}"));
                }
            }
            self.say(format!("task {name}@{}", self.now()));
        }
    }
}

impl World for Real {
    fn name(&self) -> usize {
        self.0.names.replace(self.0.names.get() + 1)
    }

    fn now(&self) -> u64 {
        self.0.handle.now().since_start().as_millis() as u64
    }

    fn say(&self, text: String) {
        self.0.log.borrow_mut().push(text);
    }

    fn timeout(&self, delay: u64, job: Job) {
        let id = self.0.handle.set_timeout(ms(delay), self.calls(job));
        self.0.ids.borrow_mut().push(id);
    }

    fn interval(&self, period: u64, missed: MissedTicks, runs: u32, job: Job) {
        let own = Rc::new(Cell::new(None));
        let (real, id, mut left) = (self.clone(), Rc::clone(&own), runs);
        let callback = move |handle: &Handle, periods: u64| {
            left -= 1;
            if left == 0 {
                handle.clear(id.get().unwrap());
            }
            real.call(&job, &format!(":{periods}"));
        };
        let handle = &self.0.handle;
        let id = handle.set_interval_with(ms(period), missed, callback);
        own.set(Some(id));
        self.0.ids.borrow_mut().push(id);
    }

    fn immediate(&self, job: Job) {
        let id = self.0.handle.set_immediate(self.calls(job));
        self.0.ids.borrow_mut().push(id);
    }

    fn tick(&self, job: Job) {
        self.0.handle.next_tick(self.calls(job));
    }

    fn post(&self, job: Job) {
        let n = self.0.posted.borrow().len();
        self.0.posted.borrow_mut().push(job);
        let post = move |_: &Handle| {
            let real = REAL.with_borrow(|real| real.clone().unwrap());
            let job = real.0.posted.borrow()[n].clone();
            real.call(&job, "");
        };
        self.0.handle.remote().post(post).unwrap();
    }

    fn io(&self, job: Job) {
        let inner = &self.0;
        inner.io.borrow_mut().push_back(job);
        (&inner.bytes.1).write_all(b"x").unwrap();
        if inner.watch.get().is_none() {
            let (real, stream) = (self.clone(), Rc::clone(&inner.bytes.0));
            let watch = move |_: &Handle, stream: &Rc<UnixStream>, _| real.on_byte(stream);
            let id = inner.handle.watch(stream, Interest::READABLE, watch);
            inner.watch.set(Some(id.unwrap()));
        }
    }

    fn spawn(&self, name: usize, steps: Vec<Step>) {
        let own = self.0.tasks.borrow().len();
        let task = self.0.handle.spawn(self.clone().steps(own, name, steps));
        self.0.joined.borrow_mut().push(false);
        let task = Rc::new(RefCell::new(task));
        self.0.tasks.borrow_mut().push(task);
    }

    fn clear(&self, which: usize) -> bool {
        let id = pick(&self.0.ids.borrow(), which).copied();
        id.is_some_and(|id| self.0.handle.clear(id))
    }

    fn close(&self, which: usize, job: Job) -> bool {
        let id = pick(&self.0.ids.borrow(), which).copied();
        id.is_some_and(|id| self.0.handle.close(id, self.calls(job)))
    }

    fn reference(&self, which: usize, to: bool) -> bool {
        let handle = &self.0.handle;
        let id = pick(&self.0.ids.borrow(), which).copied();
        id.is_some_and(|id| {
            if to {
                handle.reref(id)
            } else {
                handle.unref(id)
            }
        })
    }

    fn reference_task(&self, which: usize, to: bool) -> bool {
        let task = pick(&self.0.tasks.borrow(), which).cloned();
        task.is_some_and(|task| {
            let task = task.borrow();
            if to { task.reref() } else { task.unref() }
        })
    }

    fn abort(&self, which: usize) {
        let task = pick(&self.0.tasks.borrow(), which).cloned();
        if let Some(task) = task {
            task.borrow().abort();
        }
    }

    fn advance(&self, time: u64) {
        self.0.handle.advance(ms(time)).unwrap();
    }

    fn stop(&self) {
        self.0.handle.stop();
    }

    fn remote_stop(&self) {
        self.0.handle.remote().stop();
    }

    fn wake(&self) {
        self.0.handle.remote().wake();
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    all.get(which.checked_rem(all.len())?)
}

// The model.

/// A callback that has an id.
#[derive(Clone)]
struct Thing {
    kind: Kind,
    job: Job,
    there: bool,
    referenced: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Timeout,
    /// Period, due, runs left.
    Interval(u64, MissedTicks, u64, u32),
    Immediate,
}

struct Task {
    name: usize,
    steps: VecDeque<Step>,
    /// The first of the steps is under way.
    under_way: bool,
    began: bool,
    sleeps: bool,
    queued: bool,
    referenced: bool,
    joined: bool,
    joiner: Option<usize>,
    /// The outcome of joining it, when it has finished.
    finished: Option<&'static str>,
    gone: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Target {
    Thing(usize),
    Sleep(usize),
}

#[derive(Default)]
struct State {
    log: Vec<String>,
    names: usize,
    now: u64,
    stopping: bool,
    things: Vec<Thing>,
    /// Deadline, number, and owner.
    timers: Vec<(u64, u64, Target)>,
    armed: u64,
    ticks: VecDeque<Job>,
    immediates: VecDeque<usize>,
    closing: VecDeque<Job>,
    posts: VecDeque<Job>,
    /// The inbox: posts, a stop, and whether there was a notification.
    inbox: Vec<Job>,
    inbox_stop: bool,
    rung: bool,
    tasks: Vec<Task>,
    ready: VecDeque<usize>,
    next_turn: Vec<usize>,
    this_turn: Vec<usize>,
    io: VecDeque<Job>,
    watch: Option<u32>,
    watches: u32,
    /// The poll has said that there is something to read.
    event: bool,
    /// Which timers are due in this turn: the time, and the last number.
    due: (u64, u64),
}

#[derive(Clone, Copy)]
enum Phase {
    Posts,
    Immediates,
    Closing,
}

#[derive(Default)]
struct Model(RefCell<State>);

impl State {
    fn arm(&mut self, deadline: u64, target: Target) {
        self.armed += 1;
        self.timers.push((deadline, self.armed, target));
    }

    fn disarm(&mut self, target: Target) {
        self.timers.retain(|timer| timer.2 != target);
    }

    /// Removes a dropped task from everything that it waits for.
    fn leave(&mut self, id: usize) {
        self.disarm(Target::Sleep(id));
        self.next_turn.retain(|&other| other != id);
        self.this_turn.retain(|&other| other != id);
    }

    fn add(&mut self, kind: Kind, job: Job) -> usize {
        let (there, referenced) = (true, true);
        self.things.push(Thing {
            kind,
            job,
            there,
            referenced,
        });
        self.things.len() - 1
    }

    fn remove(&mut self, id: usize) -> bool {
        self.disarm(Target::Thing(id));
        mem::take(&mut self.things[id].there)
    }

    fn notify(&mut self) {
        self.rung = true;
    }

    fn collect(&mut self) -> bool {
        let rung = mem::take(&mut self.rung);
        self.posts.extend(self.inbox.drain(..));
        self.stopping |= mem::take(&mut self.inbox_stop);
        rung
    }

    fn wake_task(&mut self, id: usize) {
        let task = &mut self.tasks[id];
        if !task.gone && !mem::replace(&mut task.queued, true) {
            self.ready.push_back(id);
        }
    }

    fn is_alive(&self) -> bool {
        let thing = |thing: &Thing| thing.there && thing.referenced;
        let task = |task: &Task| task.referenced && !task.gone && task.finished.is_none();
        self.things.iter().any(thing)
            || self.tasks.iter().any(task)
            || self.watch.is_some()
            || self.rung
            || !self.closing.is_empty()
            || !self.ticks.is_empty()
            || !self.posts.is_empty()
    }

    fn is_busy(&self) -> bool {
        let immediate = |thing: &Thing| {
            thing.there && thing.referenced && matches!(thing.kind, Kind::Immediate)
        };
        self.things.iter().any(immediate)
            || self.event
            || !self.next_turn.is_empty()
            || !self.this_turn.is_empty()
            || !self.ready.is_empty()
            || !self.ticks.is_empty()
            || !self.posts.is_empty()
            || !self.closing.is_empty()
    }

    /// How many callbacks a phase has now.
    fn count(&self, phase: Phase) -> usize {
        match phase {
            Phase::Posts => self.posts.len(),
            Phase::Immediates => self.immediates.len(),
            Phase::Closing => self.closing.len(),
        }
    }

    /// The next callback of a phase, or a cleared one.
    fn next(&mut self, phase: Phase) -> Option<Job> {
        match phase {
            Phase::Posts => self.posts.pop_front(),
            Phase::Immediates => {
                let id = self.immediates.pop_front()?;
                let there = mem::take(&mut self.things[id].there);
                there.then(|| self.things[id].job.clone())
            }
            Phase::Closing => self.closing.pop_front(),
        }
    }

    fn first_timer(&self) -> Option<(u64, u64, Target)> {
        let first = self.timers.iter().min_by_key(|timer| (timer.0, timer.1));
        first.copied()
    }

    fn next_deadline(&self) -> Option<u64> {
        if self.is_busy() || self.rung {
            return Some(self.now);
        }
        self.first_timer().map(|timer| timer.0)
    }
}

impl Model {
    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.borrow_mut())
    }

    /// Runs the program as the loop is told to; whether something keeps it alive, unless a callback
    /// has panicked.
    fn turns(&self, run: Run) -> Result<bool, Panicked> {
        self.with(|state| {
            // A wake that comes between two runs is left for the first poll.
            state.rung = state.collect();
        });
        let goes_on = || self.with(|state| !state.stopping);
        match run {
            Run::ToTheEnd => {
                while goes_on() && self.with(|state| state.is_alive()) {
                    self.turn(true)?;
                }
            }
            Run::Once if goes_on() => {
                self.drain()?;
                self.after_timers(true)?;
                self.timers()?;
            }
            Run::NoWait if goes_on() => self.turn(false)?,
            _ => {}
        }
        Ok(self.with(|state| {
            state.collect();
            state.stopping = false;
            state.is_alive()
        }))
    }

    fn turn(&self, may_wait: bool) -> Outcome {
        self.drain()?;
        self.timers()?;
        self.after_timers(may_wait)
    }

    fn after_timers(&self, may_wait: bool) -> Outcome {
        self.poll(may_wait)?;
        self.phase(Phase::Posts)?;
        self.wake_next_turn()?;
        self.phase(Phase::Immediates)?;
        self.phase(Phase::Closing)
    }

    /// Runs the callbacks that a phase has now.
    fn phase(&self, phase: Phase) -> Outcome {
        for _ in 0..self.with(|state| state.count(phase)) {
            if let Some(job) = self.with(|state| state.next(phase)) {
                self.call(&job, "")?;
            }
        }
        Ok(())
    }

    fn call(&self, job: &Job, more: &str) -> Outcome {
        self.run(job, more)?;
        self.drain()
    }

    /// Ticks, then tasks, until there are none.
    fn drain(&self) -> Outcome {
        loop {
            while let Some(job) = self.with(|state| state.ticks.pop_front()) {
                self.run(&job, "")?;
            }
            while let Some(id) = self.with(|state| state.ready.pop_front()) {
                self.poll_task(id);
            }
            if self.with(|state| state.ticks.is_empty()) {
                return Ok(());
            }
        }
    }

    fn timers(&self) -> Outcome {
        self.begin_timers();
        self.due_timers()
    }

    fn begin_timers(&self) {
        self.with(|state| state.due = (state.now, state.armed));
    }

    fn due_timers(&self) -> Outcome {
        let now = self.with(|state| state.now);
        loop {
            let first = self.with(|state| {
                let (due, armed) = state.due;
                let first = state.first_timer();
                first.filter(|timer| timer.0 <= due && timer.1 <= armed)
            });
            let Some((_, _, target)) = first else {
                return Ok(());
            };
            self.with(|state| state.disarm(target));
            match target {
                Target::Sleep(id) => {
                    self.with(|state| {
                        state.tasks[id].sleeps = false;
                        state.wake_task(id);
                    });
                    self.drain()?;
                }
                Target::Thing(id) => self.due(id, now)?,
            }
        }
    }

    /// Runs a timeout or an interval that is due.
    fn due(&self, id: usize, now: u64) -> Outcome {
        let Thing { kind, job, .. } = self.with(|state| state.things[id].clone());
        let Kind::Interval(period, missed, due, runs) = kind else {
            self.with(|state| state.things[id].there = false);
            return self.call(&job, "");
        };
        let periods = (now - due) / period + 1;
        let (next, told) = match missed {
            MissedTicks::Skip => (due + periods * period, periods),
            MissedTicks::Burst => (due + period, 1),
            MissedTicks::Delay => (now + period, periods),
        };
        self.with(|state| {
            state.things[id].kind = Kind::Interval(period, missed, next, runs - 1);
            // A deadline that has passed counts as this turn's time, but runs in the next turn.
            state.arm(next.max(state.due.0), Target::Thing(id));
            if runs == 1 {
                state.remove(id);
            }
        });
        let outcome = self.run(&job, &format!(":{told}"));
        if outcome.is_err() {
            self.with(|state| state.remove(id));
        }
        outcome?;
        self.drain()
    }

    fn poll(&self, may_wait: bool) -> Outcome {
        self.with(|state| {
            if !state.event {
                let resumed = mem::take(&mut state.next_turn);
                state.this_turn.extend(resumed);
                let waits = may_wait && !state.stopping && state.is_alive() && !state.is_busy();
                let readable = state.watch.is_some() && !state.io.is_empty();
                if waits && !readable && !state.rung {
                    let (deadline, ..) = state.first_timer().expect("a program does not hang");
                    state.now = state.now.max(deadline);
                }
                state.event = readable;
                state.collect();
            }
        });
        if self.with(|state| mem::take(&mut state.event)) {
            self.byte()?;
        }
        self.drain()
    }

    /// Wakes the tasks that wait for the I/O and the posts of this turn to be over.
    fn wake_next_turn(&self) -> Outcome {
        self.with(|state| {
            for id in mem::take(&mut state.this_turn) {
                state.wake_task(id);
            }
        });
        self.drain()
    }

    fn byte(&self) -> Outcome {
        let (job, own) = self.with(|state| {
            let (job, own) = (state.io.pop_front().unwrap(), state.watch);
            if state.io.is_empty() {
                state.watch = None;
            }
            (job, own)
        });
        let outcome = self.run(&job, " io");
        if outcome.is_err() {
            self.with(|state| state.watch = state.watch.filter(|_| state.watch != own));
        }
        outcome?;
        self.drain()
    }

    fn poll_task(&self, id: usize) {
        let polls = self.with(|state| {
            let task = &mut state.tasks[id];
            task.queued = false;
            !task.gone && task.finished.is_none()
        });
        if !polls {
            return;
        }
        let result = self.go_on(id);
        self.with(|state| {
            let task = &mut state.tasks[id];
            if task.gone {
                // It has aborted itself, and is dropped with its sleep.
                return state.leave(id);
            }
            task.finished = result;
            if let (Some(_), Some(joiner)) = (result, task.joiner) {
                state.wake_task(joiner);
            }
        });
    }

    /// Runs a task until it has to wait. Returns its outcome, if it has finished.
    fn go_on(&self, id: usize) -> Option<&'static str> {
        let name = self.with(|state| state.tasks[id].name);
        let say = || self.say(format!("task {name}@{}", self.now()));
        if self.with(|state| !mem::replace(&mut state.tasks[id].began, true)) {
            say();
        }
        while let Some(step) = self.with(|state| state.tasks[id].steps.front().cloned()) {
            let is_act = matches!(step, Step::Act(_));
            if let Step::Act(act) = &step {
                if self.act(act).is_err() {
                    return Some("panicked");
                }
            } else {
                match self.with(|state| state.step(id, &step)) {
                    None => return None,
                    Some(Some(joined)) => self.say(format!("joined:{joined}")),
                    Some(None) => {}
                }
            }
            let skipped = self.with(|state| {
                let task = &mut state.tasks[id];
                task.steps.pop_front();
                let is_join = matches!(step, Step::Join(_));
                is_join && !mem::take(&mut task.under_way) || {
                    task.under_way = false;
                    false
                }
            });
            if !is_act && !skipped {
                say();
            }
        }
        Some("ok")
    }
}

impl State {
    /// A step of a task; `None` if it has to wait. A finished join returns its outcome.
    fn step(&mut self, id: usize, step: &Step) -> Option<Option<&'static str>> {
        let task = &mut self.tasks[id];
        let resumed = mem::replace(&mut task.under_way, true);
        match *step {
            Step::Act(_) => Some(None),
            Step::Sleep(time) => {
                if resumed || time == 0 {
                    return (!task.sleeps).then_some(None);
                }
                task.sleeps = true;
                self.arm(self.now + time, Target::Sleep(id));
                None
            }
            Step::Yield if !resumed => {
                self.next_turn.push(id);
                None
            }
            Step::Again if !resumed => {
                self.wake_task(id);
                None
            }
            Step::Yield | Step::Again => Some(None),
            Step::Join(which) => {
                if !resumed && (id == 0 || mem::replace(&mut self.tasks[which % id].joined, true)) {
                    self.tasks[id].under_way = false;
                    return Some(None);
                }
                let other = &mut self.tasks[which % id];
                if let (Some(text), false) = (other.finished, other.gone) {
                    other.gone = true;
                    return Some(Some(text));
                }
                if other.gone {
                    return Some(Some("aborted"));
                }
                other.joiner = Some(id);
                None
            }
        }
    }
}

impl World for Model {
    fn name(&self) -> usize {
        self.with(|state| {
            state.names += 1;
            state.names - 1
        })
    }

    fn now(&self) -> u64 {
        self.with(|state| state.now)
    }

    fn say(&self, text: String) {
        self.with(|state| state.log.push(text));
    }

    fn timeout(&self, delay: u64, job: Job) {
        self.with(|state| {
            let id = state.add(Kind::Timeout, job);
            state.arm(state.now + delay, Target::Thing(id));
        });
    }

    fn interval(&self, period: u64, missed: MissedTicks, runs: u32, job: Job) {
        self.with(|state| {
            let due = state.now + period;
            let id = state.add(Kind::Interval(period, missed, due, runs), job);
            state.arm(due, Target::Thing(id));
        });
    }

    fn immediate(&self, job: Job) {
        self.with(|state| {
            let id = state.add(Kind::Immediate, job);
            state.immediates.push_back(id);
        });
    }

    fn tick(&self, job: Job) {
        self.with(|state| state.ticks.push_back(job));
    }

    fn post(&self, job: Job) {
        self.with(|state| {
            state.inbox.push(job);
            state.notify();
        });
    }

    fn io(&self, job: Job) {
        self.with(|state| {
            state.io.push_back(job);
            if state.watch.is_none() {
                state.watches += 1;
                state.watch = Some(state.watches);
            }
        });
    }

    fn spawn(&self, name: usize, steps: Vec<Step>) {
        self.with(|state| {
            state.ready.push_back(state.tasks.len());
            state.tasks.push(Task {
                name,
                steps: steps.into(),
                under_way: false,
                began: false,
                sleeps: false,
                queued: true,
                referenced: true,
                joined: false,
                joiner: None,
                finished: None,
                gone: false,
            });
        });
    }

    fn clear(&self, which: usize) -> bool {
        self.with(|state| match state.things.len() {
            0 => false,
            count => state.remove(which % count),
        })
    }

    fn close(&self, which: usize, job: Job) -> bool {
        let found = self.clear(which);
        if found {
            self.with(|state| state.closing.push_back(job));
        }
        found
    }

    fn reference(&self, which: usize, to: bool) -> bool {
        self.with(|state| {
            let count = state.things.len().max(1);
            let thing = state.things.get_mut(which % count);
            thing.is_some_and(|thing| {
                thing.referenced = to;
                thing.there
            })
        })
    }

    fn reference_task(&self, which: usize, to: bool) -> bool {
        self.with(|state| {
            let count = state.tasks.len().max(1);
            let task = state.tasks.get_mut(which % count);
            task.is_some_and(|task| {
                task.referenced = to;
                !task.gone && task.finished.is_none()
            })
        })
    }

    fn abort(&self, which: usize) {
        self.with(|state| {
            let id = which.checked_rem(state.tasks.len());
            let Some((id, task)) = id.map(|id| (id, &mut state.tasks[id])) else {
                return;
            };
            if task.gone || task.finished.is_some() {
                return;
            }
            task.gone = true;
            let joiner = task.joiner;
            state.leave(id);
            if let Some(joiner) = joiner {
                state.wake_task(joiner);
            }
        });
    }

    fn advance(&self, time: u64) {
        self.with(|state| state.now += time);
    }

    fn stop(&self) {
        self.with(|state| state.stopping = true);
    }

    fn remote_stop(&self) {
        self.with(|state| {
            state.inbox_stop = true;
            state.notify();
        });
    }

    fn wake(&self) {
        self.with(State::notify);
    }
}

// Both.

fn run_real(event_loop: &mut EventLoop, run: Run) -> Result<bool, Panicked> {
    let run = || match run {
        Run::ToTheEnd => event_loop.run(),
        Run::Once => event_loop.run_once(),
        Run::NoWait => event_loop.run_nowait(),
    };
    let result: Result<_, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(run));
    match result {
        Ok(alive) => Ok(alive.unwrap()),
        Err(panic) if panic.is::<Panicked>() => Err(Panicked),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs a program on the loop and on the model. Returns the number of events.
fn compare(program: &[(Body, Run)]) -> usize {
    let mut event_loop = automatic_loop();
    let real = Real::new(&event_loop.handle());
    let model = Model::default();
    let mut happened = 0;
    let mut both = |run: Run| {
        let expected = model.with(|state| state.next_deadline());
        let next = event_loop.next_deadline();
        let next = next.map(|time| time.since_start().as_millis() as u64);
        assert_eq!(next, expected, "the next deadline");
        let expected = model.turns(run).ok();
        let result = run_real(&mut event_loop, run).ok();
        let log = real.0.log.take();
        assert_eq!(log, model.with(|state| mem::take(&mut state.log)));
        assert_eq!(result, expected, "whether {run:?} says it is alive");
        happened += log.len();
        result
    };
    for (body, run) in program {
        for act in body {
            // Outside of a run there are no panics.
            if !matches!(act, Act::Panic) {
                assert!(real.act(act).is_ok() && model.act(act).is_ok());
            }
        }
        both(*run);
    }
    // To the end: after a stop or a panic the program continues.
    while both(Run::ToTheEnd) != Some(false) {}
    happened
}

fn missed() -> impl Strategy<Value = MissedTicks> {
    prop_oneof![
        Just(MissedTicks::Skip),
        Just(MissedTicks::Burst),
        Just(MissedTicks::Delay)
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let simple = prop_oneof![
        6 => any::<usize>().prop_map(Act::Clear),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, to)| Act::Reference(which, to)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, to)| Act::ReferenceTask(which, to)),
        3 => any::<usize>().prop_map(Act::Abort),
        4 => (1..5_u64).prop_map(Act::Advance),
        1 => Just(Act::Stop),
        1 => Just(Act::RemoteStop),
        1 => Just(Act::Wake),
        2 => Just(Act::Panic),
        3 => (0..4_u64).prop_map(|delay| Act::Timeout(delay, Body::new())),
    ];
    simple.prop_recursive(4, 60, 5, |inner| {
        let body = || prop::collection::vec(inner.clone(), 0..5);
        let step = prop_oneof![
            4 => inner.clone().prop_map(Step::Act),
            3 => (0..4_u64).prop_map(Step::Sleep),
            2 => Just(Step::Yield),
            2 => Just(Step::Again),
            2 => any::<usize>().prop_map(Step::Join),
        ];
        prop_oneof![
            4 => (0..4_u64, body()).prop_map(|(delay, body)| Act::Timeout(delay, body)),
            2 => (1..4_u64, missed(), 1..4_u32, body())
                .prop_map(|(period, missed, runs, body)| Act::Interval(period, missed, runs, body)),
            3 => body().prop_map(Act::Immediate),
            3 => body().prop_map(Act::Tick),
            2 => body().prop_map(Act::Post),
            2 => body().prop_map(Act::Io),
            2 => (any::<usize>(), body()).prop_map(|(which, body)| Act::Close(which, body)),
            4 => prop::collection::vec(step, 0..6).prop_map(Act::Spawn),
        ]
    })
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        2 => Just(Run::ToTheEnd),
        2 => Just(Run::Once),
        2 => Just(Run::NoWait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        // The same programs each time, so a failure belongs to the change that causes it.
        rng_seed: RngSeed::Fixed(2009),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_hostile_program_behaves_like_the_model(
        program in prop::collection::vec((prop::collection::vec(act(), 0..8), run()), 1..6),
    ) {
        compare(&program);
    }
}
