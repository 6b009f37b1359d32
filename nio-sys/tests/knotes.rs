//! The life of a knote: K55–K83.

mod support;

use std::io::{Read, Write};

use nio_sys::{EventFlags, Kevent};
use support::*;

#[test]
fn k55_a_condition_that_holds_already_is_reported_at_once() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let (reader, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        queue.add(&reader, READ, mode, 1);
        assert_eq!(queue.one().udata(), 1);
    }
}

#[test]
fn k56_adding_twice_makes_one_knote() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    assert_eq!(queue.collect().len(), 1);
    queue.delete(&reader, READ);
    assert_eq!(queue.refused(on(&reader, READ, DELETE)), libc::ENOENT);
}

#[test]
fn k57_a_modification_does_not_lose_a_pending_event() {
    let queue = Queue::new();
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    queue.make(Kevent::user(1, ADD).with_udata(2));
    assert_eq!(queue.one().udata(), 2);
}

#[test]
fn k57_a_modification_does_not_lose_an_arrival() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, CLEAR, 2);
    assert_eq!(queue.one().udata(), 2);
    queue.assert_silent();
}

#[test]
fn k58_udata_is_that_of_the_last_addition() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    assert_eq!(queue.one().udata(), 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    assert_eq!(queue.one().udata(), 2);
}

#[cfg(not(target_os = "openbsd"))]
#[test]
fn k58_udata_is_overwritten_by_every_change() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    queue.disable(&socket, WRITE, 2);
    queue.enable(&socket, WRITE, 3);
    assert_eq!(queue.one().udata(), 3);
    queue.add_user(4, CLEAR);
    queue.delete(&socket, WRITE);
    queue.make(trigger(4).with_udata(5));
    assert_eq!(queue.one().udata(), 5);
}

#[test]
fn k58_the_udata_of_one_knote_is_not_that_of_its_sibling() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    queue.add(&socket, READ, LEVEL, 3);
    peer.write_all(b"x").unwrap();
    for event in queue.collect() {
        assert_eq!(event.udata(), if event.filter() == READ { 3 } else { 2 });
    }
}

#[test]
fn k60_adding_again_does_not_make_a_level_knote_an_edge() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, LEVEL, 1);
    for mode in [CLEAR, ONESHOT, DISPATCH] {
        queue.add(&reader, READ, mode, 1);
        assert_eq!(queue.collect().len(), 1);
        assert_eq!(queue.collect().len(), 1);
    }
    queue.delete(&reader, READ);
    queue.add(&reader, READ, CLEAR, 1);
    assert_eq!(queue.collect().len(), 1);
    queue.assert_silent();
}

#[test]
fn k60_adding_again_does_not_make_an_edge_a_level_knote() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, CLEAR, 1);
    queue.add(&reader, READ, LEVEL, 1);
    assert_eq!(queue.collect().len(), 1);
    queue.assert_silent();
}

#[test]
fn k61_adding_an_edge_again_evaluates_it_again() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, CLEAR, 1);
    queue.one();
    queue.assert_silent();
    queue.add(&reader, READ, CLEAR, 1);
    queue.one();
    queue.assert_silent();
}

#[test]
fn k61_adding_both_again_evaluates_the_one_that_is_enabled() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, READ, CLEAR | DISABLE, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    queue.one();
    queue.assert_silent();
    let again = [
        on(&socket, READ, ADD | CLEAR).with_udata(1),
        on(&socket, WRITE, ADD | CLEAR).with_udata(2),
    ];
    assert_eq!(queue.results(&again), [0, 0]);
    assert_eq!(queue.one().udata(), 2);
}

#[test]
fn k61_adding_both_again_evaluates_both_though_their_modes_differ() {
    for (read, write) in [(LEVEL, CLEAR), (CLEAR, LEVEL)] {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, read, 1);
        queue.add(&socket, WRITE, write, 2);
        assert_eq!(queue.collect().len(), 2);
        let level = if read == LEVEL { READ } else { WRITE };
        assert_eq!(filters(&queue.collect()), [level]);
        let again = [
            on(&socket, READ, ADD | read).with_udata(1),
            on(&socket, WRITE, ADD | write).with_udata(2),
        ];
        assert_eq!(queue.results(&again), [0, 0]);
        assert_eq!(queue.collect().len(), 2);
    }
}

#[test]
fn k62_disabling_silences_a_pending_event_and_enabling_brings_it_back() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        queue.add(&reader, READ, mode, 1);
        writer.write_all(b"x").unwrap();
        queue.disable(&reader, READ, 1);
        queue.assert_silent();
        queue.enable(&reader, READ, 1);
        queue.one();
    }
}

#[test]
fn k62_disabling_one_filter_leaves_the_other() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    queue.disable(&socket, READ, 1);
    assert_eq!(filters(&queue.collect()), [WRITE]);
    queue.disable(&socket, WRITE, 2);
    queue.assert_silent();
    queue.enable(&socket, READ, 1);
    assert_eq!(filters(&queue.collect()), [READ]);
}

#[test]
fn k62_a_disabled_knote_is_silent_though_the_peer_is_gone() {
    let queue = Queue::new();
    let (socket, peer) = pair();
    queue.add(&socket, READ, DISABLE, 1);
    drop(peer);
    queue.assert_silent_for(20);
    queue.enable(&socket, READ, 1);
    assert!(queue.one().is_eof());
}

#[test]
fn k63_adding_does_not_enable() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, DISABLE, 1);
    queue.add(&reader, READ, LEVEL, 1);
    queue.assert_silent();
    queue.enable(&reader, READ, 1);
    queue.one();
}

#[test]
fn k63_adding_and_enabling_does() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, DISABLE, 1);
    queue.add(&reader, READ, ENABLE, 2);
    assert_eq!(queue.one().udata(), 2);
}

#[test]
fn k64_a_knote_added_disabled_is_silent() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        writer.write_all(b"x").unwrap();
        queue.add(&reader, READ, mode | DISABLE, 1);
        queue.assert_silent();
        queue.enable(&reader, READ, 1);
        queue.one();
    }
}

#[test]
fn k65_enabling_and_disabling_twice_is_no_error() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    queue.enable(&socket, WRITE, 1);
    queue.enable(&socket, WRITE, 1);
    assert_eq!(queue.collect().len(), 1);
    queue.disable(&socket, WRITE, 1);
    queue.disable(&socket, WRITE, 1);
    queue.assert_silent();
    queue.delete(&socket, WRITE);
}

#[test]
fn k66_deleting_removes_a_pending_event() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        queue.add(&reader, READ, mode, 1);
        writer.write_all(b"x").unwrap();
        queue.delete(&reader, READ);
        queue.assert_silent();
        assert_eq!(queue.refused(on(&reader, READ, DELETE)), libc::ENOENT);
    }
}

#[test]
fn k66_deleting_removes_an_event_that_did_not_fit() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    let first = queue.collect_at_most(1)[0].filter();
    let second = if first == READ { WRITE } else { READ };
    queue.delete(&socket, second);
    // On Linux the change may bring the other one again (K128).
    assert!(!filters(&queue.collect()).contains(&second));
    queue.assert_silent();
}

#[test]
fn k67_a_oneshot_is_gone_after_its_event_and_its_sibling_is_not() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, ONESHOT, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    peer.write_all(b"x").unwrap();
    assert_eq!(filters(&queue.collect()), [READ, WRITE]);
    assert_eq!(filters(&queue.collect()), [WRITE]);
    assert_eq!(queue.refused(on(&socket, READ, DELETE)), libc::ENOENT);
    queue.add(&socket, READ, ONESHOT, 3);
    assert_eq!(filters(&queue.collect()), [READ, WRITE]);
}

#[test]
fn k67_a_oneshot_leaves_a_sibling_that_is_an_edge() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, WRITE, ONESHOT, 2);
    queue.add(&socket, READ, CLEAR, 1);
    assert_eq!(filters(&queue.collect()), [WRITE]);
    assert_eq!(queue.refused(on(&socket, WRITE, DELETE)), libc::ENOENT);
    for _ in 0..2 {
        peer.write_all(b"x").unwrap();
        assert_eq!(filters(&queue.collect()), [READ]);
    }
}

#[test]
fn k67_a_oneshot_fires_once_with_several_writes_pending() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, ONESHOT, 1);
    writer.write_all(b"x").unwrap();
    queue.one();
    writer.write_all(b"x").unwrap();
    queue.assert_silent();
}

#[test]
fn k69_an_edge_is_silent_after_its_event() {
    let queue = Queue::new();
    let (mut reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    writer.write_all(&[0; 10]).unwrap();
    queue.one();
    queue.assert_silent();
    reader.read_exact(&mut [0; 10]).unwrap();
    queue.assert_silent();
}

#[test]
fn k70_new_data_fires_an_edge_though_older_data_is_unread() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    for _ in 0..3 {
        writer.write_all(b"x").unwrap();
        queue.one();
        queue.assert_silent();
    }
}

#[test]
fn k70_a_partial_read_does_not_fire_an_edge() {
    let queue = Queue::new();
    let (mut reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    writer.write_all(b"xy").unwrap();
    queue.one();
    reader.read_exact(&mut [0]).unwrap();
    queue.assert_silent();
}

#[test]
fn k71_a_writer_reports_when_a_full_buffer_was_drained() {
    let queue = Queue::new();
    let (writer, reader) = pair();
    queue.add(&writer, WRITE, CLEAR, 1);
    queue.one();
    fill(&writer);
    queue.assert_silent();
    drain(&reader);
    queue.one();
}

#[test]
fn k73_a_level_knote_reports_while_its_condition_holds() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(queue.collect().len(), 1);
    }
    drain(&reader);
    queue.assert_silent();
}

#[test]
fn k74_data_that_was_read_before_the_call_is_not_reported() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    drain(&reader);
    queue.assert_silent();
}

#[test]
fn k75_data_that_was_read_before_the_call_is_not_reported_to_an_edge() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, CLEAR, 1);
    writer.write_all(b"x").unwrap();
    drain(&reader);
    queue.assert_silent();
}

#[test]
fn k75_an_event_that_did_not_fit_is_not_reported_once_its_condition_is_over() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, WRITE, CLEAR, 2);
    queue.add(&socket, READ, CLEAR, 1);
    let first = queue.collect_at_most(1)[0].filter();
    drain(&socket);
    fill(&socket);
    queue.assert_silent();
    assert!([READ, WRITE].contains(&first));
}

#[test]
fn k76_a_dispatched_knote_waits_to_be_enabled() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, DISPATCH, 1);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        queue.one();
        queue.assert_silent();
        queue.enable(&reader, READ, 1);
    }
    queue.one();
    queue.delete(&reader, READ);
}

#[test]
fn k76_dispatch_is_for_each_filter_alone() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, DISPATCH, 1);
    queue.add(&socket, WRITE, DISPATCH, 2);
    assert_eq!(filters(&queue.collect()), [WRITE]);
    peer.write_all(b"x").unwrap();
    assert_eq!(filters(&queue.collect()), [READ]);
    queue.assert_silent();
    queue.enable(&socket, WRITE, 2);
    assert_eq!(filters(&queue.collect()), [WRITE]);
    queue.enable(&socket, READ, 1);
    assert_eq!(filters(&queue.collect()), [READ]);
}

#[test]
fn k76_a_dispatched_knote_stays_silent_when_its_peer_goes() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, DISPATCH, 1);
    writer.write_all(b"x").unwrap();
    queue.one();
    drop(writer);
    queue.assert_silent_for(20);
    queue.enable(&reader, READ, 1);
    assert!(queue.one().is_eof());
}

#[test]
fn k77_a_trigger_while_dispatched_is_remembered() {
    let queue = Queue::new();
    queue.add_user(1, DISPATCH | CLEAR);
    queue.trigger(1);
    // On NetBSD EV_CLEAR undoes EV_DISPATCH (K78).
    if cfg!(target_os = "netbsd") {
        return;
    }
    queue.one();
    queue.trigger(1);
    queue.assert_silent();
    queue.make(user(1, ENABLE));
    queue.one();
}

#[cfg(not(target_os = "netbsd"))]
#[test]
fn k78_dispatch_and_clear_do_both() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, DISPATCH | CLEAR, 1);
    writer.write_all(b"x").unwrap();
    queue.one();
    writer.write_all(b"x").unwrap();
    queue.assert_silent();
    queue.enable(&reader, READ, 1);
    queue.one();
    queue.assert_silent();
}

#[test]
fn k79_dispatch_and_oneshot_are_a_oneshot() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, DISPATCH | ONESHOT, 1);
    writer.write_all(b"x").unwrap();
    queue.one();
    queue.assert_silent();
    assert_eq!(queue.refused(on(&reader, READ, DELETE)), libc::ENOENT);
}

#[test]
fn k83_an_event_has_neither_error_nor_eof_without_a_reason() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        queue.add(&socket, WRITE, mode, 1);
        let flags = queue.one().flags();
        assert!(
            !flags.intersects(EventFlags::ERROR | EventFlags::EOF),
            "{flags:?}"
        );
        let _ = queue.change(on(&socket, WRITE, DELETE));
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k83_an_event_has_the_mode_of_its_knote_and_not_the_flags_of_a_change() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, CLEAR | ENABLE, 1);
    assert_eq!(queue.one().flags() - RECEIPT, CLEAR);
}
