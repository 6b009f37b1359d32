//! The peers, each behind the same few operations.
//!
//! A peer knows its timers by number, and keeps a key, a handle or the timer itself, as a connection
//! would. All this is made before the clock starts, so arming and disarming are measured.
//! Each peer does what its documentation recommends for the purpose.

mod calloop;
mod libev;
mod libuv;
mod nio;
mod standard;
mod tokio;

use super::pattern::Part;

/// The operations of a script. Time is in nanoseconds and moves only in `turn`.
pub(crate) trait Peer {
    fn insert(&mut self, timer: u32, deadline: u64);
    fn cancel(&mut self, timer: u32);
    fn later(&mut self, timer: u32, deadline: u64);
    /// A turn of the loop: fires due timers, and computes how long it may sleep.
    fn turn(&mut self, now: u64);
    /// How many timers have fired so far.
    fn fired(&self) -> usize;
}

/// Something to do with a peer.
pub(crate) type Body<'a> = &'a mut dyn FnMut(&mut dyn Replay);

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The most timers it can be asked to hold before it takes minutes.
    pub(crate) limit: usize,
    /// A peer for so many timers, or `None` if it is not installed.
    pub(crate) run: fn(usize, Body<'_>) -> Option<()>,
}

/// Replays parts of a script. It is made for each peer, so that the loops call the peer directly.
pub(crate) trait Replay {
    fn replay(&mut self, parts: &[Part], now: &mut u64);
    /// As `replay`. It is a function of its own so that a profiler can be told to count this one only.
    fn replay_measured(&mut self, parts: &[Part], now: &mut u64);
    fn fired(&self) -> usize;
}

pub(crate) const ALL: [Kind; 8] = [
    Kind {
        name: "nio-timer",
        limit: usize::MAX,
        run: with::<nio::Nio>,
    },
    Kind {
        name: "libev",
        limit: usize::MAX,
        run: with::<libev::Libev>,
    },
    Kind {
        name: "libuv",
        limit: usize::MAX,
        run: with::<libuv::Libuv>,
    },
    Kind {
        name: "tokio sleep",
        limit: usize::MAX,
        run: with::<tokio::Sleeps>,
    },
    Kind {
        name: "DelayQueue",
        limit: usize::MAX,
        run: with::<tokio::Queue>,
    },
    Kind {
        name: "BinaryHeap",
        limit: usize::MAX,
        run: with::<standard::Binary>,
    },
    Kind {
        name: "BTreeMap",
        limit: usize::MAX,
        run: with::<standard::Tree>,
    },
    // Inserting and cancelling search a list.
    Kind {
        name: "calloop",
        limit: 1000,
        run: with::<calloop::Calloop>,
    },
];

/// A peer that can be made for so many timers, if it is installed.
trait Open: Peer + Sized {
    fn open(timers: usize) -> Option<Self>;
}

fn with<P: Open>(timers: usize, body: Body<'_>) -> Option<()> {
    body(&mut P::open(timers)?);
    Some(())
}

impl<P: Peer> Replay for P {
    fn replay(&mut self, parts: &[Part], now: &mut u64) {
        replay(self, parts, now);
    }

    #[inline(never)]
    fn replay_measured(&mut self, parts: &[Part], now: &mut u64) {
        replay(self, parts, now);
    }

    fn fired(&self) -> usize {
        Peer::fired(self)
    }
}

fn replay<P: Peer>(peer: &mut P, parts: &[Part], now: &mut u64) {
    let after = |now: u64, microseconds: u32| now + u64::from(microseconds) * 1000;
    for part in parts {
        match part {
            Part::Insert(timers) => {
                timers
                    .iter()
                    .for_each(|&(timer, delay)| peer.insert(timer, after(*now, delay)));
            }
            Part::Cancel(timers) => timers.iter().for_each(|&timer| peer.cancel(timer)),
            Part::Later(timers) => {
                timers
                    .iter()
                    .for_each(|&(timer, delay)| peer.later(timer, after(*now, delay)));
            }
            Part::Life(lives) => {
                for &(new, delay, old) in lives {
                    peer.insert(new, after(*now, delay));
                    peer.cancel(old);
                }
            }
            Part::Turn(delay) => {
                *now = after(*now, *delay);
                crate::clock::set(*now);
                peer.turn(*now);
            }
        }
    }
}
