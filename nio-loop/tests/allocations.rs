//! The allocations of tasks.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use nio_loop::{Direction, EventLoop, Handle, Interest, JoinHandle, Source};
use support::{event_loop, pair, waker};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread how often it is asked.
struct Counting;

// SAFETY: everything is done by the allocator of the system; the count allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TASKS: usize = 100;
const LONG: Duration = Duration::from_secs(3600);

/// How many allocations a hundred tasks make that are spawned and polled once.
fn allocations<F: Future<Output = ()> + 'static>(
    event_loop: &mut EventLoop,
    mut make: impl FnMut(&Handle) -> F,
) -> usize {
    let handle = event_loop.handle();
    let mut hundred = || {
        let futures: Vec<F> = (0..TASKS).map(|_| make(&handle)).collect();
        let mut tasks = Vec::with_capacity(TASKS);
        let before = ALLOCATIONS.get();
        tasks.extend(futures.into_iter().map(|future| handle.spawn(future)));
        event_loop.run_nowait().unwrap();
        let after = ALLOCATIONS.get();
        tasks.iter().for_each(JoinHandle::abort);
        after - before
    };
    // When the third hundred comes, the tables have grown.
    hundred();
    hundred();
    hundred()
}

#[test]
fn a_timer_that_is_refreshed_and_a_watch_that_changes_allocate_nothing() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let timeout = handle.set_timeout(LONG, |_| {});
    let interval = handle.set_interval(LONG, |_, _| {});
    let (near, _far) = pair();
    let watch = handle.watch(near, Interest::READABLE, |_, _, _| {});
    let watch = watch.unwrap();
    let change = || {
        assert!(handle.refresh(timeout) && handle.refresh(interval));
        for interest in [Interest::WRITABLE, Interest::READABLE] {
            assert!(handle.set_interest(watch, interest).unwrap());
        }
    };
    change();
    let before = ALLOCATIONS.get();
    change();
    assert_eq!(ALLOCATIONS.get(), before);
}

#[test]
fn a_task_is_two_allocations_unless_its_waker_is_kept() {
    let mut event_loop = event_loop();
    let sleeping = allocations(&mut event_loop, |handle| handle.sleep(LONG));
    // The task, and its future.
    assert_eq!(sleeping, 2 * TASKS);

    let reading = allocations(&mut event_loop, |handle| {
        let (near, far) = pair();
        let source = Source::new(handle, near).unwrap();
        async move {
            let read = |_: &_| Err::<(), _>(std::io::ErrorKind::WouldBlock.into());
            source.io(Direction::Read, read).await.unwrap();
            drop(far);
        }
    });
    assert_eq!(reading, 2 * TASKS);

    let keeping = allocations(&mut event_loop, |_| async move {
        let _kept = waker().await;
        std::future::pending::<()>().await;
    });
    // And the waker of each, which is two. The first task has that of a task before, which is over;
    // the last one gets its own with the next poll.
    assert_eq!(keeping, 4 * TASKS - 2);

    let joining = allocations(&mut event_loop, |handle| {
        let inner = handle.spawn(std::future::pending::<()>());
        async move { inner.await.unwrap() }
    });
    // Neither the inner task's joiner nor the outer one's waker takes any.
    assert_eq!(joining, 2 * TASKS);
}
