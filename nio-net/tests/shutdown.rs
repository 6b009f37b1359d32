//! The end of a server: by its shutdown, and by dropping it.

mod support;

use std::{
    future::pending,
    io::{self, ErrorKind},
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle, JoinHandle};
use nio_net::{ServeError, ServeOptions, Server, TcpStream, UnixListener};
use support::{Place, either, end_of_turn, join, listen, run};

const SECOND: Duration = Duration::from_secs(1);

type Serving = JoinHandle<Result<(), ServeError>>;

/// A server whose handler says hello and then does not end, a client of it that was greeted, and a
/// reference that the handler has a clone of.
async fn busy(handle: &Handle, options: ServeOptions) -> (Server, Serving, TcpStream, Rc<()>) {
    let (listener, address) = listen(handle);
    let server = Server::with(handle, options);
    let kept = Rc::new(());
    let holds = Rc::clone(&kept);
    let serving = handle.spawn(server.serve(listener, async move |client| {
        let _holds = Rc::clone(&holds);
        client.write_all(b"hello").await?;
        pending().await
    }));
    let client = TcpStream::connect(handle, address).await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    (server, serving, client, kept)
}

fn quiet() -> ServeOptions {
    ServeOptions::new().signals(false)
}

#[test]
fn a_server_without_connections_ends_at_once_and_listens_no_more() {
    run(async |handle| {
        let place = Place::new("shutdown");
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        let server = Server::with(&handle, quiet());
        let serving = handle.spawn(server.serve(listener, async |_| Ok(())));
        end_of_turn(&handle).await;
        server.shutdown().begin();
        join(serving).await.unwrap();
        let refused = UnixStream::connect(&place.0).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_request_that_is_under_way_is_answered_and_one_that_is_not_is_not_waited_for() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let server = Server::with(&handle, quiet());
        let serving = handle.spawn(server.serve(listener, async |client| {
            let mut byte = [0];
            while let Some(read) = client.unless_shutdown(client.read(&mut byte)).await {
                if read? == 0 {
                    break;
                }
                client.write_all(b"wait").await?;
                client.shutdown.begun().await;
                client.write_all(b"done").await?;
            }
            Ok(())
        }));
        let idle = TcpStream::connect(&handle, address).await.unwrap();
        let busy = TcpStream::connect(&handle, address).await.unwrap();
        busy.write_all(b"?").await.unwrap();
        busy.read_exact(&mut [0; 4]).await.unwrap();
        server.shutdown().begin();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
        let mut answer = [0; 4];
        busy.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"done");
        drop((idle, busy));
        join(serving).await.unwrap();
    });
}

#[test]
fn connections_that_are_open_after_the_grace_are_cut_off() {
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    let test = async {
        let options = quiet().grace(30 * SECOND).idle(None);
        let (server, serving, client, kept) = busy(&handle, options).await;
        let began = handle.now();
        server.shutdown().begin();
        let error = join(serving).await.unwrap_err();
        assert_eq!(error.to_string(), "cut off: 1 still open after 30s");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
        assert_eq!(handle.now() - began, 30 * SECOND);
        assert_eq!(Rc::strong_count(&kept), 1);
        assert_eq!((server.connections(), server.shutdown().guards()), (0, 0));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    };
    event_loop.block_on(test).unwrap();
}

#[test]
fn dropping_the_future_closes_the_listener_and_its_connections() {
    run(async |handle| {
        let (server, serving, client, kept) = busy(&handle, quiet()).await;
        let place = Place::new("dropped");
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        let other = handle.spawn(server.serve(listener, async |_| Ok(())));
        end_of_turn(&handle).await;
        serving.abort();
        other.abort();
        assert_eq!(Rc::strong_count(&kept), 1);
        assert_eq!((server.connections(), server.shutdown().guards()), (0, 0));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        let refused = UnixStream::connect(&place.0).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_handler_that_panics_when_it_is_dropped_keeps_no_other_connection_open() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let server = Server::with(&handle, quiet());
        let mut serving = Box::pin(server.serve(listener, async |client| {
            let _panics = Panics;
            client.write_all(b"hello").await?;
            pending().await
        }));
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = TcpStream::connect(&handle, address).await.unwrap();
            let greeted = async {
                client.read_exact(&mut [0; 5]).await.unwrap();
                Ok(())
            };
            either(greeted, serving.as_mut()).await.unwrap();
            clients.push(client);
        }
        let dropping = catch_unwind(AssertUnwindSafe(|| drop(serving)));
        assert!(dropping.is_err());
        for client in clients {
            assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        }
        assert_eq!(server.connections(), 0);
    });
}

#[test]
fn a_shutdown_that_is_cut_off_waits_no_more() {
    run(async |handle| {
        let (server, serving, client, _) = busy(&handle, quiet().grace(Duration::MAX)).await;
        server.shutdown().begin();
        end_of_turn(&handle).await;
        assert!(!serving.is_finished());
        server.shutdown().cut_off();
        let error = join(serving).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cut off: 1 still open after ")
        );
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
