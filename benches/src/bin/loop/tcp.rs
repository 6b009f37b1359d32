//! Five bytes that go back and forth over a TCP connection whose two ends are in one loop.

use std::{
    cell::Cell,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, IntoRawFd},
    time::Duration,
};

use crate::{
    group::{Group, stopwatch},
    runtimes::{Nio, Runtime, Smol, Stream, Tasks, Tokio},
    turn::{new_epoll, wait},
    uv::{self, Uv},
};

const MESSAGE: &[u8] = b"hello";

/// What a read has room for.
const ROOM: usize = 64;

pub(crate) fn group() -> Group {
    let about = "5 bytes from one end of a TCP connection to the other, both in one loop";
    Group::new("tcp", about, 1_000)
        .with("nio", tasks::<Nio>)
        .with_installed("libuv", libuv)
        .with("tokio", tasks::<Tokio>)
        .with("smol", tasks::<Smol>)
        .with("bare epoll", epoll)
}

/// A connection's two ends, non-blocking.
fn pair() -> [TcpStream; 2] {
    let connect = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let ends = [near, listener.accept()?.0];
        for end in &ends {
            end.set_nonblocking(true)?;
            end.set_nodelay(true)?;
        }
        std::io::Result::Ok(ends)
    };
    connect().expect("there are ports")
}

/// A task for each end.
fn tasks<R: Runtime>() -> impl FnMut(u32) -> Duration {
    let mut runtime = R::new();
    move |times| {
        runtime.block_on(|tasks| async move {
            let [mut near, mut far] = pair().map(|end| tasks.stream(end));
            let echo = tasks.spawn(async move {
                let mut buffer = [0; ROOM];
                for _ in 0..times / 2 {
                    let n = far.read(&mut buffer).await;
                    far.write_all(&buffer[..n]).await;
                }
            });
            let start = stopwatch();
            let pings = tasks.spawn(async move {
                let mut buffer = [0; ROOM];
                for _ in 0..times / 2 {
                    near.write_all(MESSAGE).await;
                    assert_eq!(near.read(&mut buffer).await, MESSAGE.len());
                }
            });
            pings.await;
            echo.await;
            stopwatch() - start
        })
    }
}

/// Nothing but system calls, level-triggered.
fn epoll() -> impl FnMut(u32) -> Duration {
    let epoll = new_epoll();
    move |times| {
        let mut ends = pair();
        for (number, end) in ends.iter().enumerate() {
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: number as u64,
            };
            let (epoll, fd) = (epoll.as_raw_fd(), end.as_raw_fd());
            // SAFETY: the event lives until the call returns.
            let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
            assert_eq!(result, 0);
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let mut buffer = [0; ROOM];
        let mut received = 0;
        let start = stopwatch();
        ends[0].write_all(MESSAGE).expect("there is room");
        while received < times {
            let count = wait(&epoll, &mut events, -1);
            for event in &events[..count] {
                let end = &mut ends[event.u64 as usize];
                let n = end.read(&mut buffer).expect("it is readable");
                end.write_all(&buffer[..n]).expect("there is room");
                received += 1;
            }
        }
        stopwatch() - start
    }
}

/// What libuv's callbacks need.
struct Echo {
    uv: Uv,
    on: uv::Object,
    left: Cell<u32>,
    buffer: Cell<[u8; ROOM]>,
}

impl Echo {
    fn send(&self, end: uv::Object, bytes: &[u8]) {
        let (base, len) = (bytes.as_ptr().cast_mut(), bytes.len());
        // SAFETY: the end is open, and the bytes are read before the call returns.
        let sent = unsafe { (self.uv.try_write)(end, &uv::Buffer { base, len }, 1) };
        assert_eq!(sent as usize, len);
    }
}

extern "C" fn allocate(end: uv::Object, _: usize, buffer: *mut uv::Buffer) {
    // SAFETY: that is what it was given, and libuv has room for the answer.
    unsafe {
        let echo: &Echo = uv::data(end);
        let base = echo.buffer.as_ptr().cast();
        buffer.write(uv::Buffer { base, len: ROOM });
    }
}

extern "C" fn read(end: uv::Object, n: isize, _: *const uv::Buffer) {
    // SAFETY: that is what it was given.
    let echo: &Echo = unsafe { uv::data(end) };
    // It says 0 where there is nothing, and less for an error, as that of an end that was closed.
    if n <= 0 {
        return;
    }
    echo.left.set(echo.left.get() - 1);
    if echo.left.get() == 0 {
        // SAFETY: it is the loop that runs this callback.
        return unsafe { (echo.uv.stop)(echo.on) };
    }
    echo.send(end, &echo.buffer.get()[..n as usize]);
}

fn libuv() -> Option<impl FnMut(u32) -> Duration> {
    let uv = Uv::load()?;
    let on = uv.new_loop();
    let echo: &Echo = Box::leak(Box::new(Echo {
        uv,
        on,
        left: Cell::new(0),
        buffer: Cell::new([0; ROOM]),
    }));
    // One connection for all turns: to close it would take a turn of the loop.
    let ends = pair().map(|end| {
        let handle = uv.new_handle(uv::TCP);
        // SAFETY: the loop is initialised, and there is room for a handle, which owns the descriptor.
        unsafe {
            assert_eq!((uv.tcp_init)(on, handle), 0);
            uv::set_data(handle, echo);
            assert_eq!((uv.tcp_open)(handle, end.into_raw_fd()), 0);
            assert_eq!((uv.read_start)(handle, allocate, read), 0);
        }
        handle
    });
    Some(move |times| {
        echo.left.set(times);
        let start = stopwatch();
        echo.send(ends[0], MESSAGE);
        // SAFETY: the loop is there for ever, and no other thread runs it.
        unsafe { (uv.run)(on, uv::RUN_DEFAULT) };
        stopwatch() - start
    })
}
