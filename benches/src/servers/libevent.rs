//! libevent, with its type for streams: a bufferevent for each connection, whose input is moved to its output.

use std::{
    cell::Cell,
    ffi::{c_int, c_short, c_uint, c_void},
    io,
    net::{TcpListener, TcpStream},
    os::fd::IntoRawFd,
    ptr::null_mut,
};

use crate::library::{LIBEVENT, Library, not_there};

type Base = *mut c_void;
type Stream = *mut c_void;
type Buffer = *mut c_void;
type OnData = extern "C" fn(Stream, *mut c_void);
type OnEvent = extern "C" fn(Stream, c_short, *mut c_void);
type OnConnection = extern "C" fn(*mut c_void, c_int, *mut c_void, c_int, *mut c_void);

const BEV_OPT_CLOSE_ON_FREE: c_int = 1;
const LEV_OPT_CLOSE_ON_FREE: c_uint = 2;
const EV_READ: c_short = 2;

struct Libevent {
    base: Base,
    dispatch: unsafe extern "C" fn(Base) -> c_int,
    leave: unsafe extern "C" fn(Base) -> c_int,
    stream: unsafe extern "C" fn(Base, c_int, c_int) -> Stream,
    set_callbacks:
        unsafe extern "C" fn(Stream, Option<OnData>, Option<OnData>, Option<OnEvent>, *mut c_void),
    enable: unsafe extern "C" fn(Stream, c_short) -> c_int,
    input: unsafe extern "C" fn(Stream) -> Buffer,
    write: unsafe extern "C" fn(Stream, Buffer) -> c_int,
    free: unsafe extern "C" fn(Stream),
    listen:
        unsafe extern "C" fn(Base, OnConnection, *mut c_void, c_uint, c_int, c_int) -> *mut c_void,
}

thread_local! {
    /// The loop of the callbacks.
    static LOOP: Cell<Option<&'static Libevent>> = const { Cell::new(None) };
    /// How many short connections are still to be served.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

fn libevent() -> &'static Libevent {
    LOOP.get().expect("the loop runs")
}

impl Libevent {
    /// A loop, which stays until the process ends.
    fn new() -> io::Result<&'static Libevent> {
        // SAFETY: the types are those of event2/*.h.
        let found = || unsafe {
            let library = Library::load(LIBEVENT)?;
            let new: unsafe extern "C" fn() -> Base = library.function(c"event_base_new")?;
            Some(Libevent {
                base: new(),
                dispatch: library.function(c"event_base_dispatch")?,
                leave: library.function(c"event_base_loopbreak")?,
                stream: library.function(c"bufferevent_socket_new")?,
                set_callbacks: library.function(c"bufferevent_setcb")?,
                enable: library.function(c"bufferevent_enable")?,
                input: library.function(c"bufferevent_get_input")?,
                write: library.function(c"bufferevent_write_buffer")?,
                free: library.function(c"bufferevent_free")?,
                listen: library.function(c"evconnlistener_new")?,
            })
        };
        let libevent: &Libevent = Box::leak(Box::new(not_there(found())?));
        LOOP.set(Some(libevent));
        Ok(libevent)
    }

    /// Takes a connection. Bufferevents write from the beginning.
    fn open(&self, fd: c_int, written: Option<OnData>) {
        // SAFETY: the base is alive, and the descriptor is given to the stream.
        unsafe {
            let stream = (self.stream)(self.base, fd, BEV_OPT_CLOSE_ON_FREE);
            (self.set_callbacks)(stream, Some(on_data), written, Some(on_event), null_mut());
            (self.enable)(stream, EV_READ);
        }
    }

    /// Runs until there is nothing to wait for.
    fn run(&self) {
        // SAFETY: the base is used by this thread only.
        unsafe { (self.dispatch)(self.base) };
    }
}

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let libevent = Libevent::new()?;
    for stream in streams {
        libevent.open(stream.into_raw_fd(), None);
    }
    libevent.run();
    Ok(())
}

extern "C" fn on_data(stream: Stream, _: *mut c_void) {
    let libevent = libevent();
    // SAFETY: the stream that calls this is open.
    unsafe { (libevent.write)(stream, (libevent.input)(stream)) };
}

/// The end, as nothing else was asked for.
extern "C" fn on_event(stream: Stream, _: c_short, _: *mut c_void) {
    // SAFETY: the stream is not used afterwards.
    unsafe { (libevent().free)(stream) };
}

pub(super) fn short(listener: TcpListener, connections: usize) -> io::Result<()> {
    let libevent = Libevent::new()?;
    LEFT.set(connections);
    let (fd, flags) = (listener.into_raw_fd(), LEV_OPT_CLOSE_ON_FREE);
    // SAFETY: the base is alive, and the descriptor, which listens already, is given to it.
    unsafe { (libevent.listen)(libevent.base, on_connection, null_mut(), flags, 0, fd) };
    libevent.run();
    Ok(())
}

extern "C" fn on_connection(_: *mut c_void, fd: c_int, _: *mut c_void, _: c_int, _: *mut c_void) {
    libevent().open(fd, Some(on_written));
}

extern "C" fn on_written(stream: Stream, _: *mut c_void) {
    let libevent = libevent();
    LEFT.set(LEFT.get() - 1);
    // SAFETY: the stream is not used afterwards; the loop is the one that runs.
    unsafe {
        (libevent.free)(stream);
        if LEFT.get() == 0 {
            (libevent.leave)(libevent.base);
        }
    }
}
