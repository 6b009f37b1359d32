//! Events for the `tracing` crate if the feature `tracing` is on. Without it these functions do nothing.
//!
//! `TRACE`: each turn, callback and task. `WARN`: the [warnings](crate::Warning).

use std::panic::Location;

use crate::{CallbackKind, Warning};

#[cfg(feature = "tracing")]
pub(crate) fn turn(events: usize) {
    tracing::trace!(target: "nio_loop", events, "polled");
}

#[cfg(feature = "tracing")]
pub(crate) fn callback(kind: CallbackKind, place: &'static Location<'static>) {
    tracing::trace!(target: "nio_loop", %kind, %place, "runs");
}

#[cfg(feature = "tracing")]
pub(crate) fn warning(warning: &Warning) {
    tracing::warn!(target: "nio_loop", "{warning}");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn turn(_: usize) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn callback(_: CallbackKind, _: &'static Location<'static>) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn warning(_: &Warning) {}
