//! The functions of a filter, as a BSD kernel has them in one table per filter. The [engine](super::engine)
//! applies every flag of a change and keeps the list of active knotes; a filter knows only its condition.
//!
//! | | called | |
//! |---|---|---|
//! | [`attach`] | EV_ADD of a new knote | make it, or refuse |
//! | [`touch`](Filterops::touch) | a change of a knote that exists | take over `fflags` and `data`, or refuse and stay as it was |
//! | [`report`](Filterops::report) | whenever its condition may hold | the event, if it does |
//! | [`clear`](Filterops::clear) | after a report with EV_CLEAR | forget what was reported |
//! | [`detach`](Filterops::detach) | the knote goes | release what `Drop` cannot |
//!
//! READ, WRITE and EXCEPT of what epoll takes have no such functions: their knotes share an entry of epoll
//! ([`descriptor`](super::descriptor), [`deliver`](super::deliver)).

use std::{fmt::Debug, io, os::fd::OwnedFd, os::fd::RawFd};

use super::{
    file::File, inotify::Notice, knote::invalid, process::Process, signal::Signal, timer::Timer,
    user::User, vnode::Vnode, watch::Watches,
};
use crate::{EventFlags, Filter, Kevent};

/// What a filter may use of its queue.
pub(super) struct Host<'a> {
    pub(super) epoll: &'a OwnedFd,
    pub(super) watches: &'a mut Watches,
    /// The number of the knote.
    pub(super) id: u32,
}

/// What an event says besides the key, the mode and the udata of its knote.
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

    /// Whether the ident still names what the knote is for. The end of a descriptor is told by nobody (K98).
    fn is_named(&self, _watches: &mut Watches) -> bool {
        true
    }

    /// Takes over a change of the knote.
    fn touch(&mut self, change: &Kevent, host: &mut Host<'_>) -> io::Result<()>;

    /// The event, if the condition holds.
    fn report(&mut self) -> Told;

    /// Forgets what has been reported.
    fn clear(&mut self) {}

    /// inotify has something to tell.
    fn notice(&mut self, _notice: &Notice, _host: &mut Host<'_>) {}

    /// Releases what the knote has of the queue.
    fn detach(&mut self, _watches: &mut Watches, _id: u32) {}
}

/// What a filter says of its condition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// It does not hold.
    Nothing,
    Event(Report),
    /// It held once, and never can again: the knote goes with this event, or without one (K211, K218).
    Last(Option<Report>),
}

/// Whether there is such a filter (K31).
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

/// Makes what a new knote is for, and says which flags its filter adds to those of the change.
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
