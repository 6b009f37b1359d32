//! Changes that Linux refuses for every filter in the same way: K52, K53, K241–K243.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::process::{Child, Command, Stdio};

use nio_sys::{EventFlags, Filter, Kevent, ProcFlags, ReadWriteFlags, TimerUnit};
use support::*;

/// A program that runs until it is dropped.
struct Cat(Child);

impl Cat {
    fn new() -> Cat {
        let cat = Command::new("cat").stdin(Stdio::piped()).spawn();
        Cat(cat.unwrap())
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A valid change of each filter.
fn valid(socket: &std::os::unix::net::UnixStream, cat: &Cat) -> Vec<Kevent> {
    vec![
        on(socket, READ, ADD),
        on(socket, WRITE, ADD),
        on(socket, Filter::EXCEPT, ADD).with_fflags(ReadWriteFlags::OOB),
        Kevent::user(1, ADD),
        Kevent::timer(1, ADD).with_time(60, TimerUnit::Seconds),
        Kevent::signal(libc::SIGWINCH, ADD),
        Kevent::process(cat.0.id(), ADD).with_fflags(ProcFlags::EXIT),
    ]
}

#[test]
fn the_valid_changes_are_accepted() {
    let queue = Queue::new();
    let (socket, cat) = (pair().0, Cat::new());
    for change in valid(&socket, &cat) {
        queue.make(change);
        queue.make(change.with_flags(DELETE));
    }
}

#[test]
fn k241_filters_that_do_not_exist_are_refused_with_any_flags() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    let known: Vec<i16> = [
        READ,
        WRITE,
        Filter::VNODE,
        Filter::PROC,
        Filter::SIGNAL,
        Filter::TIMER,
        Filter::PROCDESC,
        Filter::USER,
        Filter::EXCEPT,
    ]
    .iter()
    .map(|filter| filter.number() as i16)
    .collect();
    for filter in (-100..=100).filter(|filter| !known.contains(filter)) {
        let filter = Filter::from_number(filter);
        for ident in [0, number(&socket), CLOSED, usize::MAX] {
            for flags in [ADD, DELETE, ENABLE, LEVEL] {
                let change = Kevent::new(ident, filter, flags);
                assert_eq!(queue.refused(change), libc::EINVAL, "{change:?}");
            }
        }
    }
    queue.assert_silent();
}

#[test]
fn k242_a_note_that_cannot_be_honoured_is_refused() {
    let queue = Queue::new();
    let (socket, cat) = (pair().0, Cat::new());
    let pid = cat.0.id();
    for change in [
        on(&socket, READ, ADD).with_fflags(0x2_u32),
        on(&socket, WRITE, ADD).with_fflags(ReadWriteFlags::LOWAT),
        on(&socket, WRITE, ADD).with_fflags(0x2_u32),
        on(&socket, Filter::EXCEPT, ADD).with_fflags(0x4_u32),
        Kevent::process(pid, ADD).with_fflags(ProcFlags::FORK),
        Kevent::process(pid, ADD).with_fflags(ProcFlags::EXEC | ProcFlags::EXIT),
        Kevent::process(pid, ADD).with_fflags(0x0400_0000_u32),
    ] {
        assert_eq!(queue.refused(change), libc::ENOTSUP, "{change:?}");
        let delete = change.with_flags(DELETE);
        assert_eq!(queue.refused(delete), libc::ENOENT, "{change:?}");
    }
    queue.assert_silent();
}

#[test]
fn k242_a_refused_note_leaves_an_existing_knote_as_it_is() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    let change = on(&socket, WRITE, ADD).with_fflags(ReadWriteFlags::LOWAT);
    assert_eq!(queue.refused(change.with_udata(2)), libc::ENOTSUP);
    assert_eq!(queue.one().udata(), 1);
}

/// Asserts that each valid change is refused with each of these flags, and leaves no knote.
fn all_refuse(flags: &[EventFlags]) {
    let queue = Queue::new();
    let (socket, cat) = (pair().0, Cat::new());
    for change in valid(&socket, &cat) {
        for &flags in flags {
            let bad = change.with_flags(flags);
            assert_eq!(queue.refused(bad), libc::EINVAL, "{bad:?}");
            let delete = change.with_flags(DELETE);
            assert_eq!(queue.refused(delete), libc::ENOENT, "{bad:?}");
        }
    }
    queue.assert_silent();
}

#[test]
fn k243_unknown_flags_are_refused_by_every_filter() {
    let unknown = [0x100, 0x200, 0x400, 0x800].map(EventFlags::from_bits_retain);
    all_refuse(&unknown.map(|bit| ADD | bit));
}

#[test]
fn k52_enable_and_disable_together_are_refused_by_every_filter() {
    all_refuse(&[ADD | ENABLE | DISABLE]);
}

#[test]
fn k53_add_and_delete_together_are_refused_by_every_filter() {
    all_refuse(&[ADD | DELETE]);
}

#[test]
fn k243_unknown_flags_leave_an_existing_knote_as_it_is() {
    let queue = Queue::new();
    let (socket, cat) = (pair().0, Cat::new());
    let unknown = EventFlags::from_bits_retain(0x100);
    for change in valid(&socket, &cat) {
        queue.make(change);
        let delete = change.with_flags(DELETE | unknown);
        assert_eq!(queue.refused(delete), libc::EINVAL, "{delete:?}");
        queue.make(change.with_flags(DELETE));
    }
}

#[test]
fn k30_the_systems_own_flags_are_ignored_by_every_filter() {
    let queue = Queue::new();
    let (socket, cat) = (pair().0, Cat::new());
    let system = EventFlags::from_bits_retain(0xF000);
    for change in valid(&socket, &cat) {
        queue.make(change.with_flags(ADD | system));
        queue.make(change.with_flags(DELETE | system));
    }
}

#[test]
fn k37_the_filter_is_looked_at_before_the_ident() {
    let queue = Queue::new();
    for ident in [CLOSED, usize::MAX] {
        let change = Kevent::new(ident, Filter::from_number(-99), ADD);
        assert_eq!(queue.refused(change), libc::EINVAL);
    }
}
