//! The exits of children, for callbacks and for futures.
//!
//! The law: no call blocks in waitpid(2). If the exit event came but the status is not available yet,
//! a timer tries again.

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
    channel::Receiver,
    poll_budget,
    registration::{OnEvent, OnExit, Registration, Watched},
};

/// The delay before the status of a child is tried again. It doubles each time, up to the last.
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(1);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The wait(2) status of a process that continues: it has neither a code nor a signal.
const UNKNOWN_STATUS: i32 = 0xffff;

/// # Children
impl Handle {
    /// Runs a callback once, when a child has exited, with its status. It runs after the I/O of its
    /// turn, so the last output of the child can be read before it.
    ///
    /// The loop owns the child and waits for it (and never for another process), so there is no zombie.
    /// Waiting never blocks: if the exit was reported but the status is not available yet (for example
    /// because the child is traced), the loop tries again a little later. Take `stdin`, `stdout` and
    /// `stderr` out of the child first. Clearing the callback drops the child: it runs on, and nothing
    /// waits for it.
    ///
    /// An unknown status has neither a code nor a signal, and is not a success. That happens on Linux
    /// before 6.15, if the program ignores `SIGCHLD` or has waited for the child elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the system refuses it, as Linux before 5.3, Android before 12, and a sandbox
    /// without pidfd_open(2) do; [`Error::Closed`] if the loop
    /// is gone. The child is given back, so that the caller can wait for it.
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
        // Some systems cannot watch a child that has exited already.
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
            Err(_) => unreachable!("add_watch gives back the child"),
        }
    }

    /// Handles a refused watch. The child may have exited just now; or it is exiting, and can no longer
    /// be watched but has no status yet.
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
                self.retry_later(key, None, FIRST_RETRY);
                Ok(CallbackId(Target::Watch(key)))
            }
            _ => Err(Refused {
                error,
                value: child,
            }),
        }
    }

    /// Ends the watch of a child whose exit was reported. Returns the callback and the status; `None`
    /// if there is no status yet, and then a timer tries again.
    pub(crate) fn reap(
        &self,
        key: Key,
        reported: Option<ExitStatus>,
        retry: Duration,
    ) -> Option<(OnExit, ExitStatus)> {
        let status = match self.try_wait(key)? {
            Ok(Some(status)) => status,
            Ok(None) => {
                self.retry_later(key, reported, retry);
                return None;
            }
            // Another part of the program has waited for it. The event may still have the status.
            Err(_) => reported.unwrap_or(ExitStatus::from_raw(UNKNOWN_STATUS)),
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

    fn retry_later(&self, key: Key, reported: Option<ExitStatus>, retry: Duration) {
        let next = LAST_RETRY.min(retry * 2);
        let timer = self.set_timeout(retry, move |handle| {
            if let Some((callback, status)) = handle.reap(key, reported, next) {
                callback(handle, status);
            }
        });
        // The watch keeps the loop alive.
        self.unref(timer);
    }

    /// Waits until a child has exited, and returns its status. The child is only borrowed: to kill it
    /// after a while, use [`timeout`](Handle::timeout) and then [`Child::kill`]. Waiting again returns
    /// the same status.
    ///
    /// Like [`Child::wait`], it closes the child's standard input first. It never blocks. Dropping the
    /// future leaves nothing behind, and the child runs on.
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
        // Some systems cannot watch a child that has exited already.
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status);
        }
        let pid = child.id();
        let listening = Receiver::new(self, |sender| {
            let on_event: OnEvent = Box::new(move |_, event| sender.send(|_| event.exit_status()));
            let watched = Watched::Process(pid, Some(on_event));
            let added = self.add_watch(watched, place, |poll, token| {
                poll.register_process(pid, token)
            });
            added.map_err(|(error, _)| error)
        });
        let reported = match listening {
            Ok(mut exit) => exit.next().await?,
            // The child is exiting, or has exited just now.
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
                // Another part of the program has waited for it. The event may still have the status.
                Err(_) => return Ok(reported.unwrap_or(ExitStatus::from_raw(UNKNOWN_STATUS))),
            }
            self.state.check_open()?;
            retry = LAST_RETRY.min(retry * 2);
        }
    }
}

/// Whether watching a process was refused because it does not exist or has exited.
fn is_no_process(error: &Error) -> bool {
    /// The same on every system.
    const ESRCH: i32 = 3;
    let Error::Poll(nio_poll::Error::Refused { source, .. }) = error else {
        return false;
    };
    source.raw_os_error() == Some(ESRCH)
}
