//! Parts made of groups of small operations: wake-ups, tasks, turns, registering, waiting.

use std::time::Duration;

use crate::{
    data::Found,
    group::Group,
    loops, polls,
    run::{Error, Run},
};

/// Makes a group.
type Make = fn() -> Group;

const WAKEUPS: &[Make] = &[
    polls::wake,
    polls::wake_again,
    polls::far_wake,
    loops::far_task_wake,
    loops::flood,
];
const TASKS: &[Make] = &[loops::spawn, loops::yields, loops::wakes, loops::posts];
const TURN: &[Make] = &[polls::empty, loops::turn];
const REGISTER: &[Make] = &[polls::registration];
const READY: &[Make] = &[
    polls::ready::<1>,
    polls::ready::<8>,
    polls::ready::<64>,
    polls::ready::<1024>,
];
/// Timers of a loop, beside those of `timers`.
pub(super) const TIMEOUTS: &[Make] = &[loops::timeout];

/// All groups.
pub(super) fn groups() -> impl Iterator<Item = Group> {
    let all = [TURN, READY, REGISTER, WAKEUPS, TASKS, TIMEOUTS];
    all.into_iter().flatten().map(|make| make())
}

/// The group of this name.
pub(crate) fn group(name: &str) -> Option<Group> {
    groups().find(|group| group.name == name)
}

pub(super) fn measure_all(run: &Run, groups: &[Make]) -> Result<Found, Error> {
    let time = run.pick(Duration::from_secs(1), Duration::from_secs(9));
    let mut found = Found::default();
    for make in groups {
        found.tables.push(make().measure(run, time)?);
    }
    Ok(found)
}

pub(super) fn wakeups(run: &Run) -> Result<Found, Error> {
    measure_all(run, WAKEUPS)
}

pub(super) fn tasks(run: &Run) -> Result<Found, Error> {
    measure_all(run, TASKS)
}

pub(super) fn turn(run: &Run) -> Result<Found, Error> {
    measure_all(run, TURN)
}

pub(super) fn register(run: &Run) -> Result<Found, Error> {
    measure_all(run, REGISTER)
}

pub(super) fn ready(run: &Run) -> Result<Found, Error> {
    measure_all(run, READY)
}
