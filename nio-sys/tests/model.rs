//! Random changes and random I/O against a model of knotes.
//!
//! The model has the state and mode of each knote; for each descriptor, poll(2) tells whether its conditions hold,
//! and the model records activity since an edge was last reported. From these it derives the events that *must*
//! come and those that *may*:
//!
//! - a level knote, a oneshot and a dispatch: exactly while the condition holds;
//! - an edge must be reported when its condition holds and, since its last event, became true, got more data, or
//!   was evaluated by a change (K55, K61, K69, K70);
//! - an edge may be reported when its condition holds and there was any activity of its descriptor (K71, K128);
//! - with less room than events, as many events as fit;
//! - no other event, none twice, and each with the current udata and EV_EOF.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nio_sys::{EventFlags, Filter, Kevent};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::*;

/// The watched descriptors: the sockets 0 and 1 for both filters, the ends 2 and 3 of two pipes.
const DESCRIPTORS: usize = 4;
/// The idents that have knotes: those above, and user events.
const THINGS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    /// Changes made by one call.
    Changes(Vec<Change>),
    /// The other end writes this many bytes.
    Feed(usize, usize),
    /// The watched end reads at most this many bytes.
    Read(usize, usize),
    /// The watched end reads all that is pending.
    Drain(usize),
    /// The watched end writes until its buffer is full.
    Fill(usize),
    /// The other end reads all that is pending.
    DrainPeer(usize),
    /// The other end is closed.
    Close(usize),
    /// Events are collected, at most this many.
    Collect(usize),
}

#[derive(Clone, Debug)]
struct Change {
    thing: usize,
    read: bool,
    action: Action,
    mode: EventFlags,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Add,
    AddDisabled,
    Delete,
    Enable,
    Disable,
    Trigger,
}

fn change() -> impl Strategy<Value = Change> {
    let action = prop_oneof![
        4 => Just(Action::Add),
        1 => Just(Action::AddDisabled),
        1 => Just(Action::Delete),
        2 => Just(Action::Enable),
        1 => Just(Action::Disable),
        2 => Just(Action::Trigger),
    ];
    // Where EV_CLEAR undoes EV_DISPATCH (K78) the two are not combined.
    let both = if cfg!(target_os = "netbsd") {
        DISPATCH
    } else {
        DISPATCH | CLEAR
    };
    let mode = prop_oneof![
        3 => Just(LEVEL),
        3 => Just(CLEAR),
        1 => Just(ONESHOT),
        1 => Just(DISPATCH),
        1 => Just(both),
    ];
    (0..THINGS, any::<bool>(), action, mode).prop_map(|(thing, read, action, mode)| Change {
        thing,
        read,
        action,
        mode,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 1..4).prop_map(Step::Changes),
        3 => (0..DESCRIPTORS, 1..100_usize).prop_map(|(d, n)| Step::Feed(d, n)),
        1 => (0..DESCRIPTORS, 1..50_usize).prop_map(|(d, n)| Step::Read(d, n)),
        1 => (0..DESCRIPTORS).prop_map(Step::Drain),
        1 => (0..DESCRIPTORS).prop_map(Step::Fill),
        1 => (0..DESCRIPTORS).prop_map(Step::DrainPeer),
        1 => (0..DESCRIPTORS * 4).prop_map(|d| Step::Close(d % DESCRIPTORS)),
        3 => (1..4_usize).prop_map(Step::Collect),
        3 => Just(Step::Collect(16)),
    ]
}

/// A watched end and, until it is closed, the other end.
enum Ends {
    Socket(UnixStream, Option<UnixStream>),
    Reader(File, Option<File>),
    Writer(File, Option<File>),
}

impl AsFd for Ends {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Ends::Socket(own, _) => own.as_fd(),
            Ends::Reader(own, _) | Ends::Writer(own, _) => own.as_fd(),
        }
    }
}

impl Ends {
    fn has(&self, filter: Filter) -> bool {
        match self {
            Ends::Socket(..) => true,
            Ends::Reader(..) => filter == READ,
            Ends::Writer(..) => filter == WRITE,
        }
    }

    fn peer_is_gone(&self) -> bool {
        match self {
            Ends::Socket(_, peer) => peer.is_none(),
            Ends::Reader(_, peer) | Ends::Writer(_, peer) => peer.is_none(),
        }
    }

    /// Whether the condition of a filter holds now.
    fn holds(&self, filter: Filter) -> bool {
        let asked = if filter == READ {
            libc::POLLIN
        } else {
            libc::POLLOUT
        };
        poll_now(self, asked) & asked != 0 || self.peer_is_gone()
    }
}

#[derive(Clone, Copy, Debug)]
struct Knote {
    enabled: bool,
    mode: EventFlags,
    udata: usize,
    /// An edge has to be reported if its condition holds.
    armed: bool,
    /// An edge may be reported if its condition holds.
    touched: bool,
    /// A user event was triggered.
    triggered: bool,
}

impl Knote {
    /// Whether the knote must be reported (`edge` is `armed`) or may be (`edge` is `touched`), if its condition `holds`.
    fn is_due(&self, holds: bool, edge: bool) -> bool {
        self.enabled && holds && (edge || !self.mode.contains(CLEAR))
    }
}

type Key = (usize, bool);

struct World {
    queue: Queue,
    ends: Vec<Ends>,
    knotes: BTreeMap<Key, Knote>,
    next_udata: usize,
    /// The last call had no room for more events than it returned.
    was_full: bool,
}

impl World {
    fn new() -> World {
        let socket = || {
            let (own, peer) = pair();
            Ends::Socket(own, Some(peer))
        };
        let (reader, other) = pipe();
        let first = Ends::Reader(reader, Some(other));
        let (other, writer) = pipe();
        let second = Ends::Writer(writer, Some(other));
        World {
            queue: Queue::new(),
            ends: vec![socket(), socket(), first, second],
            knotes: BTreeMap::new(),
            next_udata: 1,
            was_full: false,
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Changes(changes) => self.change(changes),
            Step::Collect(room) => self.collect(*room),
            Step::Feed(d, _) | Step::Read(d, _) => self.act(*d, step),
            Step::Drain(d) | Step::Fill(d) | Step::DrainPeer(d) | Step::Close(d) => {
                self.act(*d, step);
            }
        }
    }

    /// Does some I/O, and records the activity for the edges of the descriptor.
    fn act(&mut self, d: usize, step: &Step) {
        let ends = &mut self.ends[d];
        let before = [true, false].map(|read| ends.holds(filter(read)));
        let was_gone = ends.peer_is_gone();
        let mut fed = false;
        match (step, &mut *ends) {
            (Step::Feed(_, n), Ends::Socket(_, Some(peer))) => {
                fed = peer.write(&vec![0; *n]).is_ok();
            }
            (Step::Feed(_, n), Ends::Reader(_, Some(peer))) => {
                fed = peer.write(&vec![0; *n]).is_ok();
            }
            (Step::Read(_, n), Ends::Socket(own, _)) => drop(own.read(&mut vec![0; *n])),
            (Step::Read(_, n), Ends::Reader(own, _)) => drop(own.read(&mut vec![0; *n])),
            (Step::Drain(_), Ends::Socket(own, _)) => drop(read_all(own)),
            (Step::Drain(_), Ends::Reader(own, _)) => drop(read_all(own)),
            (Step::Fill(_), Ends::Socket(own, Some(_))) => drop(fill(own)),
            (Step::Fill(_), Ends::Writer(own, Some(_))) => drop(fill(own)),
            (Step::DrainPeer(_), Ends::Socket(_, Some(peer))) => drop(read_all(peer)),
            (Step::DrainPeer(_), Ends::Writer(_, Some(peer))) => drop(read_all(peer)),
            (Step::Close(_), Ends::Socket(_, peer)) => drop(peer.take()),
            (Step::Close(_), Ends::Reader(_, peer)) => drop(peer.take()),
            // The knote of a pipe's writer goes with the reader elsewhere, or may not be added
            // any more (K133, K134).
            (Step::Close(_), Ends::Writer(_, peer))
                if cfg!(any(target_os = "linux", target_os = "android")) =>
            {
                drop(peer.take());
            }
            _ => {}
        }
        let gone = ends.peer_is_gone() && !was_gone;
        for (read, before) in [true, false].into_iter().zip(before) {
            let became_true = !before && ends.holds(filter(read));
            if let Some(knote) = self.knotes.get_mut(&(d, read)) {
                knote.touched = true;
                knote.armed |= became_true || gone || fed && read;
            }
        }
    }

    fn change(&mut self, changes: &[Change]) {
        let mut given = Vec::new();
        let mut expected = Vec::new();
        for change in changes {
            let is_user = change.thing >= DESCRIPTORS;
            let read = is_user || change.read;
            let key = (change.thing, read);
            if is_user != (change.action == Action::Trigger) && change.action == Action::Trigger
                || !is_user && !self.ends[change.thing].has(filter(read))
            {
                continue;
            }
            let udata = self.next_udata;
            self.next_udata += 1;
            let flags = match change.action {
                Action::Add => ADD | change.mode,
                Action::AddDisabled => ADD | DISABLE | change.mode,
                Action::Delete => DELETE,
                Action::Enable => ENABLE,
                Action::Disable => DISABLE,
                Action::Trigger => LEVEL,
            };
            let kevent = if !is_user {
                on(&self.ends[change.thing], filter(read), flags)
            } else if change.action == Action::Trigger {
                trigger(change.thing)
            } else if self.knotes.contains_key(&key) {
                // EV_CLEAR in a change of a user event takes its trigger back (K167).
                user(change.thing, flags - CLEAR)
            } else {
                user(change.thing, flags)
            };
            given.push(kevent.with_udata(udata));
            let known = self.apply(key, change, udata);
            // A sibling's change may bring an edge again (K128).
            if let Some(sibling) = self.knotes.get_mut(&(change.thing, !read)) {
                sibling.touched = true;
            }
            expected.push(if known { 0 } else { libc::ENOENT });
        }
        assert_eq!(self.queue.results(&given), expected, "{given:?}");
    }

    /// Applies a change to the model; false if it names no knote.
    fn apply(&mut self, key: Key, change: &Change, udata: usize) -> bool {
        let adds = matches!(change.action, Action::Add | Action::AddDisabled);
        let Some(knote) = self.knotes.get_mut(&key) else {
            if adds {
                let knote = Knote {
                    enabled: change.action == Action::Add,
                    mode: change.mode,
                    udata,
                    armed: true,
                    touched: true,
                    triggered: false,
                };
                self.knotes.insert(key, knote);
            }
            return adds;
        };
        // Only EV_ADD overwrites it on every system (K58).
        if adds || !cfg!(target_os = "openbsd") {
            knote.udata = udata;
        }
        knote.touched = true;
        match change.action {
            Action::Add => knote.armed = true,
            Action::AddDisabled | Action::Disable => knote.enabled = false,
            Action::Delete => drop(self.knotes.remove(&key)),
            Action::Enable => {
                knote.armed |= !knote.enabled;
                knote.enabled = true;
            }
            Action::Trigger => knote.triggered = true,
        }
        true
    }

    fn key(&self, event: &Kevent) -> Key {
        if event.filter() == Filter::USER {
            return (event.ident(), true);
        }
        let is_it = |ends: &Ends| number(ends) == event.ident();
        let thing = self.ends.iter().position(is_it).expect("a stranger");
        (thing, event.filter() == READ)
    }

    fn holds(&self, key: Key, knote: &Knote) -> bool {
        match self.ends.get(key.0) {
            Some(ends) => ends.holds(filter(key.1)),
            None => knote.triggered,
        }
    }

    fn collect(&mut self, room: usize) {
        self.collect_late(room, 0);
    }

    fn collect_late(&mut self, room: usize, late: usize) {
        let due: Vec<Key> = self
            .knotes
            .iter()
            .filter(|&(key, knote)| {
                let edge = knote.armed || key.0 >= DESCRIPTORS;
                knote.is_due(self.holds(*key, knote), edge)
            })
            .map(|(key, _)| *key)
            .collect();
        let events = self.queue.collect_at_most(room);
        let is_full = events.len() == room;
        let may_be_carried = is_full || self.was_full;
        self.was_full = is_full;
        let (mut reported, mut done) = (Vec::new(), Vec::new());
        for event in &events {
            let key = self.key(event);
            assert!(!reported.contains(&key), "{event:?} came twice");
            reported.push(key);
            let knote = self.knotes.get(&key).copied();
            let knote = knote.unwrap_or_else(|| panic!("{event:?} has no knote"));
            let holds = self.holds(key, &knote);
            // Elsewhere a oneshot may be out of date (K68).
            let stale = knote.mode.contains(ONESHOT)
                && !cfg!(any(target_os = "linux", target_os = "android"));
            assert!(
                knote.is_due(holds || stale, knote.touched),
                "{event:?} for {knote:?}"
            );
            assert_eq!(event.udata(), knote.udata);
            let gone = self.ends.get(key.0).is_some_and(Ends::peer_is_gone);
            assert!(event.is_eof() == gone || stale, "{event:?}");
            if self.delivered(key, may_be_carried) {
                done.push(key);
            }
        }
        for (thing, read) in done {
            // The removal may bring its sibling's edge again, as a change would (K128).
            if let Some(sibling) = self.knotes.get_mut(&(thing, !read)) {
                sibling.touched = true;
            }
        }
        if is_full || due.iter().all(|key| reported.contains(key)) {
            return;
        }
        // On Linux a call may leave some of its room unused, but not all of it.
        assert!(!events.is_empty(), "{due:?} are missing");
        assert!(
            cfg!(any(target_os = "linux", target_os = "android")) && late < 2,
            "{due:?} are missing in {events:?}"
        );
        self.collect_late(16, late + 1);
    }

    /// Applies a delivery to the model. On Linux an edge that did not fit and was evaluated again
    /// meanwhile may come once more. Returns whether the knote has no event after this one.
    fn delivered(&mut self, key: Key, may_be_carried: bool) -> bool {
        let knote = self.knotes.get_mut(&key).unwrap();
        knote.armed = false;
        knote.touched = may_be_carried && cfg!(any(target_os = "linux", target_os = "android"));
        if knote.mode.contains(CLEAR) {
            knote.triggered = false;
        }
        let mode = knote.mode;
        if mode.contains(DISPATCH) {
            knote.enabled = false;
        }
        if mode.contains(ONESHOT) {
            self.knotes.remove(&key);
        }
        mode.intersects(ONESHOT | DISPATCH)
    }
}

fn filter(read: bool) -> Filter {
    if read { READ } else { WRITE }
}

/// Reads until nothing is left, or until the error of a peer that left data unread.
fn read_all(from: &mut impl Read) -> usize {
    let mut chunk = [0; 65_536];
    let mut sum = 0;
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        sum += n;
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        // The same cases in each run: a failure must come from the change under test, not by chance.
        rng_seed: RngSeed::Fixed(2001),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_queue_does_what_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        // Every event that must come comes.
        world.collect(16);
    }
}
