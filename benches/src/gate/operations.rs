//! The operations of the gate. Server and client are in one thread, so that each run does exactly the same.

use std::{
    cell::Cell,
    future::poll_fn,
    hint::black_box,
    io::{Read, Write},
    net::{TcpListener as StdListener, TcpStream as StdStream},
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use nio_loop::{EventLoop, Handle};
use nio_net::{TcpListener, TcpStream};
use nio_timer::TimerHeap;

use crate::run::Error;

/// The function whose instructions are counted.
pub(super) const COUNTED: &str = "*operations*counted*";

/// Connections that are served together.
const CONNECTIONS: usize = 64;

const HOUR: Duration = Duration::from_secs(3600);

/// A frequent operation of nio.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// How often [`run`](Self::run) does it while instructions are counted.
    pub(super) times: u32,
    run: fn(u32) -> Result<(), Error>,
}

pub(super) const ALL: [Operation; 7] = [
    Operation {
        name: "message",
        times: 64 * 100,
        run: message,
    },
    Operation {
        name: "accepted connection",
        times: 64 * 20,
        run: connection,
    },
    Operation {
        name: "timer operation",
        times: 10_000,
        run: timer,
    },
    Operation {
        name: "timeout of a loop",
        times: 5_000,
        run: timeout,
    },
    Operation {
        name: "wake of a poll",
        times: 5_000,
        run: wake_of_a_poll,
    },
    Operation {
        name: "wake of a task",
        times: 5_000,
        run: wake_of_a_task,
    },
    Operation {
        name: "spawn",
        times: 5_000,
        run: spawn,
    },
];

pub(super) fn once(name: &str) -> Result<(), Error> {
    let operation = ALL.iter().find(|operation| operation.name == name);
    let operation = operation.ok_or("no operation has this name")?;
    (operation.run)(operation.times)
}

/// A function of its own, which callgrind recognises by its name.
#[inline(never)]
fn counted<T>(operation: impl FnOnce() -> T) -> T {
    operation()
}

async fn echo(stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// Turns the loop until all streams have an answer.
fn answer(event_loop: &mut EventLoop, streams: &[StdStream]) -> Result<(), Error> {
    for mut stream in streams {
        stream.write_all(&[b'.'; 64])?;
    }
    let mut answered = 0;
    while answered < streams.len() {
        counted(|| event_loop.run_nowait())?;
        while answered < streams.len() && has_answer(&streams[answered]) {
            answered += 1;
        }
    }
    for mut stream in streams {
        stream.read_exact(&mut [0; 64])?;
    }
    Ok(())
}

fn has_answer(stream: &StdStream) -> bool {
    stream.set_nonblocking(true).expect("it is a socket");
    let peeked = stream.peek(&mut [0; 64]);
    stream.set_nonblocking(false).expect("it is a socket");
    peeked.is_ok_and(|n| n == 64)
}

fn message(times: u32) -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let listener = StdListener::bind("127.0.0.1:0")?;
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(StdStream::connect(listener.local_addr()?)?);
        let (stream, _) = listener.accept()?;
        let stream = TcpStream::from_std(&handle, stream)?;
        handle.spawn(echo(stream)).detach();
    }
    for _ in 0..times as usize / CONNECTIONS {
        answer(&mut event_loop, &streams)?;
    }
    Ok(())
}

/// Accepted, one message echoed, closed by the client.
fn connection(times: u32) -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let bound = event_loop.block_on(TcpListener::bind(&handle, "127.0.0.1:0"))?;
    let listener = bound?;
    let address = listener.local_addr()?;
    let accept = {
        let handle: Handle = handle.clone();
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                handle.spawn(echo(stream)).detach();
            }
        }
    };
    handle.spawn(accept).detach();
    for _ in 0..times as usize / CONNECTIONS {
        let connect = |_| StdStream::connect(address);
        let streams = (0..CONNECTIONS)
            .map(connect)
            .collect::<Result<Vec<_>, _>>()?;
        answer(&mut event_loop, &streams)?;
        drop(streams);
        // The connections end.
        counted(|| event_loop.run_nowait())?;
    }
    Ok(())
}

/// Beside a thousand timers: insert one, push another one back, cancel a third.
fn timer(times: u32) -> Result<(), Error> {
    let mut heap = TimerHeap::new();
    let deadline = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let mut keys: Vec<_> = (0..1000)
        .map(|number| heap.insert(deadline(number), number))
        .collect();
    counted(|| {
        for number in 0..u64::from(times) / 2 {
            let place = number as usize % keys.len();
            black_box(heap.reschedule(keys[(place + 500) % keys.len()], deadline(number)));
            black_box(heap.cancel(keys[place]));
            keys[place] = heap.insert(deadline(number + 1000), number);
        }
    });
    Ok(())
}

fn timeout(times: u32) -> Result<(), Error> {
    let event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    counted(|| {
        for _ in 0..times {
            let timeout = handle.set_timeout(HOUR, |_| {});
            black_box(handle.clear(timeout));
        }
    });
    Ok(())
}

fn wake_of_a_poll(times: u32) -> Result<(), Error> {
    let poll = nio_poll::Poll::new()?;
    let waker = nio_poll::Waker::new(&poll, nio_poll::Token(1))?;
    let mut events = nio_poll::Events::with_capacity(8);
    counted(|| {
        for _ in 0..times {
            waker.wake()?;
            poll.poll(&mut events, Some(Duration::ZERO))?;
        }
        Ok(())
    })
}

/// Two tasks that wake each other.
fn wake_of_a_task(times: u32) -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let wakers: Rc<[Cell<Option<Waker>>; 2]> = Rc::default();
    for own in 0..2 {
        let wakers = Rc::clone(&wakers);
        let mut left = times / 2;
        let wake_the_other = poll_fn(move |context| {
            if let Some(waker) = wakers[1 - own].take() {
                waker.wake();
            }
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            wakers[own].set(Some(context.waker().clone()));
            Poll::Pending
        });
        handle.spawn(wake_the_other).detach();
    }
    counted(|| event_loop.run())?;
    Ok(())
}

fn spawn(times: u32) -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    counted(|| {
        event_loop.block_on(async {
            for number in 0..times {
                let joined = handle.spawn(async move { black_box(number) }).await;
                black_box(joined.is_ok());
            }
        })
    })?;
    Ok(())
}
