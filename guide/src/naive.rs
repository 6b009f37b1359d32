//! Chapter 16: kqueue over epoll, the simple way. Only for Linux.

use std::{collections::HashMap, io, os::fd::*};

use nio_sys::{EventFlags, Filter};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags as Epoll},
    },
};

/// A queue that knows READ and WRITE of descriptors.
pub struct Naive {
    epoll: OwnedFd,
    knotes: HashMap<RawFd, Vec<Knote>>,
}

struct Knote {
    filter: Filter,
    flags: EventFlags,
    udata: usize,
}

impl Naive {
    /// An empty queue.
    pub fn new() -> io::Result<Naive> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Naive {
            epoll,
            knotes: HashMap::new(),
        })
    }

    /// Adds a registration.
    pub fn add(
        &mut self,
        fd: BorrowedFd<'_>,
        filter: Filter,
        flags: EventFlags,
        udata: usize,
    ) -> io::Result<()> {
        let knotes = self.knotes.entry(fd.as_raw_fd()).or_default();
        knotes.push(Knote {
            filter,
            flags,
            udata,
        });
        let mut wanted = Epoll::empty();
        for knote in knotes.iter() {
            wanted |= if knote.filter == Filter::READ {
                Epoll::IN
            } else {
                Epoll::OUT
            };
            if knote.flags.contains(EventFlags::CLEAR) {
                wanted |= Epoll::ET;
            }
            if knote.flags.contains(EventFlags::ONESHOT) {
                wanted |= Epoll::ONESHOT;
            }
        }
        let data = EventData::new_u64(fd.as_raw_fd() as u64);
        match knotes.len() {
            1 => epoll::add(&self.epoll, fd, data, wanted)?,
            _ => epoll::modify(&self.epoll, fd, data, wanted)?,
        }
        Ok(())
    }

    /// The udata of the events that are there now.
    pub fn look(&self) -> io::Result<Vec<usize>> {
        let mut events = Vec::with_capacity(8);
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut events),
            Some(&Timespec::default()),
        )?;
        let mut found = Vec::new();
        for event in &events {
            let flags = event.flags;
            for knote in &self.knotes[&(event.data.u64() as RawFd)] {
                let wanted = if knote.filter == Filter::READ {
                    Epoll::IN
                } else {
                    Epoll::OUT
                };
                found.extend(flags.contains(wanted).then_some(knote.udata));
            }
        }
        found.sort();
        Ok(found)
    }
}
