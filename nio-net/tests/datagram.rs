//! Datagrams: UDP and Unix sockets.

mod support;

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, SocketAddrV6},
    os::unix,
    pin::pin,
    task::Poll,
    time::Duration,
};

use nio_loop::Handle;
use nio_net::{Batch, DatagramSocket, Error, UdpSocket, UnixDatagram};
use support::{ANY_PORT, Place, in_child, join, poll, poll_once, run};

fn udp(handle: &Handle) -> (UdpSocket, SocketAddr) {
    let socket = std::net::UdpSocket::bind(ANY_PORT).unwrap();
    let socket = UdpSocket::from_std(handle, socket).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Two UDP sockets, each connected to the other.
async fn udp_pair(handle: &Handle) -> (UdpSocket, UdpSocket) {
    let ((one, ones), (other, others)) = (udp(handle), udp(handle));
    one.connect(others).await.unwrap();
    other.connect(ones).await.unwrap();
    (one, other)
}

/// Runs a test with two sockets that are connected with each other, of each kind.
macro_rules! each_kind {
    (async |$handle:ident, $one:ident, $other:ident| $test:block) => {
        run(async |$handle| {
            let ($one, $other) = udp_pair(&$handle).await;
            $test
        });
        run(async |$handle| {
            let ($one, $other) = UnixDatagram::pair(&$handle).unwrap();
            $test
        });
    };
}

#[test]
fn datagrams_arrive_whole_and_in_order() {
    each_kind!(async |_handle, one, other| {
        for text in ["one", "two", "three"] {
            assert_eq!(one.send(text.as_bytes()).await.unwrap(), text.len());
        }
        let mut bytes = [0; 64];
        for text in ["one", "two", "three"] {
            let n = other.recv(&mut bytes).await.unwrap();
            assert_eq!(&bytes[..n], text.as_bytes());
        }
        assert!(poll_once(other.recv(&mut bytes)).is_pending());
    });
}

#[test]
fn a_datagram_is_waited_for() {
    each_kind!(async |handle, one, other| {
        let mut bytes = [0; 64];
        let mut waits = pin!(other.recv(&mut bytes));
        assert!(poll(waits.as_mut()).is_pending());
        handle.sleep(Duration::from_millis(2)).await;
        one.send(b"hello").await.unwrap();
        assert_eq!(waits.await.unwrap(), 5);
    });
}

#[test]
fn q39_an_empty_datagram_is_one_and_no_end() {
    each_kind!(async |handle, one, other| {
        let receiver = handle.spawn(async move {
            let mut bytes = [0; 64];
            let first = other.recv(&mut bytes).await.unwrap();
            let second = other.recv(&mut bytes).await.unwrap();
            (first, second)
        });
        handle.sleep(Duration::from_millis(2)).await;
        one.send(b"").await.unwrap();
        handle.sleep(Duration::from_millis(2)).await;
        one.send(b"!").await.unwrap();
        assert_eq!(join(receiver).await, (0, 1));
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_truncated() {
    each_kind!(async |_handle, one, other| {
        one.send(b"hello, world").await.unwrap();
        one.send(b"!").await.unwrap();
        let mut bytes = [0; 5];
        assert_eq!(other.recv(&mut bytes).await.unwrap(), 5);
        assert_eq!(&bytes, b"hello");
        assert_eq!(other.recv(&mut bytes).await.unwrap(), 1);
    });
}

#[test]
fn a_datagram_goes_into_the_spare_capacity_of_a_vector() {
    each_kind!(async |_handle, one, other| {
        one.send(b"hello").await.unwrap();
        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"> ");
        let (n, _) = other.recv_buf_from(&mut bytes).await.unwrap();
        assert_eq!((n, &bytes[..]), (5, &b"> hello"[..]));
    });
}

#[test]
fn peeking_leaves_the_datagram() {
    each_kind!(async |_handle, one, other| {
        one.send(b"hello").await.unwrap();
        let mut bytes = [0; 64];
        for _ in 0..3 {
            assert_eq!(other.peek_from(&mut bytes).await.unwrap().0, 5);
            assert_eq!(other.try_peek_from(&mut bytes).unwrap().0, 5);
        }
        assert_eq!(other.recv(&mut bytes).await.unwrap(), 5);
        let error = other.try_peek_from(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(poll_once(other.peek_from(&mut bytes)).is_pending());
    });
}

#[test]
fn try_operations_do_not_wait() {
    each_kind!(async |_handle, one, other| {
        let mut bytes = [0; 64];
        for _ in 0..2 {
            let error = other.try_recv(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        one.writable().await.unwrap();
        assert_eq!(one.try_send(b"hello").unwrap(), 5);
        other.readable().await.unwrap();
        assert_eq!(other.try_recv_from(&mut bytes).unwrap().0, 5);
        let error = other.try_recv_many(&mut Batch::new(2, 2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn l86_a_dropped_recv_loses_no_datagram() {
    each_kind!(async |handle, one, other| {
        let mut bytes = [0; 64];
        {
            let mut waits = pin!(other.recv(&mut bytes));
            assert!(poll(waits.as_mut()).is_pending());
            one.send(b"hello").await.unwrap();
            handle.sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(other.recv(&mut bytes).await.unwrap(), 5);
    });
}

#[test]
fn many_are_sent_and_received_at_once() {
    each_kind!(async |handle, one, other| {
        let texts: Vec<String> = (0..200).map(|i| "x".repeat(i % 9)).collect();
        let all: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let expected: Vec<Vec<u8>> = all.iter().map(|text| text.to_vec()).collect();
        let receiver = handle.spawn(async move {
            let mut batch = Batch::new(50, 16);
            let (mut got, mut calls) = (Vec::new(), 0);
            while got.len() < 200 {
                let n = other.recv_many(&mut batch).await.unwrap();
                assert_eq!(n, batch.len());
                assert!((1..=50).contains(&n));
                got.extend(batch.iter().map(|datagram| datagram.bytes.to_vec()));
                assert!(batch.iter().all(|datagram| !datagram.truncated));
                calls += 1;
            }
            (got, calls)
        });
        let mut sent = 0;
        while sent < 200 {
            let n = one.send_many(&all[sent..]).await.unwrap();
            assert!((1..=64).contains(&n));
            sent += n;
        }
        let (got, calls) = join(receiver).await;
        assert_eq!(got, expected);
        assert!(calls < 200);
        assert_eq!(one.send_many(&[]).await.unwrap(), 0);
    });
}

#[test]
fn a_batch_has_the_sender_of_each_datagram_and_whether_it_was_truncated() {
    run(async |handle| {
        let ((one, ones), (other, others)) = (udp(&handle), udp(&handle));
        let (receiver, address) = udp(&handle);
        one.send_many_to(&[(b"hello", address), (b"hi", address)])
            .await
            .unwrap();
        other.send_to(b"", &address).await.unwrap();
        let mut batch = Batch::new(10, 4);
        let mut got = Vec::new();
        while got.len() < 3 {
            receiver.recv_many(&mut batch).await.unwrap();
            let all = batch
                .iter()
                .map(|d| (d.bytes.to_vec(), *d.from, d.truncated));
            got.extend(all);
        }
        got.sort();
        let mut expected = [
            (b"hell".to_vec(), ones, true),
            (b"hi".to_vec(), ones, false),
            (Vec::new(), others, false),
        ];
        expected.sort();
        assert_eq!(got, expected);
    });
}

#[test]
fn datagrams_of_one_call_go_to_different_addresses() {
    run(async |handle| {
        let (sender, from) = udp(&handle);
        let ((one, ones), (other, others)) = (udp(&handle), udp(&handle));
        let datagrams: [(&[u8], _); 3] = [(b"a", ones), (b"b", others), (b"c", ones)];
        assert_eq!(sender.send_many_to(&datagrams).await.unwrap(), 3);
        let mut bytes = [0; 8];
        for (socket, byte) in [(&one, b'a'), (&one, b'c'), (&other, b'b')] {
            assert_eq!(socket.recv_from(&mut bytes).await.unwrap(), (1, from));
            assert_eq!(bytes[0], byte);
        }
    });
}

#[test]
fn udp_goes_over_version_6_too() {
    run(async |handle| {
        let Ok(one) = UdpSocket::bind(&handle, "[::1]:0").await else {
            return println!("nothing to test here: no IP version 6");
        };
        let other = UdpSocket::bind(&handle, "[::1]:0").await.unwrap();
        one.send_to(b"hello", &other.local_addr().unwrap())
            .await
            .unwrap();
        let (n, from) = other.recv_from(&mut [0; 64]).await.unwrap();
        assert_eq!((n, from), (5, one.local_addr().unwrap()));
    });
}

#[test]
fn a_connected_socket_receives_from_its_peer_only() {
    run(async |handle| {
        let ((one, ones), (other, others), (strange, _)) =
            (udp(&handle), udp(&handle), udp(&handle));
        one.connect(others).await.unwrap();
        assert_eq!(one.peer_addr().unwrap(), others);
        strange.send_to(b"strange", ones).await.unwrap();
        other.send_to(b"hello", ones).await.unwrap();
        assert_eq!(one.recv_from(&mut [0; 64]).await.unwrap(), (5, others));
        assert!(poll_once(one.recv(&mut [0; 64])).is_pending());
    });
}

#[test]
fn a_connected_socket_reports_that_no_socket_is_there() {
    in_child(|| {
        run(async |handle| {
            let ((one, _), (gone, address)) = (udp(&handle), udp(&handle));
            drop(gone);
            one.connect(address).await.unwrap();
            let waits = handle.spawn(async move {
                let mut bytes = [0; 64];
                let mut waits = pin!(one.recv(&mut bytes));
                assert!(poll(waits.as_mut()).is_pending());
                one.send(b"anybody there?").await.unwrap();
                waits.await.unwrap_err()
            });
            assert_eq!(join(waits).await.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn udp_errors_name_the_address() {
    run(async |handle| {
        let (_taken, taken) = udp(&handle);
        let error = UdpSocket::bind(&handle, taken).await.unwrap_err();
        assert!(matches!(&error, Error::LocalAddress { address, .. } if *address == taken));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AddrInUse);
        let (one, _) = udp(&handle);
        let error = one.send(b"to connected").await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::NotConnected | ErrorKind::InvalidInput
            ) || error.raw_os_error() == Some(libc::EDESTADDRREQ)
        );
        let error = one.send_to(&[0; 70_000], taken).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn broadcasts_must_be_allowed() {
    run(async |handle| {
        let (one, _) = udp(&handle);
        let everybody = "255.255.255.255:9";
        let error = one.send_to(b"hello", everybody).await.unwrap_err();
        // The BSDs look for a route first.
        let no_route = matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::AddrNotAvailable
        );
        assert!(
            error.kind() == ErrorKind::PermissionDenied || no_route,
            "{error}"
        );
        one.get_ref().set_broadcast(true).unwrap();
        assert!(one.get_ref().broadcast().unwrap());
        if let Err(error) = one.send_to(b"hello", everybody).await {
            assert_ne!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
    });
}

#[test]
fn members_of_a_group_receive_its_datagrams() {
    run(async |handle| {
        let group = Ipv4Addr::new(239, 255, 17, 17);
        let any = "0.0.0.0:0";
        let share = |options: nio_net::Options<'_>| {
            options.set_reuse_addr(true)?;
            options.set_reuse_port(true)
        };
        let one = UdpSocket::bind_with(&handle, any, share).await.unwrap();
        let mut shared = one.local_addr().unwrap();
        let other = UdpSocket::bind_with(&handle, shared, share).await.unwrap();
        for socket in [&one, &other] {
            if let Err(error) = socket
                .get_ref()
                .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            {
                return println!("nothing to test here: {error}");
            }
        }
        let (sender, _) = udp(&handle);
        shared.set_ip(group.into());
        if let Err(error) = sender.send_to(b"hello", &shared).await {
            return println!("nothing to test here: {error}");
        }
        for socket in [&one, &other] {
            assert_eq!(received_by(&handle, socket).await, b"hello");
            socket
                .get_ref()
                .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
                .unwrap();
        }
    });
}

#[test]
fn multicast_options_are_read_as_they_were_set() {
    run(async |handle| {
        let (socket, _) = udp(&handle);
        let chosen = socket.multicast_interface_v4().unwrap();
        assert_eq!(chosen, Ipv4Addr::UNSPECIFIED);
        for interface in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            socket.set_multicast_interface_v4(interface).unwrap();
            assert_eq!(socket.multicast_interface_v4().unwrap(), interface);
        }
        // Set aside for documentation, so no machine has it.
        let strange = Ipv4Addr::new(203, 0, 113, 1);
        let error = socket.set_multicast_interface_v4(strange).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert!(
            error
                .to_string()
                .starts_with("cannot set IP_MULTICAST_IF to ")
        );
    });
}

#[test]
fn multicast_options_of_version_6_are_read_as_they_were_set() {
    run(async |handle| {
        let Ok(socket) = UdpSocket::bind(&handle, "[::1]:0").await else {
            return println!("nothing to test here: no IP version 6");
        };
        assert_eq!(socket.multicast_hops_v6().unwrap(), 1);
        assert_eq!(socket.multicast_interface_v6().unwrap(), 0);
        for hops in [0, 255, 17] {
            socket.set_multicast_hops_v6(hops).unwrap();
            assert_eq!(socket.multicast_hops_v6().unwrap(), hops);
        }
        for too_far in [256, u32::MAX] {
            let error = socket.set_multicast_hops_v6(too_far).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(socket.multicast_hops_v6().unwrap(), 17);
        let some = (1..=FEW).find(|&index| socket.set_multicast_interface_v6(index).is_ok());
        let some = some.expect("there is an interface that has ::1");
        assert_eq!(socket.multicast_interface_v6().unwrap(), some);
        socket.set_multicast_interface_v6(0).unwrap();
        assert_eq!(socket.multicast_interface_v6().unwrap(), 0);
        let error = socket.set_multicast_interface_v6(1 << 30).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot set IPV6_MULTICAST_IF to ")
        );
    });
}

/// The indices among which there is an interface that can be used.
const FEW: u32 = 32;

/// The next datagram that a member of a group receives.
async fn received_by(handle: &Handle, socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    let receive = socket.recv_buf_from(&mut bytes);
    match handle.timeout(Duration::from_secs(5), receive).await {
        Ok(received) => drop(received.unwrap()),
        Err(_) => panic!("a member of the group received nothing"),
    }
    bytes
}

#[test]
fn datagrams_to_a_group_use_the_interface_that_was_set() {
    run(async |handle| {
        let group = Ipv4Addr::new(239, 255, 17, 18);
        let socket = UdpSocket::bind(&handle, "0.0.0.0:0").await.unwrap();
        let mut to = socket.local_addr().unwrap();
        to.set_ip(group.into());
        let member = socket
            .get_ref()
            .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
        socket
            .set_multicast_interface_v4(Ipv4Addr::LOCALHOST)
            .unwrap();
        let sent = match member {
            Ok(()) => socket.send_to(b"hello", to).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            return println!("nothing to test here: {error}");
        }
        assert_eq!(received_by(&handle, &socket).await, b"hello");
    });
}

#[test]
fn udp_sockets_bind_connect_and_send_by_a_host_name() {
    run(async |handle| {
        let (one, address) = udp(&handle);
        let named = ("localhost", address.port());
        let other = UdpSocket::bind(&handle, "localhost:0").await.unwrap();
        assert!(other.local_addr().unwrap().ip().is_loopback());
        // Whatever the name has besides, a socket of version 4 sends to its address of that version.
        let (sender, from) = udp(&handle);
        sender.send_to(b"hello", named).await.unwrap();
        let mut bytes = [0; 9];
        assert_eq!(one.recv_from(&mut bytes).await.unwrap(), (5, from));
        sender.connect(named).await.unwrap();
        assert_eq!(sender.peer_addr().unwrap(), address);

        let error = sender.send_to(b"hello", ("no..name", 9)).await.unwrap_err();
        assert!(error.to_string().contains("no..name"), "{error}");
    });
}

#[test]
fn of_several_addresses_a_udp_socket_takes_the_first_that_it_can_use() {
    run(async |handle| {
        let (one, address) = udp(&handle);
        let (foreign, v6) = ("192.0.2.1:0".parse().unwrap(), "[::1]:9".parse().unwrap());
        let sender = UdpSocket::bind(&handle, [foreign, ANY_PORT]).await.unwrap();
        assert_eq!(sender.local_addr().unwrap().ip(), ANY_PORT.ip());
        assert_eq!(sender.send_to(b"hello", [v6, address]).await.unwrap(), 5);
        assert_eq!(one.recv(&mut [0; 9]).await.unwrap(), 5);
        assert_eq!(sender.send_to(b"hello", [address, v6]).await.unwrap(), 5);
        assert_eq!(one.recv(&mut [0; 9]).await.unwrap(), 5);
        sender.connect([v6, address]).await.unwrap();
        assert_eq!(sender.peer_addr().unwrap(), address);
        // If the first address is in use, the next one is not tried.
        let error = UdpSocket::bind(&handle, [address, ANY_PORT])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::LocalAddress { address: of, .. } if of == address));
    });
}

#[test]
fn datagrams_to_a_group_of_version_6_use_the_interface_that_was_set() {
    run(async |handle| {
        // It goes no further than the interface, whichever that is.
        let group = "ff01::1717".parse().unwrap();
        let Ok(socket) = UdpSocket::bind(&handle, "[::]:0").await else {
            return println!("nothing to test here: no IP version 6");
        };
        let port = socket.local_addr().unwrap().port();
        for interface in 1..=FEW {
            let to = SocketAddrV6::new(group, port, 0, interface);
            if socket.set_multicast_interface_v6(interface).is_ok()
                && socket
                    .get_ref()
                    .join_multicast_v6(&group, interface)
                    .is_ok()
                && socket.send_to(b"hello", to).await.is_ok()
            {
                assert_eq!(received_by(&handle, &socket).await, b"hello");
                return socket
                    .get_ref()
                    .leave_multicast_v6(&group, interface)
                    .unwrap();
            }
        }
        println!("nothing to test here: no interface takes groups of version 6");
    });
}

#[test]
fn members_on_this_machine_receive_only_with_multicast_loop() {
    run(async |handle| {
        let group = Ipv4Addr::new(239, 255, 17, 19);
        let socket = UdpSocket::bind(&handle, "0.0.0.0:0").await.unwrap();
        let mut to = socket.local_addr().unwrap();
        to.set_ip(group.into());
        // Linux does not ask what is to be received where a group is routed to the loopback interface.
        let probe = UdpSocket::bind(&handle, "0.0.0.0:0").await.unwrap();
        let routed = probe.connect(to).await.is_ok();
        if !routed || probe.local_addr().unwrap().ip().is_loopback() {
            return println!("nothing to test here: groups are routed nowhere");
        }
        // There is no other datagram.
        socket.get_ref().set_multicast_ttl_v4(0).unwrap();
        if let Err(error) = socket
            .get_ref()
            .join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)
        {
            return println!("nothing to test here: {error}");
        }
        for (on, text) in [(false, "not for us"), (true, "but this is")] {
            socket.get_ref().set_multicast_loop_v4(on).unwrap();
            if let Err(error) = socket.send_to(text.as_bytes(), to).await {
                return println!("nothing to test here: {error}");
            }
        }
        assert_eq!(received_by(&handle, &socket).await, b"but this is");
    });
}

#[test]
fn unix_datagrams_go_to_a_path_and_tell_where_they_are_from() {
    in_child(|| {
        let (ones, others) = (Place::new("datagrams-one"), Place::new("datagrams-other"));
        run(async |handle| {
            let one = UnixDatagram::bind(&handle, &ones.0).unwrap();
            let other = UnixDatagram::bind(&handle, &others.0).unwrap();
            let address = other.local_addr().unwrap();
            one.send_to(b"hello", &address).await.unwrap();
            let (n, from) = other.recv_from(&mut [0; 64]).await.unwrap();
            assert_eq!((n, from.as_pathname()), (5, Some(&*ones.0)));

            let connected = UnixDatagram::unbound(&handle).unwrap();
            connected.connect(&address).unwrap();
            assert_eq!(
                connected.peer_addr().unwrap().as_pathname(),
                Some(&*others.0)
            );
            connected.send_many(&[b"a", b"b"]).await.unwrap();
            one.send_many_to(&[(b"c", address)]).await.unwrap();
            let mut batch = Batch::new(8, 8);
            let mut got = Vec::new();
            while got.len() < 3 {
                other.recv_many(&mut batch).await.unwrap();
                got.extend(
                    batch
                        .iter()
                        .map(|d| (d.bytes[0], d.from.as_pathname().map(|p| p.to_owned()))),
                );
            }
            // The order between several senders is not kept everywhere.
            got.sort();
            // q85: the nameless have no name.
            assert_eq!(
                got,
                [(b'a', None), (b'b', None), (b'c', Some(ones.0.clone()))]
            );

            let error = UnixDatagram::bind(&handle, &others.0).unwrap_err();
            assert!(matches!(error, Error::BindUnix { .. }));
            let gone = connected.peer_addr().unwrap();
            drop(other);
            let error = one.connect(&gone).unwrap_err();
            assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
        });
    });
}

/// Fills the queue of a receiver, and returns how many datagrams that took.
fn fill(send: impl Fn() -> io::Result<usize>) -> usize {
    for n in 0..100_000 {
        match send() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return n;
            }
        }
    }
    panic!("never full");
}

#[test]
fn q35_a_unix_datagram_waits_for_room_at_the_receiver_without_a_busy_loop() {
    let place = Place::new("datagrams-full");
    run(async |handle| {
        let receiver = UnixDatagram::bind(&handle, &place.0).unwrap();
        let address = receiver.local_addr().unwrap();
        let sender = UnixDatagram::unbound(&handle).unwrap();
        let connected = UnixDatagram::unbound(&handle).unwrap();
        connected.connect(&address).unwrap();
        // Another one fills the queue: so nothing that happens to it concerns these two.
        let another = UnixDatagram::unbound(&handle).unwrap();
        let mut filled = fill(|| another.try_send_to(b"x", &address));
        assert!(filled > 0);
        // FreeBSD gives a connected sender a buffer of its own.
        filled += fill(|| connected.try_send(b"x"));
        for full in [sender.try_send_to(b"x", &address), connected.try_send(b"x")] {
            assert_eq!(full.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let sending = handle.spawn(async move {
            sender.send_to(b"last", &address).await.unwrap();
            connected.send(b"last").await.unwrap();
            // The datagrams in that buffer are lost when it is closed.
            (sender, connected)
        });
        // On Linux each failed try is an event for the sender, which would try again at once.
        let before = handle.metrics().turns;
        handle.sleep(Duration::from_millis(20)).await;
        let turns = handle.metrics().turns - before;
        assert!(turns < 200, "{turns} turns");
        assert!(!sending.is_finished());
        // The order between senders is not kept there.
        let (mut bytes, mut last) = ([0; 8], 0);
        for _ in 0..filled + 2 {
            last += usize::from(receiver.recv(&mut bytes).await.unwrap() == 4);
        }
        assert_eq!(last, 2);
        join(sending).await;
    });
}

#[test]
fn l66_sending_to_a_unix_socket_that_is_gone_raises_no_signal() {
    in_child(|| {
        // SAFETY: the default action is no handler that could be unsound.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(async |handle| {
            let (one, other) = UnixDatagram::pair(&handle).unwrap();
            one.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
            let error = one.send(b"hello").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let error = one.send_many(&[b"hello"]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            drop(one);
            other.send(b"hello").await.unwrap_err();
        });
    });
}

#[test]
fn a_socket_of_datagrams_goes_out_of_the_loop_and_in_again() {
    each_kind!(async |handle, one, other| {
        assert!(poll_once(other.recv(&mut [0; 8])).is_pending());
        let other = DatagramSocket::from_std(&handle, other.into_std()).unwrap();
        let mut bytes = [0; 8];
        let mut waits = pin!(other.recv(&mut bytes));
        assert!(poll(waits.as_mut()).is_pending());
        one.send(b"hello").await.unwrap();
        assert_eq!(waits.await.unwrap(), 5);
        assert!(matches!(other.take_error(), Ok(None)));
    });
}

#[test]
fn a_socket_of_the_standard_library_is_taken_into_the_loop() {
    run(async |handle| {
        let (one, other) = unix::net::UnixDatagram::pair().unwrap();
        let other = UnixDatagram::from_std(&handle, other).unwrap();
        assert!(matches!(poll_once(other.recv(&mut [0; 8])), Poll::Pending));
        one.send(b"hello").unwrap();
        assert_eq!(other.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}
