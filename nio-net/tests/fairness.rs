//! No socket keeps the loop to itself.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::{poll_fn, ready},
    io::{IoSlice, IoSliceMut, Read, Write},
    net::{self, Shutdown},
    process::Command,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nio_loop::{Handle, Interest};
use nio_net::{
    Batch, Child, GracefulShutdown, Idle, Semaphore, TcpListener, TcpSocket, TcpStream, UdpSocket,
    UnixDatagram, UnixListener, UnixStream, copy_bidirectional, pipe, resolve,
};
use support::{
    ANY_PORT, LIMIT, Place, end_of_turn, fill, in_child, join, listen, pair_with_std, reset, run,
};

/// More operations than tasks make in a turn, and fewer than the bytes of [`never_dry`].
const MANY: u32 = 20_000;

/// A stream with so much to read that reading it byte by byte takes many turns.
fn never_dry(handle: &Handle) -> (TcpStream, net::TcpStream) {
    let (stream, peer) = pair_with_std(handle);
    assert!(fill(&peer) > 50_000);
    (stream, peer)
}

/// Reads a stream byte by byte, and counts the reads.
fn count_reads(handle: &Handle, stream: TcpStream) -> Rc<Cell<u32>> {
    let reads = Rc::new(Cell::new(0));
    let count = Rc::clone(&reads);
    handle.spawn(async move {
        while stream.read(&mut [0]).await.unwrap() > 0 {
            count.set(count.get() + 1);
        }
    });
    reads
}

#[test]
fn l60_a_stream_that_never_runs_dry_leaves_the_loop_its_turns() {
    run(async |handle| {
        let (stream, _peer) = never_dry(&handle);
        let reads = count_reads(&handle, stream);
        for _ in 0..2 {
            let before = reads.get();
            end_of_turn(&handle).await;
            let now = reads.get() - before;
            assert!(now < MANY, "{now} reads in a turn");
        }
        assert!(reads.get() > 0);
    });
}

#[test]
fn l60_a_stream_that_never_runs_dry_leaves_another_its_turn() {
    run(async |handle| {
        let (busy, full) = never_dry(&handle);
        let (quiet, mut peer) = pair_with_std(&handle);
        // It is filled again for as long as the other is used.
        let done = Arc::new(AtomicBool::new(false));
        let filling = thread::spawn({
            let done = Arc::clone(&done);
            move || {
                while !done.load(Ordering::Relaxed) {
                    fill(&full);
                }
            }
        });
        let reads = count_reads(&handle, busy);
        peer.write_all(b"!").unwrap();
        for _ in 0..100 {
            // The byte may arrive some turns after it was sent.
            quiet.readable().await.unwrap();
            let before = reads.get();
            let mut byte = [0];
            quiet.read_exact(&mut byte).await.unwrap();
            quiet.write_all(&byte).await.unwrap();
            peer.read_exact(&mut byte).unwrap();
            peer.write_all(&byte).unwrap();
            let between = reads.get() - before;
            assert!(between < MANY, "{between} reads of the other stream");
        }
        done.store(true, Ordering::Relaxed);
        filling.join().unwrap();
    });
}

#[test]
fn l60_streams_that_never_run_dry_take_turns() {
    run(async |handle| {
        let (one, _ones) = never_dry(&handle);
        let (other, _others) = never_dry(&handle);
        let (one, other) = (count_reads(&handle, one), count_reads(&handle, other));
        // Each has one budget after the other.
        while one.get() < 10_000 {
            end_of_turn(&handle).await;
            let ahead = one.get().abs_diff(other.get());
            assert!(ahead <= 1000, "{} and {}", one.get(), other.get());
        }
    });
}

#[test]
fn l60_a_stream_that_always_has_room_leaves_the_loop_its_turns() {
    run(async |handle| {
        // There is room for all that is written here.
        let (stream, _peer) = pair_with_std(&handle);
        let writes = Rc::new(Cell::new(0));
        let count = Rc::clone(&writes);
        handle.spawn(async move {
            while count.get() < MANY && stream.write(b"!").await.is_ok() {
                count.set(count.get() + 1);
            }
        });
        end_of_turn(&handle).await;
        end_of_turn(&handle).await;
        assert!(writes.get() < MANY, "{} writes in two turns", writes.get());
    });
}

#[test]
fn l63_a_queue_that_never_runs_dry_leaves_timers_their_turn() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let done = Arc::new(AtomicBool::new(false));
        let clients = [(); 2].map(|()| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    drop(net::TcpStream::connect(address));
                }
            })
        });
        let accepts = handle.spawn(async move {
            loop {
                let _ = listener.accept().await;
            }
        });
        for _ in 0..20 {
            handle.sleep(Duration::from_millis(1)).await;
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        accepts.abort();
    });
}

/// Whether a time limit ends an await that is ready again and again.
macro_rules! ends {
    ($handle:ident, $($await:expr;)*) => {$(
        let began = Instant::now();
        let again = async {
            // Without a budget the limit would not end it.
            while began.elapsed() < LIMIT / 3 {
                let _ = $await.await;
            }
        };
        let limit = Duration::from_millis(10);
        let ended = $handle.timeout(limit, again).await;
        assert!(ended.is_err(), "{}", stringify!($await));
    )*};
}

#[test]
fn l95_a_time_limit_ends_each_read_that_is_ready_again_and_again() {
    in_child(|| {
        run(async |handle| {
            let (stream, mut peer) = pair_with_std(&handle);
            peer.write_all(b"!").unwrap();
            let mut none = Vec::new();
            ends!(handle,
                stream.read(&mut []);
                stream.read_exact(&mut []);
                stream.read_vectored(&mut []);
                stream.read_buf(&mut none);
                stream.peek(&mut []);
                stream.peek(&mut [0]);
                stream.ready(Interest::READABLE);
                stream.ready(Interest::PRIORITY);
                poll_fn(|context| stream.poll_read(context, &mut []));
                poll_fn(|context| stream.poll_read_vectored(context, &mut []));
                poll_fn(|context| stream.poll_read_buf(context, &mut Vec::new(), 9));
                stream.readable();
            );
            stream.read_exact(&mut [0]).await.unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let (mut byte, mut room, mut all) = ([0], Vec::with_capacity(9), Vec::new());
            ends!(handle,
                stream.read(&mut byte);
                stream.read_with(<[u8]>::len);
                stream.read_exact(&mut byte);
                stream.read_vectored(&mut [IoSliceMut::new(&mut byte)]);
                stream.read_buf(&mut room);
                stream.read_to_end(&mut all, 9);
                stream.peek(&mut byte);
                stream.readable();
            );
            let (reader, writer) = pipe(&handle).unwrap();
            drop(writer);
            ends!(handle, reader.read(&mut byte););
        });
    });
}

#[test]
fn l95_a_time_limit_ends_each_write_that_is_ready_again_and_again() {
    in_child(|| {
        run(async |handle| {
            let (stream, _peer) = pair_with_std(&handle);
            ends!(handle,
                stream.write(b"");
                stream.write_vectored(&[]);
                stream.write_all(b"");
                stream.write_all_vectored(&mut []);
                stream.writable();
                poll_fn(|context| stream.poll_write(context, b""));
                poll_fn(|context| stream.poll_write_vectored(context, &[]));
            );
            stream.shutdown(Shutdown::Write).unwrap();
            ends!(handle,
                stream.write(b"!");
                stream.write_vectored(&[IoSlice::new(b"!")]);
                stream.write_all(b"!");
                stream.write_all_vectored(&mut [IoSlice::new(b"!")]);
            );
            let (one, other) = UnixStream::pair(&handle).unwrap();
            let (mut bytes, mut descriptors) = ([0; 9], Vec::new());
            ends!(handle,
                one.write_with_descriptors(b"", &[]);
                one.read_with_descriptors(&mut [], &mut descriptors);
            );
            drop(other);
            ends!(handle,
                one.write_with_descriptors(b"!", &[]);
                one.read_with_descriptors(&mut bytes, &mut descriptors);
            );
            let (reader, writer) = pipe(&handle).unwrap();
            drop(reader);
            ends!(handle, writer.write(b"!"););
        });
    });
}

#[test]
fn l95_a_time_limit_ends_datagrams_that_come_again_and_again() {
    in_child(|| {
        run(async |handle| {
            let one = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
            let to = one.local_addr().unwrap();
            one.send_to(b"!", to).await.unwrap();
            let (mut byte, mut vector, mut batch) = ([0], Vec::with_capacity(9), Batch::new(2, 9));
            ends!(handle,
                UdpSocket::bind(&handle, ANY_PORT);
                one.connect(to);
                one.peek_from(&mut byte);
                one.readable();
                one.writable();
                one.send_many(&[]);
                one.send_many_to(&[]);
                one.send_to(b"!", to);
                one.send_to(b"!", "nonsense");
                one.send_many_to(&[(b"!", to)]);
                async {
                    one.send_to(b"!", to).await.unwrap();
                    one.recv(&mut byte).await
                };
                async {
                    vector.clear();
                    one.send_to(b"!", to).await.unwrap();
                    one.recv_buf_from(&mut vector).await
                };
                async {
                    one.send_to(b"!", to).await.unwrap();
                    one.recv_many(&mut batch).await
                };
            );
            let (one, other) = UnixDatagram::pair(&handle).unwrap();
            drop(other);
            ends!(handle,
                one.send(b"!");
                one.send_many(&[b"!"]);
                one.send_to(b"!", "");
            );
        });
    });
}

#[test]
fn l95_a_time_limit_ends_connects_and_accepts_that_fail_at_once() {
    in_child(|| {
        run(async |handle| {
            // Broadcast has no connections.
            let address: std::net::SocketAddr = "255.255.255.255:80".parse().unwrap();
            let nowhere = Place::new("nowhere");
            let unix = std::os::unix::net::SocketAddr::from_pathname(&nowhere.0).unwrap();
            ends!(handle,
                TcpStream::connect(&handle, address);
                TcpStream::connect(&handle, [address]);
                TcpStream::connect(&handle, []);
                TcpStream::connect(&handle, ("255.255.255.255", 80));
                TcpSocket::new_v4().unwrap().connect(&handle, address);
                UnixStream::connect(&handle, "");
                UnixStream::connect(&handle, &nowhere.0);
                UnixStream::connect(&handle, &unix);
                resolve(&handle, ("127.0.0.1", 80));
                TcpListener::bind(&handle, "127.0.0.1:0");
                TcpListener::bind(&handle, "nonsense");
            );
            let (listener, address) = listen(&handle);
            let _client = net::TcpStream::connect(address).unwrap();
            listener.readable().await.unwrap();
            ends!(handle, listener.readable(););
            // Of a listener that is shut down, Linux says that it is none, and others that each
            // connection is gone.
            let place = Place::new("shut-down");
            let listener = UnixListener::bind(&handle, &place.0).unwrap();
            // SAFETY: takes no pointers.
            unsafe { libc::shutdown(std::os::fd::AsRawFd::as_raw_fd(listener.get_ref()), 0) };
            let semaphore = Semaphore::new(1);
            ends!(handle,
                listener.accept();
                listener.next();
                listener.reject();
                semaphore.accept(&listener);
            );
        });
    });
}

#[test]
fn l95_a_time_limit_ends_the_awaits_of_servers_that_are_ready_at_once() {
    in_child(|| {
        run(async |handle| {
            let semaphore = Semaphore::new(1);
            let shutdown = GracefulShutdown::new(&handle);
            let idle = Idle::new(&handle, Duration::from_secs(60));
            let (one, peer) = pair_with_std(&handle);
            let (other, stranger) = pair_with_std(&handle);
            peer.shutdown(Shutdown::Write).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            ends!(handle,
                semaphore.acquire();
                shutdown.unless_begun(ready(()));
                idle.limit(ready(()));
                copy_bidirectional(&one, &other);
            );
            shutdown.begin();
            ends!(handle,
                shutdown.begun();
                shutdown.unless_begun(ready(()));
                shutdown.finish(Duration::ZERO);
            );
        });
    });
}

#[test]
fn l95_a_time_limit_ends_closes_that_are_done_at_once() {
    in_child(|| {
        run(async |handle| {
            let (stream, peer) = pair_with_std(&handle);
            peer.shutdown(Shutdown::Write).unwrap();
            ends!(handle, stream.close_gracefully(Duration::ZERO););
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            // The end has been read, so there is nothing to wait for.
            ends!(handle, stream.close_gracefully(Duration::ZERO););
            let (stream, peer) = pair_with_std(&handle);
            reset(peer);
            stream.readable().await.unwrap();
            ends!(handle, stream.close_gracefully(Duration::ZERO););
        });
    });
}

#[test]
fn l95_a_time_limit_ends_children_that_have_ended_or_cannot_be_started() {
    in_child(|| {
        run(async |handle| {
            let mut command = Command::new("/nonexistent");
            ends!(handle,
                Child::status(&handle, &mut command);
                Child::output(&handle, &mut command, 9);
            );
            let mut child = Child::spawn(&handle, &mut Command::new("true")).unwrap();
            child.wait().await.unwrap();
            ends!(handle,
                child.wait();
                child.wait_with_output(9);
            );
        });
    });
}

#[cfg(feature = "futures-io")]
#[test]
fn l95_a_time_limit_ends_the_calls_of_futures_io_that_are_ready_at_once() {
    use futures_io::{AsyncRead, AsyncWrite};
    use std::pin::Pin;
    in_child(|| {
        run(async |handle| {
            let (mut stream, _peer) = pair_with_std(&handle);
            let mut stream = Pin::new(&mut stream);
            ends!(handle,
                poll_fn(|context| AsyncRead::poll_read(stream.as_mut(), context, &mut []));
                poll_fn(|context| stream.as_mut().poll_flush(context));
                poll_fn(|context| stream.as_mut().poll_close(context));
            );
        });
    });
}

/// As many pairs as a process may have on every system, beside other tests.
const SOCKETS: usize = 50;

#[test]
fn l95_one_task_over_many_sockets_that_are_always_ready_leaves_others_their_turn() {
    run(async |handle| {
        let sockets: Vec<_> = (0..SOCKETS)
            .map(|_| UnixStream::pair(&handle).unwrap())
            .collect();
        for (_, peer) in &sockets {
            peer.write_all(&[0; 1000]).await.unwrap();
        }
        let order = Rc::new(RefCell::new(Vec::new()));
        let reads = Rc::clone(&order);
        let greedy = handle.spawn(async move {
            for _ in 0..20 {
                for (socket, _) in &sockets {
                    socket.read_exact(&mut [0]).await.unwrap();
                    reads.borrow_mut().push('r');
                }
            }
        });
        let others = Rc::clone(&order);
        let other = handle.spawn(async move { others.borrow_mut().push('o') });
        join(greedy).await;
        join(other).await;
        let before = order.borrow().iter().position(|&what| what == 'o').unwrap();
        assert!(before <= 200, "{before} reads in one poll");
    });
}
