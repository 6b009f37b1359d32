//! Sources: descriptors whose readiness futures wait for.

mod support;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use nio_loop::{Direction, Error, Handle, Interest, Source};
use support::{Log, Wakes, event_loop, ms, pair, panic_of, poll_once, poll_with, yield_once};

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

fn sources(handle: &Handle) -> (Source<UnixStream>, UnixStream) {
    let (ours, theirs) = pair();
    (Source::new(handle, ours).unwrap(), theirs)
}

async fn read(source: &Source<UnixStream>, buffer: &mut [u8]) -> io::Result<usize> {
    source.io(READ, |mut stream| stream.read(buffer)).await
}

fn try_read(source: &Source<UnixStream>) -> io::Result<usize> {
    source.try_io(READ, |mut stream| stream.read(&mut [0; 64]))
}

/// Writes until there is no more room.
fn fill(source: &Source<UnixStream>) -> usize {
    let mut written = 0;
    loop {
        match source.try_io(WRITE, |mut stream| stream.write(&[0; 4096])) {
            Ok(n) => written += n,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return written;
            }
        }
    }
}

#[test]
fn an_operation_that_does_not_block_is_not_waited_for() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    theirs.write_all(b"hello").unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut buffer = [0; 8];
    let polled = poll_with(&wakes, pin!(read(&source, &mut buffer)));
    assert!(matches!(polled, Poll::Ready(Ok(5))));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_blocked_direction_is_not_tried_until_something_happens() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    assert_eq!(try_read(&source).unwrap_err().kind(), ErrorKind::WouldBlock);
    theirs.write_all(b"x").unwrap();
    let untried = source.try_io(READ, |_| -> io::Result<()> { panic!("it was tried") });
    assert_eq!(untried.unwrap_err().kind(), ErrorKind::WouldBlock);
    event_loop.run_nowait().unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
}

#[test]
fn futures_woken_without_an_event_try_again() {
    let mut event_loop = event_loop();
    let (source, _theirs) = sources(&event_loop.handle());
    fill(&source);
    let wakes = Arc::new(Wakes::default());
    let mut write = pin!(source.io(WRITE, |mut stream| stream.write(b"x")));
    assert!(poll_with(&wakes, write.as_mut()).is_pending());
    // Linux has no event of this; the BSDs have.
    source.get_ref().shutdown(Shutdown::Write).unwrap();
    source.wake(READ);
    assert_eq!(wakes.count(), 0);
    source.wake(WRITE);
    assert_eq!(wakes.count(), 1);
    match poll_with(&wakes, write.as_mut()) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_source_that_was_woken_before_it_ever_waited_waits_all_the_same() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    source.wake(READ);
    handle.set_timeout(ms(1), move |_| theirs.write_all(b"x").unwrap());
    let read = event_loop.block_on(handle.timeout(ms(5000), read(&source, &mut [0; 8])));
    assert_eq!(read.unwrap().expect("it is told").unwrap(), 1);
}

/// Their registrations use the same slot, whose generations repeat in the tokens of 32-bit targets.
#[test]
fn thousands_of_sources_one_after_the_other_wait_in_both_directions() {
    let mut event_loop = event_loop();
    for _ in 0..5000 {
        let (source, _theirs) = sources(&event_loop.handle());
        for direction in [READ, WRITE] {
            let blocked = source.try_io(direction, |_| Err::<(), _>(ErrorKind::WouldBlock.into()));
            assert_eq!(blocked.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }
    assert!(!event_loop.run().unwrap());
}

#[test]
fn one_direction_blocked_does_not_block_the_other() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    assert!(try_read(&source).is_err());
    assert_eq!(
        source
            .try_io(WRITE, |mut stream| stream.write(b"y"))
            .unwrap(),
        1
    );
    fill(&source);
    theirs.write_all(b"x").unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
}

#[test]
fn a_read_waits_until_there_is_something() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    handle.set_timeout(ms(2), move |_| theirs.write_all(b"late").unwrap());
    let mut buffer = [0; 8];
    let n = event_loop
        .block_on(read(&source, &mut buffer))
        .unwrap()
        .unwrap();
    assert_eq!(&buffer[..n], b"late");
}

#[test]
fn a_write_waits_until_there_is_room() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    let filled = fill(&source);
    handle.set_timeout(ms(2), move |_| {
        let mut left = filled;
        while left > 0 {
            left -= theirs.read(&mut vec![0; left]).unwrap();
        }
        // Kept open, or the write would fail.
        std::mem::forget(theirs);
    });
    let write = source.io(WRITE, |mut stream| stream.write(b"more"));
    assert_eq!(event_loop.block_on(write).unwrap().unwrap(), 4);
}

#[test]
fn l43_a_blocked_writer_wakes_when_the_other_side_is_gone() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, theirs) = sources(&handle);
    fill(&source);
    handle.set_timeout(ms(2), move |_| drop(theirs));
    let write = source.io(WRITE, |mut stream| stream.write(b"more"));
    let error = event_loop.block_on(write).unwrap().unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
}

#[test]
fn l44_bytes_sent_before_the_end_are_read_before_the_end() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    handle.set_timeout(ms(2), move |_| {
        theirs.write_all(b"last words").unwrap();
        drop(theirs);
    });
    event_loop
        .block_on(async {
            let mut text = Vec::new();
            let mut buffer = [0; 4];
            loop {
                match read(&source, &mut buffer).await.unwrap() {
                    0 => break,
                    n => text.extend_from_slice(&buffer[..n]),
                }
            }
            assert_eq!(text, b"last words");
            assert_eq!(
                read(&source, &mut buffer).await.unwrap(),
                0,
                "the end stays"
            );
        })
        .unwrap();
}

#[test]
fn l60_a_source_that_never_runs_dry_lets_others_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, _theirs) = sources(&handle);
    let done = Rc::new(Cell::new(false));
    let flag = Rc::clone(&done);
    handle.set_timeout(ms(3), move |_| flag.set(true));
    event_loop
        .block_on(async {
            while !done.get() {
                source.io(READ, |_| Ok(())).await.unwrap();
            }
        })
        .unwrap();
}

#[test]
fn l61_after_a_short_read_the_next_waits_without_being_tried() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    let tries = Cell::new(0);
    let read = |buffer: &mut [u8], mut stream: &UnixStream| {
        tries.set(tries.get() + 1);
        stream.read(buffer)
    };
    event_loop
        .block_on(async {
            let mut buffer = [0; 8];
            // Registers it.
            assert!(
                source
                    .try_io(READ, |stream| read(&mut buffer, stream))
                    .is_err()
            );
            for n in 1..4 {
                theirs.write_all(b"x").unwrap();
                let result = source.io(READ, |stream| read(&mut buffer, stream)).await;
                assert_eq!(result.unwrap(), 1);
                assert_eq!(tries.get(), 1 + n, "each was tried once");
                source.exhausted(READ);
                let next = source.try_io(READ, |stream| read(&mut buffer, stream));
                assert_eq!(next.unwrap_err().kind(), ErrorKind::WouldBlock);
                assert_eq!(tries.get(), 1 + n);
            }
        })
        .unwrap();
}

#[test]
fn l61_the_end_is_seen_after_a_short_read_whenever_it_comes() {
    // Before the data are noticed, between the event and the read, and after the read.
    for when in 0..4 {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let (source, mut theirs) = sources(&handle);
        event_loop
            .block_on(async {
                assert!(try_read(&source).is_err());
                theirs.write_all(b"abc").unwrap();
                if when == 0 {
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
                let mut buffer = [0; 8];
                if when == 1 {
                    // The event is dispatched, nothing is read yet.
                    handle.sleep(ms(2)).await;
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
                assert_eq!(read(&source, &mut buffer).await.unwrap(), 3);
                if when == 2 {
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
                source.exhausted(READ);
                if when == 3 {
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
                assert_eq!(read(&source, &mut buffer).await.unwrap(), 0);
            })
            .unwrap();
    }
}

#[test]
fn l61_exhausted_says_nothing_after_a_wake_without_an_event() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    assert!(try_read(&source).is_err());
    theirs.write_all(b"x").unwrap();
    source.wake(READ);
    assert_eq!(try_read(&source).unwrap(), 1);
    source.exhausted(READ);
    theirs.write_all(b"y").unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
    // From an event on it does.
    theirs.write_all(b"z").unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
    source.exhausted(READ);
    let untried = source.try_io(READ, |_| -> io::Result<()> { panic!("it was tried") });
    assert_eq!(untried.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn l61_exhausted_says_nothing_of_a_source_that_never_blocked() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    theirs.write_all(b"x").unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
    source.exhausted(READ);
    theirs.write_all(b"y").unwrap();
    assert_eq!(try_read(&source).unwrap(), 1);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l62_after_a_short_write_the_next_waits_for_room() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    let filled = fill(&source);
    event_loop
        .block_on(async {
            theirs.read_exact(&mut vec![0; filled]).unwrap();
            let write = source.io(WRITE, |mut stream| stream.write(b"x")).await;
            assert_eq!(write.unwrap(), 1);
            source.exhausted(WRITE);
            let untried = source.try_io(WRITE, |_| Ok(()));
            assert_eq!(untried.unwrap_err().kind(), ErrorKind::WouldBlock);
        })
        .unwrap();
}

#[test]
fn l86_a_read_given_up_loses_no_byte() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    event_loop
        .block_on(async {
            let mut buffer = [0; 8];
            {
                let mut given_up = pin!(read(&source, &mut buffer));
                assert!(poll_once(given_up.as_mut()).await.is_pending());
                theirs.write_all(b"kept").unwrap();
                // The event comes while the future is there, but is not polled.
                handle.sleep(ms(2)).await;
            }
            assert_eq!(read(&source, &mut buffer).await.unwrap(), 4);
            assert_eq!(&buffer[..4], b"kept");
        })
        .unwrap();
}

#[test]
fn l86_an_accept_given_up_loses_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let source = Source::new(&handle, listener).unwrap();
    event_loop
        .block_on(async {
            let client;
            {
                let mut given_up = pin!(source.io(READ, TcpListener::accept));
                assert!(poll_once(given_up.as_mut()).await.is_pending());
                client = TcpStream::connect(address).unwrap();
                // The event comes while the future is there, but is not polled.
                handle.sleep(ms(2)).await;
            }
            let (_, peer) = source.io(READ, TcpListener::accept).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        })
        .unwrap();
}

#[test]
fn two_tasks_may_wait_for_one_direction() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    let source = Rc::new(source);
    let log = Log::new();
    for _ in 0..3 {
        let (source, log) = (Rc::clone(&source), log.clone());
        handle.spawn(async move {
            let mut byte = [0];
            assert_eq!(read(&source, &mut byte).await.unwrap(), 1);
            log.push("read");
        });
    }
    handle.set_timeout(ms(1), move |handle| {
        theirs.write_all(b"a").unwrap();
        handle.set_timeout(ms(1), move |_| {
            theirs.write_all(b"bc").unwrap();
            std::mem::forget(theirs);
        });
    });
    assert!(!event_loop.run().unwrap());
    log.assert("read read read");
}

#[test]
fn a_task_may_wait_for_one_direction_twice() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    handle.set_timeout(ms(1), move |_| theirs.write_all(b"ab").unwrap());
    event_loop
        .block_on(async {
            let (mut a, mut b) = ([0], [0]);
            let mut first = pin!(read(&source, &mut a));
            let mut second = pin!(read(&source, &mut b));
            assert!(poll_once(first.as_mut()).await.is_pending());
            assert!(poll_once(second.as_mut()).await.is_pending());
            assert_eq!(first.await.unwrap(), 1);
            assert_eq!(second.await.unwrap(), 1);
        })
        .unwrap();
}

#[test]
fn both_directions_may_be_waited_for_at_once() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    let source = Rc::new(source);
    let filled = fill(&source);
    let log = Log::new();
    let (reading, told) = (Rc::clone(&source), log.clone());
    handle.spawn(async move {
        read(&reading, &mut [0; 8]).await.unwrap();
        told.push("read");
    });
    let (writing, told) = (Rc::clone(&source), log.clone());
    handle.spawn(async move {
        writing
            .io(WRITE, |mut stream| stream.write(b"x"))
            .await
            .unwrap();
        told.push("written");
    });
    handle.set_timeout(ms(1), move |handle| {
        theirs.write_all(b"x").unwrap();
        handle.set_timeout(ms(1), move |_| {
            theirs.read_exact(&mut vec![0; filled]).unwrap();
            std::mem::forget(theirs);
        });
    });
    assert!(!event_loop.run().unwrap());
    log.assert("read written");
}

#[test]
fn an_interrupted_operation_is_tried_again() {
    let mut event_loop = event_loop();
    let (source, _theirs) = sources(&event_loop.handle());
    let mut left = 3;
    let operation = |_: &UnixStream| {
        left -= 1;
        if left > 0 {
            Err(ErrorKind::Interrupted.into())
        } else {
            Ok("done")
        }
    };
    assert_eq!(
        event_loop
            .block_on(source.io(READ, operation))
            .unwrap()
            .unwrap(),
        "done"
    );
}

#[test]
fn an_error_of_an_operation_is_passed_on() {
    let mut event_loop = event_loop();
    let (source, _theirs) = sources(&event_loop.handle());
    let operation = |_: &UnixStream| -> io::Result<()> { Err(ErrorKind::InvalidData.into()) };
    let error = event_loop
        .block_on(source.io(READ, operation))
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_source_taken_out_can_be_used_in_another_loop() {
    let (mut first, mut second) = (event_loop(), event_loop());
    let (source, mut theirs) = sources(&first.handle());
    assert!(try_read(&source).is_err());
    let stream = source.into_inner();
    let source = Source::new(&second.handle(), stream).unwrap();
    second
        .handle()
        .set_timeout(ms(1), move |_| theirs.write_all(b"x").unwrap());
    assert_eq!(
        second
            .block_on(read(&source, &mut [0; 8]))
            .unwrap()
            .unwrap(),
        1
    );
    // And in the first one again, as something else.
    let log = Log::new();
    let told = log.clone();
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        told.push("the end");
        handle.stop();
    };
    first
        .handle()
        .watch(source.into_inner(), Interest::READABLE, watch)
        .unwrap();
    first.run().unwrap();
    log.assert("the end");
}

#[test]
fn l54_a_task_that_waits_for_a_source_keeps_the_loop_alive() {
    let mut event_loop = event_loop();
    let (source, _theirs) = sources(&event_loop.handle());
    let task = event_loop.handle().spawn(async move {
        let _ = read(&source, &mut [0; 8]).await;
    });
    assert!(event_loop.run_nowait().unwrap());
    task.abort();
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_dropped_source_closes_its_descriptor_and_gets_no_event() {
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    assert!(try_read(&source).is_err());
    theirs.write_all(b"x").unwrap();
    drop(source);
    event_loop.run_nowait().unwrap();
    let closed = theirs.read(&mut [0; 8]);
    assert!(matches!(&closed, Ok(0)) || closed.unwrap_err().kind() == ErrorKind::ConnectionReset);
}

#[test]
fn a_source_dropped_earlier_in_the_batch_wakes_no_task() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (a, mut a_theirs) = sources(&handle);
    let (b, mut b_theirs) = sources(&handle);
    let wakes = Arc::new(Wakes::default());
    let mut buffers = [[0; 8]; 2];
    let [one, other] = &mut buffers;
    let mut stays = pin!(read(&a, one));
    let mut goes = Box::pin(async move { read(&b, other).await });
    assert!(poll_with(&wakes, stays.as_mut()).is_pending());
    assert!(poll_with(&wakes, goes.as_mut()).is_pending());
    a_theirs.write_all(b"x").unwrap();
    b_theirs.write_all(b"x").unwrap();
    drop(goes);
    event_loop.run_nowait().unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(Arc::strong_count(&wakes), 1, "nothing keeps the waker");
}

#[test]
fn an_event_behind_a_callback_that_panics_is_not_lost() {
    // Events of sources come once, so the rest of the batch has to be kept.
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (watched, mut first) = pair();
    let panics = |_: &Handle, _: &UnixStream, _| panic!("in the batch");
    handle.watch(watched, Interest::READABLE, panics).unwrap();
    let log = Log::new();
    let mut theirs = Vec::new();
    for _ in 0..3 {
        let (source, other) = sources(&handle);
        let log = log.clone();
        handle.spawn(async move {
            read(&source, &mut [0; 8]).await.unwrap();
            log.push("read");
        });
        theirs.push(other);
    }
    event_loop.run_nowait().unwrap();
    first.write_all(b"x").unwrap();
    for other in &mut theirs {
        other.write_all(b"x").unwrap();
    }
    assert_eq!(panic_of(|| event_loop.run()), "in the batch");
    assert!(!event_loop.run().unwrap());
    log.assert("read read read");
}

#[test]
fn l81_a_waker_that_panics_loses_the_event_of_no_other_waiter() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in the waker");
        }
    }
    let mut event_loop = event_loop();
    let (source, theirs) = sources(&event_loop.handle());
    fill(&source);
    let panics = Waker::from(Arc::new(Panics));
    let mut panics = Context::from_waker(&panics);
    let [reads, writes] = [(); 2].map(|()| Arc::new(Wakes::default()));
    let mut buffers = [[0; 8]; 2];
    let [one, other] = &mut buffers;
    let (mut first, mut second) = (Box::pin(read(&source, one)), pin!(read(&source, other)));
    let mut third = pin!(source.io(WRITE, |mut stream| stream.write(b"x")));
    assert!(first.as_mut().poll(&mut panics).is_pending());
    assert!(poll_with(&reads, second.as_mut()).is_pending());
    assert!(poll_with(&writes, third.as_mut()).is_pending());
    // Both directions end with one event.
    drop(theirs);
    assert_eq!(panic_of(|| event_loop.run_once()), "in the waker");
    // The events of the batch that the panic left come first.
    event_loop.run_nowait().unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(writes.count(), 1);
    assert!(matches!(poll_with(&writes, third), Poll::Ready(Err(_))));
    // The second is next when the first has read, or is dropped.
    assert_eq!(reads.count(), 0);
    drop(first);
    assert_eq!(reads.count(), 1);
}

#[test]
fn a_source_of_a_loop_that_is_gone_returns_an_error() {
    let event_loop = event_loop();
    let (source, _theirs) = sources(&event_loop.handle());
    let (blocked, _theirs) = sources(&event_loop.handle());
    let wakes = Arc::new(Wakes::default());
    let mut buffer = [0; 8];
    let mut waits = Box::pin(read(&blocked, &mut buffer));
    assert!(poll_with(&wakes, waits.as_mut()).is_pending());
    drop(event_loop);
    assert_eq!(wakes.count(), 1, "the one that waited is woken");
    drop(waits);
    for source in [&source, &blocked] {
        for _ in 0..2 {
            let mut buffer = [0; 8];
            let Poll::Ready(Err(error)) = poll_with(&wakes, pin!(read(source, &mut buffer))) else {
                panic!("there is nothing to wait for");
            };
            assert!(error.get_ref().unwrap().is::<Error>(), "{error}");
        }
    }
    drop(blocked.into_inner());
}

#[test]
fn a_source_that_is_watched_already_returns_an_error_each_time() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let ours = Rc::new(ours);
    handle
        .watch(Rc::clone(&ours), Interest::READABLE, |_, _, _| {})
        .unwrap();
    let source = Source::new(&handle, ours).unwrap();
    for _ in 0..2 {
        let tried = source.try_io(READ, |stream| Read::read(&mut &**stream, &mut [0; 8]));
        assert_eq!(tried.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
}

#[test]
fn poll_io_serves_futures_written_by_hand() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (source, mut theirs) = sources(&handle);
    handle.set_timeout(ms(1), move |_| theirs.write_all(b"hand").unwrap());
    let mut buffer = [0; 8];
    let n = event_loop
        .block_on(poll_fn(|context| {
            source.poll_io(context, READ, |mut stream| stream.read(&mut buffer))
        }))
        .unwrap();
    assert_eq!(n.unwrap(), 4);
}

#[test]
fn echo_between_two_tasks_is_complete() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, theirs) = pair();
    let ours = Source::new(&handle, ours).unwrap();
    let theirs = Source::new(&handle, theirs).unwrap();
    handle.spawn(async move {
        let mut buffer = [0; 1000];
        loop {
            let n = read(&theirs, &mut buffer).await.unwrap();
            if n == 0 {
                return;
            }
            let mut left = &buffer[..n];
            while !left.is_empty() {
                let n = theirs
                    .io(WRITE, |mut stream| stream.write(left))
                    .await
                    .unwrap();
                left = &left[n..];
            }
        }
    });
    event_loop
        .block_on(async {
            const TOTAL: usize = 300_000;
            let (mut sent, mut received) = (0, 0);
            let mut buffer = [0; 1 << 14];
            while received < TOTAL {
                let more = (TOTAL - sent).min(5000);
                if more > 0 {
                    match ours.try_io(WRITE, |mut stream| stream.write(&vec![7; more])) {
                        Ok(n) => sent += n,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                if sent > received {
                    let n = read(&ours, &mut buffer).await.unwrap();
                    assert!(buffer[..n].iter().all(|&byte| byte == 7));
                    received += n;
                }
                yield_once().await;
            }
            ours.get_ref().shutdown(Shutdown::Write).unwrap();
        })
        .unwrap();
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_waker_that_an_event_wakes_may_drop_sources() {
    thread_local! {
        static KEPT: Cell<Option<Source<UnixStream>>> = const { Cell::new(None) };
    }
    struct Drops;
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            drop(KEPT.take());
        }
    }
    let mut event_loop = event_loop();
    let (source, mut theirs) = sources(&event_loop.handle());
    let (kept, _other) = sources(&event_loop.handle());
    let waker = Waker::from(Arc::new(Drops));
    let mut context = Context::from_waker(&waker);
    let read = |mut stream: &UnixStream| stream.read(&mut [0; 8]);
    for source in [&source, &kept] {
        assert!(source.poll_io(&mut context, READ, read).is_pending());
    }
    KEPT.set(Some(kept));
    theirs.write_all(b"hello").unwrap();
    event_loop.run_nowait().unwrap();
    assert!(KEPT.take().is_none());
}
