//! The recorder without the feature `timeline`: the same functions, which do nothing.

use std::{panic::Location, time::Duration};

use crate::{CallbackKind, state::State};

pub(crate) enum Phase {
    Timers,
    Poll,
    Posts,
    Immediates,
    Closing,
}

#[derive(Default)]
pub(crate) struct Recorder {}

pub(crate) struct Span;

impl Span {
    pub(crate) fn end_with(self, _events: usize) {}
}

impl State {
    pub(crate) fn is_recorded(&self) -> bool {
        let Recorder {} = self.recorder;
        false
    }

    pub(crate) fn record_turn(&self) -> Span {
        Span
    }

    pub(crate) fn record_phase(&self, _: Phase) -> Span {
        Span
    }

    pub(crate) fn record_callback(&self, _: CallbackKind, _: &'static Location<'static>) -> Span {
        Span
    }

    pub(crate) fn record_wait(&self, _timeout: Option<Duration>) -> Span {
        Span
    }

    pub(crate) fn record_wake_up(&self, _tasks: usize, _posts: usize, _stop: bool) {}
}
