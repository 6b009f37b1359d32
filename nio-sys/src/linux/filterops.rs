//! The functions of a filter, as a BSD kernel has them in one table per filter. The [engine](super::engine)
//! applies every flag of a change and keeps the list of active knotes; a filter knows only its condition.
//!
//! | | called | |
//! |---|---|---|
//! | [`attach`] | EV_ADD of a new knote | make it, or refuse |
//! | [`touch`](Filterops::touch) | a change of a knote that exists | store `fflags` and `data`, or refuse and change nothing |
//! | [`report`](Filterops::report) | whenever its condition may hold | the event, if it does |
//! | [`clear`](Filterops::clear) | after a report with EV_CLEAR | reset the condition that was reported |
//! | [`detach`](Filterops::detach) | the knote is removed | release its watches |
//!
//! READ, WRITE and EXCEPT of a descriptor that epoll takes have no filterops: their knotes share an entry of epoll
//! ([`descriptor`](super::descriptor), [`deliver`](super::deliver)).

use std::{fmt::Debug, io, os::fd::OwnedFd, os::fd::RawFd};

use super::{
    file::File, inotify::Notice, knote::invalid, process::Process, signal::Signal, timer::Timer,
    user::User, vnode::Vnode, watch::Watches,
};
use crate::{EventFlags, Filter, Kevent};

/// The parts of its queue that a filter may use.
pub(super) struct Host<'a> {
    pub(super) epoll: &'a OwnedFd,
    pub(super) watches: &'a mut Watches,
    /// The number of the knote.
    pub(super) id: u32,
}

/// The fields of an event that the filter fills in; key, mode and udata are the knote's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// EV_EOF, EV_ONESHOT or none.
    pub(super) flags: EventFlags,
    pub(super) fflags: u32,
    pub(super) data: i64,
}

impl Default for Report {
    fn default() -> Report {
        Report {
            flags: EventFlags::empty(),
            fflags: 0,
            data: 0,
        }
    }
}

/// The condition of one knote.
pub(super) trait Filterops: Debug + Send {
    /// The descriptor by which epoll tells that the condition may hold. It is registered edge-triggered as
    /// long as the knote exists, and is never the caller's own.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Whether the ident still names the file or process of the knote. No event tells that a descriptor was
    /// closed (K98).
    fn is_named(&self, _watches: &mut Watches) -> bool {
        true
    }

    /// Applies a change of the knote.
    fn touch(&mut self, change: &Kevent, host: &mut Host<'_>) -> io::Result<()>;

    /// The event, if the condition holds.
    fn report(&mut self) -> Answer;

    /// Resets the condition that was reported.
    fn clear(&mut self) {}

    /// A notice of inotify for a watch of this knote. False if its condition is as before: another knote has asked
    /// for the notice.
    fn notice(&mut self, _notice: &Notice, _host: &mut Host<'_>) -> bool {
        false
    }

    /// Releases the watches of the knote.
    fn detach(&mut self, _watches: &mut Watches, _id: u32) {}
}

/// The answer of a filter about its condition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// It does not hold.
    Nothing,
    Event(Report),
    /// The condition cannot hold again: the knote is removed with this event, or without one (K211, K218).
    Last(Option<Report>),
}

/// Whether Linux has this filter (K31).
pub(super) fn exists(filter: Filter) -> bool {
    matches!(
        filter,
        Filter::USER
            | Filter::TIMER
            | Filter::SIGNAL
            | Filter::PROC
            | Filter::PROCDESC
            | Filter::VNODE
            | Filter::READ
            | Filter::WRITE
            | Filter::EXCEPT
    )
}

/// Makes the condition of a new knote, and returns the flags that its filter adds to those of the change.
pub(super) fn attach(
    change: &Kevent,
    host: &mut Host<'_>,
) -> io::Result<(Box<dyn Filterops>, EventFlags)> {
    let (none, clear) = (EventFlags::empty(), EventFlags::CLEAR);
    Ok(match change.filter() {
        Filter::USER => (Box::new(User::new(change)), none),
        Filter::TIMER => {
            let timer = Timer::new(change)?;
            // A period implies EV_CLEAR; a point in time does not (K187).
            let implied = if timer.is_relative() { clear } else { none };
            (Box::new(timer), implied)
        }
        Filter::SIGNAL => (Box::new(Signal::new(change)?), clear),
        // An exit happens once: EV_CLEAR is implied (K82).
        Filter::PROC | Filter::PROCDESC => (Box::new(Process::new(change)?), clear),
        Filter::VNODE => (Box::new(Vnode::new(change, host)?), none),
        Filter::READ | Filter::WRITE | Filter::EXCEPT => (Box::new(File::new(change, host)?), none),
        _ => return Err(invalid()),
    })
}
