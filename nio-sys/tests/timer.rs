//! EVFILT_TIMER: K176–K192, and rules of all filters for the knotes of timers.
//!
//! No test depends on a timer being in time. The tests assert that no event is early, that the count of expirations is
//! the number of periods, and that an event that must come does so within [`LIMIT`].

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{EventFlags, Filter, Kevent, TimerUnit};
use support::*;

/// A change of a timer. Its udata is its ident.
fn timer(ident: usize, flags: EventFlags) -> Kevent {
    Kevent::timer(ident, flags).with_udata(ident)
}

/// A timer that expires every `period` milliseconds.
fn every(ident: usize, milliseconds: i64) -> Kevent {
    timer(ident, ADD).with_time(milliseconds, TimerUnit::Milliseconds)
}

/// A timer that expires once, after this many milliseconds.
fn after(ident: usize, milliseconds: i64) -> Kevent {
    every(ident, milliseconds).with_flags(ADD | ONESHOT)
}

/// Longer than a test takes.
const LONG: i64 = 600_000;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Lets this much time pass, in which timers expire.
fn let_pass(milliseconds: u64) {
    thread::sleep(ms(milliseconds));
}

/// Whole periods in a time.
fn periods(time: Duration, period: Duration) -> i64 {
    (time.as_nanos() / period.as_nanos()) as i64
}

#[test]
fn k176_a_timer_is_silent_before_its_time() {
    let queue = Queue::new();
    queue.make(every(1, LONG));
    queue.make(after(2, LONG));
    queue.assert_silent_for(20);
}

#[test]
fn k176_a_timer_expires_again_and_again() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(7, 20));
    for round in 1..=3 {
        let event = queue.one();
        assert_eq!((event.filter(), event.ident()), (Filter::TIMER, 7));
        assert_eq!(event.udata(), 7);
        assert!(event.data() >= 1);
        assert!(!event.is_eof());
        assert!(start.elapsed() >= ms(20 * round));
    }
}

#[test]
fn k82_a_timer_is_reported_once_for_each_expiration_without_being_asked_to_clear() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 5));
    let mut reported = 0;
    for _ in 0..200 {
        reported += queue.collect().iter().map(Kevent::data).sum::<i64>();
        assert!(reported <= periods(start.elapsed(), ms(5)));
    }
    queue.one();
}

#[test]
fn k177_a_time_is_in_its_unit() {
    for (amount, unit) in [
        (1, TimerUnit::Seconds),
        (30, TimerUnit::Milliseconds),
        (30_000, TimerUnit::Microseconds),
        (30_000_000, TimerUnit::Nanoseconds),
    ] {
        let queue = Queue::new();
        let start = Instant::now();
        queue.make(timer(1, ADD | ONESHOT).with_time(amount, unit));
        queue.one();
        let least = if unit == TimerUnit::Seconds {
            1_000
        } else {
            30
        };
        assert!(start.elapsed() >= ms(least), "{unit:?}");
    }
}

#[test]
fn k177_a_time_without_a_unit_is_in_milliseconds() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(timer(1, ADD | ONESHOT).with_data(30));
    queue.one();
    assert!(start.elapsed() >= ms(30));
}

#[test]
fn k178_the_data_is_the_number_of_expirations_since_the_last_event() {
    let queue = Queue::new();
    let before = Instant::now();
    queue.make(every(1, 20));
    let added = Instant::now();
    let mut reported = 0;
    for pause in [210, 45, 0] {
        let_pass(pause);
        let least = periods(added.elapsed(), ms(20));
        reported += queue.one().data();
        let most = periods(before.elapsed(), ms(20));
        // A kernel that counts in ticks may be late by one.
        let least = if cfg!(any(target_os = "linux", target_os = "android")) {
            least
        } else {
            least - 1
        };
        assert!((least..=most).contains(&reported), "{reported} of {most}");
    }
}

#[test]
fn k72_the_count_starts_from_zero_after_a_delivery() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 5));
    let_pass(60);
    let first = queue.one().data();
    let second = queue.one().data();
    assert!(first + second <= periods(start.elapsed(), ms(5)));
}

#[test]
fn k179_a_oneshot_timer_expires_once_and_is_gone() {
    let queue = Queue::new();
    queue.make(after(1, 5));
    let_pass(30);
    assert_eq!(queue.one().data(), 1);
    queue.assert_silent_for(20);
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[test]
fn k180_periods_do_not_drift_and_are_not_early() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 2));
    let mut expired = 0;
    while expired < 50 {
        expired += queue.one().data();
        assert!(expired <= periods(start.elapsed(), ms(2)));
    }
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k181_a_oneshot_timer_of_0_expires_at_once() {
    let queue = Queue::new();
    let events = queue.call(&[after(1, 0)], 4, Some(LIMIT)).unwrap();
    assert_eq!((idents(&events), events[0].data()), (vec![1], 1));
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
#[test]
fn k181_a_period_of_0_is_one_unit() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 0));
    let mut expired = 0;
    while expired < 20 {
        expired += queue.one().data();
        assert!(expired <= periods(start.elapsed(), ms(1)));
    }
}

#[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
#[test]
fn k182_a_negative_time_is_refused() {
    let queue = Queue::new();
    for data in [-1, i64::MIN] {
        assert_eq!(queue.refused(every(1, data)), libc::EINVAL);
        assert_eq!(queue.refused(after(1, data)), libc::EINVAL);
    }
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k182_an_unknown_unit_is_refused() {
    let queue = Queue::new();
    let change = every(1, 5).with_fflags(0xf_u32);
    assert_eq!(queue.refused(change), libc::EINVAL);
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[cfg(target_vendor = "apple")]
#[test]
fn k182_two_units_at_once_are_refused() {
    let queue = Queue::new();
    let units = u32::from(TimerUnit::Seconds) | u32::from(TimerUnit::Microseconds);
    assert_eq!(queue.refused(every(1, 5).with_fflags(units)), libc::EINVAL);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k182_an_unknown_note_is_refused() {
    let queue = Queue::new();
    for note in [0x20, 0x40, 0x100, 0x8000_0000_u32] {
        let change = every(1, 5);
        let change = change.with_fflags(change.fflags() | note);
        assert_eq!(queue.refused(change), libc::EINVAL, "{note:#x}");
    }
}

#[cfg(not(target_os = "dragonfly"))]
#[test]
fn k183_adding_again_forgets_expirations_and_starts_again() {
    let queue = Queue::new();
    queue.make(every(1, 5));
    let_pass(20);
    queue.make(every(1, LONG));
    queue.assert_silent_for(20);
}

#[cfg(not(target_os = "dragonfly"))]
#[test]
fn k183_adding_again_may_shorten_the_time() {
    let queue = Queue::new();
    queue.make(every(1, LONG));
    let start = Instant::now();
    queue.make(every(1, 10));
    queue.one();
    assert!(start.elapsed() >= ms(10));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k183_enabling_does_not_start_again() {
    let queue = Queue::new();
    queue.make(every(1, 50));
    let_pass(60);
    queue.make(every(1, 50).with_flags(ENABLE));
    assert_eq!(queue.collect().len(), 1);
}

#[cfg(not(target_os = "dragonfly"))]
#[test]
fn k184_the_new_unit_comes_with_the_new_time() {
    let queue = Queue::new();
    queue.make(timer(1, ADD).with_time(600, TimerUnit::Seconds));
    let start = Instant::now();
    queue.make(timer(1, ADD).with_time(20_000, TimerUnit::Microseconds));
    queue.one();
    assert!(start.elapsed() >= ms(20));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k185_a_disabled_timer_goes_on_counting() {
    let queue = Queue::new();
    let before = Instant::now();
    queue.make(every(1, 10));
    queue.make(every(1, 10).with_flags(DISABLE));
    let_pass(55);
    queue.assert_silent();
    queue.make(every(1, 10).with_flags(ENABLE));
    let count = queue.one().data();
    assert!(count >= 4, "{count}");
    assert!(count <= periods(before.elapsed(), ms(10)));
}

#[test]
fn k185_a_disabled_timer_is_silent() {
    let queue = Queue::new();
    queue.make(every(1, 5).with_flags(ADD | DISABLE));
    queue.make(every(2, 5));
    let_pass(20);
    queue.make(every(2, 5).with_flags(DISABLE));
    queue.assert_silent_for(20);
}

/// Points in time, which DragonFly does not have.
#[cfg(not(target_os = "dragonfly"))]
mod absolute {
    use super::*;
    use nio_sys::TimerFlags;
    use std::time::{SystemTime, UNIX_EPOCH};

    /// The time of the system's clock this many milliseconds from now.
    fn in_ms(milliseconds: i64) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_millis() as i64 + milliseconds
    }

    /// A timer that expires at a point in time.
    fn at(ident: usize, milliseconds: i64, flags: EventFlags) -> Kevent {
        let change = every(ident, milliseconds).with_flags(ADD | flags);
        change.with_fflags(change.fflags() | u32::from(TimerFlags::ABSOLUTE))
    }

    #[test]
    fn k186_a_point_in_time_that_has_passed_expires_at_once() {
        let queue = Queue::new();
        queue.make(at(1, in_ms(-1_000), ONESHOT));
        let event = queue.one();
        assert_eq!((event.ident(), event.data()), (1, 1));
    }

    #[test]
    fn k186_a_point_in_time_to_come_expires_then() {
        let queue = Queue::new();
        let time = in_ms(50);
        queue.make(at(1, time, ONESHOT));
        assert_eq!(queue.one().data(), 1);
        assert!(in_ms(0) >= time);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k186_the_point_in_time_0_has_passed() {
        let queue = Queue::new();
        queue.make(at(1, 0, ONESHOT));
        assert_eq!(queue.one().data(), 1);
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn k186_adding_again_moves_the_point_in_time() {
        let queue = Queue::new();
        queue.make(at(1, in_ms(LONG), ONESHOT));
        queue.make(at(1, in_ms(-1), ONESHOT));
        queue.one();
        queue.make(at(2, in_ms(-1), ONESHOT));
        queue.make(at(2, in_ms(LONG), ONESHOT));
        queue.assert_silent_for(20);
    }

    #[test]
    fn k187_a_point_in_time_comes_once_if_it_is_a_oneshot() {
        let queue = Queue::new();
        queue.make(at(1, in_ms(5), ONESHOT));
        queue.one();
        queue.assert_silent_for(20);
        assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn k187_a_point_in_time_stays_until_it_is_deleted() {
        let queue = Queue::new();
        queue.make(at(1, in_ms(5), LEVEL));
        queue.one();
        for _ in 0..3 {
            assert_eq!(queue.collect().len(), 1);
        }
        queue.make(timer(1, DELETE));
        queue.assert_silent();
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn k187_a_point_in_time_comes_once_if_it_is_an_edge() {
        let queue = Queue::new();
        queue.make(at(1, in_ms(5), CLEAR));
        queue.one();
        queue.assert_silent_for(20);
        queue.make(timer(1, DELETE));
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k183_a_period_may_become_a_point_in_time_and_the_reverse() {
        let queue = Queue::new();
        queue.make(every(1, LONG));
        queue.make(at(1, in_ms(5), LEVEL));
        assert_eq!(queue.one().data(), 1);
        queue.make(at(2, in_ms(LONG), ONESHOT));
        queue.make(after(2, 5));
        assert_eq!(queue.one().ident(), 2);
    }

    #[cfg(not(target_os = "freebsd"))]
    #[test]
    fn k189_a_point_in_time_beyond_the_range_of_the_clock_does_not_expire() {
        let queue = Queue::new();
        for (ident, time) in [i64::MAX, i64::MAX / 1_000, i64::MAX / 1_000_000]
            .into_iter()
            .enumerate()
        {
            let _ = queue.change(at(ident, time, ONESHOT));
        }
        queue.assert_silent_for(20);
    }
}

#[cfg(not(target_os = "freebsd"))]
#[test]
fn k189_a_time_that_overflows_does_not_expire_at_once() {
    let queue = Queue::new();
    let mut ident = 0;
    for unit in [
        TimerUnit::Seconds,
        TimerUnit::Milliseconds,
        TimerUnit::Microseconds,
        TimerUnit::Nanoseconds,
    ] {
        for shift in 0..24 {
            for flags in [ADD, ADD | ONESHOT] {
                ident += 1;
                let change = timer(ident, flags).with_time(i64::MAX >> shift, unit);
                if let Err(error) = queue.change(change) {
                    let refused = cfg!(not(any(target_os = "linux", target_os = "android")));
                    assert!(refused, "{change:?}: {error}");
                }
            }
        }
    }
    queue.assert_silent_for(20);
}

#[test]
fn k189_a_time_of_34_years_is_accepted_everywhere() {
    let queue = Queue::new();
    queue.make(timer(1, ADD).with_time(1 << 30, TimerUnit::Seconds));
    queue.assert_silent_for(20);
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k190_an_event_does_not_repeat_the_unit() {
    let queue = Queue::new();
    queue.make(timer(1, ADD | ONESHOT).with_time(1_000, TimerUnit::Microseconds));
    assert_eq!(queue.one().fflags(), 0);
}

#[test]
fn k191_there_may_be_a_thousand_timers() {
    let queue = Queue::new();
    let count = 1_000;
    for ident in 0..count {
        queue.make(after(ident, 1 + ident as i64 % 20));
    }
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(queue.wait());
    }
    assert_eq!(idents(&events), (0..count).collect::<Vec<_>>());
    queue.assert_silent();
}

#[test]
fn k192_a_timer_that_another_thread_adds_wakes_a_waiter() {
    for milliseconds in [1, 20] {
        let queue = Queue::new();
        let start = Instant::now();
        wakes(&queue, || queue.make(after(1, milliseconds)));
        assert!(start.elapsed() >= ms(milliseconds as u64));
    }
}

#[cfg(not(target_os = "dragonfly"))]
#[test]
fn k192_a_timer_that_another_thread_shortens_wakes_a_waiter() {
    for _ in 0..20 {
        let queue = Queue::new();
        queue.make(every(1, LONG));
        wakes(&queue, || queue.make(every(1, 1)));
    }
}

#[test]
fn k192_a_timer_before_the_first_of_others_wakes_a_waiter() {
    let queue = Queue::new();
    queue.make(every(1, LONG));
    for _ in 0..20 {
        wakes(&queue, || queue.make(after(2, 1)));
    }
}

#[test]
fn k89_enabling_a_timer_wakes_a_waiter() {
    let queue = Queue::new();
    queue.make(every(1, 1).with_flags(ADD | DISABLE));
    wakes(&queue, || queue.make(every(1, 1).with_flags(ENABLE)));
}

#[test]
fn k90_one_expiration_goes_to_one_of_several_waiters() {
    for _ in 0..4 {
        let queue = Queue::new();
        assert_eq!(share(&queue, || queue.make(after(1, 5))), 1);
    }
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k90_a_dispatched_timer_goes_to_one_of_several_waiters() {
    let queue = Queue::new();
    let dispatched = every(1, 5).with_flags(ADD | DISPATCH);
    assert_eq!(share(&queue, || queue.make(dispatched)), 1);
}

#[test]
fn k90_the_expirations_that_several_waiters_get_are_those_that_were() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 1));
    let total: i64 = thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..20).map(|_| queue.one().data()).sum::<i64>()))
            .collect();
        waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .sum()
    });
    assert!((80..=periods(start.elapsed(), ms(1))).contains(&total));
}

#[test]
fn k95_timers_changed_by_many_threads_leave_the_queue_consistent() {
    let queue = Queue::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let queue = &queue;
                scope.spawn(move || {
                    for round in 0..1_000 {
                        let ident = (thread + round) % 3;
                        let change = match (thread * 7 + round) % 5 {
                            0 => timer(ident, DELETE),
                            1 => timer(ident, ADD).with_time(20, TimerUnit::Microseconds),
                            2 => every(ident, 1).with_flags(DISABLE),
                            3 => every(ident, 1).with_flags(ENABLE),
                            _ => after(ident, 1),
                        };
                        if let Err(error) = queue.change(change) {
                            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
                        }
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                queue.collect_at_most(1);
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Release);
        collector.join().unwrap();
    });
    for ident in 0..3 {
        let _ = queue.change(timer(ident, DELETE));
        assert_eq!(queue.refused(timer(ident, DELETE)), libc::ENOENT);
    }
    queue.assert_silent_for(5);
    queue.make(after(1, 1));
    queue.one();
}

#[test]
fn k93_a_timer_deleted_while_it_expires_is_not_reported_by_later_calls() {
    let queue = Queue::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000 {
                queue.make(timer(1, ADD).with_time(10, TimerUnit::Microseconds));
                queue.make(timer(1, DELETE));
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            queue.collect();
        }
    });
    queue.assert_silent();
}

#[test]
fn k8_an_expired_timer_makes_its_queue_readable() {
    let (inner, outer) = (Queue::new(), Queue::new());
    outer.add(&inner, READ, LEVEL, 1);
    inner.make(after(1, 5));
    assert_eq!(outer.one().ident(), number(&inner));
    inner.one();
    outer.assert_silent_for(20);
}

#[test]
fn k8_a_deleted_timer_that_had_expired_does_not_keep_its_queue_readable() {
    let (inner, outer) = (Queue::new(), Queue::new());
    for ident in [1, 2] {
        inner.make(after(ident, 1));
    }
    let_pass(10);
    let first = inner.collect_at_most(1)[0].ident();
    inner.make(timer(3 - first, DELETE));
    outer.add(&inner, READ, LEVEL, 1);
    outer.assert_silent();
}

#[test]
fn k34_a_timer_may_have_any_ident() {
    let queue = Queue::new();
    for ident in [0, usize::MAX] {
        queue.make(after(ident, 1));
    }
    let_pass(10);
    let mut events = queue.wait();
    while events.len() < 2 {
        events.extend(queue.wait());
    }
    assert_eq!(idents(&events), [0, usize::MAX]);
}

#[test]
fn k36_a_timer_and_a_user_event_may_have_the_same_ident() {
    let queue = Queue::new();
    queue.make(after(5, LONG));
    queue.add_user(5, CLEAR);
    queue.trigger(5);
    assert_eq!(queue.one().filter(), Filter::USER);
    queue.make(user(5, DELETE));
    queue.make(timer(5, DELETE));
}

#[test]
fn k49_a_change_of_a_timer_that_does_not_exist_is_enoent() {
    let queue = Queue::new();
    for flags in [DELETE, ENABLE, DISABLE, LEVEL] {
        assert_eq!(queue.refused(every(1, 5).with_flags(flags)), libc::ENOENT);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k54_a_refused_modification_leaves_a_timer_as_it_was() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(every(1, 20));
    assert_eq!(queue.refused(every(1, -1).with_udata(9)), libc::EINVAL);
    for round in 1..=2 {
        let event = queue.one();
        assert_eq!(event.udata(), 1);
        assert!(start.elapsed() >= ms(20 * round));
    }
}

#[test]
fn k58_a_change_of_a_timer_overwrites_its_udata() {
    let queue = Queue::new();
    queue.make(every(1, LONG));
    queue.make(every(1, LONG).with_udata(9));
    queue.make(timer(1, DELETE));
    queue.make(every(1, 5).with_udata(8));
    assert_eq!(queue.one().udata(), 8);
    queue.make(every(1, 5).with_udata(9));
    assert_eq!(queue.one().udata(), 9);
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k60_adding_a_period_again_does_not_make_it_a_oneshot() {
    let queue = Queue::new();
    queue.make(every(1, 5));
    queue.make(after(1, 5));
    for _ in 0..3 {
        queue.one();
    }
    queue.make(timer(1, DELETE));
}

#[cfg(not(any(target_os = "netbsd", target_os = "dragonfly")))]
#[test]
fn k60_adding_a_oneshot_again_does_not_make_it_a_period() {
    let queue = Queue::new();
    queue.make(after(1, LONG));
    queue.make(every(1, 5));
    queue.one();
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[test]
fn k66_a_deleted_timer_is_not_reported_though_it_has_expired() {
    let queue = Queue::new();
    queue.make(every(1, 5));
    let_pass(15);
    queue.make(timer(1, DELETE));
    queue.assert_silent_for(15);
    assert_eq!(queue.refused(timer(1, DELETE)), libc::ENOENT);
}

#[test]
fn k66_a_timer_deleted_before_its_time_leaves_the_others() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.make(after(1, 5));
    queue.make(after(2, 20));
    queue.make(timer(1, DELETE));
    assert_eq!(queue.one().ident(), 2);
    assert!(start.elapsed() >= ms(20));
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k77_expirations_while_dispatched_are_counted() {
    let queue = Queue::new();
    queue.make(every(1, 5).with_flags(ADD | DISPATCH));
    queue.one();
    let_pass(30);
    queue.assert_silent();
    if cfg!(target_vendor = "apple") {
        return;
    }
    queue.make(every(1, 5).with_flags(ENABLE | DISPATCH));
    assert!(queue.one().data() >= 5);
    let_pass(10);
    queue.assert_silent();
}

#[test]
fn k84_a_level_knote_comes_once_in_a_call_in_which_a_timer_does() {
    for _ in 0..20 {
        let queue = Queue::new();
        queue.add_user(1, LEVEL);
        queue.trigger(1);
        queue.make(after(2, 1));
        let_pass(3);
        let mut seen = BTreeSet::new();
        while !seen.contains(&2) {
            let events = queue.collect();
            let idents = idents(&events);
            assert!(idents.windows(2).all(|two| two[0] != two[1]), "{events:?}");
            seen.extend(idents);
        }
    }
}

#[test]
fn k85_timers_that_do_not_fit_come_with_the_next_calls() {
    let queue = Queue::new();
    for ident in 0..10 {
        queue.make(after(ident, 1));
    }
    let_pass(10);
    let mut events = Vec::new();
    while events.len() < 10 {
        let some = queue.take(3, None);
        events.extend(some);
    }
    assert_eq!(idents(&events), (0..10).collect::<Vec<_>>());
    queue.assert_silent();
}

#[test]
fn k87_a_short_timer_does_not_starve_the_others() {
    let queue = Queue::new();
    queue.make(timer(1, ADD).with_time(1, TimerUnit::Microseconds));
    queue.make(every(2, 1));
    queue.make(every(3, 1));
    let mut seen = BTreeSet::new();
    let start = Instant::now();
    while seen.len() < 3 {
        seen.extend(idents(&queue.take(1, Some(LIMIT))));
        assert!(start.elapsed() < LIMIT, "{seen:?}");
    }
}

#[test]
fn k104_a_timer_survives_the_closing_of_its_number() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, READ, LEVEL, 1);
    let ident = number(&socket);
    queue.make(after(ident, 20));
    drop(socket);
    let event = queue.one();
    assert_eq!((event.filter(), event.ident()), (Filter::TIMER, ident));
}

#[test]
fn k1_two_queues_may_have_timers_of_one_ident() {
    let (first, second) = (Queue::new(), Queue::new());
    first.make(after(1, 5));
    second.make(every(1, LONG));
    first.one();
    second.assert_silent();
    second.make(timer(1, DELETE));
}
