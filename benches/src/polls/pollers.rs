//! The contenders, each used as its documentation shows.

use std::{
    ffi::{c_int, c_short, c_uint, c_void},
    num::NonZero,
    os::{fd::AsRawFd, unix::net::UnixStream},
    ptr::{self, null_mut},
    sync::{Arc, atomic::AtomicPtr, atomic::Ordering::Relaxed},
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

use super::{Poller, Wake};
use crate::library::{LIBEV, LIBEVENT, Library};

pub(super) struct NioSys(Kqueue, EventList);

impl Poller for NioSys {
    type Key = ();

    fn open(events: usize) -> Option<NioSys> {
        let kqueue = Kqueue::new().expect("there are descriptors");
        Some(NioSys(kqueue, EventList::with_capacity(events)))
    }

    fn register(&mut self, socket: &UnixStream) {
        let change = Kevent::read(socket, EventFlags::ADD | EventFlags::CLEAR);
        self.0.apply(&mut [change]).expect("it is a socket");
    }

    fn deregister(&mut self, socket: &UnixStream, (): ()) {
        let change = Kevent::read(socket, EventFlags::DELETE);
        self.0.apply(&mut [change]).expect("it is registered");
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        self.0
            .kevent(&[], &mut self.1, timeout)
            .expect("a wait does not fail")
    }
}

pub(super) struct NioPoll(nio_poll::Poll, nio_poll::Events);

impl Poller for NioPoll {
    type Key = ();

    fn open(events: usize) -> Option<NioPoll> {
        let poll = nio_poll::Poll::new().expect("there are descriptors");
        Some(NioPoll(poll, nio_poll::Events::with_capacity(events)))
    }

    fn register(&mut self, socket: &UnixStream) {
        let interest = nio_poll::Interest::READABLE;
        let registered = self.0.register(socket, nio_poll::Token(1), interest);
        registered.expect("it is a socket");
    }

    fn deregister(&mut self, socket: &UnixStream, (): ()) {
        self.0.deregister(socket).expect("it is registered");
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        self.0
            .poll(&mut self.1, timeout)
            .expect("a wait does not fail")
    }

    fn waker(&self) -> Option<Wake> {
        let waker = nio_poll::Waker::new(&self.0, nio_poll::Token(2)).expect("it is the only one");
        Some(Box::new(move || waker.wake().expect("the poll is there")))
    }
}

pub(super) struct Mio(mio::Poll, mio::Events);

impl Poller for Mio {
    type Key = ();

    fn open(events: usize) -> Option<Mio> {
        let poll = mio::Poll::new().expect("there are descriptors");
        Some(Mio(poll, mio::Events::with_capacity(events)))
    }

    fn register(&mut self, socket: &UnixStream) {
        let fd = socket.as_raw_fd();
        let mut source = mio::unix::SourceFd(&fd);
        let interest = mio::Interest::READABLE;
        let registered = self
            .0
            .registry()
            .register(&mut source, mio::Token(1), interest);
        registered.expect("it is a socket");
    }

    fn deregister(&mut self, socket: &UnixStream, (): ()) {
        let fd = socket.as_raw_fd();
        let deregistered = self.0.registry().deregister(&mut mio::unix::SourceFd(&fd));
        deregistered.expect("it is registered");
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        self.0
            .poll(&mut self.1, timeout)
            .expect("a wait does not fail");
        self.1.iter().count()
    }

    fn waker(&self) -> Option<Wake> {
        let waker = mio::Waker::new(self.0.registry(), mio::Token(2)).expect("it is the only one");
        Some(Box::new(move || waker.wake().expect("the poll is there")))
    }
}

pub(super) struct Polling(Arc<polling::Poller>, polling::Events);

impl Poller for Polling {
    type Key = ();

    fn open(events: usize) -> Option<Polling> {
        let poller = polling::Poller::new().expect("there are descriptors");
        let events = polling::Events::with_capacity(NonZero::new(events)?);
        Some(Polling(Arc::new(poller), events))
    }

    fn register(&mut self, socket: &UnixStream) {
        let (event, mode) = (polling::Event::readable(1), polling::PollMode::Edge);
        // SAFETY: the groups keep a socket open as long as the poller.
        let registered = unsafe { self.0.add_with_mode(socket, event, mode) };
        registered.expect("it is a socket");
    }

    fn deregister(&mut self, socket: &UnixStream, (): ()) {
        self.0.delete(socket).expect("it is registered");
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        self.1.clear();
        let count = self.0.wait(&mut self.1, timeout);
        // A wake-up is no event here.
        count
            .expect("a wait does not fail")
            .max(usize::from(timeout.is_none()))
    }

    fn waker(&self) -> Option<Wake> {
        let poller = Arc::clone(&self.0);
        Some(Box::new(move || {
            poller.notify().expect("the poller is there")
        }))
    }
}

/// The loop's data is the number of events.
pub(super) struct Calloop(calloop::EventLoop<'static, usize>);

impl Poller for Calloop {
    type Key = calloop::RegistrationToken;

    fn open(_: usize) -> Option<Calloop> {
        Some(Calloop(
            calloop::EventLoop::try_new().expect("there are descriptors"),
        ))
    }

    fn register(&mut self, socket: &UnixStream) -> Self::Key {
        // SAFETY: the groups keep a socket open as long as the loop.
        let fd = unsafe { calloop::generic::FdWrapper::new(socket.as_raw_fd()) };
        let source =
            calloop::generic::Generic::new(fd, calloop::Interest::READ, calloop::Mode::Edge);
        let count = |_, _: &mut _, events: &mut usize| {
            *events += 1;
            Ok(calloop::PostAction::Continue)
        };
        let registered = self.0.handle().insert_source(source, count);
        registered.expect("it is a socket")
    }

    fn deregister(&mut self, _: &UnixStream, key: Self::Key) {
        self.0.handle().remove(key);
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        let mut events = 0;
        self.0
            .dispatch(timeout, &mut events)
            .expect("a wait does not fail");
        events
    }

    fn waker(&self) -> Option<Wake> {
        let signal = self.0.get_signal();
        Some(Box::new(move || signal.wakeup()))
    }
}

/// `struct ev_io` and `struct ev_async` of ev.h, as distributions build them: both have fewer fields than this.
#[repr(C)]
pub(super) struct Watcher {
    active: c_int,
    pending: c_int,
    priority: c_int,
    data: *mut c_void,
    callback: extern "C" fn(*mut c_void, *mut Watcher, c_int),
    next: *mut c_void,
    fd: c_int,
    events: c_int,
}

type OnWatcher = unsafe extern "C" fn(*mut c_void, *mut Watcher);

/// libev is level-triggered. It applies changes of its set at the next wait, so it has no line in `registration`.
pub(super) struct Libev {
    library: Library,
    event_loop: *mut c_void,
    start: OnWatcher,
    stop: OnWatcher,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    events: Box<usize>,
}

extern "C" fn count_watcher(_: *mut c_void, watcher: *mut Watcher, _: c_int) {
    // SAFETY: the data of each watcher is the counter of its loop, which only this thread uses.
    unsafe { *(*watcher).data.cast::<usize>() += 1 };
}

const EV_READ: c_int = 1;
const EV_IOFDSET: c_int = 0x80;
const EVRUN_NOWAIT: c_int = 1;

impl Libev {
    /// A watcher, for as long as the program runs.
    fn watcher(&self, fd: c_int, events: c_int) -> *mut Watcher {
        Box::into_raw(Box::new(Watcher {
            active: 0,
            pending: 0,
            priority: 0,
            data: ptr::from_ref(&*self.events).cast_mut().cast(),
            callback: count_watcher,
            next: null_mut(),
            fd,
            events,
        }))
    }
}

impl Poller for Libev {
    type Key = *mut Watcher;

    fn open(_: usize) -> Option<Libev> {
        let library = Library::load(LIBEV)?;
        // SAFETY: the types are those of ev.h.
        unsafe {
            let new: unsafe extern "C" fn(c_uint) -> *mut c_void =
                library.function(c"ev_loop_new")?;
            Some(Libev {
                library,
                event_loop: new(0),
                start: library.function(c"ev_io_start")?,
                stop: library.function(c"ev_io_stop")?,
                run: library.function(c"ev_run")?,
                events: Box::new(0),
            })
        }
    }

    fn register(&mut self, socket: &UnixStream) -> Self::Key {
        let watcher = self.watcher(socket.as_raw_fd(), EV_READ | EV_IOFDSET);
        // SAFETY: the watcher stays where it is.
        unsafe { (self.start)(self.event_loop, watcher) };
        watcher
    }

    fn deregister(&mut self, _: &UnixStream, watcher: Self::Key) {
        // SAFETY: it was started.
        unsafe { (self.stop)(self.event_loop, watcher) };
    }

    fn wait(&mut self, _: Option<Duration>) -> usize {
        *self.events = 0;
        // SAFETY: the loop is used by this thread only.
        unsafe { (self.run)(self.event_loop, EVRUN_NOWAIT) };
        *self.events
    }

    fn waker(&self) -> Option<Wake> {
        let (watcher, event_loop) = (self.watcher(0, 0), self.event_loop);
        // SAFETY: the types are those of ev.h, and a watcher has room for an `ev_async`.
        let send = unsafe {
            let start: OnWatcher = self.library.function(c"ev_async_start")?;
            start(event_loop, watcher);
            self.library.function::<OnWatcher>(c"ev_async_send")?
        };
        let (event_loop, watcher) = (AtomicPtr::new(event_loop), AtomicPtr::new(watcher));
        // SAFETY: any thread may call it, and the watcher stays where it is.
        Some(Box::new(move || unsafe {
            send(event_loop.load(Relaxed), watcher.load(Relaxed));
        }))
    }
}

type Event = *mut c_void;
type OnEvent = extern "C" fn(c_int, c_short, *mut c_void);

pub(super) struct Libevent {
    base: *mut c_void,
    new: unsafe extern "C" fn(*mut c_void, c_int, c_short, OnEvent, *mut c_void) -> Event,
    add: unsafe extern "C" fn(Event, *const c_void) -> c_int,
    free: unsafe extern "C" fn(Event),
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    events: Box<usize>,
}

extern "C" fn count_event(_: c_int, _: c_short, events: *mut c_void) {
    // SAFETY: it is the counter of the loop, which only this thread uses.
    unsafe { *events.cast::<usize>() += 1 };
}

/// `EV_READ | EV_PERSIST | EV_ET`.
const READ_ET: c_short = 0x02 | 0x10 | 0x20;
const EVLOOP_NONBLOCK: c_int = 2;

impl Poller for Libevent {
    type Key = Event;

    fn open(_: usize) -> Option<Libevent> {
        let library = Library::load(LIBEVENT)?;
        // SAFETY: the types are those of event2/event.h.
        unsafe {
            let new: unsafe extern "C" fn() -> *mut c_void = library.function(c"event_base_new")?;
            Some(Libevent {
                base: new(),
                new: library.function(c"event_new")?,
                add: library.function(c"event_add")?,
                free: library.function(c"event_free")?,
                run: library.function(c"event_base_loop")?,
                events: Box::new(0),
            })
        }
    }

    fn register(&mut self, socket: &UnixStream) -> Event {
        let (fd, events) = (socket.as_raw_fd(), ptr::from_mut(&mut *self.events).cast());
        // SAFETY: the base is alive, and the counter stays where it is.
        unsafe {
            let event = (self.new)(self.base, fd, READ_ET, count_event, events);
            (self.add)(event, ptr::null());
            event
        }
    }

    fn deregister(&mut self, _: &UnixStream, event: Event) {
        // SAFETY: it is an event of this base. Freeing deregisters it.
        unsafe { (self.free)(event) };
    }

    fn wait(&mut self, _: Option<Duration>) -> usize {
        *self.events = 0;
        // SAFETY: the base is used by this thread only.
        unsafe { (self.run)(self.base, EVLOOP_NONBLOCK) };
        *self.events
    }
}
