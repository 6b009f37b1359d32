//! Crates that do not know nio, tested on nio.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt, channel::oneshot, future, stream};
use nio_loop::{EventLoop, Handle};
use tracing::{Instrument, Metadata, Subscriber, span};

/// Runs a test on a loop of its own.
fn on_nio<T>(test: impl AsyncFnOnce(Handle) -> T) -> T {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    event_loop.block_on(test(handle)).unwrap()
}

#[test]
fn futures_combinators_select_and_buffer() {
    on_nio(async |handle| {
        let (first, second) = (
            handle.sleep(Duration::from_millis(1)),
            future::pending::<()>(),
        );
        let chosen = future::select(first.boxed_local(), second.boxed_local()).await;
        assert!(matches!(chosen, future::Either::Left(_)));
        let sleeps = (0..100_u64).map(|i| {
            let handle = handle.clone();
            async move {
                handle.sleep(Duration::from_micros(i % 7)).await;
                i
            }
        });
        let sum = stream::iter(sleeps).buffer_unordered(10);
        assert_eq!(sum.fold(0, async |sum, i| sum + i).await, 4950);
    });
}

#[test]
fn futures_channels_connect_tasks_and_threads() {
    on_nio(async |handle| {
        let (mut sender, receiver) = futures::channel::mpsc::channel(1);
        handle
            .spawn(async move {
                for i in 0..100 {
                    sender.send(i).await.unwrap();
                }
            })
            .detach();
        assert_eq!(receiver.collect::<Vec<_>>().await.len(), 100);
        let (sender, receiver) = oneshot::channel();
        thread::spawn(move || sender.send("hello"));
        assert_eq!(receiver.await, Ok("hello"));
    });
}

#[test]
fn async_channel_connects_tasks_and_threads() {
    on_nio(async |handle| {
        let (sender, receiver) = async_channel::bounded(1);
        let other = sender.clone();
        thread::spawn(move || (0..100).for_each(|i| other.send_blocking(i).unwrap()));
        handle
            .spawn(async move {
                for i in 100..200 {
                    sender.send(i).await.unwrap();
                }
            })
            .detach();
        let mut sum = 0;
        while let Ok(i) = receiver.recv().await {
            sum += i;
        }
        assert_eq!(sum, 19_900);
    });
}

#[test]
fn async_lock_excludes_other_tasks() {
    on_nio(async |handle| {
        let shared = Rc::new(async_lock::Mutex::new(0));
        let tasks = (0..10).map(|_| {
            let (handle, shared) = (handle.clone(), Rc::clone(&shared));
            handle.clone().spawn(async move {
                let mut number = shared.lock().await;
                let before = *number;
                handle.yield_now().await;
                *number = before + 1;
            })
        });
        future::join_all(tasks).await;
        assert_eq!(*shared.lock().await, 10);
        let semaphore = async_lock::Semaphore::new(1);
        let permit = semaphore.acquire().await;
        assert!(semaphore.try_acquire().is_none());
        drop(permit);
    });
}

#[test]
fn tokio_sync_works_without_its_runtime() {
    use tokio::sync::{Notify, broadcast, mpsc, watch};
    on_nio(async |handle| {
        let (sender, mut receiver) = mpsc::channel(1);
        thread::spawn(move || (0..100).for_each(|i| sender.blocking_send(i).unwrap()));
        let mut sum = 0;
        while let Some(i) = receiver.recv().await {
            sum += i;
        }
        assert_eq!(sum, 4950);

        let notify = Rc::new(Notify::new());
        let (sender, mut seen) = watch::channel(0);
        let (shout, mut heard) = broadcast::channel(4);
        let waits = handle.spawn({
            let notify = Rc::clone(&notify);
            async move {
                notify.notified().await;
                sender.send(1).unwrap();
                shout.send("hello").unwrap();
                notify.notified().await;
            }
        });
        notify.notify_one();
        seen.changed().await.unwrap();
        assert_eq!((*seen.borrow(), heard.recv().await.unwrap()), (1, "hello"));
        notify.notify_one();
        waits.await.unwrap();
    });
}

#[test]
fn async_process_runs_children() {
    use futures::AsyncWriteExt;
    on_nio(async |_| {
        let mut command = async_process::Command::new("cat");
        command.stdin(async_process::Stdio::piped());
        let mut child = command
            .stdout(async_process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"hello").await.unwrap();
        drop(stdin);
        let output = child.output().await.unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"hello");
    });
}

/// Counts how often spans are entered.
struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &span::Id) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn spans_of_tracing_follow_a_task() {
    let entered = Arc::new(AtomicUsize::new(0));
    let guard = tracing::subscriber::set_default(Counter(Arc::clone(&entered)));
    on_nio(async |handle| {
        let span = tracing::info_span!("task");
        let task = handle.clone();
        let work = async move {
            for _ in 0..5 {
                task.yield_now().await;
            }
        };
        handle.spawn(work.instrument(span)).await.unwrap();
    });
    drop(guard);
    assert!(entered.load(Ordering::Relaxed) >= 6);
}

#[test]
fn futures_that_are_not_send_are_polled_by_local_combinators() {
    on_nio(async |handle| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let tasks: stream::FuturesUnordered<_> = (0..3)
            .map(|i| {
                let (handle, seen) = (handle.clone(), Rc::clone(&seen));
                async move {
                    handle.yield_now().await;
                    seen.borrow_mut().push(i);
                }
            })
            .collect();
        tasks.collect::<()>().await;
        assert_eq!(seen.borrow().len(), 3);
    });
}
