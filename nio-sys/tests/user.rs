//! EVFILT_USER: K161–K175.

mod support;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use nio_sys::{Filter, Kevent, UserFlags};
use support::*;

/// A change of user knote 1 that triggers it and works on its 24 bits.
fn trigger_with(flags: UserFlags) -> Kevent {
    trigger(1).with_fflags(UserFlags::TRIGGER | flags)
}

#[test]
fn k161_adding_does_not_fire() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.assert_silent_for(20);
}

#[test]
fn k162_triggering_fires_with_the_knotes_ident_and_udata() {
    let queue = Queue::new();
    queue.make(Kevent::user(5, ADD | CLEAR).with_udata(6));
    queue.make(trigger(5).with_udata(6));
    let event = queue.one();
    assert_eq!(
        (event.filter(), event.ident(), event.udata()),
        (Filter::USER, 5, 6)
    );
}

#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
#[test]
fn k163_a_trigger_in_the_change_that_adds_the_knote_fires() {
    let queue = Queue::new();
    queue.make(trigger(1).with_flags(ADD | CLEAR));
    queue.one();
    queue.assert_silent();
}

#[test]
fn k164_without_clear_a_triggered_knote_is_reported_until_it_is_deleted() {
    let queue = Queue::new();
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    for _ in 0..3 {
        assert_eq!(queue.collect().len(), 1);
    }
    queue.make(user(1, DELETE));
    queue.assert_silent();
}

#[test]
fn k165_several_triggers_before_collection_are_one_event() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for _ in 0..3 {
        queue.trigger(1);
    }
    queue.one();
    queue.assert_silent();
    queue.trigger(1);
    queue.one();
}

#[test]
fn k166_a_trigger_while_disabled_is_remembered() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.make(user(1, DISABLE));
    queue.trigger(1);
    queue.assert_silent();
    queue.make(user(1, ENABLE));
    queue.one();
    queue.assert_silent();
}

#[test]
fn k166_a_trigger_before_disabling_is_remembered() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    queue.make(user(1, DISABLE));
    queue.assert_silent();
    queue.make(user(1, ENABLE));
    queue.one();
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k167_a_change_with_clear_takes_back_the_trigger() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    queue.make(user(1, CLEAR));
    queue.assert_silent();
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k167_a_change_with_clear_takes_back_its_own_trigger() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.make(trigger(1).with_flags(CLEAR));
    queue.assert_silent();
}

#[test]
fn k168_enabling_and_triggering_in_one_change_does_both() {
    if cfg!(target_os = "netbsd") {
        return;
    }
    let queue = Queue::new();
    queue.add_user(1, DISPATCH | CLEAR);
    queue.trigger(1);
    queue.one();
    queue.make(trigger(1).with_flags(ENABLE));
    queue.one();
    queue.assert_silent();
}

#[test]
fn k169_ffnop_leaves_the_bits() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.make(user(1, LEVEL).with_fflags(UserFlags::FFCOPY | UserFlags::value(0xF0)));
    queue.make(trigger_with(UserFlags::FFNOP | UserFlags::value(0x0F)));
    assert_eq!(queue.one().fflags(), 0xF0);
}

#[test]
fn k170_the_bits_are_combined_by_the_operation_and_no_others_are_reported() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for (operation, bits, result) in [
        (UserFlags::FFCOPY, 0xF0F0, 0xF0F0),
        (UserFlags::FFAND, 0xFF00, 0xF000),
        (UserFlags::FFOR, 0x000F, 0xF00F),
        (UserFlags::FFCOPY, 0xFF_FFFF, 0xFF_FFFF),
        (UserFlags::FFCOPY, 0, 0),
    ] {
        queue.make(trigger_with(operation | UserFlags::value(bits)));
        assert_eq!(queue.one().fflags(), result);
    }
}

#[test]
fn k172_an_edge_has_the_data_of_its_own_trigger() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for data in [7, -1, i64::from(i32::MAX)] {
        queue.make(trigger(1).with_data(data));
        assert_eq!(queue.one().data(), data);
    }
    queue.trigger(1);
    assert_eq!(queue.one().data(), 0);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k171_adding_keeps_the_24_bits_it_is_given() {
    let queue = Queue::new();
    let bits = UserFlags::from_bits_retain(0xFEAB_CDEF);
    queue.make(user(1, ADD | CLEAR).with_fflags(bits));
    queue.trigger(1);
    assert_eq!(queue.one().fflags(), 0xAB_CDEF);
}

#[test]
fn k172_a_level_event_has_the_data_of_the_last_change() {
    let queue = Queue::new();
    queue.add_user(1, LEVEL);
    queue.make(trigger(1).with_data(7));
    assert_eq!(queue.one().data(), 7);
    assert_eq!(queue.one().data(), 7);
    queue.make(trigger(1).with_data(8));
    assert_eq!(queue.one().data(), 8);
}

#[test]
fn k173_the_bits_of_several_triggers_accumulate() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.make(trigger_with(UserFlags::FFOR | UserFlags::value(1)));
    queue.make(trigger_with(UserFlags::FFOR | UserFlags::value(2)));
    assert_eq!(queue.one().fflags(), 3);
}

#[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
#[test]
fn k173_the_bits_outlive_a_delivery() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for (bit, sum) in [(1, 1), (2, 3), (4, 7)] {
        queue.make(trigger_with(UserFlags::FFOR | UserFlags::value(bit)));
        assert_eq!(queue.one().fflags(), sum);
    }
}

#[test]
fn k174_a_oneshot_fires_once_and_is_gone() {
    let queue = Queue::new();
    queue.add_user(1, ONESHOT);
    queue.trigger(1);
    queue.one();
    queue.assert_silent();
    assert_eq!(queue.refused(trigger(1)), libc::ENOENT);
}

#[test]
fn k174_a_dispatched_knote_without_clear_stays_triggered() {
    let queue = Queue::new();
    queue.add_user(1, DISPATCH);
    queue.trigger(1);
    queue.one();
    queue.assert_silent();
    queue.make(user(1, ENABLE));
    queue.one();
    queue.make(user(1, DELETE));
}

#[test]
fn k174_deleting_removes_a_pending_trigger() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    queue.make(user(1, DELETE));
    queue.assert_silent();
    queue.add_user(1, CLEAR);
    queue.assert_silent();
    queue.trigger(1);
    queue.one();
    queue.assert_silent();
}

#[test]
fn k174_a_knote_deleted_and_added_while_triggered_has_one_event() {
    let queue = Queue::new();
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    queue.make(user(1, DELETE));
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    assert_eq!(queue.collect().len(), 1);
}

#[test]
fn k175_a_trigger_never_blocks_however_many_there_are() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for _ in 0..200_000 {
        queue.trigger(1);
    }
    queue.one();
    queue.assert_silent();
}

#[test]
fn k175_a_trigger_wakes_a_thread_that_waits() {
    let queue = Queue::new();
    let other = Queue::new();
    queue.add_user(1, CLEAR);
    other.add_user(1, CLEAR);
    // Back and forth: each side waits for the other's trigger.
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..500 {
                assert_eq!(queue.one().ident(), 1);
                other.trigger(1);
            }
        });
        for _ in 0..500 {
            queue.trigger(1);
            other.one();
        }
    });
    queue.assert_silent();
}

#[test]
fn k175_no_trigger_is_lost_while_other_threads_change_the_queue() {
    const TRIGGERS: usize = 4_000;
    const STOP: usize = 4;
    let queue = Queue::new();
    (1..=STOP).for_each(|ident| queue.add_user(ident, CLEAR));
    let [sent, seen] = [(); 2].map(|()| [0; STOP].map(AtomicUsize::new));
    let done = AtomicUsize::new(0);
    let trigger_often = |ident: usize| {
        for number in 1..=TRIGGERS {
            sent[ident].store(number, Ordering::Relaxed);
            queue.trigger(ident);
            // More triggers come before this one is reported; every so often one has to be.
            let start = Instant::now();
            while number % 8 == 0 && seen[ident].load(Ordering::Relaxed) != number {
                assert!(
                    start.elapsed() < LIMIT,
                    "trigger {number} of {ident} is lost"
                );
                thread::yield_now();
            }
        }
        if done.fetch_add(1, Ordering::Relaxed) == 1 {
            queue.trigger(STOP);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| trigger_often(1));
        scope.spawn(|| trigger_often(2));
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) < 2 {
                queue.trigger(3);
                for flags in [DISABLE, ENABLE, DISABLE, DELETE, ADD | CLEAR] {
                    queue.make(Kevent::user(3, flags));
                }
            }
        });
        loop {
            let events = queue.wait();
            for event in &events {
                let ident = event.ident();
                if ident < STOP {
                    let number = sent[ident].load(Ordering::Relaxed);
                    seen[ident].store(number, Ordering::Relaxed);
                }
            }
            if idents(&events).contains(&STOP) {
                break;
            }
        }
    });
}
