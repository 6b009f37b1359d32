//! Errors and receipts: K38–K54.

mod support;

use std::time::Duration;

use nio_sys::{EventList, Filter, Kevent};
use support::*;

#[test]
fn k38_a_refused_change_is_an_entry_and_later_changes_are_made() {
    let queue = Queue::new();
    let changes = [Kevent::user(9, DELETE).with_udata(99), user(1, ADD)];
    let events = queue.call(&changes, 4, None).unwrap();
    assert_eq!(events.len(), 1);
    let entry = events[0];
    assert!(entry.is_error());
    assert_eq!(entry.data(), i64::from(libc::ENOENT));
    assert_eq!(
        (entry.ident(), entry.filter(), entry.udata()),
        (9, Filter::USER, 99)
    );
    queue.make(user(1, DELETE));
}

#[test]
fn k39_errors_come_in_the_order_of_the_changes() {
    let queue = Queue::new();
    let unknown = Filter::from_number(if cfg!(target_os = "netbsd") { 99 } else { -99 });
    let changes = [
        Kevent::new(CLOSED, READ, ADD),
        user(7, DELETE),
        Kevent::new(8, unknown, ADD),
    ];
    let events = queue.call(&changes, 8, None).unwrap();
    let errnos: Vec<i64> = events.iter().map(Kevent::data).collect();
    assert_eq!(
        errnos,
        [libc::EBADF, libc::ENOENT, libc::EINVAL].map(i64::from)
    );
    assert_eq!(
        events.iter().map(Kevent::ident).collect::<Vec<_>>(),
        [CLOSED, 7, 8]
    );
}

#[test]
fn k40_without_room_the_first_refused_change_fails_the_call() {
    let queue = Queue::new();
    let changes = [user(1, ADD), user(99, DELETE), user(2, ADD)];
    let error = queue.call(&changes, 0, None).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    queue.make(user(1, DELETE));
    assert_eq!(queue.refused(user(2, DELETE)), libc::ENOENT);
}

#[test]
fn k40_a_call_fails_at_the_change_for_which_room_ran_out() {
    let queue = Queue::new();
    let changes = [user(8, DELETE), user(1, ADD), user(9, DELETE), user(2, ADD)];
    let error = queue.call(&changes, 1, None).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    queue.make(user(1, DELETE));
    assert_eq!(queue.refused(user(2, DELETE)), libc::ENOENT);
}

#[test]
fn k40_without_room_two_changes_of_a_descriptor_are_refused_as_if_made_one_by_one() {
    let queue = Queue::new();
    let changes = [
        Kevent::new(CLOSED, READ, ADD),
        Kevent::new(CLOSED, WRITE, ADD),
    ];
    let error = queue.call(&changes, 0, None).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn k41_a_call_that_fails_returns_no_entries() {
    let queue = Queue::new();
    let mut events = EventList::with_capacity(1);
    let changes = [user(8, DELETE), user(9, DELETE)];
    assert!(queue.kevent(&changes, &mut events, None).is_err());
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn k42_an_error_ends_the_call_without_events() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    let events = queue.call(&[user(99, DELETE)], 8, None).unwrap();
    assert_eq!(idents(&events), [99]);
    assert!(events[0].is_error());
    assert_eq!(queue.one().ident(), 1);
}

#[test]
fn k42_an_error_ends_the_call_without_waiting() {
    let queue = Queue::new();
    assert_eq!(queue.call(&[user(99, DELETE)], 8, None).unwrap().len(), 1);
}

#[test]
fn k43_a_receipt_reports_a_success() {
    let queue = Queue::new();
    let change = Kevent::user(5, ADD | RECEIPT).with_udata(6);
    let events = queue.call(&[change], 8, None).unwrap();
    assert_eq!(events.len(), 1);
    let entry = events[0];
    assert!(entry.is_error());
    assert_eq!(entry.data(), 0);
    assert_eq!(
        (entry.ident(), entry.filter(), entry.udata()),
        (5, Filter::USER, 6)
    );
}

#[test]
fn k44_receipts_come_in_order_and_without_events() {
    let queue = Queue::new();
    queue.add_user(50, CLEAR);
    queue.trigger(50);
    let changes: Vec<Kevent> = (0..5)
        .map(|i| user(i, if i == 2 { DELETE } else { ADD } | RECEIPT))
        .collect();
    let events = queue.call(&changes, 5, None).unwrap();
    let errnos: Vec<i64> = events.iter().map(Kevent::data).collect();
    assert_eq!(errnos, [0, 0, i64::from(libc::ENOENT), 0, 0]);
    assert_eq!(
        events.iter().map(Kevent::ident).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    assert!(events.iter().all(Kevent::is_error));
    assert_eq!(queue.one().ident(), 50);
}

#[test]
fn k45_a_receipt_has_the_error_flag_and_data_0() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    let changes = [
        on(&socket, READ, ADD | CLEAR | RECEIPT),
        on(&socket, WRITE, ADD | CLEAR | RECEIPT),
    ];
    let events = queue.call(&changes, 2, None).unwrap();
    assert_eq!(events.len(), 2);
    for (change, entry) in changes.iter().zip(&events) {
        assert!(entry.is_error() && entry.data() == 0);
        assert_eq!(
            (entry.ident(), entry.filter()),
            (change.ident(), change.filter())
        );
    }
}

#[cfg(any(target_vendor = "apple", target_os = "linux", target_os = "android"))]
#[test]
fn k46_a_receipt_without_room_is_dropped_and_the_changes_are_made() {
    let queue = Queue::new();
    let changes: Vec<Kevent> = (0..5).map(|i| user(i, ADD | RECEIPT)).collect();
    assert_eq!(queue.call(&changes, 2, None).unwrap().len(), 2);
    for ident in 0..5 {
        queue.make(user(ident, DELETE));
    }
}

#[test]
fn k46_apply_answers_each_of_a_hundred_changes() {
    let queue = Queue::new();
    let changes: Vec<Kevent> = (0..100)
        .map(|i| user(i, if i % 10 == 3 { DELETE } else { ADD }))
        .collect();
    let expected: Vec<i32> = (0..100)
        .map(|i| if i % 10 == 3 { libc::ENOENT } else { 0 })
        .collect();
    assert_eq!(queue.results(&changes), expected);
}

#[test]
fn k47_a_refused_change_with_a_receipt_reports_its_errno() {
    let queue = Queue::new();
    let events = queue
        .call(&[Kevent::new(CLOSED, READ, ADD | RECEIPT)], 4, None)
        .unwrap();
    assert_eq!(events[0].data(), i64::from(libc::EBADF));
}

#[test]
fn k48_an_event_of_a_knote_with_receipt_is_no_receipt() {
    let queue = Queue::new();
    queue
        .call(&[user(1, ADD | RECEIPT | CLEAR)], 4, None)
        .unwrap();
    queue.call(&[trigger(1)], 0, None).unwrap();
    let event = queue.one();
    assert!(!event.is_error());
    queue.assert_silent();
}

#[test]
fn k49_a_change_of_a_knote_that_does_not_exist_is_enoent() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    for flags in [DELETE, ENABLE, DISABLE, LEVEL] {
        assert_eq!(queue.refused(user(1, flags)), libc::ENOENT);
        assert_eq!(queue.refused(on(&socket, READ, flags)), libc::ENOENT);
        assert_eq!(queue.refused(on(&socket, WRITE, flags)), libc::ENOENT);
        assert_eq!(
            queue.refused(Kevent::signal(libc::SIGUSR1, flags)),
            libc::ENOENT
        );
    }
    assert_eq!(queue.refused(trigger(1)), libc::ENOENT);
}

#[test]
fn k51_a_refused_addition_leaves_no_knote() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    assert_eq!(queue.refused(Kevent::vnode(&socket, ADD)), libc::EINVAL);
    assert!(queue.change(Kevent::vnode(&socket, DELETE)).is_err());
}

#[test]
fn k51_a_disabled_user_event_is_added_without_an_error() {
    let queue = Queue::new();
    queue.add_user(1, DISABLE);
    queue.make(user(1, DELETE));
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k52_enable_and_disable_together_are_refused() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    queue.add_user(1, LEVEL);
    for change in [
        on(&socket, WRITE, ENABLE | DISABLE),
        user(1, ENABLE | DISABLE),
    ] {
        assert_eq!(queue.refused(change), libc::EINVAL);
    }
    assert_eq!(queue.refused(user(2, ADD | ENABLE | DISABLE)), libc::EINVAL);
    assert_eq!(queue.refused(user(2, DELETE)), libc::ENOENT);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k53_add_and_delete_together_are_refused() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    assert_eq!(
        queue.refused(on(&socket, WRITE, ADD | DELETE)),
        libc::EINVAL
    );
    assert_eq!(queue.refused(on(&socket, WRITE, DELETE)), libc::ENOENT);
    queue.add(&socket, WRITE, LEVEL, 1);
    assert_eq!(
        queue.refused(on(&socket, WRITE, ADD | DELETE)),
        libc::EINVAL
    );
    queue.delete(&socket, WRITE);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k54_a_refused_modification_leaves_the_knote_as_it_was() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    let bad = on(&socket, WRITE, ADD | DISABLE)
        .with_udata(2)
        .with_fflags(0x0080_0000_u32);
    assert!(queue.change(bad).is_err());
    assert_eq!(queue.one().udata(), 1);
}

#[test]
fn a_receipt_does_not_wait_even_with_a_timeout() {
    let queue = Queue::new();
    let start = std::time::Instant::now();
    let events = queue.call(&[user(1, ADD | RECEIPT)], 4, Some(Duration::from_secs(600)));
    assert_eq!(events.unwrap().len(), 1);
    assert!(start.elapsed() < LIMIT);
}
