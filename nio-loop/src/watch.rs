//! Watches of descriptors, and the functions that signals, children and files share with them.
//!
//! The laws:
//!
//! 1. The callback is taken out of its watch while it runs, so that it may clear itself.
//! 2. A watch is added to the table, and counted, after it was registered. A user's [`AsFd`] may run
//!    any code while it is registered, but has no id for the watch yet.

use std::{os::fd::AsFd, panic::Location, rc::Rc};

use nio_poll::{Event, Interest, Poll, Token, Trigger};
use nio_timer::Key;

use crate::{
    CallbackId, Error, Handle, Refused,
    callbacks::Target,
    registration::{OnEvent, Registration, Watch, Watched},
};

/// # I/O
impl Handle {
    /// Runs a callback in each turn in which a descriptor is readable or writable (or has an error, or
    /// is at its end). The loop owns the descriptor until the watch is cleared; to use it elsewhere
    /// too, pass an [`Rc`] of it. Put it into non-blocking mode first.
    ///
    /// The registration is level-triggered: bytes that the callback leaves unread are reported again.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if the descriptor is registered with this loop already; [`Error::Poll`] if the
    /// system refuses it; [`Error::Closed`] if the loop is gone. The descriptor is given back.
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
    #[doc(alias("uv_poll_t", "uv_poll_start", "add_reader", "register"))]
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
        let watched = Watched::Descriptor(Rc::clone(&descriptor), interest, Some(on_event));
        let added = self.add_watch(watched, place, |poll, token| {
            poll.register_with(&descriptor, token, interest, Trigger::Level)
        });
        drop(descriptor);
        added.map_err(|(error, watched)| {
            drop(watched);
            Refused {
                error,
                value: take_back(source),
            }
        })
    }

    /// Changes the interest of a [watch](Handle::watch). Its own callback may do that, with the id from
    /// [`current`](Handle::current). Returns false if the callback is gone or is not a watch of a
    /// descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the system refuses it, for example because the descriptor was closed
    /// elsewhere. The watch does not change.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, os::unix::net::UnixStream};
    /// # use nio_loop::{EventLoop, Interest};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// event_loop.handle().watch(ours, Interest::WRITABLE, |handle, mut stream, event| {
    ///     if event.is_writable() {
    ///         stream.write_all(b"question").unwrap();
    ///         // Writing is done: now wait only for the answer.
    ///         let own = handle.current().expect("a watch has an id");
    ///         handle.set_interest(own, Interest::READABLE).unwrap();
    ///     } else {
    ///         handle.stop();
    ///     }
    /// })?;
    /// theirs.write_all(b"answer")?;
    /// event_loop.run()?;
    /// assert_eq!(theirs.read(&mut [0; 16])?, 8);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("uv_poll_start", "reregister", "modify"))]
    pub fn set_interest(&self, id: CallbackId, interest: Interest) -> Result<bool, Error> {
        let Target::Watch(key) = id.0 else {
            return Ok(false);
        };
        let Some(descriptor) = self.with_interest(key, |descriptor, _| Rc::clone(descriptor))
        else {
            return Ok(false);
        };
        // A user's `AsFd` may run any code here, and even clear the watch.
        let descriptor = descriptor.as_fd();
        if self.with_interest(key, |_, _| ()).is_none() {
            return Ok(false);
        }
        let token = Token(key.to_word());
        let poll = self.state.poll()?;
        poll.reregister_with(&descriptor, token, interest, Trigger::Level)?;
        let changed = self.with_interest(key, |_, known| *known = interest);
        Ok(changed.is_some())
    }

    /// Gives the descriptor and the interest of a watch to a closure, if the watch is there.
    fn with_interest<R>(
        &self,
        key: Key,
        look: impl FnOnce(&Rc<dyn AsFd>, &mut Interest) -> R,
    ) -> Option<R> {
        let mut registrations = self.state.registrations.borrow_mut();
        match registrations.get_mut(key)? {
            Registration::Watch(watch) => match &mut watch.watched {
                Watched::Descriptor(descriptor, interest, _) => Some(look(descriptor, interest)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn add_watch(
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
        // Nothing is borrowed: a user's `AsFd` may run any code here, and even drop the loop.
        let registered = register(&poll, Token(key.to_word()));
        let registered = registered.map_err(|error| self.refused(error));
        if let Err(error) = registered.and_then(|()| state.check_open()) {
            drop(state.registrations.borrow_mut().remove(key));
            return Err((error, watched));
        }
        let watch = self.new_watch(watched, place);
        if let Some(pending) = state.registrations.borrow_mut().get_mut(key) {
            *pending = watch;
        }
        Ok(CallbackId(Target::Watch(key)))
    }

    /// Makes a watch, and counts it if it keeps the loop alive.
    pub(crate) fn new_watch(
        &self,
        watched: Watched,
        place: &'static Location<'static>,
    ) -> Registration {
        // A child that a future waits for is kept alive by the task.
        let referenced = !matches!(watched, Watched::Signal(..) | Watched::Process(..));
        self.state.retain(referenced);
        Registration::Watch(Box::new(Watch {
            watched,
            origin: self.state.origin(place),
            referenced,
        }))
    }
}

/// Takes a descriptor back after its registration was refused.
pub(crate) fn take_back<S>(descriptor: Rc<S>) -> S {
    Rc::into_inner(descriptor).expect("the watch that shared it is gone")
}
