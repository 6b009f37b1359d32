//! Timers for tasks: sleeps, intervals, timeouts and yielding.

mod support;

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn, ready},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use nio_loop::{Direction, EventLoop, Handle, Interest, MissedTicks, Source, Time};
use support::{
    Log, Slot, Wakes, automatic_loop, event_loop, manual_loop, ms, pair, panic_of, poll_once,
    poll_with, readable, secs,
};

/// Runs a future to its end on a clock that jumps.
fn at_once<F: Future>(make: impl FnOnce(Handle) -> F) -> F::Output {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    event_loop.block_on(make(handle)).unwrap()
}

fn at(millis: u64) -> Time {
    Time::after_start(ms(millis))
}

#[test]
fn a_sleep_until_a_time_ends_at_that_time() {
    at_once(|handle| async move {
        let sleep = handle.sleep_until(at(70));
        assert_eq!(sleep.deadline(), at(70));
        sleep.await;
        assert_eq!(handle.now(), at(70));
        handle.sleep_until(at(70)).await;
        handle.sleep_until(at(10)).await;
        handle.sleep_until(Time::START).await;
        assert_eq!(handle.now(), at(70), "what has passed is not waited for");
    });
}

#[test]
fn a_sleep_that_was_reset_ends_at_the_new_time() {
    at_once(|handle| async move {
        for (first, second) in [(10, 30), (30, 10)] {
            let start = handle.now();
            // Before it is armed, and after.
            let mut sleep = pin!(handle.sleep(ms(first)));
            sleep.reset(start + ms(second));
            sleep.as_mut().await;
            assert_eq!(handle.now() - start, ms(second));

            let start = handle.now();
            let mut sleep = pin!(handle.sleep(ms(first)));
            assert!(poll_once(sleep.as_mut()).await.is_pending());
            sleep.reset(start + ms(second));
            assert_eq!(sleep.deadline(), start + ms(second));
            sleep.as_mut().await;
            assert_eq!(handle.now() - start, ms(second));
        }
    });
}

#[test]
fn l32_a_sleep_that_has_ended_can_be_reset_and_ends_again() {
    at_once(|handle| async move {
        let mut sleep = pin!(handle.sleep(ms(10)));
        for n in 1..=5 {
            sleep.as_mut().await;
            assert_eq!(handle.now(), at(10 * n));
            sleep.as_mut().await; // It stays over.
            let next = sleep.deadline() + ms(10);
            sleep.reset(next);
        }
        sleep.reset(Time::START);
        sleep.as_mut().await;
        assert_eq!(handle.now(), at(50));
    });
}

#[test]
fn l32_a_sleep_reset_in_the_turn_of_its_end_ends_at_the_new_time() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let mut sleep = Box::pin(handle.sleep(ms(10)));
    let wakes = Arc::new(Wakes::default());
    assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
    handle.set_timeout(ms(10), |handle| handle.stop());
    assert!(!event_loop.run().unwrap());
    assert_eq!(wakes.count(), 1);
    // It was not polled since its deadline.
    sleep.reset(at(20));
    assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
    handle.set_timeout(ms(10), |handle| handle.stop());
    assert!(!event_loop.run().unwrap());
    assert_eq!(wakes.count(), 2);
    assert!(poll_with(&wakes, sleep.as_mut()).is_ready());
}

#[test]
fn l23_a_sleep_reset_to_never_does_not_end() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let mut sleep = Box::pin(handle.sleep(ms(10)));
    let wakes = Arc::new(Wakes::default());
    assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
    sleep.reset(Time::NEVER);
    handle.advance(secs(1000)).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(wakes.count(), 0);
    assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
    sleep.reset(handle.now());
    event_loop.run_nowait().unwrap();
    assert!(poll_with(&wakes, sleep.as_mut()).is_ready());
}

#[test]
fn a_timeout_pushed_back_at_each_message_ends_once_it_is_quiet() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        let mut idle = pin!(own.sleep(ms(100)));
        for _ in 0..50 {
            let mut message = pin!(own.sleep(ms(60)));
            std::future::poll_fn(|context| {
                assert!(idle.as_mut().poll(context).is_pending());
                message.as_mut().poll(context)
            })
            .await;
            idle.reset(own.now() + ms(100));
        }
        idle.await;
        told.push(format!("{:?}", own.now()));
    });
    assert!(!event_loop.run().unwrap());
    log.assert("3.1s");
    // The sleep that was moved back does not wake the task in between.
    assert_eq!(handle.metrics().polled_tasks, 52);
}

#[test]
fn an_interval_ticks_at_the_end_of_each_period() {
    at_once(|handle| async move {
        let mut interval = handle.interval(ms(10));
        assert_eq!(interval.period(), ms(10));
        for n in 1..=5 {
            assert_eq!(interval.tick().await, 1);
            assert_eq!(handle.now(), at(10 * n));
        }
        handle.sleep(ms(3)).await;
        interval.reset();
        assert_eq!(interval.tick().await, 1);
        assert_eq!(handle.now(), at(63));
        assert_eq!(interval.tick().await, 1);
        assert_eq!(handle.now(), at(73));
    });
}

#[test]
fn l29_an_interval_for_tasks_treats_missed_periods_as_documented() {
    let ticks = |missed| {
        at_once(|handle| async move {
            let mut interval = handle.interval_with(ms(10), missed);
            let mut ticks = Vec::new();
            for n in 0..6 {
                let periods = interval.tick().await;
                ticks.push(format!(
                    "{}:{periods}",
                    handle.now().since_start().as_millis()
                ));
                if n == 1 {
                    handle.sleep(ms(35)).await;
                }
            }
            ticks.join(" ")
        })
    };
    assert_eq!(ticks(MissedTicks::Skip), "10:1 20:1 55:3 60:1 70:1 80:1");
    assert_eq!(ticks(MissedTicks::Burst), "10:1 20:1 55:1 55:1 55:1 60:1");
    assert_eq!(ticks(MissedTicks::Delay), "10:1 20:1 55:3 65:1 75:1 85:1");
}

#[test]
fn l86_a_tick_given_up_loses_no_period() {
    at_once(|handle| async move {
        let mut interval = handle.interval(ms(10));
        for n in 1..=3 {
            {
                let tick = handle.timeout(ms(5), interval.tick());
                assert!(tick.await.is_err());
            }
            {
                // Polled once more, when it is not over.
                let mut tick = pin!(interval.tick());
                assert!(poll_once(tick.as_mut()).await.is_pending());
            }
            assert_eq!(interval.tick().await, 1);
            assert_eq!(handle.now(), at(10 * n));
        }
    });
}

#[test]
fn l23_an_interval_of_zero_gives_way_and_one_of_for_ever_does_not_tick() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let done = Rc::new(Cell::new(false));
    let flag = Rc::clone(&done);
    handle.set_timeout(ms(1), move |_| flag.set(true));
    event_loop
        .block_on(async {
            let mut zero = handle.interval(Duration::ZERO);
            while !done.get() {
                assert!(zero.tick().await >= 1);
                handle.yield_now().await;
            }
            let mut never = handle.interval(Duration::MAX);
            assert!(handle.timeout(ms(1), never.tick()).await.is_err());
        })
        .unwrap();
}

#[test]
fn l82_a_result_that_is_there_wins_over_a_deadline_that_has_passed() {
    at_once(|handle| async move {
        assert_eq!(handle.timeout(Duration::ZERO, ready(1)).await, Ok(1));
        let late = handle.timeout(ms(1), ready(2));
        handle.sleep(ms(50)).await;
        assert_eq!(late.await, Ok(2));
        let elapsed = handle.timeout(Duration::ZERO, pending::<()>()).await;
        assert_eq!(elapsed.unwrap_err().limit, Duration::ZERO);
    });
}

#[test]
fn l82_a_result_at_the_very_moment_of_the_deadline_wins() {
    at_once(|handle| async move {
        let sleep = handle.sleep(ms(10));
        assert_eq!(handle.timeout(ms(10), sleep).await, Ok(()));
        assert_eq!(handle.now(), at(10));
    });
    // Also where the result comes in the same turn, and was not there when the deadline was set.
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slot = Slot::new();
    let (get, own, told) = (slot.clone(), handle.clone(), log.clone());
    handle.set_timeout(ms(10), move |_| slot.put("result"));
    handle.spawn(async move {
        let result = own.timeout(ms(10), get.get()).await;
        told.push(result.unwrap_or("elapsed"));
    });
    event_loop.run_nowait().unwrap();
    handle.advance(ms(99)).unwrap();
    assert!(!event_loop.run().unwrap());
    log.assert("result");
}

#[test]
fn l82_a_future_that_runs_out_of_time_is_dropped_and_its_limit_reported() {
    at_once(|handle| async move {
        let log = Log::new();
        let held = log.drops("dropped");
        let future = async move {
            let _held = held;
            pending::<()>().await;
        };
        let elapsed = handle.timeout(ms(10), future).await.unwrap_err();
        assert_eq!(handle.now(), at(10));
        log.assert("dropped");
        assert_eq!(elapsed.limit, ms(10));
        let error = std::io::Error::from(elapsed);
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn l82_a_future_that_has_spent_its_share_does_not_hide_the_deadline() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let source = Source::new(&handle, ours).unwrap();
    let tries = Rc::new(Cell::new(0));
    let count = Rc::clone(&tries);
    let own = handle.clone();
    // Time passes with the turns.
    fn each_turn(handle: &Handle) {
        handle.advance(ms(1)).unwrap();
        handle.set_immediate(each_turn);
    }
    each_turn(&handle);
    event_loop
        .block_on(async move {
            let never_dry = async {
                loop {
                    let operation = |_: &_| {
                        count.set(count.get() + 1);
                        Ok(())
                    };
                    source.io(Direction::Write, operation).await.unwrap();
                }
            };
            let elapsed: Result<(), _> = own.timeout(ms(10), never_dry).await;
            elapsed.unwrap_err();
        })
        .unwrap();
    let turns = handle.now().since_start().as_millis();
    assert!((10..20).contains(&turns), "{turns}");
}

#[test]
fn l76_a_task_that_yields_goes_on_after_timers_io_and_other_tasks() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, _theirs) = readable();
    let told = log.clone();
    let watch = move |_: &Handle, _: &_, _| told.push("io");
    let id = handle.watch(ours, Interest::READABLE, watch).unwrap();
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        told.push("before");
        own.next_turn().await;
        told.push("after");
        own.clear(id);
    });
    handle.spawn(log.told("task"));
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    assert!(!event_loop.run().unwrap());
    log.assert("before task timer io after");
}

#[test]
fn l76_a_task_that_yields_lets_due_callbacks_run_in_every_phase() {
    type In = fn(&Handle, Box<dyn FnOnce(&Handle)>);
    let phases: [(&str, In); 3] = [
        ("timer", |handle, yields| {
            handle.set_timeout(Duration::ZERO, yields);
        }),
        ("immediate", |handle, yields| {
            handle.set_immediate(yields);
        }),
        ("close", |handle, yields| {
            let id = handle.set_timeout(secs(1), |_| {});
            assert!(handle.close(id, yields));
        }),
    ];
    for (name, phase) in phases {
        let mut event_loop = manual_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let told = log.clone();
        let yields = move |handle: &Handle| {
            let (own, log) = (handle.clone(), told.clone());
            handle.spawn(async move {
                own.next_turn().await;
                log.push("yielded");
            });
        };
        phase(&handle, Box::new(yields));
        handle.set_timeout(Duration::ZERO, log.says("timer"));
        // For the phases that come after the timers: those of the next turn.
        let told = log.clone();
        handle.set_immediate(move |handle| {
            handle.set_timeout(Duration::ZERO, told.says("next"));
        });
        assert!(!event_loop.run().unwrap());
        let texts = log.take();
        let place = |text: &str| texts.iter().position(|other| other == text).unwrap();
        assert!(place("timer") < place("yielded"), "{name}: {texts:?}");
        assert!(
            name == "timer" || place("next") < place("yielded"),
            "{name}: {texts:?}"
        );
    }
}

#[test]
fn l76_tasks_that_yield_take_turns_and_never_wait() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for name in ["a", "b"] {
        let (own, told) = (handle.clone(), log.clone());
        handle.spawn(async move {
            for n in 0..3 {
                told.push(format!("{name}{n}"));
                own.next_turn().await;
            }
        });
    }
    assert!(!event_loop.run().unwrap());
    log.assert("a0 b0 a1 b1 a2 b2");
    let metrics = handle.metrics();
    assert_eq!((metrics.turns, metrics.waits), (3, 0));
}

#[test]
fn l76_a_yield_is_not_over_because_something_else_has_woken_the_task() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        let mut yielded = pin!(own.next_turn());
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if polls < 10 {
                context.waker().wake_by_ref();
            }
            yielded.as_mut().poll(context)
        })
        .await;
        told.push("yielded");
    });
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.set_immediate(log.says("immediate"));
    assert!(!event_loop.run().unwrap());
    log.assert("timer yielded immediate");
}

#[test]
fn l76_a_yield_in_a_loop_that_is_gone_is_over() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    let wakes = Arc::new(Wakes::default());
    let mut yielded = Box::pin(handle.next_turn());
    assert!(poll_with(&wakes, yielded.as_mut()).is_ready());
}

#[test]
fn a_detached_task_goes_on_by_itself() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (own, told, held) = (handle.clone(), log.clone(), log.drops("dropped"));
    handle
        .spawn(async move {
            own.sleep(secs(1)).await;
            told.push("done");
            held
        })
        .detach();
    assert!(!event_loop.run().unwrap());
    log.assert("done dropped");
}

#[test]
fn l55_a_task_can_be_unreferenced_and_referenced_again() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (own, told) = (handle.clone(), log.clone());
    let task = handle.spawn(async move {
        for n in 0..3 {
            own.sleep(secs(1)).await;
            told.push(n.to_string());
        }
    });
    assert!(task.unref() && task.unref());
    assert!(!event_loop.run().unwrap());
    log.assert("");
    // It goes on as long as something else keeps the loop running.
    handle.set_timeout(ms(1500), log.says("timer"));
    assert!(!event_loop.run().unwrap());
    log.assert("0 timer");
    assert!(task.reref() && task.reref());
    assert!(!event_loop.run().unwrap());
    log.assert("1 2");
    assert!(!task.unref() && !task.reref(), "it has finished");
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l55_an_unreferenced_task_that_is_aborted_or_finishes_is_not_counted_twice() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let aborted = handle.spawn(pending::<()>());
    aborted.unref();
    aborted.abort();
    let finished = handle.spawn(async {});
    finished.unref();
    handle.set_timeout(ms(1), |_| {});
    assert!(!event_loop.run().unwrap());
    // A count that had wrapped, or were too small, would show here.
    let waits = handle.set_timeout(secs(1), |_| {});
    assert!(event_loop.run_nowait().unwrap());
    handle.clear(waits);
    assert!(!event_loop.run_nowait().unwrap());
}

#[test]
fn l81_a_waker_that_panics_loses_no_other_that_yields() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (mut first, mut second) = (pin!(handle.next_turn()), pin!(handle.next_turn()));
    let panics = Waker::from(Arc::new(Panics));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&panics))
            .is_pending()
    );
    let wakes = Arc::new(Wakes::default());
    assert!(poll_with(&wakes, second.as_mut()).is_pending());
    assert_eq!(panic_of(|| event_loop.run_nowait()), "a waker");
    event_loop.run_nowait().unwrap();
    assert_eq!(wakes.count(), 1);
}

#[test]
fn l76_a_panic_in_the_poll_keeps_yielding_tasks_for_the_next_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, _theirs) = readable();
    let watch = |_: &Handle, _: &_, _| panic!("in a callback");
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    for text in ["one", "other"] {
        let (own, told) = (handle.clone(), log.clone());
        handle.spawn(async move {
            own.next_turn().await;
            told.push(text);
        });
    }
    assert_eq!(panic_of(|| event_loop.run()), "in a callback");
    log.assert("");
    // Nothing else would end the wait.
    assert!(!event_loop.run().unwrap());
    log.assert("one other");
}
