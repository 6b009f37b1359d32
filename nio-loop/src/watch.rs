//! Descriptors, signals, children and files that callbacks wait for.
//!
//! The laws:
//!
//! 1. A callback is out of its watch while it runs, so that it may clear itself.
//! 2. A watch is in the table, and counted, from when it is registered. A descriptor of the user's
//!    making may do anything when it is asked for its number, but cannot name the watch yet.
//! 3. No call waits for a child. One that has announced its exit and is not to be had yet is asked
//!    for again by a timer.

use std::{
    os::{fd::AsFd, unix::process::ExitStatusExt},
    panic::Location,
    process::{Child, ExitStatus},
    rc::Rc,
    time::Duration,
};

use nio_poll::{Event, FileChange, Interest, Poll, Signal, Token, Trigger};

use crate::{
    CallbackId, CallbackKind, Error, Handle, Refused, handle::Target, listeners::Order,
    queues::Origin, slab::Key, sources::Registration, state::State,
};

/// How long until a child is asked for again that has announced its exit: the first time, and at
/// most. It doubles each time.
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(1);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The wait(2) status of no exit: it is that of a process that goes on.
const NOT_KNOWN: i32 = 0xffff;

/// A callback that runs at each event.
pub(crate) type OnEvent = Box<dyn FnMut(&Handle, Event)>;

/// A callback for the exit of a child.
pub(crate) type OnExit = Box<dyn FnOnce(&Handle, ExitStatus)>;

pub(crate) struct Watch {
    pub(crate) watched: Watched,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

/// What is watched, and by which callback. That is absent while it runs. A descriptor is kept here,
/// so that it is not closed while it is registered.
pub(crate) enum Watched {
    Descriptor(Rc<dyn AsFd>, Option<OnEvent>),
    File(Rc<dyn AsFd>, Option<OnEvent>),
    Signal(Signal, Order, Option<OnEvent>),
    Child(Child, OnExit),
}

impl Watch {
    pub(crate) fn kind(&self) -> CallbackKind {
        match self.watched {
            Watched::Descriptor(..) => CallbackKind::Watch,
            Watched::File(..) => CallbackKind::Change,
            Watched::Signal(..) => CallbackKind::Signal,
            Watched::Child(..) => CallbackKind::Exit,
        }
    }

    pub(crate) fn callback(&mut self) -> Option<&mut Option<OnEvent>> {
        match &mut self.watched {
            Watched::Descriptor(_, callback)
            | Watched::File(_, callback)
            | Watched::Signal(_, _, callback) => Some(callback),
            Watched::Child(..) => None,
        }
    }

    pub(crate) fn deregister(&self, state: &State) {
        let Ok(poll) = state.poll() else {
            return;
        };
        // It was registered, so there is nothing to fail; but a process that has exited is no more.
        let _ = match &self.watched {
            Watched::Descriptor(descriptor, _) => poll.deregister(descriptor),
            Watched::File(file, _) => poll.deregister_file(file),
            Watched::Signal(signal, order, _) => {
                let Some(registration) = state.listeners.remove(*signal, *order) else {
                    return; // others listen
                };
                drop(state.registrations.borrow_mut().remove(registration));
                poll.deregister_signal(*signal)
            }
            Watched::Child(child, _) => poll.deregister_process(child.id()),
        };
    }
}

impl Handle {
    /// Runs a callback in each turn in which a descriptor is readable or writable (or has come to
    /// its end, or to an error). The loop keeps the descriptor until the watch is cleared; to use it
    /// elsewhere too, give the loop an [`Rc`] of it. Put it into non-blocking mode before.
    ///
    /// The registration is level-triggered: what the callback leaves unread is reported again.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the descriptor is watched already or the system refuses it;
    /// [`Error::Closed`] if the loop is gone. The descriptor is given back.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, os::unix::net::UnixStream, rc::Rc};
    /// # use nio_loop::{EventLoop, Interest};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// handle.watch(ours, Interest::READABLE, |handle, mut stream, _event| {
    ///     let mut text = [0; 16];
    ///     assert_eq!(stream.read(&mut text).unwrap(), 5);
    ///     handle.stop();
    /// })?;
    /// theirs.write_all(b"hello")?;
    /// event_loop.run()?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn watch<S: AsFd + 'static>(
        &self,
        source: S,
        interest: Interest,
        mut callback: impl FnMut(&Handle, &S, Event) + 'static,
    ) -> Result<CallbackId, Refused<S>> {
        let place = Location::caller();
        let source = Rc::new(source);
        let descriptor: Rc<dyn AsFd> = source.clone();
        let own = Rc::clone(&source);
        let on_event: OnEvent = Box::new(move |handle, event| callback(handle, &own, event));
        let watched = Watched::Descriptor(Rc::clone(&descriptor), Some(on_event));
        let added = self.add_watch(watched, place, |poll, token| {
            poll.register_with(&descriptor, token, interest, Trigger::Level)
        });
        drop(descriptor);
        added.map_err(|(error, watched)| {
            drop(watched);
            Refused::new(error, sole(source))
        })
    }

    /// Runs a callback when a signal was sent to the process; the number says how often since the
    /// last time, and is a hint: signals merge while they wait. It runs after the I/O of its turn.
    ///
    /// A signal may have any number of callbacks, on this loop and on others. Those of one loop run in
    /// the order in which they were set, and each is cleared by its own id. From the first one to the
    /// last, the signal does not do what it does by default.
    ///
    /// As in NodeJS, a callback of a signal does not keep the loop alive, unless it is given to
    /// [`reref`](Handle::reref).
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the signal cannot be caught; [`Error::Closed`] if the loop is gone.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{EventLoop, Signal};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// handle.on_signal(Signal::TERMINATE, |handle, _| handle.stop())?;
    /// handle.set_timeout(Duration::from_millis(1), |_| println!("the work is done"));
    /// event_loop.run()?; // ends with the work, or by a SIGTERM
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn on_signal(
        &self,
        signal: Signal,
        mut callback: impl FnMut(&Handle, u64) + 'static,
    ) -> Result<CallbackId, Error> {
        let on_event: OnEvent = Box::new(move |handle, event| {
            callback(handle, event.count().max(1).unsigned_abs());
        });
        let state = &self.state;
        state.check_open()?;
        if !state.listeners.has(signal) {
            self.register_signal(signal)?;
        }
        let order = state.listeners.next_order();
        let watched = Watched::Signal(signal, order, Some(on_event));
        let watch = self.new_watch(watched, Location::caller(), false);
        let key = state.registrations.borrow_mut().insert(watch);
        state.listeners.add(signal, order, key);
        Ok(self.id(Target::Watch(key)))
    }

    fn register_signal(&self, signal: Signal) -> Result<(), Error> {
        let state = &self.state;
        let poll = state.poll()?;
        let mut registrations = state.registrations.borrow_mut();
        let key = registrations.insert(Registration::Signal(signal));
        if let Err(error) = poll.register_signal(signal, Token(key.to_word())) {
            registrations.remove(key);
            return Err(error.into());
        }
        state.listeners.begin(signal, key);
        Ok(())
    }

    /// Runs a callback when a child has exited, once, with its status. It runs after the I/O of its
    /// turn, so what the child wrote at its end can have been read before.
    ///
    /// The loop owns the child and waits for it (for no other process, ever), so it leaves no zombie. It
    /// never blocks in that: an exit that was announced, but cannot be waited for yet (as of a child
    /// that is traced), is asked for again a little later. Take its `stdin`, `stdout` and `stderr` out
    /// before. When the callback is cleared, the child is dropped: it runs on, and nothing waits for it.
    ///
    /// A status that is not known has neither a code nor a signal, and is no success: on Linux before
    /// 6.15, if the program ignores `SIGCHLD` or has waited for the child elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the system refuses it, as Linux does before 5.3; [`Error::Closed`] if the
    /// loop is gone. The child is given back, so that it can be waited for.
    ///
    /// ```
    /// # use std::process::Command;
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let child = Command::new("sh").args(["-c", "exit 7"]).spawn()?;
    /// event_loop.handle().on_exit(child, |_, status| assert_eq!(status.code(), Some(7)))?;
    /// event_loop.run()?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn on_exit(
        &self,
        mut child: Child,
        callback: impl FnOnce(&Handle, ExitStatus) + 'static,
    ) -> Result<CallbackId, Refused<Child>> {
        let place = Location::caller();
        if let Err(error) = self.state.check_open() {
            return Err(Refused::new(error, child));
        }
        // Where a child has exited already, some systems have nothing to watch any more.
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(self.immediate_at(place, move |handle| callback(handle, status)));
        }
        let pid = child.id();
        let watched = Watched::Child(child, Box::new(callback));
        let added = self.add_watch(watched, place, |poll, token| {
            poll.register_process(pid, token)
        });
        match added {
            Ok(id) => Ok(id),
            Err((error, Watched::Child(child, callback))) => {
                self.retry_exit(error, child, callback, place)
            }
            Err(_) => unreachable!("a child was given"),
        }
    }

    /// The exit of a child was not to be watched. It may have exited just now; or it is about to,
    /// and is no more to be watched but not yet to be waited for.
    fn retry_exit(
        &self,
        error: Error,
        mut child: Child,
        callback: OnExit,
        place: &'static Location<'static>,
    ) -> Result<CallbackId, Refused<Child>> {
        match child.try_wait() {
            Ok(Some(status)) => {
                Ok(self.immediate_at(place, move |handle| callback(handle, status)))
            }
            Ok(None) if is_no_process(&error) => {
                let watched = Watched::Child(child, callback);
                let watch = self.new_watch(watched, place, true);
                let key = self.state.registrations.borrow_mut().insert(watch);
                self.ask_again(key, None, FIRST_RETRY);
                Ok(self.id(Target::Watch(key)))
            }
            _ => Err(Refused::new(error, child)),
        }
    }

    /// Ends the watch of a child that has announced its exit. Returns the callback and the status,
    /// if the child is to be had; otherwise it is asked for again.
    pub(crate) fn reap(
        &self,
        key: Key,
        announced: Option<ExitStatus>,
        retry: Duration,
    ) -> Option<(OnExit, ExitStatus)> {
        let status = match self.try_wait(key)? {
            Ok(Some(status)) => status,
            Ok(None) => {
                self.ask_again(key, announced, retry);
                return None;
            }
            // Another part of the program has waited for it. The event may still know.
            Err(_) => announced.unwrap_or(ExitStatus::from_raw(NOT_KNOWN)),
        };
        let Some(Registration::Watch(watch)) = self.state.remove_watch(key) else {
            return None;
        };
        match watch.watched {
            Watched::Child(_, callback) => Some((callback, status)),
            _ => None,
        }
    }

    fn try_wait(&self, key: Key) -> Option<std::io::Result<Option<ExitStatus>>> {
        let mut registrations = self.state.registrations.borrow_mut();
        match registrations.get_mut(key)? {
            Registration::Watch(watch) => match &mut watch.watched {
                Watched::Child(child, _) => Some(child.try_wait()),
                _ => None,
            },
            _ => None,
        }
    }

    fn ask_again(&self, key: Key, announced: Option<ExitStatus>, retry: Duration) {
        let next = LAST_RETRY.min(retry * 2);
        let timer = self.set_timeout(retry, move |handle| {
            if let Some((callback, status)) = handle.reap(key, announced, next) {
                callback(handle, status);
            }
        });
        // The watch keeps the loop alive.
        self.unref(timer);
    }

    /// Runs a callback when something happens to a file or a directory that is open; the last
    /// argument says what. The loop keeps the file until the callback is cleared. What is watched is
    /// the file, not its name: see [`nio_poll::Poll::register_file`], also for what systems differ
    /// in.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the file is watched already or the system refuses it; [`Error::Closed`] if
    /// the loop is gone. The file is given back.
    ///
    /// ```
    /// # use std::{fs::File, io::Write};
    /// # use nio_loop::{EventLoop, FileChange};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("nio-loop-file-{}", std::process::id()));
    /// let mut log = File::create(&path)?;
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// handle.on_change(File::open(&path)?, FileChange::WRITTEN, |handle, _file, changes| {
    ///     assert!(changes.contains(FileChange::WRITTEN));
    ///     handle.stop();
    /// })?;
    /// log.write_all(b"something happened\n")?;
    /// event_loop.run()?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn on_change<F: AsFd + 'static>(
        &self,
        file: F,
        changes: FileChange,
        mut callback: impl FnMut(&Handle, &F, FileChange) + 'static,
    ) -> Result<CallbackId, Refused<F>> {
        let place = Location::caller();
        let file = Rc::new(file);
        let descriptor: Rc<dyn AsFd> = file.clone();
        let own = Rc::clone(&file);
        let on_event: OnEvent = Box::new(move |handle, event| {
            let changes = event.file_changes().unwrap_or(FileChange::empty());
            callback(handle, &own, changes);
        });
        let watched = Watched::File(Rc::clone(&descriptor), Some(on_event));
        let added = self.add_watch(watched, place, |poll, token| {
            poll.register_file(&descriptor, token, changes)
        });
        drop(descriptor);
        added.map_err(|(error, watched)| {
            drop(watched);
            Refused::new(error, sole(file))
        })
    }

    fn add_watch(
        &self,
        watched: Watched,
        place: &'static Location<'static>,
        register: impl FnOnce(&Poll, Token) -> Result<(), nio_poll::Error>,
    ) -> Result<CallbackId, (Error, Watched)> {
        let state = &self.state;
        let poll = match state.poll() {
            Ok(poll) => poll,
            Err(error) => return Err((error, watched)),
        };
        let key = state
            .registrations
            .borrow_mut()
            .insert(Registration::Pending);
        // With nothing borrowed: a descriptor of the user's making may do anything when it is asked
        // for its number, and even end the loop.
        let registered = register(&poll, Token(key.to_word()));
        let registered = registered.map_err(Error::from);
        if let Err(error) = registered.and_then(|()| state.check_open()) {
            drop(state.registrations.borrow_mut().remove(key));
            return Err((error, watched));
        }
        let watch = self.new_watch(watched, place, true);
        if let Some(pending) = state.registrations.borrow_mut().get_mut(key) {
            *pending = watch;
        }
        Ok(self.id(Target::Watch(key)))
    }

    /// A watch, which is counted from here on.
    fn new_watch(
        &self,
        watched: Watched,
        place: &'static Location<'static>,
        referenced: bool,
    ) -> Registration {
        self.state.retain(referenced);
        Registration::Watch(Box::new(Watch {
            watched,
            origin: self.state.origin(place),
            referenced,
        }))
    }
}

/// Takes a descriptor back whose registration was refused.
fn sole<S>(descriptor: Rc<S>) -> S {
    Rc::into_inner(descriptor).expect("the watch that shared it is gone")
}

/// Whether it was refused to watch a process because there is none of this number, or none that will
/// still exit.
fn is_no_process(error: &Error) -> bool {
    /// The same on every system.
    const ESRCH: i32 = 3;
    let Error::Poll(nio_poll::Error::Refused { source, .. }) = error else {
        return false;
    };
    source.raw_os_error() == Some(ESRCH)
}
