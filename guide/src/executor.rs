// ANCHOR: tasks
//! Chapter 11: an executor. It polls the tasks that were woken, and sleeps when none was.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io, mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use nio_sys::{EventList, Kqueue};
use nio_timer::TimerHeap;

/// Wakes one task: notes its number, so that it is polled again.
struct TaskWaker {
    id: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("no panic").push(self.id);
    }
}

/// Runs tasks on one thread.
pub struct Executor {
    tasks: HashMap<usize, Pin<Box<dyn Future<Output = ()>>>>,
    last_id: usize,
    woken: Arc<Mutex<Vec<usize>>>,
    sources: Rc<Sources>,
}

impl Executor {
    /// An executor without tasks.
    pub fn new() -> io::Result<Executor> {
        Ok(Executor {
            tasks: HashMap::new(),
            last_id: 0,
            woken: Arc::default(),
            sources: Rc::new(Sources {
                queue: Kqueue::new()?,
                timers: RefCell::new(TimerHeap::new()),
                waiting: RefCell::new(HashMap::new()),
                last_id: Cell::new(0),
            }),
        })
    }

    /// Adds a task. It is polled for the first time when the executor runs.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.last_id += 1;
        self.tasks.insert(self.last_id, Box::pin(future));
        self.woken.lock().expect("no panic").push(self.last_id);
    }

    /// Polls tasks until all have finished, or nothing can wake the others. Returns how many are left.
    pub fn run(&mut self) -> io::Result<usize> {
        loop {
            let woken = mem::take(&mut *self.woken.lock().expect("no panic"));
            for id in &woken {
                let waker = self.waker(*id);
                let mut context = Context::from_waker(&waker);
                // A task that has finished may still be woken.
                let task = self.tasks.get_mut(id);
                if task.is_some_and(|task| task.as_mut().poll(&mut context).is_ready()) {
                    self.tasks.remove(id);
                }
            }
            if woken.is_empty() && !self.sources.wait()? {
                return Ok(self.tasks.len());
            }
        }
    }

    fn waker(&self, id: usize) -> Waker {
        let woken = Arc::clone(&self.woken);
        Arc::new(TaskWaker { id, woken }).into()
    }

    /// What the tasks wait for.
    pub fn sources(&self) -> Rc<Sources> {
        Rc::clone(&self.sources)
    }
}
// ANCHOR_END: tasks

// ANCHOR: sources
/// What tasks wait for.
pub struct Sources {
    pub(crate) queue: Kqueue,
    timers: RefCell<TimerHeap<Instant, Waker>>,
    /// By the udata of the event.
    pub(crate) waiting: RefCell<HashMap<usize, Waker>>,
    pub(crate) last_id: Cell<usize>,
}

impl Sources {
    /// Sleeps until a deadline or an event, and wakes its task. False if there is nothing to wait for.
    fn wait(&self) -> io::Result<bool> {
        let next = self.timers.borrow_mut().next_deadline();
        if next.is_none() && self.waiting.borrow().is_empty() {
            return Ok(false);
        }
        let until = |next: Instant| next.saturating_duration_since(Instant::now());
        let mut events = EventList::with_capacity(64);
        self.queue.wait(&mut events, next.map(until))?;
        let mut wakers = Vec::new();
        for event in &events {
            wakers.extend(self.waiting.borrow_mut().remove(&event.udata()));
        }
        let now = Instant::now();
        while let Some((_, _, waker)) = self.timers.borrow_mut().pop_expired(now) {
            wakers.push(waker);
        }
        wakers.into_iter().for_each(Waker::wake); // now nothing is borrowed
        Ok(true)
    }
    // ANCHOR_END: sources

    // ANCHOR: sleep
    /// A future that is ready after some time.
    pub fn sleep(self: &Rc<Self>, time: Duration) -> Sleep {
        Sleep {
            deadline: Instant::now() + time,
            sources: Rc::clone(self),
        }
    }
}

/// Made by [`Sources::sleep`].
pub struct Sleep {
    deadline: Instant,
    sources: Rc<Sources>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.sources
            .timers
            .borrow_mut()
            .insert(self.deadline, waker);
        Poll::Pending
    }
}
// ANCHOR_END: sleep
