//! Tasks: futures that the loop polls when they are woken.
//!
//! The laws:
//!
//! 1. A task that is woken any number of times while it is in the ready queue is polled once; one
//!    that is woken while it is polled is polled again.
//! 2. A task is one [`Rc`], which the table, the ready queue, the waiters, the timers and the
//!    [`JoinHandle`](crate::JoinHandle) share. The table is there to list the tasks, to close them,
//!    and for wakers, which may be on other threads and have only a key.
//! 3. A future is polled and dropped only on the loop's thread. While it is polled it is out of its
//!    task, so that the task may abort itself.
//! 4. A task that is over has left the table, and its future is gone before its joiner is woken.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    panic::Location,
    pin::Pin,
    ptr,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, RawWakerVTable, Waker},
};

use crate::{
    budget::Allowance,
    clock::Time,
    mailbox::Mailbox,
    slab::{Key, Slab},
    wakers::{Lent, OwnWaker},
};

/// A spawned future.
pub(crate) type BoxedWork = Pin<Box<dyn Work>>;

/// A future whose output may be of any type.
pub(crate) trait Work {
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Box<dyn Any>>;
}

impl<F> Work for F
where
    F: Future,
    F::Output: 'static,
{
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Box<dyn Any>> {
        // An output without a size, such as `()`, takes no memory.
        self.poll(context)
            .map(|output| Box::new(output) as Box<dyn Any>)
    }
}

/// The output of a task, or the payload of its panic.
pub(crate) type Outcome = Result<Box<dyn Any>, Box<dyn Any + Send>>;

/// The other end of a task.
pub(crate) enum Join {
    /// A [`JoinHandle`](crate::JoinHandle) is awaited.
    Waiting(Waiter),
    /// The task has finished, and its outcome was not taken yet.
    Finished(Outcome),
}

/// A future that the loop polls: a spawned one, or that of `block_on`.
pub(crate) struct Task {
    /// Its key in the table. None when it is over.
    key: Cell<Option<Key>>,
    /// Absent while it is polled, when it is over, and for `block_on`, which keeps its own.
    work: Cell<Option<BoxedWork>>,
    /// A waker of its own, from when a clone of one was first kept. Absent while it is polled.
    waker: Cell<Option<Box<OwnWaker>>>,
    join: Cell<Option<Box<Join>>>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) since: Time,
    queued: Cell<bool>,
    /// There is a [`JoinHandle`](crate::JoinHandle).
    pub(crate) joinable: Cell<bool>,
    /// It keeps the loop alive.
    pub(crate) referenced: Cell<bool>,
}

impl Task {
    pub(crate) fn is_over(&self) -> bool {
        self.key.get().is_none()
    }

    pub(crate) fn key(&self) -> Option<Key> {
        self.key.get()
    }

    pub(crate) fn take_work(&self) -> Option<BoxedWork> {
        self.work.take()
    }

    /// Puts the future back after a poll, or returns it if the task was aborted meanwhile.
    pub(crate) fn put_back(&self, work: BoxedWork) -> Option<BoxedWork> {
        if self.is_over() {
            return Some(work);
        }
        self.work.set(Some(work));
        None
    }

    pub(crate) fn set_join(&self, join: Join) -> Option<Box<Join>> {
        self.join.replace(Some(Box::new(join)))
    }

    pub(crate) fn take_join(&self) -> Option<Box<Join>> {
        self.join.take()
    }
}

/// A task or another future that waits for something.
pub(crate) enum Waiter {
    /// A task of the loop itself, which needs no waker.
    Task(Rc<Task>),
    Waker(Waker),
}

impl Waiter {
    pub(crate) fn wake(self, tasks: &Tasks) {
        match self {
            Waiter::Task(task) => tasks.wake(task),
            Waiter::Waker(waker) => waker.wake(),
        }
    }

    pub(crate) fn is(&self, other: &Waiter) -> bool {
        match (self, other) {
            (Waiter::Task(one), Waiter::Task(other)) => Rc::ptr_eq(one, other),
            (Waiter::Waker(one), Waiter::Waker(other)) => one.will_wake(other),
            _ => false,
        }
    }

    /// Whether waking it may have an effect. Of a waker that is not known.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Waiter::Task(task) => !task.is_over(),
            Waiter::Waker(_) => true,
        }
    }
}

/// Tells a waker from others: compared, never used.
type Identity = (*const (), *const RawWakerVTable);

#[inline]
fn identity(waker: &Waker) -> Identity {
    (waker.data(), ptr::from_ref(waker.vtable()))
}

/// The tasks of a loop.
pub(crate) struct Tasks {
    table: RefCell<Slab<Rc<Task>>>,
    /// Tasks that were woken, in order.
    ready: RefCell<VecDeque<Rc<Task>>>,
    /// How many have left the ready queue, to be polled.
    popped: Cell<u64>,
    /// The task that is polled now.
    polled: Cell<Option<Rc<Task>>>,
    /// The waker that it is polled with.
    polled_with: Cell<Identity>,
    /// To notify a loop that drives this one.
    mailbox: Arc<Mailbox>,
}

impl Tasks {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Tasks {
        Tasks {
            table: RefCell::default(),
            ready: RefCell::default(),
            popped: Cell::new(0),
            polled: Cell::new(None),
            polled_with: Cell::new((ptr::null(), ptr::null())),
            mailbox,
        }
    }

    /// A new task, which is not ready yet.
    pub(crate) fn insert(
        &self,
        work: Option<BoxedWork>,
        place: &'static Location<'static>,
        since: Time,
    ) -> Rc<Task> {
        let task = Rc::new(Task {
            key: Cell::new(None),
            work: Cell::new(work),
            waker: Cell::new(None),
            join: Cell::new(None),
            place,
            since,
            queued: Cell::new(false),
            joinable: Cell::new(true),
            referenced: Cell::new(true),
        });
        let key = self.table.borrow_mut().insert(Rc::clone(&task));
        task.key.set(Some(key));
        task
    }

    /// The task is over. Returns false if it was before.
    pub(crate) fn remove(&self, task: &Task) -> bool {
        drop(task.waker.take());
        let key = task.key.take();
        key.is_some_and(|key| self.table.borrow_mut().remove(key).is_some())
    }

    /// All tasks that are not over.
    pub(crate) fn list(&self) -> Vec<Rc<Task>> {
        let table = self.table.borrow();
        table.iter().map(|(_, task)| Rc::clone(task)).collect()
    }

    /// How many tasks have a waker of their own; `None` if there are clones of any of these.
    pub(crate) fn unshared_wakers(&self) -> Option<usize> {
        let mut count = 0;
        for (_, task) in self.table.borrow().iter() {
            let own = task.waker.take();
            let has_clones = own.as_ref().map(|own| own.has_clones());
            task.waker.set(own);
            match has_clones {
                None => {}
                Some(false) => count += 1,
                Some(true) => return None,
            }
        }
        Some(count)
    }

    /// Puts a task into the ready queue, unless it is in it or over.
    #[inline(always)]
    pub(crate) fn wake(&self, task: Rc<Task>) {
        if task.is_over() || task.queued.replace(true) {
            return;
        }
        self.ready.borrow_mut().push_back(task);
        self.mailbox.rouse();
    }

    /// The same, for a waker.
    pub(crate) fn wake_key(&self, key: Key) {
        let task = self.table.borrow().get(key).cloned();
        if let Some(task) = task {
            self.wake(task);
        }
    }

    /// Something was given to the loop: a loop that drives this one has to know.
    pub(crate) fn rouse(&self) {
        self.mailbox.rouse();
    }

    #[inline]
    pub(crate) fn is_ready_empty(&self) -> bool {
        self.ready.borrow().is_empty()
    }

    /// Takes the next task out of the ready queue.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Rc<Task>> {
        let task = self.ready.borrow_mut().pop_front()?;
        self.popped.set(self.popped.get() + 1);
        task.queued.set(false);
        Some(task)
    }

    /// The end of the ready queue: [`has_passed`](Tasks::has_passed) is true of it when all tasks
    /// that are ready now have left the queue.
    pub(crate) fn end_of_queue(&self) -> u64 {
        self.popped.get() + self.ready.borrow().len() as u64
    }

    /// How often a task was polled.
    pub(crate) fn polls(&self) -> u64 {
        self.popped.get()
    }

    pub(crate) fn has_passed(&self, end: u64) -> bool {
        self.popped.get() > end
    }

    /// Polls a future as a task. Returns its result, the task, and whether an await was refused
    /// because the budget was spent: then the task is to be woken in the next turn. A panic must not
    /// leave `poll`.
    #[inline]
    pub(crate) fn poll_as<R>(
        &self,
        task: Rc<Task>,
        lent: &mut Lent,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> (R, Rc<Task>, bool) {
        let own = task.waker.take();
        let waker = match &own {
            Some(own) => &own.waker,
            None => lent.lend(&self.mailbox, task.key()),
        };
        self.polled_with.set(identity(waker));
        self.polled.set(Some(task));
        let allowance = Allowance::new();
        let result = poll(&mut Context::from_waker(waker));
        let spent = allowance.end();
        let task = self.polled.take().expect("only this takes it");
        if let Some(kept) = own.or_else(|| lent.take_back()) {
            task.waker.set(Some(kept));
        }
        (result, task, spent)
    }

    /// The one that waits when a future is polled with this waker: usually the task that runs now.
    #[inline]
    pub(crate) fn waiter(&self, waker: &Waker) -> Waiter {
        if self.polled_with.get() == identity(waker) {
            if let Some(task) = self.polled.take() {
                self.polled.set(Some(Rc::clone(&task)));
                return Waiter::Task(task);
            }
        }
        Waiter::Waker(waker.clone())
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_task_takes_64_bytes_and_a_waiter_16() {
        assert_eq!(size_of::<Task>(), 64);
        assert_eq!(size_of::<Waiter>(), 16);
    }
}
