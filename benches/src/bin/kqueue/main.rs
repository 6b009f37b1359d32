//! What the calls of nio-sys and nio-poll cost beside bare epoll, mio and polling.
//!
//! All contenders of a group take turns in one process, round after round; what is printed is the
//! median of a contender's rounds, and the median of its ratios to the first contender of the group
//! in the same round.

mod group;
mod ready;
mod registration;
mod wake;

use std::io;

fn main() -> io::Result<()> {
    for sockets in [1, 64, 1024] {
        ready::group(sockets)?.run();
    }
    ready::empty()?.run();
    registration::group()?.run();
    wake::alone()?.run();
    wake::coalesced()?.run();
    wake::ping_pong()?.run();
    Ok(())
}
