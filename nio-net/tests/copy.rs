//! Copying between two streams.

mod support;

use std::{
    cell::Cell,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    pin::pin,
    rc::Rc,
    thread,
};

use nio_loop::Handle;
use nio_net::{
    CopyError, TcpStream, UnixStream, Way, copy, copy_bidirectional, copy_bidirectional_with,
};
use support::{fill, join, pair, pair_with_std, pattern, poll, read_to_end, reset, run};

/// A client and a server of the standard library, and the task that copies between them.
struct Between {
    client: std::net::TcpStream,
    server: std::net::TcpStream,
    first: TcpStream,
    second: TcpStream,
}

fn between(handle: &Handle) -> Between {
    let (first, client) = pair_with_std(handle);
    let (second, server) = pair_with_std(handle);
    Between {
        client,
        server,
        first,
        second,
    }
}

#[test]
fn everything_arrives_in_order_in_both_directions() {
    const LEN: usize = 3 << 20;
    run(async |handle| {
        let Between {
            client,
            server,
            first,
            second,
        } = between(&handle);
        let ends = [client, server].map(|mut stream| {
            let mut writer = stream.try_clone().unwrap();
            thread::spawn(move || {
                let writes = thread::spawn(move || {
                    writer.write_all(&pattern(LEN)).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                writes.join().unwrap();
                all
            })
        });
        let copied = copy_bidirectional(&first, &second).await.unwrap();
        assert_eq!(copied, (LEN as u64, LEN as u64));
        drop((first, second));
        for end in ends {
            assert!(end.join().unwrap() == pattern(LEN));
        }
    });
}

#[test]
fn one_direction_goes_on_when_the_other_has_finished() {
    run(async |handle| {
        let (client, first) = pair(&handle).await;
        let (server, second) = pair(&handle).await;
        let copying = handle.spawn(async move { copy_bidirectional(&first, &second).await });
        client.write_all(b"question").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&server).await.unwrap(), b"question");
        // The client has finished, and is answered nevertheless, as often as one likes.
        for answer in [b"one", b"two"] {
            server.write_all(answer).await.unwrap();
            let mut bytes = [0; 3];
            client.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, answer);
        }
        assert!(!copying.is_finished());
        drop(server);
        assert_eq!(read_to_end(&client).await.unwrap(), b"");
        assert_eq!(join(copying).await.unwrap(), (8, 6));
    });
}

#[test]
fn an_error_of_reading_tells_its_direction() {
    run(async |handle| {
        let ends = between(&handle);
        reset(ends.server);
        let error = copy_bidirectional(&ends.first, &ends.second).await;
        let error = error.unwrap_err();
        assert!(matches!(&error, CopyError::Read { way: Way::BToA, source }
            if source.kind() == ErrorKind::ConnectionReset));
        assert!(error.to_string().contains("from B to A"));
    });
}

#[test]
fn an_error_of_writing_tells_its_direction() {
    run(async |handle| {
        let mut ends = between(&handle);
        // No more can be written to the server, which has not closed, so that nothing is read back.
        ends.second.shutdown(Shutdown::Write).unwrap();
        ends.client.write_all(b"hello").unwrap();
        let error = copy_bidirectional(&ends.first, &ends.second).await;
        let error = error.unwrap_err();
        assert_eq!(error.way(), Way::AToB);
        assert!(matches!(error, CopyError::Write { .. }));
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_receiver_that_does_not_read_stops_its_sender() {
    run(async |handle| {
        let ends = between(&handle);
        fill(&ends.second.get_ref().try_clone().unwrap());
        ends.second.get_ref().set_nonblocking(true).unwrap();
        let written = Rc::new(Cell::new(0));
        let count = Rc::clone(&written);
        let mut copying = pin!(copy_bidirectional_with(
            &ends.first,
            &ends.second,
            |_, n| count.set(count.get() + n)
        ));
        let mut client = ends.client;
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        // Full is what the client fills, and one buffer; not more, however often it is tried.
        let chunk = [0; 64 * 1024];
        for _ in 0..1000 {
            while let Ok(n) = client.write(&chunk) {
                sent += n;
            }
            assert!(poll(copying.as_mut()).is_pending());
        }
        assert_eq!(written.get(), 0);
        assert!(sent < 64 << 20, "{sent} bytes went somewhere");
    });
}

#[test]
fn each_write_and_each_end_is_reported() {
    run(async |handle| {
        let Between {
            mut client,
            server,
            first,
            second,
        } = between(&handle);
        client.write_all(b"hello").unwrap();
        // Both end writing and stay open, so that neither is reset.
        client.shutdown(Shutdown::Write).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut told = [const { Vec::new() }; 2];
        copy_bidirectional_with(&first, &second, |way, n| told[way as usize].push(n))
            .await
            .unwrap();
        assert_eq!(told, [vec![5, 0], vec![0]]);
    });
}

#[test]
fn copying_one_way_leaves_the_receiver_open() {
    run(async |handle| {
        let (from, sender) = UnixStream::pair(&handle).unwrap();
        let (to, receiver) = UnixStream::pair(&handle).unwrap();
        let send = handle.spawn(async move { sender.write_all(&pattern(1 << 20)).await });
        let receive = handle.spawn(async move {
            let mut all = Vec::new();
            receiver.read_to_end(&mut all, 1 << 21).await.map(|_| all)
        });
        assert_eq!(copy(&from, &to).await.unwrap(), 1 << 20);
        join(send).await.unwrap();
        to.write_all(b"more").await.unwrap();
        drop(to);
        let all = join(receive).await.unwrap();
        assert!(all[..1 << 20] == pattern(1 << 20));
        assert_eq!(&all[1 << 20..], b"more");
    });
}
