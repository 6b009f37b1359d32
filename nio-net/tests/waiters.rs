//! Waits that are dropped leave nothing, and a notification wakes one of those that wait.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, poll_fn},
    io::{IoSlice, IoSliceMut},
    net,
    os::fd::AsRawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use nio_loop::Handle;
use nio_net::{
    Batch, ByteStream, GracefulShutdown, Idle, Semaphore, Stream, TcpStream, UdpSocket,
    UnixDatagram, UnixListener, UnixStream, copy_bidirectional, pipe, resolve,
};
use support::{ANY_PORT, Counted, Place, end_of_turn, join, listen, pair_with_std, run};

const SECOND: Duration = Duration::from_secs(1);

/// Whether futures that wait keep the waker, and nothing of it when they are dropped: again and again,
/// and beside others that stay.
macro_rules! leave_nothing {
    ($($future:expr;)*) => {$(
        let counted = Arc::new(Counted::default());
        for _ in 0..3 {
            let mut future = Box::pin(async { let _ = $future.await; });
            assert!(counted.poll(future.as_mut()).is_pending(), stringify!($future));
            assert!(counted.kept() > 0, stringify!($future));
            drop(future);
            assert_eq!(counted.kept(), 0, stringify!($future));
        }
    )*};
}

/// Writes until nothing more is taken.
fn fill<S: Stream>(stream: &ByteStream<S>) {
    while stream.try_write(&[0; 64 * 1024]).is_ok() {}
}

#[test]
fn l96_reads_that_are_dropped_leave_nothing() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        let (mut byte, mut room, mut all) = ([0], Vec::with_capacity(9), Vec::new());
        leave_nothing! {
            stream.read(&mut byte);
            stream.read_with(<[u8]>::len);
            stream.read_exact(&mut byte);
            stream.read_vectored(&mut [IoSliceMut::new(&mut byte)]);
            stream.read_buf(&mut room);
            stream.read_to_end(&mut all, 9);
            stream.peek(&mut byte);
            stream.readable();
        }
        // Beside one that stays.
        let mut other = [0];
        let stays = Arc::new(Counted::default());
        let mut reading = pin!(stream.read(&mut other));
        assert!(stays.poll(reading.as_mut()).is_pending());
        leave_nothing! {
            stream.read(&mut byte);
            stream.readable();
        }
        assert_eq!(stays.kept(), 1);
        let (reader, _writer) = pipe(&handle).unwrap();
        leave_nothing! { reader.read(&mut byte); }
    });
}

#[test]
fn l96_writes_that_are_dropped_leave_nothing() {
    run(async |handle| {
        // Unlike TCP, whose buffers grow, this is full at once.
        let (stream, _peer) = UnixStream::pair(&handle).unwrap();
        fill(&stream);
        let (mut byte, mut descriptors) = ([0], Vec::new());
        leave_nothing! {
            stream.write(b"!");
            stream.write_all(b"!");
            stream.write_vectored(&[IoSlice::new(b"!")]);
            stream.write_all_vectored(&mut [IoSlice::new(b"!")]);
            stream.write_with_descriptors(b"!", &[]);
            stream.writable();
            stream.read_with_descriptors(&mut byte, &mut descriptors);
        }
        let (_reader, writer) = pipe(&handle).unwrap();
        fill(&writer);
        leave_nothing! { writer.write_all(b"!"); }
    });
}

#[test]
fn l96_waits_for_datagrams_that_are_dropped_leave_nothing() {
    let place = Place::new("waiters");
    run(async |handle| {
        let one = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let (mut byte, mut room, mut batch) = ([0], Vec::with_capacity(9), Batch::new(2, 9));
        leave_nothing! {
            one.recv(&mut byte);
            one.recv_from(&mut byte);
            one.recv_buf_from(&mut room);
            one.peek_from(&mut byte);
            one.recv_many(&mut batch);
            one.readable();
        }
        let receiver = UnixDatagram::bind(&handle, &place.0).unwrap();
        let to = receiver.local_addr().unwrap();
        let sender = UnixDatagram::unbound(&handle).unwrap();
        while sender.try_send_to(b"!", &to).is_ok() {}
        leave_nothing! {
            sender.send_to(b"!", &to);
            sender.send_many_to(&[(b"!", to.clone())]);
        }
    });
}

#[test]
fn l96_accepts_and_connects_that_are_dropped_leave_nothing() {
    run(async |handle| {
        let (listener, _) = listen(&handle);
        let semaphore = Semaphore::new(1);
        leave_nothing! {
            listener.accept();
            listener.next();
            listener.reject();
            listener.readable();
            semaphore.accept(&listener);
        }
        assert_eq!(semaphore.taken(), 0);
        leave_nothing! { resolve(&handle, ("localhost", 7)); }

        // A listener whose queue is full, so that a connect waits.
        let full = net::TcpListener::bind(ANY_PORT).unwrap();
        // SAFETY: takes no pointers.
        unsafe { libc::listen(full.as_raw_fd(), 0) };
        let address = full.local_addr().unwrap();
        let mut made = Vec::new();
        for _ in 0..10 {
            let connect = TcpStream::connect(&handle, address);
            match handle.timeout(Duration::from_millis(50), connect).await {
                Ok(Ok(stream)) => made.push(stream),
                Ok(Err(error)) => return println!("nothing to test here: {error}"),
                Err(_) => {
                    leave_nothing! {
                        TcpStream::connect(&handle, address);
                        TcpStream::connect(&handle, [address, address]);
                    }
                    return;
                }
            }
        }
        println!("nothing to test here: the queue of this system is never full");
    });
}

#[test]
fn l96_the_waits_of_servers_that_are_dropped_leave_nothing() {
    run(async |handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.try_acquire().unwrap();
        let shutdown = GracefulShutdown::new(&handle);
        let idle = Idle::new(&handle, 60 * SECOND);
        let (one, _peer) = pair_with_std(&handle);
        let (other, _stranger) = pair_with_std(&handle);
        leave_nothing! {
            semaphore.acquire();
            shutdown.begun();
            shutdown.unless_begun(pending::<()>());
            shutdown.finish(SECOND);
            idle.limit(pending::<()>());
            copy_bidirectional(&one, &other);
        }
        let _guard = shutdown.guard();
        shutdown.begin();
        leave_nothing! { shutdown.finish(60 * SECOND); }
        drop(permit);
        assert_eq!(semaphore.taken(), 0);
    });
}

#[test]
fn l96_a_permit_that_was_handed_to_a_wait_that_is_dropped_goes_to_the_next() {
    run(async |_handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.try_acquire().unwrap();
        let wakers = [(); 3].map(|()| Arc::new(Counted::default()));
        let mut waits: Vec<_> = wakers
            .iter()
            .map(|_| Box::pin(semaphore.acquire()))
            .collect();
        for (counted, wait) in wakers.iter().zip(&mut waits) {
            assert!(counted.poll(wait.as_mut()).is_pending());
        }
        drop(permit);
        let woken = || {
            wakers
                .each_ref()
                .map(|counted| counted.wakes.load(Ordering::Relaxed))
        };
        assert_eq!(woken(), [1, 0, 0]);
        assert!(semaphore.try_acquire().is_none(), "it is the first one's");
        drop(waits.remove(0));
        assert_eq!(woken(), [1, 1, 0]);
        let Poll::Ready(permit) = wakers[1].poll(waits[0].as_mut()) else {
            panic!("the second has the permit");
        };
        drop(waits.remove(0));
        assert_eq!(woken(), [1, 1, 0]);
        drop(permit);
        assert_eq!(woken(), [1, 1, 1]);
        drop(waits);
        assert_eq!(semaphore.taken(), 0);
    });
}

/// Counts the polls of a future.
async fn counted<F: Future>(polls: Rc<Cell<usize>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.set(polls.get() + 1);
        Pin::new(&mut future).poll(context)
    })
    .await
}

#[test]
fn l97_a_permit_wakes_one_task_in_order_of_arrival() {
    const TASKS: usize = 8000;
    run(async |handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().await;
        let (polls, order) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let acquire = counted(Rc::clone(&polls), semaphore.acquire());
                let order = Rc::clone(&order);
                handle.spawn(async move {
                    let _permit = acquire.await;
                    order.borrow_mut().push(number);
                })
            })
            .collect();
        while polls.get() < TASKS {
            end_of_turn(&handle).await;
        }
        drop(permit);
        for task in tasks {
            join(task).await;
        }
        assert_eq!(polls.get(), 2 * TASKS);
        assert!(order.borrow().iter().copied().eq(0..TASKS));
    });
}

#[test]
fn l97_a_connection_wakes_one_of_the_tasks_that_accept() {
    const TASKS: usize = 1000;
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let listener = Rc::new(listener);
        let (polls, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..TASKS {
            let (listener, polls, accepted) = (
                Rc::clone(&listener),
                Rc::clone(&polls),
                Rc::clone(&accepted),
            );
            handle.spawn(async move {
                counted(polls, listener.accept()).await.unwrap();
                accepted.set(accepted.get() + 1);
            });
        }
        while polls.get() < TASKS {
            end_of_turn(&handle).await;
        }
        let mut clients = Vec::new();
        for n in 1..=50 {
            clients.push(net::TcpStream::connect(address).unwrap());
            while accepted.get() < n {
                handle.sleep(Duration::from_micros(100)).await;
            }
        }
        let more = polls.get() - TASKS;
        assert!(more <= 200, "{more} polls for 50 connections");
    });
}

#[test]
fn l97_the_end_of_a_listeners_pause_wakes_no_more_tasks_than_there_are_connections() {
    const TASKS: usize = 1000;
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let listener = Rc::new(listener);
        let (polls, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..TASKS {
            let listener = Rc::clone(&listener);
            let (polls, accepted) = (Rc::clone(&polls), Rc::clone(&accepted));
            handle.spawn(async move {
                counted(polls, listener.accept()).await.unwrap();
                accepted.set(accepted.get() + 1);
            });
        }
        while polls.get() < TASKS {
            end_of_turn(&handle).await;
        }
        listener.pause();
        let _clients: Vec<_> = (0..5)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        // An event wakes one of them, which finds the pause.
        end_of_turn(&handle).await;
        end_of_turn(&handle).await;
        let before = polls.get();
        listener.resume();
        while accepted.get() < 5 {
            end_of_turn(&handle).await;
        }
        end_of_turn(&handle).await;
        // One for each connection, one that finds no more, and what events tell meanwhile.
        let more = polls.get() - before;
        assert!(more <= 20, "{more} polls for 5 connections");
    });
}

#[test]
fn l97_a_connection_wakes_one_of_the_tasks_that_accept_with_a_permit() {
    const TASKS: usize = 1000;
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (listener, semaphore) = (Rc::new(listener), Semaphore::new(TASKS));
        let (polls, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..TASKS {
            let (listener, semaphore) = (Rc::clone(&listener), semaphore.clone());
            let (polls, accepted) = (Rc::clone(&polls), Rc::clone(&accepted));
            handle.spawn(async move {
                let accept = counted(polls, semaphore.accept(&listener)).await;
                accepted.set(accepted.get() + 1);
                pending::<()>().await;
                drop(accept);
            });
        }
        while polls.get() < TASKS {
            end_of_turn(&handle).await;
        }
        assert_eq!(semaphore.taken(), 0);
        let mut clients = Vec::new();
        for n in 1..=50 {
            clients.push(net::TcpStream::connect(address).unwrap());
            while accepted.get() < n {
                handle.sleep(Duration::from_micros(100)).await;
            }
        }
        assert_eq!(semaphore.taken(), 50);
        let more = polls.get() - TASKS;
        assert!(more <= 200, "{more} polls for 50 connections");
    });
}

#[test]
fn l97_a_datagram_wakes_one_of_the_tasks_that_receive() {
    const TASKS: usize = 500;
    run(async |handle| {
        let socket = Rc::new(UdpSocket::bind(&handle, ANY_PORT).await.unwrap());
        let to = socket.local_addr().unwrap();
        let (polls, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..TASKS {
            let (socket, polls, received) =
                (Rc::clone(&socket), Rc::clone(&polls), Rc::clone(&received));
            handle.spawn(async move {
                counted(polls, socket.recv(&mut [0])).await.unwrap();
                received.set(received.get() + 1);
            });
        }
        while polls.get() < TASKS {
            end_of_turn(&handle).await;
        }
        for n in 1..=50 {
            socket.send_to(b"!", to).await.unwrap();
            while received.get() < n {
                handle.sleep(Duration::from_micros(100)).await;
            }
        }
        let more = polls.get() - TASKS;
        assert!(more <= 200, "{more} polls for 50 datagrams");
    });
}

#[test]
fn l97_a_send_to_a_full_receiver_has_one_timer_however_often_it_is_polled() {
    let place = Place::new("full-receiver");
    run(async |handle| {
        let receiver = UnixDatagram::bind(&handle, &place.0).unwrap();
        let to = receiver.local_addr().unwrap();
        let sender = UnixDatagram::unbound(&handle).unwrap();
        while sender.try_send_to(b"!", &to).is_ok() {}
        let before = handle.metrics().timers;
        {
            let mut send = pin!(sender.send_to(b"!", to));
            let end = handle.now() + Duration::from_millis(50);
            while handle.now() < end {
                // Polled in each turn, whether its timer has fired or not.
                let polled = poll_fn(|context| Poll::Ready(send.as_mut().poll(context)));
                assert!(polled.await.is_pending());
                end_of_turn(&handle).await;
            }
        }
        let fired = handle.metrics().timers - before;
        assert!(fired <= 60, "{fired} timers in 50 ms");
        handle.sleep(Duration::from_millis(5)).await;
        let left = handle.metrics().timers - before - fired;
        assert!(left <= 1, "{left} timers outlived their future");
    });
}

#[test]
fn l96_a_listener_of_unix_sockets_is_left_too() {
    let place = Place::new("left");
    run(async |handle: Handle| {
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        leave_nothing! { listener.accept(); }
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in the waker");
        }
    }
    run(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        let counted = Arc::new(Counted::default());
        let mut waits = [(); 4].map(|()| Box::pin(shutdown.begun()));
        let panics = Waker::from(Arc::new(Panics));
        let [first, second, third, last] = &mut waits;
        for wait in [second, third] {
            let mut context = Context::from_waker(&panics);
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        for wait in [first, last] {
            assert!(counted.poll(wait.as_mut()).is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| shutdown.begin())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in the waker"));
        assert_eq!(counted.wakes.load(Ordering::Relaxed), 2);
    });
}
