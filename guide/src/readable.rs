// ANCHOR: readable
//! Chapter 12: a read that waits without blocking, as a future.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, Read},
    os::unix::net::UnixStream,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use nio_sys::{EventFlags, Kevent};

use crate::{Sources, apply};

/// A future that is ready when a stream can be read. Dropping it takes everything back.
struct Readable<'a> {
    sources: &'a Sources,
    stream: &'a UnixStream,
    id: Option<usize>, // the udata of its registration
}

impl Future for Readable<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.sources.waiting.borrow_mut();
        if let Some(id) = self.id {
            // The event takes the waker out. A waker that is still there is replaced: it may be
            // another task that polls now.
            return match waiting.get_mut(&id) {
                None => Poll::Ready(Ok(())),
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
            };
        }
        let id = self.sources.last_id.get() + 1; // no number is used twice
        self.sources.last_id.set(id);
        let change = Kevent::read(self.stream, EventFlags::ADD | EventFlags::ONESHOT);
        apply(&self.sources.queue, &[change.with_udata(id)])?;
        waiting.insert(id, context.waker().clone());
        drop(waiting);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Readable<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        if self.sources.waiting.borrow_mut().remove(&id).is_some() {
            let change = Kevent::read(self.stream, EventFlags::DELETE);
            let _ = apply(&self.sources.queue, &[change]);
        }
    }
}
// ANCHOR_END: readable

// ANCHOR: read
impl Sources {
    /// Reads what is there, or waits until something is. The stream is non-blocking.
    pub async fn read(&self, mut stream: &UnixStream, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match stream.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            Readable {
                sources: self,
                stream,
                id: None,
            }
            .await?;
        }
    }
    // ANCHOR_END: read

    // ANCHOR: timeout
    /// The output of some work, or `None` if the time is over first. Then the work is dropped.
    pub async fn timeout<F: Future>(self: &Rc<Self>, time: Duration, work: F) -> Option<F::Output> {
        let (mut work, mut sleep) = (pin!(work), pin!(self.sleep(time)));
        poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}
// ANCHOR_END: timeout
