//! The exits of children, for callbacks and for futures.
//!
//! The law: no call waits for a child. One that has announced its exit and cannot be waited for yet is
//! asked for again by a timer.

use std::{
    future::{Future, poll_fn},
    os::unix::process::ExitStatusExt,
    panic::Location,
    process::{Child, ExitStatus},
    time::Duration,
};

use nio_timer::Key;

use crate::{
    CallbackId, Error, Handle, Refused,
    callbacks::Target,
    notices::Notices,
    poll_budget,
    registration::{OnEvent, OnExit, Registration, Watched},
};

/// How long until a child is asked for again that has announced its exit: the first time, and at
/// most. It doubles each time.
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(1);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The wait(2) status of no exit: it is that of a process that goes on.
const NOT_KNOWN: i32 = 0xffff;

/// # Children
impl Handle {
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
    #[doc(alias("uv_process_t", "waitpid", "SIGCHLD"))]
    #[track_caller]
    pub fn on_exit(
        &self,
        mut child: Child,
        callback: impl FnOnce(&Handle, ExitStatus) + 'static,
    ) -> Result<CallbackId, Refused<Child>> {
        let place = Location::caller();
        if let Err(error) = self.state.check_open() {
            return Err(Refused {
                error,
                value: child,
            });
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
                let watch = self.new_watch(watched, place);
                let key = self.state.registrations.borrow_mut().insert(watch);
                self.ask_again(key, None, FIRST_RETRY);
                Ok(CallbackId(Target::Watch(key)))
            }
            _ => Err(Refused {
                error,
                value: child,
            }),
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

    /// Waits until a child has exited, and returns its status. The child is borrowed: to kill it when it
    /// takes too long, give this to [`timeout`](Handle::timeout) and then use [`Child::kill`]. Awaited
    /// again, it returns the same status.
    ///
    /// As [`Child::wait`] does, it closes the child's standard input first. It never blocks. A future
    /// that is dropped leaves nothing behind, and the child runs on.
    ///
    /// # Errors
    ///
    /// As [`on_exit`](Handle::on_exit); [`Error::Closed`] also if the loop ends meanwhile.
    ///
    /// ```
    /// # use std::{process::Command, time::Duration};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// nio_loop::run(async |handle| {
    ///     let mut child = Command::new("sleep").arg("60").spawn()?;
    ///     let limit = Duration::from_millis(10);
    ///     if handle.timeout(limit, handle.wait(&mut child)).await.is_err() {
    ///         child.kill()?;
    ///     }
    ///     assert!(!handle.wait(&mut child).await?.success());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[doc(alias = "waitpid")]
    #[doc(alias = "exit_status")]
    #[track_caller]
    pub fn wait<'a>(
        &self,
        child: &'a mut Child,
    ) -> impl Future<Output = Result<ExitStatus, Error>> + use<'a> {
        let (handle, place) = (self.clone(), Location::caller());
        async move {
            poll_fn(poll_budget).await;
            drop(child.stdin.take());
            handle.wait_for(child, place).await
        }
    }

    async fn wait_for(
        &self,
        child: &mut Child,
        place: &'static Location<'static>,
    ) -> Result<ExitStatus, Error> {
        // Where a child has exited already, some systems have nothing to watch any more.
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status);
        }
        let pid = child.id();
        let listening = Notices::of(self, |teller| {
            let on_event: OnEvent = Box::new(move |_, event| teller.tell(|_| event.exit_status()));
            let watched = Watched::Process(pid, Some(on_event));
            let added = self.add_watch(watched, place, |poll, token| {
                poll.register_process(pid, token)
            });
            added.map_err(|(error, _)| error)
        });
        let announced = match listening {
            Ok(mut exit) => exit.next().await?,
            // It exits now, or has just done so.
            Err(error) => match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if is_no_process(&error) => None,
                _ => return Err(error),
            },
        };
        let mut retry = FIRST_RETRY;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => self.sleep(retry).await,
                // Another part of the program has waited for it. The event may still know.
                Err(_) => return Ok(announced.unwrap_or(ExitStatus::from_raw(NOT_KNOWN))),
            }
            self.state.check_open()?;
            retry = LAST_RETRY.min(retry * 2);
        }
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
