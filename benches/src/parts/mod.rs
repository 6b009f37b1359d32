//! The parts of a report: the name, purpose and plan of each, in the order of the report.

mod connections;
mod cores;
mod counts;
mod echo;
mod hello;
mod http;
mod idle;
mod latency;
mod lines;
mod small;
mod timers;

use std::time::Duration;

use crate::{
    data::Found,
    run::{Error, Run},
};

pub(crate) use small::group as small_group;

/// The first argument of a process in which one contender of a group has one turn, for a profiler.
pub(crate) const ONCE: &str = "once";

/// One subject of the report.
pub(crate) struct Info {
    pub(crate) name: &'static str,
    /// The subject, in one sentence.
    pub(crate) measured: &'static str,
    /// How to read it, in one sentence.
    pub(crate) reading: &'static str,
    /// The planned seconds of a quick run and of a full one. A quick run leaves out parts with 0, unless they are named.
    seconds: (u64, u64),
    pub(crate) measure: fn(&Run) -> Result<Found, Error>,
}

impl Info {
    /// The planned time.
    pub(crate) fn planned(&self, quick: bool) -> Duration {
        let (in_quick, in_full) = self.seconds;
        match (quick, in_quick) {
            (true, 1..) => Duration::from_secs(in_quick),
            _ => Duration::from_secs(in_full),
        }
    }

    /// Whether a quick run has this part without its name.
    pub(crate) fn is_quick(&self) -> bool {
        self.seconds.0 > 0
    }
}

pub(crate) const ALL: [Info; 16] = [
    Info {
        name: "echo",
        measured: "CPU time of the server for one message, and messages per second, of an echo server that has as much to do as it can.",
        reading: "The ratio is to bare epoll in the same round; look at its quartiles first: a difference within them is none. Most of the time is the kernel's, the same for all.",
        seconds: (28, 900),
        measure: echo::measure,
    },
    Info {
        name: "latency",
        measured: "Time from the moment when a message was due to its answer: as busy as it can be, and with messages at fixed times at half of the rate that bare epoll reached.",
        reading: "The percentiles at half load count from the due time, so a pause of the server is charged to every message that waits meanwhile.",
        seconds: (22, 240),
        measure: latency::measure,
    },
    Info {
        name: "connections",
        measured: "CPU time of the server for a connection that is accepted, echoes one message of 64 bytes and is closed.",
        reading: "As echo. Connections per second are limited by the client, which makes them.",
        seconds: (10, 120),
        measure: connections::measure,
    },
    Info {
        name: "idle",
        measured: "Memory of the server for an idle connection, and CPU time for a message on one active connection among idle ones.",
        reading: "Pages that the server's process has written to; buffers and the kernel's memory are not in it. Less is better.",
        seconds: (12, 180),
        measure: idle::measure,
    },
    Info {
        name: "timers",
        measured: "Nanoseconds for one operation on timers: the same script of operations is replayed on every peer.",
        reading: "The ratio is to nio-timer: above 1, nio-timer is faster.",
        seconds: (8, 300),
        measure: timers::measure,
    },
    Info {
        name: "wakeups",
        measured: "Time for a wake-up: of a poller or of a loop, from the same thread and from another one.",
        reading: "The ratio is to the first line. Where two threads meet it is wall time, which varies most.",
        seconds: (7, 60),
        measure: small::wakeups,
    },
    Info {
        name: "tasks",
        measured: "Time to spawn and join a task, to yield, to wake another task, to be given work by another thread.",
        reading: "The ratio is to nio: above 1, nio is faster.",
        seconds: (6, 45),
        measure: small::tasks,
    },
    Info {
        name: "turn",
        measured: "Time for a wait, and for a turn of a whole loop, that find nothing to do.",
        reading: "The ratio is to bare epoll, which makes the same system call.",
        seconds: (3, 20),
        measure: small::turn,
    },
    Info {
        name: "register",
        measured: "Time to register a socket and to deregister it.",
        reading: "The ratio is to bare epoll. libuv and libev change their sets at the next turn, so they are left out.",
        seconds: (2, 10),
        measure: small::register,
    },
    Info {
        name: "ready",
        measured: "Time for a wait that returns 1, 8, 64 or 1024 ready sockets, for each of them.",
        reading: "The ratio is to bare epoll.",
        seconds: (6, 45),
        measure: small::ready,
    },
    Info {
        name: "http",
        measured: "CPU time of the server for a request of HTTP/1.1: hyper on nio and on tokio, with and without the timer that limits the time for a head.",
        reading: "The ratio is to hyper on nio without a timer.",
        seconds: (6, 60),
        measure: http::measure,
    },
    Info {
        name: "cores",
        measured: "Messages per second of a server that computes for each, on one thread and on as many as there are cores.",
        reading: "More is better. The client runs on the same cores, so the ratio stays below their number.",
        seconds: (6, 60),
        measure: cores::measure,
    },
    Info {
        name: "syscalls",
        measured: "System calls of the server for a message, a short connection and a request, counted by strace.",
        reading: "Counts hardly vary. Under strace a server is slow, so that nearly all connections are ready at each wait.",
        seconds: (0, 90),
        measure: counts::system_calls,
    },
    Info {
        name: "instructions",
        measured: "Instructions outside of the kernel for each of the operations above, counted by callgrind.",
        reading: "Counts hardly vary: they show what a library adds, but not how long it takes.",
        seconds: (0, 420),
        measure: counts::instructions,
    },
    Info {
        name: "hello",
        measured: "A server that answers hello, alone in a package: size of its binary, time to compile it from nothing, number of crates.",
        reading: "Less is better. Sizes are stripped; the C libraries are linked dynamically and are left out.",
        seconds: (0, 420),
        measure: hello::measure,
    },
    Info {
        name: "lines",
        measured: "Lines of code to read to understand the loop: the code that runs between a system call and a task or callback.",
        reading: "Less is better. Comments, blank lines, tests and other systems' backends are not counted.",
        seconds: (1, 1),
        measure: lines::measure,
    },
];
