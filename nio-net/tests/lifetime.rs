//! Lifetimes of sockets, their loop, and their descriptors.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net,
    task::Poll,
    time::Duration,
};

use nio_loop::EventLoop;
use nio_net::TcpStream;
use support::{in_child, listen, open_descriptors, pair, pair_with_std, poll_once, run};

#[test]
fn a_dropped_loop_closes_the_connections_of_its_tasks() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (stream, mut peer) = pair_with_std(&handle);
        let (listener, address) = listen(&handle);
        handle.spawn(async move { stream.read(&mut [0]).await.map(drop) });
        handle.spawn(async move { listener.accept().await.map(drop) });
        event_loop.run_nowait().unwrap();

        drop(event_loop);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        let error = net::TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_stream_that_outlives_its_loop_can_be_dropped() {
    let event_loop = EventLoop::new().unwrap();
    let (stream, mut peer) = pair_with_std(&event_loop.handle());
    assert!(poll_once(stream.read(&mut [0])).is_pending());
    drop(event_loop);
    drop(stream);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_stream_that_outlives_its_loop_works_while_it_need_not_wait() {
    let event_loop = EventLoop::new().unwrap();
    let (stream, mut peer) = pair_with_std(&event_loop.handle());
    drop(event_loop);
    peer.write_all(b"!").unwrap();
    let mut byte = [0];
    // The byte is on its way through the system; until it is here, waiting is what fails.
    while let Poll::Ready(Err(error)) = poll_once(stream.read(&mut byte)) {
        assert!(error.to_string().contains("loop is gone"), "{error}");
    }
    assert_eq!(&byte, b"!");
}

#[test]
fn waiting_without_a_loop_is_an_error_every_time() {
    let event_loop = EventLoop::new().unwrap();
    let (waiting, _peer) = pair_with_std(&event_loop.handle());
    let (new, _peer) = pair_with_std(&event_loop.handle());
    assert!(poll_once(waiting.read(&mut [0])).is_pending());
    drop(event_loop);
    for stream in [&new, &new, &waiting, &waiting] {
        match poll_once(stream.read(&mut [0])) {
            Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn l54_a_socket_by_itself_does_not_keep_the_loop_alive() {
    let mut event_loop = EventLoop::new().unwrap();
    let (stream, _peer) = pair_with_std(&event_loop.handle());
    let (listener, _) = listen(&event_loop.handle());
    assert!(poll_once(stream.read(&mut [0])).is_pending());
    assert!(poll_once(listener.accept()).is_pending());
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l40_a_connection_that_is_closed_in_a_batch_of_events_gets_none_of_it() {
    run(async |handle| {
        // Two streams become readable in one batch, and each one's task closes the other's stream.
        for _ in 0..100 {
            let (one, mut first) = pair_with_std(&handle);
            let (other, mut second) = pair_with_std(&handle);
            let tasks = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            for stream in [one, other] {
                let others = tasks.clone();
                let task = handle.spawn(async move {
                    stream.read(&mut [0]).await.unwrap();
                    for task in others.borrow().iter() {
                        nio_loop::JoinHandle::<()>::abort(task);
                    }
                });
                tasks.borrow_mut().push(task);
            }
            handle.sleep(Duration::ZERO).await;
            first.write_all(b"!").unwrap();
            second.write_all(b"!").unwrap();
            while !tasks.borrow().iter().all(|task| task.is_finished()) {
                handle.sleep(Duration::from_micros(10)).await;
            }
        }
    });
}

#[test]
fn l41_a_connection_with_the_number_of_a_closed_one_is_another() {
    run(async |handle| {
        for _ in 0..200 {
            let (stream, mut peer) = pair_with_std(&handle);
            assert!(poll_once(stream.read(&mut [0])).is_pending());
            // An event of the old connection is on its way when its number goes to the new one.
            peer.write_all(b"!").unwrap();
            drop((stream, peer));
            let (one, other) = pair(&handle).await;
            assert!(poll_once(one.read(&mut [0])).is_pending());
            assert!(poll_once(other.read(&mut [0])).is_pending());
            one.write_all(b"?").await.unwrap();
            let mut byte = [0];
            assert_eq!(other.read(&mut byte).await.unwrap(), 1);
            assert_eq!(&byte, b"?");
        }
    });
}

#[test]
fn two_thousand_connections_leave_no_descriptor_behind() {
    in_child(|| {
        run(async |handle| {
            let (listener, address) = listen(&handle);
            let before = open_descriptors();
            for round in 0..20 {
                let mut streams = Vec::new();
                for i in 0..50 {
                    let client = TcpStream::connect(&handle, address).await.unwrap();
                    let (server, _) = listener.accept().await.unwrap();
                    // Some are registered when they are closed, and some are not.
                    if (round + i) % 2 == 0 {
                        assert!(poll_once(server.read(&mut [0])).is_pending());
                        client.write_all(b"!").await.unwrap();
                    }
                    streams.extend([client, server]);
                }
            }
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn q83_every_socket_is_closed_in_a_program_that_is_started() {
    in_child(|| {
        run(async |handle| {
            use std::os::fd::{AsFd, AsRawFd};
            let (listener, address) = listen(&handle);
            let client = TcpStream::connect(&handle, address).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            for fd in [listener.as_fd(), client.as_fd(), server.as_fd()] {
                // SAFETY: F_GETFD takes no further argument.
                let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
                assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            }
            // A blocking one of them would hold up the loop.
            for fd in [listener.as_fd(), client.as_fd(), server.as_fd()] {
                // SAFETY: F_GETFL takes no further argument.
                let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
                assert_eq!(flags & libc::O_NONBLOCK, libc::O_NONBLOCK);
            }
        });
    });
}
