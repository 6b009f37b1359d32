//! Callbacks of descriptors.

mod support;

use std::{
    cell::{Cell, RefCell},
    io::{Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    time::Duration,
};

use nio_loop::{CallbackId, Direction, Error, Event, Handle, Interest, Source, Subject};
use support::{Log, OnDrop, event_loop, ms, pair, panic_of, readable};

type Ids = Rc<RefCell<Vec<CallbackId>>>;

/// Clears all of these callbacks, and returns how many were still there.
fn clear_all(handle: &Handle, ids: &Ids) -> usize {
    let ids = ids.borrow().clone();
    ids.into_iter().filter(|&id| handle.clear(id)).count()
}

#[test]
fn a_watch_reports_unread_bytes_again() {
    let mut event_loop = event_loop();
    let (ours, mut theirs) = pair();
    theirs.write_all(b"abc").unwrap();
    let log = Log::new();
    let told = log.clone();
    let watch = move |handle: &Handle, mut stream: &UnixStream, event: Event| {
        assert!(event.is_readable() && !event.is_writable());
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        told.push((byte[0] as char).to_string());
        if byte == *b"c" {
            handle.stop();
        }
    };
    event_loop
        .handle()
        .watch(ours, Interest::READABLE, watch)
        .unwrap();
    event_loop.run().unwrap();
    log.assert("a b c");
}

#[test]
fn a_watch_tells_of_the_end_of_reading() {
    let mut event_loop = event_loop();
    let (ours, theirs) = readable();
    drop(theirs);
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, mut stream: &UnixStream, event: Event| {
        assert!(event.is_readable() && event.is_read_closed());
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"x", "what was sent before the end is there");
        assert!(handle.clear(id.get().unwrap()));
    };
    own.set(Some(
        event_loop
            .handle()
            .watch(ours, Interest::READABLE, watch)
            .unwrap(),
    ));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l40_the_events_of_a_watch_cleared_earlier_in_the_batch_are_dropped() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids = Ids::default();
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let (ours, theirs) = readable();
        sockets.push(theirs);
        let (log, others) = (log.clone(), Rc::clone(&ids));
        let watch = move |handle: &Handle, _: &UnixStream, _| {
            log.push("ran");
            assert_eq!(clear_all(handle, &others), 4);
        };
        let id = handle.watch(ours, Interest::READABLE, watch).unwrap();
        ids.borrow_mut().push(id);
    }
    assert!(!event_loop.run().unwrap());
    log.assert("ran");
}

#[test]
fn l41_a_descriptor_number_used_again_in_the_batch_does_not_inherit_the_event() {
    let mut inherited = 0;
    for _ in 0..20 {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let ids = Ids::default();
        let old: Rc<RefCell<Vec<i32>>> = Rc::default();
        let new: Rc<RefCell<Vec<i32>>> = Rc::default();
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let (ours, theirs) = readable();
            sockets.push(theirs);
            old.borrow_mut().push(ours.as_raw_fd());
            let (others, new) = (Rc::clone(&ids), Rc::clone(&new));
            let watch = move |handle: &Handle, _: &UnixStream, _| {
                // Closes the other one, whose event is in this batch, and takes its number.
                clear_all(handle, &others);
                let (silent, theirs) = pair();
                new.borrow_mut().push(silent.as_raw_fd());
                let never = |_: &Handle, _: &UnixStream, _| panic!("nothing has happened");
                handle.watch(silent, Interest::READABLE, never).unwrap();
                handle.set_immediate(move |_| drop(theirs));
                handle.stop();
            };
            let id = handle.watch(ours, Interest::READABLE, watch).unwrap();
            ids.borrow_mut().push(id);
        }
        event_loop.run().unwrap();
        assert_eq!(new.borrow().len(), 1);
        inherited += usize::from(old.borrow().contains(&new.borrow()[0]));
    }
    assert!(inherited > 0, "no number was used again");
}

#[test]
fn l42_a_watch_gets_only_events_of_its_interest() {
    for interest in [Interest::READABLE, Interest::WRITABLE] {
        let mut event_loop = event_loop();
        let (ours, _theirs) = readable();
        let log = Log::new();
        let told = log.clone();
        let watch = move |handle: &Handle, _: &UnixStream, event: Event| {
            assert_eq!(event.is_readable(), interest == Interest::READABLE);
            assert_eq!(event.is_writable(), interest == Interest::WRITABLE);
            told.push("ran");
            handle.stop();
        };
        event_loop.handle().watch(ours, interest, watch).unwrap();
        event_loop.run().unwrap();
        log.assert("ran");
    }
}

#[test]
fn l42_a_new_interest_in_the_same_descriptor_gets_no_event_of_the_old_one() {
    let mut event_loop = event_loop();
    let (ours, _theirs) = readable();
    let ours = Rc::new(ours);
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (id, told, again) = (Rc::clone(&own), log.clone(), Rc::clone(&ours));
    // Both its events are in the batch: the first ends the watch, the second finds a new one.
    let both = move |handle: &Handle, _: &Rc<UnixStream>, _| {
        told.push("both");
        assert!(handle.clear(id.get().unwrap()));
        let told = told.clone();
        let write = move |handle: &Handle, _: &Rc<UnixStream>, event: Event| {
            assert!(event.is_writable());
            told.push("write");
            handle.stop();
        };
        handle
            .watch(Rc::clone(&again), Interest::WRITABLE, write)
            .unwrap();
    };
    let interest = Interest::READABLE | Interest::WRITABLE;
    own.set(Some(
        event_loop.handle().watch(ours, interest, both).unwrap(),
    ));
    event_loop.run_nowait().unwrap();
    log.assert("both");
    event_loop.run().unwrap();
    log.assert("write");
}

#[test]
fn l50_a_callback_may_close_any_other_of_the_batch_also_one_with_an_error() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids = Ids::default();
    for n in 0..6 {
        let (ours, theirs) = readable();
        // Half of them have lost their other side.
        let theirs = (n % 2 == 0).then_some(theirs);
        let (log, others) = (log.clone(), Rc::clone(&ids));
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watch = move |handle: &Handle, _: &UnixStream, _| {
            let _held = &theirs;
            log.push("ran");
            clear_all(handle, &others);
        };
        let id = handle.watch(ours, interest, watch).unwrap();
        ids.borrow_mut().push(id);
    }
    assert!(!event_loop.run().unwrap());
    log.assert("ran");
}

#[test]
fn a_watch_that_clears_itself_keeps_its_descriptor_until_it_returns() {
    let mut event_loop = event_loop();
    let (ours, theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let peer = theirs.try_clone().unwrap();
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        assert!(handle.clear(id.get().unwrap()));
        assert!(!handle.clear(id.get().unwrap()), "it is gone");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1);
        stream.write_all(b"y").unwrap();
        assert_eq!((&peer).read(&mut [0; 8]).unwrap(), 1);
        assert!((&peer).read(&mut [0; 8]).is_err(), "not closed yet");
    };
    own.set(Some(
        event_loop
            .handle()
            .watch(ours, Interest::READABLE, watch)
            .unwrap(),
    ));
    assert!(!event_loop.run().unwrap());
    assert_eq!((&theirs).read(&mut [0; 8]).unwrap(), 0, "closed now");
}

#[test]
fn a_descriptor_can_be_watched_again_in_its_own_callback() {
    let mut event_loop = event_loop();
    let (ours, mut theirs) = readable();
    let ours = Rc::new(ours);
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (id, told, again) = (Rc::clone(&own), log.clone(), Rc::clone(&ours));
    let first = move |handle: &Handle, stream: &Rc<UnixStream>, _| {
        let _ = (&**stream).read(&mut [0; 8]);
        assert!(handle.clear(id.get().unwrap()));
        let (told, new) = (told.clone(), Rc::clone(&id));
        told.push("first");
        let second = move |handle: &Handle, _: &Rc<UnixStream>, _| {
            told.push("second");
            assert!(handle.clear(new.get().unwrap()));
        };
        id.set(Some(
            handle
                .watch(Rc::clone(&again), Interest::READABLE, second)
                .unwrap(),
        ));
        theirs.write_all(b"y").unwrap();
    };
    own.set(Some(
        event_loop
            .handle()
            .watch(ours, Interest::READABLE, first)
            .unwrap(),
    ));
    assert!(!event_loop.run().unwrap());
    log.assert("first second");
}

#[test]
fn a_second_watch_of_a_descriptor_is_refused_by_name_and_leaves_the_first() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = readable();
    let ours = Rc::new(ours);
    let log = Log::new();
    let told = log.clone();
    let watch = move |handle: &Handle, _: &Rc<UnixStream>, _| {
        told.push("first");
        handle.stop();
    };
    handle
        .watch(Rc::clone(&ours), Interest::READABLE, watch)
        .unwrap();

    let dropped = log.drops("dropped");
    let never = move |_: &Handle, _: &Rc<UnixStream>, _| {
        let _held = &dropped;
    };
    let error = handle
        .watch(Rc::clone(&ours), Interest::READABLE, never)
        .unwrap_err();
    let fd = ours.as_raw_fd();
    assert!(matches!(
        &error.error,
        Error::InUse { subject: Subject::Descriptor(number), place: Some(place) }
            if *number == fd && place.file() == file!()
    ));
    let again = handle.watch(Rc::clone(&ours), Interest::READABLE, |_, _, _| {});
    let kind = std::io::Error::from(again.unwrap_err()).kind();
    assert_eq!(kind, std::io::ErrorKind::AlreadyExists);
    assert!(
        error.to_string().contains(&format!("descriptor {fd} ")),
        "{error}"
    );
    log.assert("dropped");
    event_loop.run().unwrap();
    log.assert("first");
}

#[test]
fn a_watch_that_is_refused_keeps_nothing_alive() {
    let mut event_loop = event_loop();
    // A second duplicate number is no second registration, the same number is.
    let (ours, _theirs) = pair();
    let ours = Rc::new(ours);
    let never = |_: &Handle, _: &Rc<UnixStream>, _| {};
    let id = event_loop
        .handle()
        .watch(Rc::clone(&ours), Interest::READABLE, never)
        .unwrap();
    event_loop
        .handle()
        .watch(Rc::clone(&ours), Interest::READABLE, never)
        .unwrap_err();
    assert!(event_loop.handle().clear(id));
    assert!(!event_loop.run().unwrap());
    assert_eq!(Rc::strong_count(&ours), 1);
}

#[test]
fn l54_a_watch_keeps_the_loop_alive_unless_it_is_not_referenced() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let never = |_: &Handle, _: &UnixStream, _| panic!("nothing has happened");
    let id = handle.watch(ours, Interest::READABLE, never).unwrap();
    assert!(event_loop.run_nowait().unwrap());
    assert!(handle.unref(id) && handle.unref(id));
    assert!(!event_loop.run().unwrap());
    assert!(handle.reref(id) && handle.reref(id));
    assert!(event_loop.run_nowait().unwrap());
    assert!(handle.clear(id));
    assert!(!event_loop.run().unwrap());
    assert!(!handle.unref(id) && !handle.reref(id));
}

#[test]
fn a_watch_that_panics_is_gone_and_the_rest_of_the_batch_is_delivered() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut sockets = Vec::new();
    for n in 0..4 {
        let (ours, theirs) = readable();
        sockets.push(theirs);
        let (log, own) = (log.clone(), Rc::new(Cell::new(None)));
        let id = Rc::clone(&own);
        let watch = move |handle: &Handle, _: &UnixStream, _| {
            log.push(n.to_string());
            if n % 2 == 0 {
                panic!("even");
            }
            handle.clear(id.get().unwrap());
        };
        own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    }
    handle.set_immediate(log.says("immediate"));
    for _ in 0..2 {
        assert_eq!(panic_of(|| event_loop.run()), "even");
    }
    assert!(!event_loop.run().unwrap());
    let mut texts = log.take();
    assert_eq!(texts.pop().unwrap(), "immediate");
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

#[test]
fn what_a_watch_holds_may_use_the_loop_when_it_is_dropped() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (other, _theirs1) = pair();
    let never = |_: &Handle, _: &UnixStream, _| {};
    let other = handle.watch(other, Interest::READABLE, never).unwrap();
    let (on_drop, told) = (handle.clone(), log.clone());
    let bomb = OnDrop::new(move || {
        assert!(on_drop.clear(other));
        on_drop.set_immediate(told.says("immediate"));
        on_drop.next_tick(told.says("tick"));
        on_drop.spawn(told.told("task"));
    });
    let (ours, _theirs2) = pair();
    let held = move |_: &Handle, _: &UnixStream, _| {
        let _held = &bomb;
    };
    let id = handle.watch(ours, Interest::READABLE, held).unwrap();
    assert!(handle.clear(id));
    assert!(!event_loop.run().unwrap());
    log.assert("tick task immediate");
}

#[test]
fn a_watch_that_clears_itself_is_dropped_with_nothing_borrowed() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (on_drop, told) = (handle.clone(), log.clone());
    let bomb = OnDrop::new(move || {
        let (ours, theirs) = readable();
        let told = told.clone();
        let watch = move |handle: &Handle, _: &UnixStream, _| {
            let _held = &theirs;
            told.push("watch");
            handle.stop();
        };
        on_drop.watch(ours, Interest::READABLE, watch).unwrap();
    });
    let (ours, _theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        let _held = &bomb;
        handle.clear(id.get().unwrap());
    };
    own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    event_loop.run().unwrap();
    log.assert("watch");
}

/// An `AsFd` that uses the loop whenever it is called.
struct Meddler(UnixStream, Handle, CallbackId);

impl AsFd for Meddler {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.reref(self.2);
        self.1.next_tick(|_| {});
        self.0.as_fd()
    }
}

#[test]
fn a_descriptor_may_use_the_loop_when_it_is_asked_for_its_number() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (other, _theirs1) = pair();
    let other = handle
        .watch(other, Interest::READABLE, |_, _, _| {})
        .unwrap();
    let (ours, _theirs2) = readable();
    let meddler = Meddler(ours, handle.clone(), other);
    let stop = |handle: &Handle, _: &Meddler, _| handle.stop();
    let id = handle.watch(meddler, Interest::READABLE, stop).unwrap();
    event_loop.run().unwrap();
    assert!(handle.clear(id) && handle.clear(other));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn timers_and_io_take_turns() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = readable();
    // Never read: it is ready in each turn.
    handle
        .watch(ours, Interest::READABLE, |_, _, _| {})
        .unwrap();
    handle.set_timeout(ms(3), |handle| handle.stop());
    assert!(event_loop.run().unwrap());
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn l45_a_directory_cannot_be_waited_for_and_is_refused_and_closed() {
    let event_loop = event_loop();
    use std::fs::File;
    let file = Rc::new(File::open("/").unwrap());
    let never = |_: &Handle, _: &Rc<File>, _| {};
    let error = event_loop
        .handle()
        .watch(Rc::clone(&file), Interest::READABLE, never)
        .unwrap_err();
    let fd = file.as_raw_fd();
    assert!(
        error.to_string().contains(&format!("descriptor {fd} ")),
        "{error}"
    );
    drop(error);
    assert_eq!(Rc::strong_count(&file), 1);
}

#[test]
fn a_zero_timer_set_by_io_runs_in_the_next_turn() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let (ours, _theirs) = readable();
    let told = log.clone();
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        let _ = stream.read(&mut [0; 8]);
        handle.set_timeout(Duration::ZERO, told.says("timer"));
    };
    event_loop
        .handle()
        .watch(ours, Interest::READABLE, watch)
        .unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("");
    event_loop.run_nowait().unwrap();
    log.assert("timer");
}

/// An `AsFd` that returns another descriptor each time.
struct Fickle(Cell<bool>, UnixStream, UnixStream);

impl AsFd for Fickle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.0.replace(true) {
            self.2.as_fd()
        } else {
            self.1.as_fd()
        }
    }
}

#[test]
fn l49_the_end_of_a_watch_that_the_system_does_not_know_is_no_error() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (first, _theirs1) = readable();
    let (second, _theirs2) = pair();
    let fickle = Rc::new(Fickle(Cell::new(false), first, second));
    let never = |_: &Handle, _: &Rc<Fickle>, _| panic!("cleared");
    let id = handle
        .watch(Rc::clone(&fickle), Interest::READABLE, never)
        .unwrap();
    // The number that it returns now was never registered.
    assert!(handle.clear(id));
    assert!(!handle.clear(id));
    // If the system keeps the old registration, its events are stale and run no callback.
    assert!(!event_loop.run_nowait().unwrap());
    event_loop.run_nowait().unwrap();
    drop(fickle);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l42_a_watch_changes_its_interest_in_its_own_callback() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    let (ours, mut theirs) = pair();
    let watch = move |handle: &Handle, stream: &UnixStream, event: Event| {
        let own = handle.current().unwrap();
        let next = if event.is_writable() {
            told.push("writable");
            Interest::READABLE
        } else {
            told.push("readable");
            assert_eq!((&*stream).read(&mut [0; 8]).unwrap(), 1);
            Interest::WRITABLE
        };
        assert!(handle.set_interest(own, next).unwrap());
        handle.stop();
    };
    let id = handle.watch(ours, Interest::WRITABLE, watch).unwrap();
    event_loop.run().unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("writable");
    theirs.write_all(b"x").unwrap();
    event_loop.run().unwrap();
    event_loop.run().unwrap();
    log.assert("readable writable");
    assert!(handle.clear(id));
    assert!(!handle.set_interest(id, Interest::READABLE).unwrap());
}

#[test]
fn l42_an_event_that_another_callback_of_the_batch_has_ended_the_interest_in_is_not_reported() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids: Ids = Rc::default();
    let mut far = Vec::new();
    // The first of the two ends the other's interest in reading, whichever that is.
    for _ in 0..2 {
        let (near, theirs) = readable();
        far.push(theirs);
        let (told, others) = (log.clone(), Rc::clone(&ids));
        let watch = move |handle: &Handle, _: &UnixStream, event: Event| {
            assert!(event.is_readable());
            told.push("told");
            for &id in &*others.borrow() {
                // The buffer has room, so this is told in the next turn.
                handle.set_interest(id, Interest::WRITABLE).unwrap();
            }
        };
        let id = handle.watch(near, Interest::READABLE, watch).unwrap();
        ids.borrow_mut().push(id);
    }
    event_loop.run_nowait().unwrap();
    log.assert("told");
}

#[test]
fn only_a_watch_of_a_descriptor_has_an_interest() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let other = nio_loop::EventLoop::new().unwrap();
    let (ours, _theirs) = pair();
    let foreign = other
        .handle()
        .watch(ours, Interest::READABLE, |_, _, _| {})
        .unwrap();
    let timeout = handle.set_timeout(ms(1), |_| {});
    assert!(!handle.set_interest(timeout, Interest::READABLE).unwrap());
    assert!(!handle.set_interest(foreign, Interest::READABLE).unwrap());
    event_loop.run().unwrap();
}

#[test]
fn an_interest_that_cannot_be_changed_stays_as_it_was() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    let (ours, _theirs) = readable();
    let (other, _far) = pair();
    let fickle = Rc::new(Fickle(Cell::new(false), ours, other));
    let watch = move |handle: &Handle, _: &Rc<Fickle>, event: Event| {
        assert!(event.is_readable());
        told.push("readable");
        handle.stop();
    };
    let id = handle
        .watch(Rc::clone(&fickle), Interest::READABLE, watch)
        .unwrap();
    fickle.0.set(true); // the other one is not registered
    assert!(handle.set_interest(id, Interest::WRITABLE).is_err());
    fickle.0.set(false);
    event_loop.run().unwrap();
    log.assert("readable");
}

#[test]
fn a_descriptor_that_clears_its_watch_while_its_interest_changes_is_gone() {
    struct Clears(UnixStream, Handle, Ids);
    impl AsFd for Clears {
        fn as_fd(&self) -> BorrowedFd<'_> {
            let ids = self.2.take();
            ids.iter().for_each(|&id| assert!(self.1.clear(id)));
            self.0.as_fd()
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let ids: Ids = Rc::default();
    let (ours, _theirs) = pair();
    let clears = Clears(ours, handle.clone(), Rc::clone(&ids));
    let id = handle
        .watch(clears, Interest::READABLE, |_, _, _| {})
        .unwrap();
    ids.borrow_mut().push(id);
    assert!(!handle.set_interest(id, Interest::WRITABLE).unwrap());
    assert!(!event_loop.run().unwrap());
}

/// FreeBSD and NetBSD do not report urgent data.
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
#[test]
fn a_watch_for_urgent_data_is_called_when_it_has_come() {
    use std::net::{TcpListener, TcpStream};

    let mut event_loop = event_loop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let watch = move |handle: &Handle, _: &TcpStream, event: Event| {
        assert!(event.is_priority());
        count.set(count.get() + 1);
        handle.stop();
    };
    let handle = event_loop.handle();
    handle.watch(ours, Interest::PRIORITY, watch).unwrap();
    // SAFETY: one byte, which lives until the call returns.
    let sent = unsafe { libc::send(theirs.as_raw_fd(), [1_u8].as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    assert!(event_loop.run().unwrap());
    assert_eq!(calls.get(), 1);
}

#[test]
fn the_error_of_a_descriptor_in_use_says_what_to_do() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let ours = Rc::new(ours);
    handle
        .watch(Rc::clone(&ours), Interest::READABLE, |_, _, _| {})
        .unwrap();
    let refused = handle.watch(Rc::clone(&ours), Interest::WRITABLE, |_, _, _| {});
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("watch.rs") && text.contains("set_interest"),
        "{text}"
    );
    let (ours, _theirs) = pair();
    let ours = Rc::new(ours);
    let source = Source::new(&handle, Rc::clone(&ours)).unwrap();
    source
        .try_io(Direction::Read, |stream| (&**stream).read(&mut [0]))
        .unwrap_err();
    let refused = handle.watch(ours, Interest::WRITABLE, |_, _, _| {});
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("by a Source") && !text.contains("set_interest"),
        "{text}"
    );
}
