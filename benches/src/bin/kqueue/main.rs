//! What the calls of nio-sys and nio-poll cost beside bare epoll, mio and polling.
//!
//! All contenders of a group take turns in one process, round after round; what is printed is the
//! median of a contender's rounds, and the median of its ratios to the first contender of the group
//! in the same round. With the word `instructions` it is also what callgrind counts.

mod group;
mod ready;
mod registration;
mod wake;

use std::{env, io};

use group::Group;

/// Makes a group.
type Make = fn() -> io::Result<Group>;

/// All groups, by name.
const GROUPS: [(&str, Make); 8] = [
    ("ready-1", || ready::group(1)),
    ("ready-64", || ready::group(64)),
    ("ready-1024", || ready::group(1024)),
    ("empty", ready::empty),
    ("registration", registration::group),
    ("wake", wake::alone),
    ("wake-again", wake::coalesced),
    ("ping-pong", wake::ping_pong),
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["once", name, contender, turns] = arguments[..] {
        let group = GROUPS.iter().find(|group| group.0 == name);
        let (_, make) = group.expect("a group's name");
        make()?.once(contender, turns.parse().expect("a number of turns"));
        return Ok(());
    }
    let (count, wanted) = match arguments[..] {
        ["instructions", ref wanted @ ..] => (true, wanted),
        ref wanted => (false, wanted),
    };
    for (name, make) in GROUPS {
        if wanted.is_empty() || wanted.contains(&name) {
            make()?.run(count.then_some(name));
        }
    }
    Ok(())
}
