//! The costs of an event loop: turns, timeouts, tasks and wake-ups. Each group is one operation, done by every contender.

mod runtimes;
mod signal;
mod tasks;
mod threads;
mod timeout;
mod turn;
mod uv;

pub(crate) use tasks::{spawn, wakes, yields};
pub(crate) use threads::{far_task_wake, flood, posts};
pub(crate) use timeout::timeout;
pub(crate) use turn::turn;
