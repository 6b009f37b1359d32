//! A server: its limit, its errors, and the isolation of connections.

mod support;

use std::{
    cell::RefCell,
    future::pending,
    io::{self, ErrorKind},
    net::Shutdown,
    os::unix,
    rc::Rc,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle};
use nio_net::{Connection, ServeOptions, Server, TcpStream, UnixListener, UnixStream};
use support::{Place, end_of_turn, join, listen, pattern, read_to_end, run};

const SECOND: Duration = Duration::from_secs(1);

/// Options of a server that listens to no signals: tests run side by side.
fn options() -> ServeOptions {
    ServeOptions::new().signals(false)
}

/// A server that keeps the errors of its connections.
fn server(handle: &Handle, options: ServeOptions) -> (Server, Rc<RefCell<Vec<String>>>) {
    let errors: Rc<RefCell<Vec<String>>> = Rc::default();
    let kept = Rc::clone(&errors);
    let server = Server::with(handle, options);
    let server = server.on_error(move |error| kept.borrow_mut().push(error.to_string()));
    (server, errors)
}

/// Says hello, and waits for the end of the client or of the server.
async fn greet(client: Connection<'_>) -> io::Result<()> {
    client.write_all(b"hello").await?;
    let mut bytes = [0; 8];
    let end = client.unless_shutdown(client.read(&mut bytes)).await;
    end.unwrap_or(Ok(0)).map(drop)
}

/// A client that was greeted.
async fn greeted(handle: &Handle, listener_address: std::net::SocketAddr) -> TcpStream {
    let client = TcpStream::connect(handle, listener_address).await.unwrap();
    let mut greeting = [0; 5];
    client.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"hello");
    client
}

#[test]
#[should_panic = "a limit of no connections serves none; give at least 1"]
fn a_limit_of_no_connections_panics() {
    let _ = ServeOptions::new().connections(0);
}

#[test]
fn connections_beyond_the_limit_are_served_when_others_have_ended() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, _) = server(&handle, options().connections(2));
        let serving = handle.spawn(server.serve(listener, greet));
        let first = greeted(&handle, address).await;
        let _second = greeted(&handle, address).await;
        let third = TcpStream::connect(&handle, address).await.unwrap();
        end_of_turn(&handle).await;
        let waits = third.try_read(&mut [0; 5]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
        assert_eq!(server.connections(), 2);
        drop(first);
        third.read_exact(&mut [0; 5]).await.unwrap();
        server.shutdown().begin();
        drop(third);
        join(serving).await.unwrap();
    });
}

#[test]
fn listeners_of_all_kinds_share_one_limit_and_one_shutdown() {
    run(async |handle| {
        let place = Place::new("serve");
        let (tcp, address) = listen(&handle);
        let unix = UnixListener::bind(&handle, &place.0).unwrap();
        let (server, _) = server(&handle, options().connections(1));
        let tcp = handle.spawn(server.serve(tcp, greet));
        let unix = handle.spawn(server.serve(
            unix,
            async |client: Connection<'_, unix::net::UnixListener>| {
                client.write_all(b"hello").await
            },
        ));
        let first = greeted(&handle, address).await;
        let second = UnixStream::connect(&handle, &place.0).await.unwrap();
        end_of_turn(&handle).await;
        let waits = second.try_read(&mut [0; 5]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
        drop(first);
        second.read_exact(&mut [0; 5]).await.unwrap();
        drop(second);
        server.shutdown().begin();
        join(tcp).await.unwrap();
        join(unix).await.unwrap();
        assert_eq!(server.connections(), 0);
    });
}

#[test]
fn the_panic_of_one_connection_is_an_error_of_that_one() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, errors) = server(&handle, options());
        let serving = handle.spawn(server.serve(listener, async |client| {
            let mut byte = [0];
            client.read_exact(&mut byte).await?;
            assert!(byte[0] != b'!', "an exclamation mark");
            client.write_all(&byte).await
        }));
        for byte in [b"!", b"?"] {
            let client = TcpStream::connect(&handle, address).await.unwrap();
            client.write_all(byte).await.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let answer = read_to_end(&client).await.unwrap();
            assert_eq!(answer, if byte == b"!" { &b""[..] } else { b"?" });
        }
        server.shutdown().begin();
        join(serving).await.unwrap();
        let errors = errors.borrow();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].ends_with(": the handler panicked: an exclamation mark"));
    });
}

#[test]
fn the_error_of_a_connection_is_reported_with_its_address() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, errors) = server(&handle, options());
        let serving = handle.spawn(server.serve(listener, async |client| {
            client.read_exact(&mut [0; 100]).await
        }));
        let client = TcpStream::connect(&handle, address).await.unwrap();
        let name = client.local_addr().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&client).await.unwrap(), b"");
        server.shutdown().begin();
        join(serving).await.unwrap();
        let errors = errors.borrow();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with(&format!("{name}: ")), "{errors:?}");
        assert!(errors[0].contains("100 bytes are missing"), "{errors:?}");
    });
}

#[test]
fn a_connection_without_progress_is_closed_after_the_limit() {
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    let test = async {
        let place = Place::new("serve-idle");
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        let (server, errors) = server(&handle, options().idle(60 * SECOND));
        let serving = handle.spawn(server.serve(
            listener,
            async |client: Connection<'_, unix::net::UnixListener>| {
                let mut bytes = [0; 8];
                while client.read(&mut bytes).await? > 0 {}
                pending().await
            },
        ));
        let client = UnixStream::connect(&handle, &place.0).await.unwrap();
        for _ in 0..3 {
            handle.sleep(50 * SECOND).await;
            client.write_all(b"x").await.unwrap();
        }
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(handle.now().since_start(), (3 * 50 + 60) * SECOND);
        server.shutdown().begin();
        join(serving).await.unwrap();
        let errors = errors.borrow();
        assert!(errors[0].ends_with(": no progress for 60s"), "{errors:?}");
    };
    event_loop.block_on(test).unwrap();
}

#[test]
fn an_answer_is_not_lost_to_a_request_that_was_not_read() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, errors) = server(&handle, options());
        let answer = Rc::new(pattern(100_000));
        let sent = Rc::clone(&answer);
        let serving =
            handle.spawn(server.serve(listener, async move |client| client.write_all(&sent).await));
        let client = TcpStream::connect(&handle, address).await.unwrap();
        client.write_all(&vec![0; 8 << 20]).await.unwrap(); // fails after a reset
        let mut got = vec![0; answer.len()];
        client.read_exact(&mut got).await.unwrap();
        assert!(got == *answer);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        drop(client);
        server.shutdown().begin();
        join(serving).await.unwrap();
        assert!(errors.borrow().is_empty());
    });
}

#[test]
fn a_handler_may_share_the_stream_with_tasks_that_it_waits_for() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, _) = server(&handle, options());
        let serving = handle.spawn(server.serve(listener, async |client| {
            let stream = Rc::clone(client.stream);
            let writer = client
                .handle()
                .spawn(async move { stream.write_all(b"hello").await });
            writer.await.map_err(io::Error::other)?
        }));
        drop(greeted(&handle, address).await);
        server.shutdown().begin();
        join(serving).await.unwrap();
    });
}

/// Only Linux reports a listener that was shut down as an error that does not pass.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_listener_that_fails_for_good_shuts_the_server_down() {
    use nio_net::ServeError;
    use std::os::fd::{AsFd, AsRawFd};

    run(async |handle| {
        let (listener, address) = listen(&handle);
        let (server, _) = server(&handle, options());
        let serving = handle.spawn(server.serve(listener, greet));
        let client = greeted(&handle, address).await;
        let (broken, _) = listen(&handle);
        // SAFETY: takes no pointers, and the descriptor is open.
        let shut = unsafe { libc::shutdown(broken.as_fd().as_raw_fd(), libc::SHUT_RD) };
        assert_eq!(shut, 0);
        let failing = handle.spawn(server.serve(broken, greet));
        // The connection of the other listener ends in peace.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        drop(client);
        join(serving).await.unwrap();
        let error = join(failing).await.unwrap_err();
        assert!(matches!(&error, ServeError::Accept(_)), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_client_that_still_sends_receives_the_error_and_can_be_reset() {
    run(async |handle| {
        for resets in [false, true] {
            let (listener, address) = listen(&handle);
            let (server, errors) = server(&handle, options());
            let serving = handle.spawn(server.serve(listener, async move |client| {
                if resets {
                    client.options().set_linger(Some(Duration::ZERO))?;
                }
                client.read_exact(&mut [0; 4]).await?;
                client.write_all(b"no").await?;
                Err(ErrorKind::InvalidData.into())
            }));
            let client = TcpStream::connect(&handle, address).await.unwrap();
            let sent = client.write_all(&vec![0; 8 << 20]).await;
            let mut answer = [0; 2];
            let got = client.read_exact(&mut answer).await;
            assert_eq!(sent.is_err() || got.is_err(), resets, "{sent:?} {got:?}");
            assert!(resets || &answer == b"no");
            drop(client);
            server.shutdown().begin();
            join(serving).await.unwrap();
            assert_eq!(errors.borrow().len(), 1);
        }
    });
}
