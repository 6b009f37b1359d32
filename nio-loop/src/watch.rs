//! Descriptors, signals, children and files that callbacks wait for.

use std::{
    cell::Cell,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    panic::Location,
    process::{Child, ExitStatus},
    rc::Rc,
};

use nio_poll::{Event, FileChange, Interest, Poll, Signal, Token, Trigger};

use crate::{
    CallbackId, CallbackKind, Error, Handle,
    core::{Core, Origin},
    handle::Kind,
    slab::Key,
    source::Entry,
};

/// The wait(2) status of no exit: it is that of a process that goes on.
const NOT_KNOWN: i32 = 0xffff;

/// A callback that runs at each event.
pub(crate) type OnEvent = Box<dyn FnMut(&Handle, Event)>;

pub(crate) struct Watch {
    pub(crate) what: Watched,
    /// Absent while it runs.
    pub(crate) callback: Option<OnEvent>,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

pub(crate) enum Watched {
    /// Kept here, so that it is not closed while it is registered.
    Descriptor(Rc<dyn AsFd>),
    File(Rc<dyn AsFd>),
    Signal(Signal),
    Process(u32),
}

impl Watch {
    pub(crate) fn kind(&self) -> CallbackKind {
        match self.what {
            Watched::Descriptor(_) => CallbackKind::Watch,
            Watched::File(_) => CallbackKind::Change,
            Watched::Signal(_) => CallbackKind::Signal,
            Watched::Process(_) => CallbackKind::Exit,
        }
    }

    pub(crate) fn deregister(&self, poll: &Poll) {
        // It was registered, so there is nothing to fail; but a process that has exited is no more.
        let _ = match &self.what {
            Watched::Descriptor(descriptor) => poll.deregister(descriptor),
            Watched::File(file) => poll.deregister_file(file),
            Watched::Signal(signal) => poll.deregister_signal(*signal),
            Watched::Process(pid) => poll.deregister_process(*pid),
        };
    }
}

impl Core {
    /// Ends a watch.
    pub(crate) fn remove_watch(&self, key: Key) -> Option<Entry> {
        let entry = self.sources.borrow_mut().remove(key)?;
        entry.deregister(self);
        if let Entry::Watch(watch) = &entry {
            self.release(watch.referenced);
        }
        Some(entry)
    }

    /// Puts the callback of a watch back after its run, or returns it if the watch was cleared
    /// meanwhile.
    pub(crate) fn put_back_watch(&self, key: Key, on_event: OnEvent) -> Option<OnEvent> {
        match self.sources.borrow_mut().get_mut(key) {
            Some(Entry::Watch(watch)) => watch.callback.replace(on_event),
            _ => Some(on_event),
        }
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
    /// [`Error::Closed`] if the loop is gone.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, os::unix::net::UnixStream, rc::Rc};
    /// # use nio_loop::{EventLoop, Interest};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
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
    ) -> Result<CallbackId, Error> {
        let source = Rc::new(source);
        let descriptor: Rc<dyn AsFd> = source.clone();
        let watched = Watched::Descriptor(Rc::clone(&descriptor));
        let on_event: OnEvent = Box::new(move |handle, event| callback(handle, &source, event));
        self.add_watch(watched, on_event, Location::caller(), |token| {
            let poll = &self.core.poll;
            poll.register_with(&descriptor, token, interest, Trigger::Level)
        })
    }

    /// Runs a callback when a signal was sent to the process; the number says how often since the
    /// last time, and is a hint: signals merge while they wait. As long as it is set, the signal does
    /// not do what it does by default. It runs after the I/O of its turn.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if this loop has a callback for the signal already or the signal cannot be
    /// caught; [`Error::Closed`] if the loop is gone.
    #[track_caller]
    pub fn on_signal(
        &self,
        signal: Signal,
        mut callback: impl FnMut(&Handle, u64) + 'static,
    ) -> Result<CallbackId, Error> {
        let on_event: OnEvent = Box::new(move |handle, event| {
            callback(handle, event.count().max(1).unsigned_abs());
        });
        let watched = Watched::Signal(signal);
        self.add_watch(watched, on_event, Location::caller(), |token| {
            self.core.poll.register_signal(signal, token)
        })
    }

    /// Runs a callback when a child has exited, once, with its status. It runs after the I/O of its
    /// turn, so what the child wrote at its end can have been read before.
    ///
    /// The loop owns the child and waits for it (no other process of this one, ever), so it leaves no
    /// zombie. Take its `stdin`, `stdout` and `stderr` out before. When the callback is cleared, the
    /// child is dropped: it runs on, and nobody waits for it.
    ///
    /// A status that is not known has neither a code nor a signal, and is no success: on Linux before
    /// 6.15, if the program ignores `SIGCHLD` or has waited for the child elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the system refuses it, as Linux does before 5.3; [`Error::Closed`] if the
    /// loop is gone.
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
    ) -> Result<CallbackId, Error> {
        let place = Location::caller();
        if self.core.closed.get() {
            return Err(Error::Closed);
        }
        // Where a child has exited already, some systems have nothing to watch any more.
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(self.immediate_at(place, move |handle| callback(handle, status)));
        }
        let pid = child.id();
        let once = Rc::new(Cell::new(Some((child, callback))));
        let own = Rc::clone(&once);
        let on_event: OnEvent = Box::new(move |handle, event| {
            if let Some((mut child, callback)) = own.take() {
                // It has exited, so this does not block. If it has been waited for, the event may know.
                let waited = child.wait().ok();
                let status = waited.or_else(|| event.exit_status());
                callback(handle, status.unwrap_or(ExitStatus::from_raw(NOT_KNOWN)));
            }
        });
        let watched = self.add_watch(Watched::Process(pid), on_event, place, |token| {
            self.core.poll.register_process(pid, token)
        });
        let refused = watched.as_ref().err();
        if let Some((error, (mut child, callback))) = refused.and_then(|e| Some((e, once.take()?)))
        {
            // Or it has exited just now; or it is about to, and is no more to be watched but not yet to
            // be waited for: that takes a moment.
            let waited = match is_no_process(error) {
                true => child.wait().map(Some),
                false => child.try_wait(),
            };
            if let Ok(Some(status)) = waited {
                return Ok(self.immediate_at(place, move |handle| callback(handle, status)));
            }
        }
        watched
    }

    /// Runs a callback when something happens to a file or a directory that is open; the last
    /// argument says what. The loop keeps the file until the callback is cleared. What is watched is
    /// the file, not its name: see [`nio_poll::Poll::register_file`], also for what systems differ
    /// in.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the file is watched already or the system refuses it; [`Error::Closed`] if
    /// the loop is gone.
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
    ) -> Result<CallbackId, Error> {
        let file = Rc::new(file);
        let descriptor: Rc<dyn AsFd> = file.clone();
        let watched = Watched::File(Rc::clone(&descriptor));
        let on_event: OnEvent = Box::new(move |handle, event| {
            callback(
                handle,
                &file,
                event.file_changes().unwrap_or(FileChange::empty()),
            );
        });
        self.add_watch(watched, on_event, Location::caller(), |token| {
            self.core.poll.register_file(&descriptor, token, changes)
        })
    }

    fn add_watch(
        &self,
        what: Watched,
        on_event: OnEvent,
        place: &'static Location<'static>,
        register: impl FnOnce(Token) -> Result<(), nio_poll::Error>,
    ) -> Result<CallbackId, Error> {
        if self.core.closed.get() {
            return Err(Error::Closed);
        }
        let watch = Box::new(Watch {
            what,
            callback: Some(on_event),
            origin: self.core.origin(place),
            referenced: true,
        });
        let key = self.core.sources.borrow_mut().insert(Entry::Watch(watch));
        // With nothing borrowed: a descriptor of the user's making may do anything when it is
        // asked for its number.
        if let Err(error) = register(Token(key.to_word())) {
            let entry = self.core.sources.borrow_mut().remove(key);
            drop(entry);
            return Err(error.into());
        }
        self.core.retain(true);
        Ok(CallbackId(Kind::Watch(key)))
    }
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
