//! libuv: a stream for each connection. It writes at once as much as there is room for, and makes
//! a write request of the remaining bytes.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    cell::Cell,
    ffi::{c_char, c_int, c_uint, c_void},
    io,
    net::{TcpListener, TcpStream},
    os::fd::IntoRawFd,
    ptr::copy_nonoverlapping,
};

use super::BUFFER;
use crate::library::{LIBUV, Library, not_there};

/// `uv_buf_t`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Bytes {
    base: *mut c_char,
    len: usize,
}

type Handle = *mut c_void;
type Request = *mut c_void;
type OnAlloc = extern "C" fn(Handle, usize, *mut Bytes);
type OnRead = extern "C" fn(Handle, isize, *const Bytes);
type OnHandle = extern "C" fn(Handle);
type OnRequest = extern "C" fn(Request, c_int);
type OnConnection = extern "C" fn(Handle, c_int);

/// `uv_handle_type` and `uv_req_type`.
const UV_TCP: c_int = 12;
const UV_WRITE: c_int = 3;
const BACKLOG: c_int = 4096;

/// The functions of the library, and the memory of the loop.
struct Libuv {
    event_loop: *mut c_void,
    stream: Layout,
    request: Layout,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    tcp_init: unsafe extern "C" fn(*mut c_void, Handle) -> c_int,
    tcp_open: unsafe extern "C" fn(Handle, c_int) -> c_int,
    read_start: unsafe extern "C" fn(Handle, OnAlloc, OnRead) -> c_int,
    try_write: unsafe extern "C" fn(Handle, *const Bytes, c_uint) -> c_int,
    write: unsafe extern "C" fn(Request, Handle, *const Bytes, c_uint, OnRequest) -> c_int,
    close: unsafe extern "C" fn(Handle, OnHandle),
    listen: unsafe extern "C" fn(Handle, c_int, OnConnection) -> c_int,
    accept: unsafe extern "C" fn(Handle, Handle) -> c_int,
    buffer: Bytes,
}

thread_local! {
    /// The loop of the callbacks.
    static LOOP: Cell<Option<&'static Libuv>> = const { Cell::new(None) };
    /// How many short connections are still to be accepted.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

fn libuv() -> &'static Libuv {
    LOOP.get().expect("the loop runs")
}

impl Libuv {
    /// A loop, which stays until the process ends.
    fn new() -> io::Result<&'static Libuv> {
        // SAFETY: the types are those of uv.h, and the memory is as large as it says.
        let found = || unsafe {
            let library = Library::load(LIBUV)?;
            let loop_size: extern "C" fn() -> usize = library.function(c"uv_loop_size")?;
            let handle_size: extern "C" fn(c_int) -> usize = library.function(c"uv_handle_size")?;
            let request_size: extern "C" fn(c_int) -> usize = library.function(c"uv_req_size")?;
            let init: unsafe extern "C" fn(*mut c_void) -> c_int =
                library.function(c"uv_loop_init")?;
            let event_loop = new(of_size(loop_size()));
            init(event_loop);
            Some(Libuv {
                event_loop,
                stream: of_size(handle_size(UV_TCP)),
                request: of_size(request_size(UV_WRITE) + BUFFER),
                run: library.function(c"uv_run")?,
                tcp_init: library.function(c"uv_tcp_init")?,
                tcp_open: library.function(c"uv_tcp_open")?,
                read_start: library.function(c"uv_read_start")?,
                try_write: library.function(c"uv_try_write")?,
                write: library.function(c"uv_write")?,
                close: library.function(c"uv_close")?,
                listen: library.function(c"uv_listen")?,
                accept: library.function(c"uv_accept")?,
                buffer: Bytes {
                    base: new(of_size(BUFFER)).cast(),
                    len: BUFFER,
                },
            })
        };
        let libuv: &Libuv = Box::leak(Box::new(not_there(found())?));
        LOOP.set(Some(libuv));
        Ok(libuv)
    }

    /// A handle for a stream, in memory of its own.
    fn stream(&self) -> Handle {
        // SAFETY: the memory is a handle's, and stays until `on_close`.
        unsafe {
            let stream = new(self.stream);
            (self.tcp_init)(self.event_loop, stream);
            stream
        }
    }

    fn open(&self, fd: c_int) -> Handle {
        let stream = self.stream();
        // SAFETY: the handle is initialised, and the descriptor is given to it.
        unsafe { (self.tcp_open)(stream, fd) };
        stream
    }

    /// Writes bytes to a stream, or has them written when there is room.
    ///
    /// # Safety
    ///
    /// The stream must be open, and the bytes must be there.
    unsafe fn write_all(&self, stream: Handle, bytes: Bytes) {
        // SAFETY: the caller vouches for both. The request has room for a buffer behind it, and is
        // there until `on_written`.
        unsafe {
            let written = (self.try_write)(stream, &bytes, 1).max(0) as usize;
            let len = bytes.len - written;
            if len > 0 {
                let request = new(self.request);
                let base = request.cast::<c_char>().add(self.request.size() - BUFFER);
                copy_nonoverlapping(bytes.base.add(written), base, len);
                let rest = Bytes { base, len };
                (self.write)(request, stream, &rest, 1, on_written);
            }
        }
    }

    /// Runs until there are no handles.
    fn run(&self) {
        // SAFETY: the loop is used by this thread only.
        unsafe { (self.run)(self.event_loop, 0) };
    }
}

fn of_size(size: usize) -> Layout {
    Layout::from_size_align(size.next_multiple_of(16), 16).expect("it is not that large")
}

/// Memory that is not initialised.
fn new(layout: Layout) -> *mut c_void {
    // SAFETY: no layout of this file is empty.
    let memory = unsafe { alloc(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory.cast()
}

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let libuv = Libuv::new()?;
    for stream in streams {
        let stream = libuv.open(stream.into_raw_fd());
        // SAFETY: it has just been opened.
        unsafe { (libuv.read_start)(stream, on_alloc, on_read) };
    }
    libuv.run();
    Ok(())
}

extern "C" fn on_alloc(_: Handle, _: usize, bytes: *mut Bytes) {
    // SAFETY: libuv says where it wants to know it.
    unsafe { *bytes = libuv().buffer };
}

extern "C" fn on_read(stream: Handle, n: isize, bytes: *const Bytes) {
    let libuv = libuv();
    // SAFETY: the stream is open, and so many bytes were read.
    unsafe {
        match usize::try_from(n) {
            Ok(0) => {}
            Ok(len) => {
                let base = (*bytes).base;
                libuv.write_all(stream, Bytes { base, len });
            }
            // The end.
            Err(_) => (libuv.close)(stream, on_close),
        }
    }
}

extern "C" fn on_written(request: Request, _: c_int) {
    // SAFETY: `write_all` has allocated it so.
    unsafe { dealloc(request.cast(), libuv().request) };
}

extern "C" fn on_close(stream: Handle) {
    // SAFETY: `stream` has allocated it so, and libuv does not use it any more.
    unsafe { dealloc(stream.cast(), libuv().stream) };
}

pub(super) fn short(listener: TcpListener, connections: usize) -> io::Result<()> {
    let libuv = Libuv::new()?;
    LEFT.set(connections);
    let listener = libuv.open(listener.into_raw_fd());
    // SAFETY: it has just been opened.
    unsafe { (libuv.listen)(listener, BACKLOG, on_connection) };
    libuv.run();
    Ok(())
}

extern "C" fn on_connection(listener: Handle, _: c_int) {
    let libuv = libuv();
    let stream = libuv.stream();
    // SAFETY: a connection waits in the listener, and the stream takes it.
    unsafe {
        (libuv.accept)(listener, stream);
        (libuv.read_start)(stream, on_alloc, on_message);
    }
    LEFT.set(LEFT.get() - 1);
    if LEFT.get() == 0 {
        // SAFETY: it is open, and there is nothing more to accept.
        unsafe { (libuv.close)(listener, on_close) };
    }
}

extern "C" fn on_message(stream: Handle, n: isize, bytes: *const Bytes) {
    on_read(stream, n, bytes);
    if n > 0 {
        // SAFETY: it is open.
        unsafe { (libuv().close)(stream, on_close) };
    }
}
