//! Join sets, and tasks that are aborted with their guards.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::pending,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use nio_loop::{EventLoop, Handle, JoinSet};
use support::{Log, Slot, Wakes, event_loop, ms, panic_of, poll_with};

/// A set of tasks that end when they are given a value.
fn waiting(handle: &Handle, count: usize) -> (JoinSet<u32>, Vec<Slot<u32>>) {
    let mut set = handle.join_set();
    let slots: Vec<Slot<u32>> = (0..count).map(|_| Slot::new()).collect();
    for slot in &slots {
        let slot = slot.clone();
        set.spawn(async move { slot.get().await });
    }
    (set, slots)
}

#[test]
fn tasks_of_a_set_are_joined_in_the_order_in_which_they_finish() {
    let mut event_loop = event_loop();
    let (mut set, slots) = waiting(&event_loop.handle(), 4);
    assert_eq!((set.len(), set.is_empty()), (4, false));
    event_loop.run_nowait().unwrap();
    assert!(set.try_join_next().is_none());
    slots[2].put(2);
    slots[0].put(0);
    event_loop.run_nowait().unwrap();
    slots[3].put(3);
    event_loop.run_nowait().unwrap();
    slots[1].put(1);
    let joined = event_loop.block_on(async {
        let mut joined = Vec::new();
        while let Some(outcome) = set.join_next().await {
            joined.push(outcome.unwrap());
        }
        joined
    });
    assert_eq!(joined.unwrap(), [2, 0, 3, 1]);
    assert!(set.is_empty() && set.try_join_next().is_none());
}

#[test]
fn a_panic_and_an_abort_of_a_task_of_a_set_are_its_outcome() {
    let mut event_loop = event_loop();
    let mut set = event_loop.handle().join_set();
    set.spawn(async { panic!("of a task") });
    set.spawn(async { 1 });
    event_loop.run().unwrap();
    set.spawn(pending());
    set.abort_all();
    let outcomes: Vec<_> = std::iter::from_fn(|| set.try_join_next()).collect();
    let texts = outcomes.iter().map(|outcome| match outcome {
        Ok(output) => format!("{output}"),
        Err(error) => error.to_string(),
    });
    let texts = texts.collect::<Vec<_>>().join(", ");
    assert_eq!(
        texts,
        "the task panicked: of a task, 1, the task was aborted"
    );
}

#[test]
fn a_set_that_is_dropped_aborts_its_tasks_even_if_a_drop_panics() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut set = event_loop.handle().join_set::<()>();
    for name in ["a", "b", "c"] {
        let (held, panics) = (log.drops(name), name == "b");
        set.spawn(async move {
            let _held = held;
            let _bomb = panics.then(|| support::OnDrop::new(|| panic!("in a destructor")));
            pending().await
        });
    }
    event_loop.run_nowait().unwrap();
    assert_eq!(panic_of(|| drop(set)), "in a destructor");
    log.assert("a b c");
    assert!(!event_loop.run().unwrap());
}

#[test]
fn aborting_all_tasks_continues_after_a_drop_that_panics() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut set = event_loop.handle().join_set::<()>();
    for name in ["a", "b", "c"] {
        let (held, panics) = (log.drops(name), name == "a");
        set.spawn(async move {
            let _held = held;
            let _bomb = panics.then(|| support::OnDrop::new(|| panic!("in a destructor")));
            pending().await
        });
    }
    event_loop.run_nowait().unwrap();
    assert_eq!(panic_of(|| set.abort_all()), "in a destructor");
    log.assert("a b c");
    assert_eq!(set.len(), 3);
    event_loop.block_on(set.shutdown()).unwrap();
    assert!(set.is_empty());
}

#[test]
fn a_set_that_is_shut_down_is_empty_and_its_tasks_are_gone() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut set = handle.join_set();
    for name in ["a", "b"] {
        let held = log.drops(name);
        set.spawn(async move {
            let _held = held;
            pending::<()>().await
        });
    }
    event_loop
        .block_on(async {
            handle.yield_now().await;
            set.shutdown().await;
            log.assert("a b");
            assert!(set.is_empty());
            set.spawn(async {});
            assert!(set.join_next().await.is_some_and(|outcome| outcome.is_ok()));
        })
        .unwrap();
}

#[test]
fn a_task_may_drop_the_set_that_it_is_in() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let set = Rc::new(RefCell::new(Some(handle.join_set::<()>())));
    let (own, told, held) = (Rc::clone(&set), log.clone(), log.drops("dropped"));
    set.borrow_mut().as_mut().unwrap().spawn(async move {
        let _held = held;
        drop(own.take());
        told.push("goes on");
        pending().await
    });
    assert!(!event_loop.run().unwrap());
    log.assert("goes on dropped");
}

#[test]
fn l96_a_join_that_is_dropped_leaves_nothing_and_loses_no_outcome() {
    let mut event_loop = event_loop();
    let (mut set, slots) = waiting(&event_loop.handle(), 2);
    let wakes = Arc::new(Wakes::default());
    {
        let mut next = pin!(set.join_next());
        assert!(poll_with(&wakes, next.as_mut()).is_pending());
        assert!(poll_with(&wakes, next.as_mut()).is_pending());
        slots[0].put(7);
        event_loop.run_nowait().unwrap();
        assert_eq!(wakes.count(), 1);
    }
    assert_eq!(Arc::strong_count(&wakes), 1);
    let next = poll_with(&wakes, pin!(set.join_next()));
    assert!(matches!(next, Poll::Ready(Some(Ok(7)))));
}

#[test]
fn l95_a_task_that_joins_tasks_without_end_gives_way() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let mut set = handle.join_set::<()>();
    let joining = async {
        loop {
            let joined = set.join_next().await;
            assert!(joined.is_none(), "it is empty");
        }
    };
    let limited: Result<(), _> = event_loop.block_on(handle.timeout(ms(1), joining)).unwrap();
    assert!(limited.is_err());
}

#[test]
fn joining_many_tasks_polls_the_joiner_once_for_each_at_most() {
    const TASKS: u64 = 2000;
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let before = handle.metrics();
    let joined = event_loop.block_on(async {
        let mut set = handle.join_set();
        for number in 0..TASKS {
            let handle = handle.clone();
            set.spawn(async move {
                for _ in 0..number % 5 {
                    handle.next_turn().await;
                }
            });
        }
        let mut joined = 0;
        while set.join_next().await.is_some() {
            joined += 1;
        }
        joined
    });
    assert_eq!(joined.unwrap(), TASKS);
    // Each task has three polls on average, and the joiner one of its own for each at most.
    let polls = handle.metrics().since(&before).polled_tasks;
    assert!(polls <= TASKS * 4 + 10, "{polls}");
}

#[test]
fn l105_the_tasks_of_a_set_whose_loop_is_gone_were_aborted() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (mut set, _slots) = waiting(&handle, 2);
    let wakes = Arc::new(Wakes::default());
    let mut outcomes = Vec::new();
    {
        let mut next = pin!(set.join_next());
        assert!(poll_with(&wakes, next.as_mut()).is_pending());
        drop(event_loop);
        assert_eq!(wakes.count(), 1);
        outcomes.push(poll_with(&wakes, next));
    }
    set.spawn(async { 3 });
    for _ in 0..3 {
        outcomes.push(poll_with(&wakes, pin!(set.join_next())));
    }
    let aborted = |outcome: &Poll<Option<Result<u32, nio_loop::JoinError>>>| match outcome {
        Poll::Ready(Some(Err(error))) => Some(error.is_aborted()),
        _ => None,
    };
    let outcomes: Vec<_> = outcomes.iter().map(aborted).collect();
    assert_eq!(outcomes, [Some(true), Some(true), Some(true), None]);
}

#[test]
fn a_future_whose_destructor_panics_when_a_set_of_a_loop_that_is_gone_drops_it_is_not_in_the_set() {
    let event_loop = event_loop();
    let mut set = event_loop.handle().join_set::<()>();
    drop(event_loop);
    let bomb = support::OnDrop::new(|| panic!("in a destructor"));
    let future = async move {
        let _bomb = bomb;
    };
    assert_eq!(panic_of(|| set.spawn(future)), "in a destructor");
    let wakes = Arc::new(Wakes::default());
    assert!(matches!(
        poll_with(&wakes, pin!(set.join_next())),
        Poll::Ready(None)
    ));
    set.spawn(async {});
    assert!(matches!(
        poll_with(&wakes, pin!(set.join_next())),
        Poll::Ready(Some(Err(_)))
    ));
}

#[test]
fn a_task_whose_guard_is_dropped_is_aborted_unless_the_guard_became_a_handle() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let spawn = |name: &str| {
        let (held, told) = (log.drops(&format!("dropped-{name}")), log.told(name));
        let handle = handle.clone();
        let task = async move {
            let _held = held;
            handle.next_turn().await;
            told.await;
        };
        event_loop.handle().spawn(task).abort_on_drop()
    };
    let (dropped, kept) = (spawn("first"), spawn("second"));
    assert!(!dropped.is_finished());
    drop(dropped);
    log.assert("dropped-first");
    kept.into_handle().detach();
    event_loop.run().unwrap();
    log.assert("second dropped-second");
}

#[test]
fn a_guard_of_a_task_is_awaited_as_its_handle_is() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let guard = handle.spawn(async { 42 }).abort_on_drop();
    assert_eq!(event_loop.block_on(guard).unwrap().unwrap(), 42);
    let aborted = handle.spawn(pending::<()>()).abort_on_drop();
    aborted.abort();
    let error = event_loop.block_on(aborted).unwrap().unwrap_err();
    assert!(error.is_aborted());
    let ran = Rc::new(Cell::new(false));
    let flag = Rc::clone(&ran);
    drop(handle.spawn(async move { flag.set(true) }).abort_on_drop());
    event_loop.run().unwrap();
    assert!(!ran.get());
}
