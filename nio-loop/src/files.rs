//! Changes of files, for callbacks and for futures.

use std::{fmt, os::fd::AsFd, panic::Location, rc::Rc};

use nio_poll::FileChange;

use crate::{
    CallbackId, Error, Handle, Refused,
    channel::Receiver,
    registration::{OnEvent, Watched},
    watch::take_back,
};

/// # Files
impl Handle {
    /// Runs a callback when an open file or directory changes; its last argument names the changes. The
    /// loop owns the file until the callback is cleared. The watch follows the file, not its name: see
    /// [`nio_poll::Poll::register_file`], also for the differences between systems.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if this loop watches the file already; [`Error::Poll`] if the system refuses it;
    /// [`Error::Closed`] if the loop is gone. The file is given back.
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
    #[doc(alias("fs.watch", "uv_fs_event_t", "inotify", "notify"))]
    #[track_caller]
    pub fn on_change<F: AsFd + 'static>(
        &self,
        file: F,
        changes: FileChange,
        callback: impl FnMut(&Handle, &F, FileChange) + 'static,
    ) -> Result<CallbackId, Refused<F>> {
        self.on_change_at(Location::caller(), file, changes, callback)
    }

    fn on_change_at<F: AsFd + 'static>(
        &self,
        place: &'static Location<'static>,
        file: F,
        changes: FileChange,
        mut callback: impl FnMut(&Handle, &F, FileChange) + 'static,
    ) -> Result<CallbackId, Refused<F>> {
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
            Refused {
                error,
                value: take_back(file),
            }
        })
    }

    /// Watches an open file or directory for a task: [`next`](Changes::next) waits for the next change.
    /// The watch lasts from this call until the [`Changes`] are dropped. It does not keep the loop
    /// alive; a task that awaits it does. The loop owns the file meanwhile; to use it elsewhere too,
    /// pass an [`Rc`] of it.
    ///
    /// # Errors
    ///
    /// See [`on_change`](Handle::on_change).
    ///
    /// ```
    /// # use std::{fs::File, io::Write};
    /// # use nio_loop::FileChange;
    /// # fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("nio-loop-changes-{}", std::process::id()));
    /// let mut log = File::create(&path)?;
    /// nio_loop::run(async |handle| {
    ///     let mut changes = handle.changes(File::open(&path)?, FileChange::WRITTEN)?;
    ///     log.write_all(b"something happened\n")?;
    ///     assert_eq!(changes.next().await?, FileChange::WRITTEN);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # std::fs::remove_file(&path)
    /// # }
    /// ```
    #[doc(alias = "inotify")]
    #[track_caller]
    pub fn changes<F: AsFd + 'static>(
        &self,
        file: F,
        changes: FileChange,
    ) -> Result<Changes, Refused<F>> {
        let place = Location::caller();
        let receiver = Receiver::new(self, |sender| {
            let id = self.on_change_at(place, file, changes, move |_, _, changes| {
                sender.send(|before| changes | before.unwrap_or(FileChange::empty()));
            })?;
            self.unref(id);
            Ok(id)
        })?;
        Ok(Changes(receiver))
    }
}

/// The changes of a file, for a task. Made by [`Handle::changes`].
pub struct Changes(Receiver<FileChange>);

impl Changes {
    /// Waits until the file changes, and returns all changes since the last call. It is cancellation
    /// safe, and changes between two calls are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone.
    pub async fn next(&mut self) -> Result<FileChange, Error> {
        self.0.next().await
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}
