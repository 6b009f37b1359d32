//! The arguments of kevent(): K15–K37, K241–K243.

mod support;

use std::io::Write;

use nio_sys::{EventFlags, Filter, Kevent};
use support::*;

#[test]
fn k15_changes_are_made_before_events_are_collected() {
    let queue = Queue::new();
    let changes = [user(1, ADD | CLEAR), trigger(1)];
    let events = queue.call(&changes, 4, Some(LIMIT)).unwrap();
    assert_eq!(idents(&events), [1]);
}

#[test]
fn k16_a_later_change_sees_what_an_earlier_one_did() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    let results = queue.results(&[
        on(&reader, READ, ADD),
        on(&reader, READ, DELETE),
        on(&reader, READ, DELETE),
    ]);
    assert_eq!(results, [0, 0, libc::ENOENT]);
    queue.assert_silent();
}

#[test]
fn k16_deleting_and_adding_in_one_call_leaves_one_knote() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    let results = queue.results(&[
        on(&reader, READ, DELETE),
        on(&reader, READ, ADD | CLEAR).with_udata(2),
    ]);
    assert_eq!(results, [0, 0]);
    assert_eq!(queue.one().udata(), 2);
    queue.assert_silent();
}

#[test]
fn k16_both_knotes_of_a_descriptor_can_be_changed_in_one_call() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    let add = [
        on(&socket, WRITE, ADD | CLEAR).with_udata(2),
        on(&socket, READ, ADD | CLEAR).with_udata(1),
    ];
    assert_eq!(queue.results(&add), [0, 0]);
    assert_eq!(queue.one().udata(), 2);
    peer.write_all(b"x").unwrap();
    assert_eq!(queue.one_of(READ).udata(), 1);
    let delete = [on(&socket, READ, DELETE), on(&socket, WRITE, DELETE)];
    assert_eq!(queue.results(&delete), [0, 0]);
    queue.assert_silent();
    assert_eq!(queue.results(&delete), [libc::ENOENT, libc::ENOENT]);
}

#[test]
fn k16_of_two_deletions_in_one_call_only_the_one_without_a_knote_fails() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    let delete = [on(&socket, READ, DELETE), on(&socket, WRITE, DELETE)];
    assert_eq!(queue.results(&delete), [libc::ENOENT, 0]);
    queue.assert_silent();
}

/// NOTE bits that READ and WRITE have on no system.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNKNOWN_NOTE: u32 = 0x0080_0000;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k16_of_two_additions_in_one_call_only_the_refused_one_fails() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    let add = [
        on(&socket, READ, ADD).with_udata(1),
        on(&socket, WRITE, ADD).with_fflags(UNKNOWN_NOTE),
    ];
    assert_eq!(queue.results(&add), [0, libc::ENOTSUP]);
    peer.write_all(b"x").unwrap();
    assert_eq!(queue.one().udata(), 1);

    queue.delete(&socket, READ);
    let add = [
        on(&socket, READ, ADD).with_fflags(UNKNOWN_NOTE),
        on(&socket, WRITE, ADD).with_udata(2),
    ];
    assert_eq!(queue.results(&add), [libc::ENOTSUP, 0]);
    assert_eq!(queue.one().udata(), 2);
}

#[test]
fn k26_the_count_is_that_of_the_entries_written() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    let mut events = nio_sys::EventList::with_capacity(8);
    assert_eq!(queue.kevent(&[], &mut events, None).unwrap(), 1);
    assert_eq!((events.len(), events.capacity()), (1, 8));
}

#[test]
fn k27_each_of_many_refused_changes_is_answered_at_its_index() {
    let queue = Queue::new();
    let mut changes: Vec<Kevent> = (0..40)
        .map(|i| {
            let filter = if i % 2 == 0 { READ } else { Filter::USER };
            Kevent::new(CLOSED + i, filter, DELETE).with_udata(i)
        })
        .collect();
    queue.apply(&mut changes).unwrap();
    for (i, change) in changes.iter().enumerate() {
        assert_eq!((change.ident(), change.udata()), (CLOSED + i, i));
        assert!(change.receipt().is_err());
    }
}

#[test]
fn k30_the_systems_own_flags_are_ignored_in_a_change() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    let flags = ADD | EventFlags::EOF | EventFlags::ERROR;
    queue
        .call(
            &[on(&reader, READ, flags)],
            4,
            Some(std::time::Duration::ZERO),
        )
        .unwrap();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    let event = queue.one();
    assert!(!event.is_eof() && !event.is_error());
}

#[test]
fn k30_a_returned_event_may_be_submitted_again() {
    let queue = Queue::new();
    let (reader, writer) = pair();
    queue.add(&reader, READ, CLEAR, 5);
    drop(writer);
    let event = queue.one();
    assert!(event.is_eof());
    // With EV_EOF, fflags are an errno and not flags of a change.
    queue.make(event.with_flags(event.flags() | ADD).with_fflags(0_u32));
    assert_eq!(queue.one().udata(), 5);
}

#[test]
fn k31_an_unknown_filter_is_refused() {
    let queue = Queue::new();
    let (reader, _writer) = pair();
    let unknown = Filter::from_number(if cfg!(target_os = "netbsd") { 99 } else { -99 });
    let change = Kevent::new(number(&reader), unknown, ADD);
    assert_eq!(queue.refused(change), libc::EINVAL);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k31_filter_0_is_refused() {
    let queue = Queue::new();
    let change = Kevent::new(0, Filter::from_number(0), ADD);
    assert_eq!(queue.refused(change), libc::EINVAL);
}

#[test]
fn k32_a_number_without_a_descriptor_is_ebadf_and_registers_nothing() {
    let queue = Queue::new();
    for filter in [READ, WRITE] {
        for flags in [ADD, ADD | CLEAR, ADD | DISABLE] {
            let add = Kevent::new(CLOSED, filter, flags);
            assert_eq!(queue.refused(add), libc::EBADF, "{add:?}");
        }
        let delete = Kevent::new(CLOSED, filter, DELETE);
        assert!([libc::EBADF, libc::ENOENT].contains(&queue.refused(delete)));
    }
}

// DragonFly cuts it: its holdfp() takes an int. macOS cuts it for the lookup and refuses it afterwards.
#[cfg(all(target_pointer_width = "64", not(target_os = "dragonfly")))]
#[test]
fn k33_a_descriptor_number_is_not_cut_to_32_bits() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    for beyond in [1 << 32, 1 << 31, 1 << 63, usize::MAX << 32] {
        let change = Kevent::new(number(&reader) | beyond, READ, ADD);
        let errno = queue.refused(change);
        let minded = cfg!(target_vendor = "apple") && errno == libc::EINVAL;
        assert!(errno == libc::EBADF || minded, "{change:?}: {errno}");
    }
    queue.assert_silent();
}

#[test]
fn k34_a_user_event_may_have_any_ident() {
    let queue = Queue::new();
    for ident in [0, usize::MAX] {
        queue.add_user(ident, CLEAR);
    }
    queue.trigger(usize::MAX);
    assert_eq!(idents(&queue.collect()), [usize::MAX]);
    queue.trigger(0);
    queue.trigger(usize::MAX);
    assert_eq!(idents(&queue.collect()), [0, usize::MAX]);
}

#[test]
fn k35_udata_comes_back_bit_for_bit() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    for udata in [0, 1, usize::MAX, usize::MAX - 1, 1 << (usize::BITS - 1)] {
        queue.add(&socket, WRITE, LEVEL, udata);
        assert_eq!(queue.one().udata(), udata);
        let trigger = trigger(9).with_udata(udata);
        let user = Kevent::user(9, ADD | ONESHOT).with_udata(udata);
        queue.delete(&socket, WRITE);
        assert_eq!(queue.results(&[user, trigger]), [0, 0]);
        assert_eq!(queue.one().udata(), udata);
    }
}

#[test]
fn k36_read_and_write_of_a_descriptor_are_two_knotes() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    peer.write_all(b"x").unwrap();
    let events = queue.collect();
    assert_eq!(filters(&events), [READ, WRITE]);
    for event in events {
        assert_eq!(event.udata(), if event.filter() == READ { 1 } else { 2 });
    }
    queue.delete(&socket, READ);
    assert_eq!(queue.one().udata(), 2);
    assert_eq!(queue.refused(on(&socket, READ, DELETE)), libc::ENOENT);
    queue.delete(&socket, WRITE);
}

#[test]
fn k36_a_user_event_may_have_the_number_of_a_descriptor() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    queue.make(Kevent::user(number(&reader), ADD | CLEAR).with_udata(2));
    writer.write_all(b"x").unwrap();
    assert_eq!(queue.one().udata(), 1);
    queue.make(Kevent::user(number(&reader), DELETE));
    queue.delete(&reader, READ);
}

#[test]
fn k37_the_filter_is_looked_at_before_the_descriptor() {
    let queue = Queue::new();
    let unknown = Filter::from_number(if cfg!(target_os = "netbsd") { 99 } else { -99 });
    assert_eq!(
        queue.refused(Kevent::new(CLOSED, unknown, ADD)),
        libc::EINVAL
    );
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k80_the_flags_of_other_systems_are_refused() {
    let queue = Queue::new();
    for bit in [0x100, 0x200] {
        let flags = ADD | EventFlags::from_bits_retain(bit);
        assert_eq!(queue.refused(user(1, flags)), libc::EINVAL);
    }
    assert_eq!(queue.refused(user(1, DELETE)), libc::ENOENT);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k241_filters_of_other_systems_are_refused_without_effect() {
    let queue = Queue::new();
    let (reader, _writer) = pair();
    // AIO, FS, LIO, SENDFILE, EMPTY, JAIL, JAILDESC.
    for filter in [-3, -9, -10, -12, -13, -14, -15] {
        let filter = Filter::from_number(filter);
        for ident in [0, 1, number(&reader), CLOSED, usize::MAX] {
            for flags in [ADD, DELETE] {
                let change = Kevent::new(ident, filter, flags);
                assert_eq!(queue.refused(change), libc::EINVAL, "{change:?}");
            }
        }
    }
    queue.assert_silent();
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k242_a_note_that_cannot_be_honoured_is_refused_and_leaves_no_knote() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    for filter in [READ, WRITE] {
        let change = on(&socket, filter, ADD).with_fflags(UNKNOWN_NOTE);
        assert_eq!(queue.refused(change), libc::ENOTSUP);
        assert_eq!(queue.refused(on(&socket, filter, DELETE)), libc::ENOENT);
    }
    queue.assert_silent();
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k243_unknown_flags_are_refused() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    for bit in [0x100, 0x200, 0x400, 0x800] {
        let flags = ADD | EventFlags::from_bits_retain(bit);
        assert_eq!(queue.refused(on(&socket, WRITE, flags)), libc::EINVAL);
        assert_eq!(queue.refused(user(1, flags)), libc::EINVAL);
    }
    queue.assert_silent();
}
