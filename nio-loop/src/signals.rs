//! Signals, for callbacks and for futures.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::Location,
};

use nio_poll::{Signal, Token};

use crate::{
    CallbackId, Error, Handle,
    callbacks::Target,
    channel::Receiver,
    poll_budget,
    registration::{OnEvent, Registration, Watched},
};

/// # Signals
impl Handle {
    /// Runs a callback when a signal is sent to the process. The number is how often it was sent since
    /// the last run; it is a hint, because pending signals merge. The callback runs after the I/O of
    /// its turn.
    ///
    /// A signal may have any number of callbacks, on this loop and on others. Those of one loop run in
    /// the order in which they were set, and each is cleared by its own id. While a signal has at least
    /// one callback, its default action is off.
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
    #[doc(alias("process.on", "uv_signal_t", "uv_signal_start", "sigaction"))]
    #[track_caller]
    pub fn on_signal(
        &self,
        signal: Signal,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> Result<CallbackId, Error> {
        self.on_signal_at(Location::caller(), signal, callback)
    }

    fn on_signal_at(
        &self,
        place: &'static Location<'static>,
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
        let watch = self.new_watch(watched, place);
        let key = state.registrations.borrow_mut().insert(watch);
        state.listeners.add(signal, order, key);
        Ok(CallbackId(Target::Watch(key)))
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

    /// Listens to a signal for a task: [`next`](Signals::next) waits until it is sent. It listens from
    /// this call until the [`Signals`] are dropped, in addition to other listeners of the same signal.
    /// It does not keep the loop alive; a task that awaits it does.
    ///
    /// # Errors
    ///
    /// See [`on_signal`](Handle::on_signal).
    ///
    /// ```
    /// # use nio_loop::Signal;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// nio_loop::run(async |handle| {
    ///     let mut hangups = handle.signals(Signal::HANGUP)?;
    ///     let reloading = handle.spawn(async move {
    ///         while hangups.next().await.is_ok() {
    ///             println!("reading the configuration again");
    ///         }
    ///     });
    ///     # reloading.abort();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[doc(alias = "signal")]
    #[doc(alias = "recv")]
    #[track_caller]
    pub fn signals(&self, signal: Signal) -> Result<Signals, Error> {
        let place = Location::caller();
        let receiver = Receiver::new(self, |sender| {
            self.on_signal_at(place, signal, move |_, count| {
                sender.send(|before: Option<u64>| before.unwrap_or(0).saturating_add(count));
            })
        })?;
        Ok(Signals { signal, receiver })
    }

    /// Waits for Ctrl-C at the terminal (`SIGINT`). It listens from this call on, and Ctrl-C does not
    /// end the program meanwhile. When the future is ready or dropped, the next Ctrl-C ends the program
    /// again, unless there is another listener.
    ///
    /// For the errors see [`signals`](Handle::signals).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// nio_loop::run(async |handle| {
    ///     let printing = handle.set_interval(Duration::from_secs(1), |_, _| println!("working"));
    ///     handle.ctrl_c().await?;
    ///     handle.clear(printing);
    ///     println!("shutting down; a second Ctrl-C ends it at once");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[doc(alias("SIGINT"))]
    #[track_caller]
    pub fn ctrl_c(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let signals = self.signals(Signal::INTERRUPT);
        async move {
            poll_fn(poll_budget).await;
            signals?.next().await.map(drop)
        }
    }
}

/// A listener to a signal, for a task. Made by [`Handle::signals`].
pub struct Signals {
    signal: Signal,
    receiver: Receiver<u64>,
}

impl Signals {
    /// Waits until the signal is sent, and returns how often it was sent since the last call. That is a
    /// hint, because pending signals merge. It is cancellation safe, and signals between two calls are
    /// kept.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone.
    pub async fn next(&mut self) -> Result<u64, Error> {
        self.receiver.next().await
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.signal).finish()
    }
}
