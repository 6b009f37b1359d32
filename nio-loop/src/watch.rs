//! What callbacks wait for: descriptors here; signals, children and files have their own files.
//!
//! The laws:
//!
//! 1. A callback is out of its watch while it runs, so that it may clear itself.
//! 2. A watch is in the table, and counted, from when it is registered. A descriptor of the user's
//!    making may do anything when it is asked for its number, but cannot name the watch yet.

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
    /// Runs a callback in each turn in which a descriptor is readable or writable (or has come to
    /// its end, or to an error). The loop keeps the descriptor until the watch is cleared; to use it
    /// elsewhere too, give the loop an [`Rc`] of it. Put it into non-blocking mode before.
    ///
    /// The registration is level-triggered: what the callback leaves unread is reported again.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if this loop has the descriptor already; [`Error::Poll`] if the system refuses
    /// it; [`Error::Closed`] if the loop is gone. The descriptor is given back.
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
                value: sole(source),
            }
        })
    }

    /// Changes the directions that a [watch](Handle::watch) is told of, also from its own callback,
    /// which has its id from [`current`](Handle::current). Returns false if the callback is gone, or
    /// is not one of a descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the system refuses it, as when the descriptor was closed elsewhere. The watch
    /// stays as it was.
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
    ///         // Writing is done: from now on only the answer is of interest.
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
        // A descriptor of the user's making may do anything here, and even clear the watch.
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

    /// Looks at the descriptor and the interest of a watch, if there is one.
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
        // With nothing borrowed: a descriptor of the user's making may do anything when it is asked
        // for its number, and even end the loop.
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

    /// A watch, which is counted from here on.
    pub(crate) fn new_watch(
        &self,
        watched: Watched,
        place: &'static Location<'static>,
    ) -> Registration {
        // A future is kept by its task, if at all.
        let referenced = !matches!(watched, Watched::Signal(..) | Watched::Process(..));
        self.state.retain(referenced);
        Registration::Watch(Box::new(Watch {
            watched,
            origin: self.state.origin(place),
            referenced,
        }))
    }
}

/// Takes a descriptor back whose registration was refused.
pub(crate) fn sole<S>(descriptor: Rc<S>) -> S {
    Rc::into_inner(descriptor).expect("the watch that shared it is gone")
}
