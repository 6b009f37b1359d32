//! Listening and accepting.

mod support;

use std::{
    cell::Cell,
    error::Error as _,
    future::{Future, poll_fn},
    io::{self, ErrorKind, Read, Write},
    net::{self, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use nio_loop::{EventLoop, Handle};
use nio_net::{Error, Options, TcpListener};
use support::{
    ANY_PORT, Counted, end_of_turn, hoard_descriptors, in_child, join, listen, poll, poll_once,
    read_to_end, reset, run,
};

#[test]
fn port_0_becomes_one_that_the_system_chooses() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        assert_ne!(address.port(), 0);
        assert!(format!("{listener:?}").contains(&address.port().to_string()));
    });
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        let error = TcpListener::bind(&handle, address).await.unwrap_err();
        assert!(matches!(&error, Error::Bind { address: a, .. } if *a == address));
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot listen on {address}: ")));
        assert!(error.source().is_some());
        let error = io::Error::from(error);
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn an_address_of_another_machine_is_an_error_that_names_it() {
    run(async |handle| {
        // Set aside for documentation, so no machine has it.
        let error = TcpListener::bind(&handle, "192.0.2.1:80")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("192.0.2.1:80"), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn listening_on_a_dropped_loop_is_an_error_of_the_loop() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    match poll_once(TcpListener::bind(&handle, ANY_PORT)) {
        Poll::Ready(Err(Error::Loop(nio_loop::Error::Closed))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_that_waits_already_is_accepted_at_once() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let client = net::TcpStream::connect(address).unwrap();
        // The system may take a moment to put it into the queue.
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn every_connection_that_comes_while_accept_waits_is_accepted() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let peers = Rc::new(Cell::new(0));
        let count = Rc::clone(&peers);
        handle.spawn(async move {
            loop {
                listener.accept().await.unwrap();
                count.set(count.get() + 1);
            }
        });
        for n in 1..=50 {
            let client = net::TcpStream::connect(address).unwrap();
            while peers.get() < n {
                handle.sleep(Duration::ZERO).await;
                handle.sleep(Duration::from_micros(50)).await;
            }
            drop(client);
        }
    });
}

#[test]
fn a_burst_of_connections_is_accepted_to_the_last() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        assert!(poll_once(listener.accept()).is_pending());
        // As many as every system lets wait.
        let clients: Vec<_> = (0..100)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        let mut expected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
        let mut peers = Vec::new();
        for _ in &clients {
            peers.push(listener.accept().await.unwrap().1);
        }
        expected.sort();
        peers.sort();
        assert_eq!(peers, expected);
        assert!(poll_once(listener.accept()).is_pending());
    });
}

#[test]
fn a_burst_of_connections_is_served_by_tasks() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let clients = std::thread::spawn(move || {
            let clients: Vec<_> = (0..100)
                .map(|_| net::TcpStream::connect(address).unwrap())
                .collect();
            for (i, mut client) in clients.iter().enumerate() {
                client.write_all(&[i as u8]).unwrap();
            }
        });
        let mut tasks = Vec::new();
        for _ in 0..100 {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.push(handle.spawn(async move { read_to_end(&stream).await.unwrap() }));
        }
        let mut heard = Vec::new();
        for task in tasks {
            heard.extend(join(task).await);
        }
        heard.sort();
        assert_eq!(heard, (0..100).collect::<Vec<u8>>());
        clients.join().unwrap();
    });
}

#[test]
fn l86_a_dropped_accept_loses_no_connection() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let client = {
            let mut waits = pin!(listener.accept());
            assert!(poll(waits.as_mut()).is_pending());
            let client = net::TcpStream::connect(address).unwrap();
            // The loop learns of the connection, and the future that waited for it is dropped.
            handle.sleep(Duration::from_millis(5)).await;
            client
        };
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn two_tasks_may_accept_from_one_listener() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let listener = Rc::new(listener);
        let accept = || {
            let listener = Rc::clone(&listener);
            handle.spawn(async move { listener.accept().await.unwrap().1 })
        };
        let tasks = [accept(), accept()];
        handle.sleep(Duration::from_millis(1)).await;
        let clients = [
            net::TcpStream::connect(address).unwrap(),
            net::TcpStream::connect(address).unwrap(),
        ];
        let mut peers = Vec::new();
        for task in tasks {
            peers.push(join(task).await);
        }
        let mut expected = clients.map(|client| client.local_addr().unwrap());
        expected.sort();
        peers.sort();
        assert_eq!(peers, expected);
    });
}

#[test]
fn l64_a_connection_that_breaks_in_the_queue_does_not_end_accepting() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        for _ in 0..10 {
            reset(net::TcpStream::connect(address).unwrap());
        }
        let client = net::TcpStream::connect(address).unwrap();
        let client = client.local_addr().unwrap();
        // Linux gives the broken ones out too; a read finds that they are broken.
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            if peer == client {
                return;
            }
            let error = stream.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn l64_without_descriptors_accept_fails_now_and_then_and_serves_the_connection_later() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (listener, address) = listen(&handle);
        let client = net::TcpStream::connect(address).unwrap();
        let mut hoard = hoard_descriptors();

        let errors = Rc::new(Cell::new(0));
        let count = Rc::clone(&errors);
        let mut task = handle.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => return stream.peer_addr().unwrap(),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE)),
                }
                count.set(count.get() + 1);
            }
        });

        // The task calls it again and again, and yet the loop sleeps: for 5, 10, 20 and 40 ms.
        let began = Instant::now();
        let mut turns = 0;
        while errors.get() < 5 {
            event_loop.run_once().unwrap();
            turns += 1;
        }
        assert!(turns < 50, "{turns} turns");
        assert!(began.elapsed() >= Duration::from_millis(75));

        hoard.truncate(hoard.len() - 1);
        let peer = event_loop.block_on(&mut task).unwrap().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn l64_without_descriptors_next_waits_and_returns_no_error() {
    in_child(|| {
        run(async |handle| {
            let (listener, address) = listen(&handle);
            let clients = [(); 3].map(|()| net::TcpStream::connect(address).unwrap());
            let hoard = hoard_descriptors();
            handle.set_timeout(Duration::from_millis(30), move |_| drop(hoard));
            // Nothing is lost, and the order is that of the queue.
            for client in clients {
                let (_, peer) = listener.next().await.unwrap();
                assert_eq!(peer, client.local_addr().unwrap());
            }
        });
    });
}

#[test]
fn l64_a_shortage_does_not_keep_the_loop_alive() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let (listener, address) = listen(&event_loop.handle());
        let _client = net::TcpStream::connect(address).unwrap();
        let _hoard = hoard_descriptors();
        assert!(matches!(poll_once(listener.accept()), Poll::Ready(Err(_))));
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(!event_loop.run().unwrap());
    });
}

#[test]
fn l63_a_paused_listener_leaves_connections_in_the_queue() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let listener = Rc::new(listener);
        listener.pause();
        assert!(listener.is_paused());
        let accept = || {
            let listener = Rc::clone(&listener);
            handle.spawn(async move { listener.accept().await.unwrap().1 })
        };
        let tasks = [accept(), accept()];
        let clients = [(); 2].map(|()| net::TcpStream::connect(address).unwrap());
        handle.sleep(Duration::from_millis(5)).await;
        assert!(!tasks.iter().any(|task| task.is_finished()));
        let error = listener.try_accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);

        listener.resume();
        let mut peers = Vec::new();
        for task in tasks {
            peers.push(join(task).await);
        }
        peers.sort();
        let mut expected = clients.map(|client| client.local_addr().unwrap());
        expected.sort();
        assert_eq!(peers, expected);
    });
}

#[test]
fn a_listener_that_is_paused_while_accept_waits_accepts_nothing() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut waits = pin!(listener.accept());
        assert!(poll(waits.as_mut()).is_pending());
        listener.pause();
        let _client = net::TcpStream::connect(address).unwrap();
        handle.sleep(Duration::from_millis(5)).await;
        assert!(poll(waits.as_mut()).is_pending());
        listener.resume();
        waits.await.unwrap();
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_others_from_the_end_of_a_pause() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in the waker");
        }
    }
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let listener = Rc::new(listener);
        listener.pause();
        let panics = Waker::from(Arc::new(Panics));
        let mut first = pin!(listener.accept());
        let polled = first.as_mut().poll(&mut Context::from_waker(&panics));
        assert!(polled.is_pending());
        let accept = || {
            let listener = Rc::clone(&listener);
            handle.spawn(async move { listener.accept().await.unwrap().1 })
        };
        let mut tasks = vec![accept(), accept()];
        end_of_turn(&handle).await;
        let resumed = catch_unwind(AssertUnwindSafe(|| listener.resume()));
        assert!(resumed.is_err());
        let clients = [(); 2].map(|()| net::TcpStream::connect(address).unwrap());
        let mut peers = Vec::new();
        for task in tasks.drain(..) {
            peers.push(join(task).await);
        }
        peers.sort();
        let mut expected = clients.map(|client| client.local_addr().unwrap());
        expected.sort();
        assert_eq!(peers, expected);
    });
}

#[test]
fn a_paused_listener_of_a_loop_that_is_gone_is_not_waited_for() {
    let event_loop = EventLoop::new().unwrap();
    let (listener, _) = listen(&event_loop.handle());
    listener.pause();
    drop(event_loop);
    assert!(matches!(poll_once(listener.accept()), Poll::Ready(Err(_))));
}

/// Other systems refuse to shut a listener down, or say that each of its connections is broken.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn an_accept_that_waits_fails_when_the_listener_is_shut_down() {
    use std::os::fd::AsFd;

    for how in [net::Shutdown::Read, net::Shutdown::Both] {
        run(async |handle| {
            let (listener, _) = listen(&handle);
            let mut waits = pin!(listener.accept());
            assert!(poll(waits.as_mut()).is_pending());
            end_of_turn(&handle).await;
            let duplicate = listener.get_ref().as_fd().try_clone_to_owned().unwrap();
            net::TcpStream::from(duplicate).shutdown(how).unwrap();
            let error = waits.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    }
}

#[test]
fn a_connection_that_is_rejected_is_reset() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut client = net::TcpStream::connect(address).unwrap();
        let peer = listener.reject().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn try_accept_does_not_wait() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let error = listener.try_accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let client = net::TcpStream::connect(address).unwrap();
        let mut turns = 0;
        let peer = loop {
            match listener.try_accept() {
                Ok((_, peer)) => break peer,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            handle.sleep(Duration::from_millis(1)).await;
            turns += 1;
        };
        assert!(turns < 1000);
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_listener_is_readable_when_there_is_a_connection_to_be_tried_for() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut waits = pin!(listener.readable());
        assert!(poll(waits.as_mut()).is_pending());
        let client = net::TcpStream::connect(address).unwrap();
        waits.await.unwrap();
        // It says so until the connection is accepted.
        for _ in 0..3 {
            listener.readable().await.unwrap();
        }
        let (_, peer) = listener.try_accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(poll_once(listener.readable()).is_pending());
        assert!(matches!(listener.take_error(), Ok(None)));
    });
}

#[test]
fn l63_a_paused_listener_is_not_readable() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut early = pin!(listener.readable());
        assert!(poll(early.as_mut()).is_pending());
        listener.pause();
        let client = net::TcpStream::connect(address).unwrap();
        let mut late = pin!(listener.readable());
        for _ in 0..3 {
            handle.sleep(Duration::from_millis(2)).await;
            assert!(poll(early.as_mut()).is_pending());
            assert!(poll(late.as_mut()).is_pending());
        }
        listener.resume();
        early.await.unwrap();
        late.await.unwrap();
        let (_, peer) = listener.try_accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_listener_on_several_addresses_accepts_from_all_at_one_port() {
    run(async |handle| {
        let addresses: [SocketAddr; 2] =
            ["127.0.0.1:0", "[::1]:0"].map(|text| text.parse().unwrap());
        let listener = match TcpListener::bind(&handle, addresses).await {
            Ok(listener) => listener,
            Err(error) => return println!("nothing to test here: {error}"),
        };
        let bound = listener.local_addrs().unwrap();
        assert_eq!(bound.len(), 2);
        assert_eq!(bound[0].ip(), addresses[0].ip());
        assert_eq!(bound[1].ip(), addresses[1].ip());
        assert_eq!(bound[0].port(), bound[1].port());
        // In each order, and each way of accepting.
        for address in [bound[0], bound[1], bound[1], bound[0]] {
            let mut waits = pin!(listener.accept());
            assert!(poll(waits.as_mut()).is_pending());
            let client = net::TcpStream::connect(address).unwrap();
            let (_, peer) = waits.await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());

            let client = net::TcpStream::connect(address).unwrap();
            listener.readable().await.unwrap();
            let (_, peer) = listener.try_accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(
                listener.try_accept().unwrap_err().kind(),
                ErrorKind::WouldBlock
            );

            let client = net::TcpStream::connect(address).unwrap();
            let (_, peer) = poll_fn(|context| listener.poll_accept(context))
                .await
                .unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        // Any address of both versions: one port for both, side by side.
        let any: [SocketAddr; 2] = ["0.0.0.0:0", "[::]:0"].map(|text| text.parse().unwrap());
        let listener = TcpListener::bind(&handle, any).await.unwrap();
        let v6 = listener.sockets().nth(1).unwrap();
        assert!(Options::of(v6).only_v6().unwrap());
    });
}

/// A listener on two ports, and its addresses.
async fn listen_on_two(handle: &Handle) -> (TcpListener, [SocketAddr; 2]) {
    loop {
        let sockets = [(); 2].map(|()| net::TcpListener::bind(ANY_PORT).unwrap());
        let addresses = sockets
            .each_ref()
            .map(|socket| socket.local_addr().unwrap());
        drop(sockets);
        // Another program may have taken one of them.
        if let Ok(listener) = TcpListener::bind(handle, addresses).await {
            return (listener, addresses);
        }
    }
}

#[test]
fn the_addresses_of_a_listener_are_tried_round_robin() {
    run(async |handle| {
        let (listener, [one, other]) = listen_on_two(&handle).await;
        let _clients = [one, one, other].map(|to| net::TcpStream::connect(to).unwrap());
        for socket in listener.sockets() {
            let socket = socket.try_clone().unwrap();
            let waits = TcpListener::from_std(&handle, socket).unwrap();
            waits.readable().await.unwrap();
        }
        for address in [one, other] {
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.local_addr().unwrap(), address);
        }
    });
}

#[test]
fn l96_an_accept_on_several_addresses_that_is_dropped_leaves_nothing() {
    run(async |handle| {
        let (listener, addresses) = listen_on_two(&handle).await;
        let counted = Arc::new(Counted::default());
        for _ in 0..3 {
            let mut accept = Box::pin(listener.accept());
            assert!(counted.poll(accept.as_mut()).is_pending());
            assert_eq!(counted.kept(), 2);
            drop(accept);
            assert_eq!(counted.kept(), 0);
        }
        // A wake-up that it has not used is passed on.
        let (mut first, mut second) = (Box::pin(listener.accept()), pin!(listener.accept()));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        let _client = net::TcpStream::connect(addresses[1]).unwrap();
        end_of_turn(&handle).await;
        drop(first);
        second.await.unwrap();
    });
}

#[test]
fn of_several_addresses_either_all_are_listened_on_or_none() {
    in_child(|| {
        run(async |handle| {
            let (_taken, taken) = listen(&handle);
            let (free, address) = listen(&handle);
            drop(free);
            let error = TcpListener::bind(&handle, [address, taken]).await;
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Bind { address, .. } if address == taken));
            net::TcpStream::connect(address).unwrap_err();
        });
    });
}

#[test]
fn a_dropped_listener_refuses_connections() {
    in_child(|| {
        run(async |handle| {
            let (listener, address) = listen(&handle);
            assert!(poll_once(listener.accept()).is_pending());
            drop(listener);
            let error = net::TcpStream::connect(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_listener_goes_into_the_loop_and_out_again() {
    run(async |handle| {
        let listener = net::TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(&handle, listener).unwrap();
        assert!(poll_once(listener.accept()).is_pending());

        let listener = listener.into_std().remove(0);
        // The same descriptor once more, now with nothing left of its first registration.
        let listener = TcpListener::from_std(&handle, listener).unwrap();
        let mut waits = pin!(listener.accept());
        assert!(poll(waits.as_mut()).is_pending());
        let client = net::TcpStream::connect(address).unwrap();
        let (_, peer) = waits.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}
