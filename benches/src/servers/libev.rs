//! libev, level-triggered: a watcher for each connection.

use std::{
    cell::{Cell, RefCell},
    ffi::{c_int, c_uint, c_void},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    ptr::null_mut,
};

use super::{
    BUFFER,
    accept::accept,
    connection::{Connection, Next},
};
use crate::library::{LIBEV, Library, not_there};

/// `struct ev_io` of ev.h, as distributions build it.
#[repr(C)]
struct Watcher {
    active: c_int,
    pending: c_int,
    priority: c_int,
    data: *const Loop,
    callback: Callback,
    next: *mut Watcher,
    fd: c_int,
    events: c_int,
}

type Callback = extern "C" fn(*mut c_void, *mut Watcher, c_int);
type OnWatcher = unsafe extern "C" fn(*mut c_void, *mut Watcher);

const EV_READ: c_int = 1;
const EV_WRITE: c_int = 2;
const EV_IOFDSET: c_int = 0x80;
const EVBREAK_ALL: c_int = 2;

thread_local! {
    static BYTES: RefCell<[u8; BUFFER]> = const { RefCell::new([0; BUFFER]) };
    /// How many short connections are still to be served.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

struct Loop {
    event_loop: *mut c_void,
    start: OnWatcher,
    stop: OnWatcher,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    leave: unsafe extern "C" fn(*mut c_void, c_int),
}

/// A socket and its watcher, which comes first.
#[repr(C)]
struct Watched<S> {
    watcher: Watcher,
    socket: S,
}

impl Loop {
    /// A loop, which stays until the process ends.
    fn new() -> io::Result<&'static Loop> {
        // SAFETY: the types are those of ev.h.
        let found = || unsafe {
            let library = Library::load(LIBEV)?;
            let new: unsafe extern "C" fn(c_uint) -> *mut c_void =
                library.function(c"ev_loop_new")?;
            Some(Loop {
                event_loop: new(0),
                start: library.function(c"ev_io_start")?,
                stop: library.function(c"ev_io_stop")?,
                run: library.function(c"ev_run")?,
                leave: library.function(c"ev_break")?,
            })
        };
        Ok(Box::leak(Box::new(not_there(found())?)))
    }

    fn watch<S>(&self, socket: S, fd: c_int, callback: Callback) {
        let watched = Box::new(Watched {
            watcher: Watcher {
                active: 0,
                pending: 0,
                priority: 0,
                data: self,
                callback,
                next: null_mut(),
                fd,
                events: EV_READ | EV_IOFDSET,
            },
            socket,
        });
        // SAFETY: the watcher stays where it is until it is stopped.
        unsafe { (self.start)(self.event_loop, Box::into_raw(watched).cast()) };
    }

    /// Asks for other events.
    ///
    /// # Safety
    ///
    /// The watcher must be one of this loop.
    unsafe fn change(&self, watcher: *mut Watcher, events: c_int) {
        // SAFETY: it may be changed while it is stopped.
        unsafe {
            (self.stop)(self.event_loop, watcher);
            (*watcher).events = events | EV_IOFDSET;
            (self.start)(self.event_loop, watcher);
        }
    }

    /// Stops a watcher, and drops it and its socket.
    ///
    /// # Safety
    ///
    /// [`watch`](Loop::watch) must have made it for a socket of this type.
    unsafe fn end<S>(&self, watcher: *mut Watcher) {
        // SAFETY: it was a box, and only the loop has it, which forgets it here.
        unsafe {
            (self.stop)(self.event_loop, watcher);
            drop(Box::from_raw(watcher.cast::<Watched<S>>()));
        }
    }

    /// Runs until there are no watchers.
    fn run(&self) {
        // SAFETY: the loop is used by this thread only.
        unsafe { (self.run)(self.event_loop, 0) };
    }
}

/// The loop of a watcher that was called, and its socket.
///
/// # Safety
///
/// [`Loop::watch`] must have made it for a socket of this type.
unsafe fn called<'a, S>(watcher: *mut Watcher) -> (&'static Loop, &'a mut S) {
    // SAFETY: the loop is never freed, and a callback has the socket until the watcher's end.
    unsafe {
        (
            &*(*watcher).data,
            &mut (*watcher.cast::<Watched<S>>()).socket,
        )
    }
}

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let server = Loop::new()?;
    for stream in streams {
        let fd = stream.as_raw_fd();
        server.watch(Connection::new(stream), fd, on_bytes);
    }
    server.run();
    Ok(())
}

extern "C" fn on_bytes(_: *mut c_void, watcher: *mut Watcher, _: c_int) {
    // SAFETY: only watchers of these connections call this.
    let (server, connection) = unsafe { called::<Connection<TcpStream>>(watcher) };
    let echoed = BYTES.with_borrow_mut(|buffer| connection.echo(buffer, |_| false));
    let next = echoed.expect("no connection fails");
    if next == Next::Nothing {
        // SAFETY: as above.
        unsafe { server.end::<Connection<TcpStream>>(watcher) };
    } else if connection.waits_for_room != (next == Next::Room) {
        connection.waits_for_room = next == Next::Room;
        let events = match next {
            Next::Room => EV_WRITE,
            _ => EV_READ,
        };
        // SAFETY: it is one of the loop that has called it.
        unsafe { server.change(watcher, events) };
    }
}

pub(super) fn short(listener: TcpListener, connections: usize) -> io::Result<()> {
    let server = Loop::new()?;
    LEFT.set(connections);
    let fd = listener.as_raw_fd();
    server.watch(listener, fd, on_connection);
    server.run();
    Ok(())
}

extern "C" fn on_connection(_: *mut c_void, watcher: *mut Watcher, _: c_int) {
    // SAFETY: only the watcher of the listener calls this.
    let (server, listener) = unsafe { called::<TcpListener>(watcher) };
    while let Some(stream) = accept(listener).expect("accepting does not fail") {
        let fd = stream.as_raw_fd();
        server.watch(stream, fd, on_message);
    }
}

extern "C" fn on_message(_: *mut c_void, watcher: *mut Watcher, _: c_int) {
    // SAFETY: only watchers of streams call this.
    let (server, stream) = unsafe { called::<TcpStream>(watcher) };
    let echoed = BYTES.with_borrow_mut(|buffer| {
        let n = stream.read(buffer)?;
        stream.write_all(&buffer[..n])
    });
    echoed.expect("no connection fails");
    LEFT.set(LEFT.get() - 1);
    // SAFETY: as above; the loop is the one that runs.
    unsafe {
        server.end::<TcpStream>(watcher);
        if LEFT.get() == 0 {
            (server.leave)(server.event_loop, EVBREAK_ALL);
        }
    }
}
