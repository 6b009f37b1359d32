//! More events at once than one poll returns. A binary of its own: it raises the process's limit.

mod support;

use std::{
    cell::{Cell, RefCell},
    os::unix::net::UnixDatagram,
    rc::Rc,
};

use nio_loop::{Handle, Interest};
use support::event_loop;

/// More than the 1,024 of one batch.
const SOCKETS: usize = 1_100;

/// Whether this process may have that many descriptors.
fn raise_limit() -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct lives as long as the calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let wanted = (SOCKETS + 100) as libc::rlim_t;
        if limit.rlim_cur < wanted {
            limit.rlim_cur = wanted;
            return libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0;
        }
    }
    true
}

#[test]
fn l38_more_events_than_a_batch_holds_all_come_and_immediates_have_their_turn() {
    if !raise_limit() {
        return;
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (seen, turns) = (
        Rc::new(RefCell::new(vec![0; SOCKETS])),
        Rc::new(Cell::new(0)),
    );
    for n in 0..SOCKETS {
        let socket = UnixDatagram::unbound().unwrap();
        let seen = Rc::clone(&seen);
        // Writable, and so it stays: each turn has as many events as it takes.
        let watch = move |_: &Handle, _: &UnixDatagram, _| seen.borrow_mut()[n] += 1;
        handle.watch(socket, Interest::WRITABLE, watch).unwrap();
    }
    fn each_turn(handle: &Handle, turns: Rc<Cell<usize>>) {
        turns.set(turns.get() + 1);
        handle.set_immediate(move |handle| each_turn(handle, turns));
    }
    each_turn(&handle, Rc::clone(&turns));
    for turn in 1..=20 {
        assert!(event_loop.run_nowait().unwrap());
        assert_eq!(turns.get(), turn + 1);
        if seen.borrow().iter().all(|&count| count > 0) {
            assert!(turn > 1, "not in one batch");
            return;
        }
    }
    panic!("some are never told");
}
