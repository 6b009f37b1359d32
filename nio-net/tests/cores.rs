//! Servers with a loop on each of several threads.

mod support;

use std::{
    collections::HashSet,
    error::Error,
    future::pending,
    io::{self, ErrorKind, Read},
    net::{SocketAddr, TcpStream},
    num::NonZero,
    os::unix,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
};

use nio_net::{Connection, Core, Cores, CoresError, RunningCores, ServeOptions};
use support::{ANY_PORT, LIMIT, Place, in_child, limit_descriptors, open_descriptors};

/// Options of a server that listens to no signals: tests run side by side.
fn options() -> ServeOptions {
    ServeOptions::new().signals(false)
}

fn bind(address: SocketAddr, threads: usize) -> io::Result<Cores> {
    Ok(Cores::bind(address, NonZero::new(threads).unwrap())?)
}

/// Starts threads that tell each client their number, and wait for the end of it or of the server.
fn start(threads: usize, options: ServeOptions) -> (RunningCores, SocketAddr) {
    let cores = bind(ANY_PORT, threads).unwrap();
    let address = cores.local_addr().unwrap();
    let running = cores.start(options, async |core| {
        let number = [u8::try_from(core.number).unwrap()];
        let tell = async move |client: Connection<'_>| {
            client.write_all(&number).await?;
            let mut byte = [0];
            let end = client.unless_shutdown(client.read(&mut byte)).await;
            end.unwrap_or(Ok(0)).map(drop)
        };
        core.server.serve(core.listener, tell).await
    });
    (running.unwrap(), address)
}

/// A client, and the number of the thread that serves it.
fn client(address: SocketAddr) -> (TcpStream, u8) {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut number = [0];
    client.read_exact(&mut number).unwrap();
    (client, number[0])
}

#[test]
fn connections_are_spread_over_the_threads() {
    let (running, address) = start(2, options());
    let numbers: HashSet<_> = (0..100).map(|_| client(address).1).collect();
    // Where the threads share a listener, the first to accept may be the same one each time.
    let spreads = cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd"
    ));
    assert!(!spreads || numbers.len() == 2, "{numbers:?}");
    running.shutdown().begin();
    running.join().unwrap();
}

#[test]
fn a_connection_never_waits_while_a_permit_is_free_on_whichever_thread() {
    let (running, address) = start(4, options().connections(8));
    for _ in 0..10 {
        // With two permits for each thread, one of these would wait nearly always.
        let clients: Vec<_> = (0..8).map(|_| client(address)).collect();
        drop(clients);
    }
    running.shutdown().begin();
    running.join().unwrap();
}

#[test]
fn the_threads_share_one_limit() {
    let (running, address) = start(4, options().connections(1));
    for _ in 0..20 {
        let (first, _) = client(address);
        let mut second = TcpStream::connect(address).unwrap();
        second.set_nonblocking(true).unwrap();
        let waits = second.read(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
        drop(first);
        second.set_nonblocking(false).unwrap();
        second.read_exact(&mut [0]).unwrap();
    }
    running.shutdown().begin();
    running.join().unwrap();
}

#[test]
fn a_shutdown_ends_all_threads_and_their_connections() {
    let (running, address) = start(3, options());
    let clients: Vec<_> = (0..20).map(|_| client(address).0).collect();
    running.shutdown().clone().begin();
    for mut client in clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    running.join().unwrap();
}

/// Starts three threads, the second of which fails after the others have begun to serve.
fn start_to_fail(fail: impl Fn() -> Result<(), io::Error> + Send + Sync + 'static) -> CoresError {
    let cores = bind(ANY_PORT, 3).unwrap();
    let running = cores.start(options(), async move |core: Core| {
        if core.number == 1 {
            return fail();
        }
        core.server.serve(core.listener, async |_| Ok(())).await?;
        Ok(())
    });
    running.unwrap().join().unwrap_err()
}

#[test]
fn a_thread_that_fails_shuts_down_the_others_and_is_named() {
    let error = start_to_fail(|| Err(io::Error::other("no more paper")));
    let text = "1 of 3 threads failed; thread 1: no more paper";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.failures[0].0, 1);
    assert_eq!(io::Error::from(error).to_string(), text);
}

#[test]
fn a_thread_that_panics_shuts_down_the_others_and_is_named() {
    let error = start_to_fail(|| panic!("on fire"));
    let text = "1 of 3 threads failed; thread 1: the thread panicked: on fire";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_thread_can_shut_down_all() {
    let cores = bind(ANY_PORT, 3).unwrap();
    let running = cores.start(options(), async |core: Core| {
        if core.number == 2 {
            core.shutdown.begin();
        }
        core.server.serve(core.listener, async |_| Ok(())).await
    });
    running.unwrap().join().unwrap();
}

/// Limits the descriptors of this process so that `room` more can be opened.
fn leave_descriptors(room: usize) {
    // SAFETY: F_GETFD takes no further argument.
    let is_free = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == -1;
    let last = (0..).filter(is_free).nth(room - 1).unwrap();
    limit_descriptors(last as u64 + 1);
}

#[test]
fn a_thread_without_descriptors_for_its_loop_is_an_error_and_no_thread_runs_its_function() {
    in_child(|| {
        let before = open_descriptors();
        let event_loop = nio_loop::EventLoop::new().unwrap();
        let of_a_loop = open_descriptors() - before;
        drop(event_loop);
        let cores = bind(ANY_PORT, 3).unwrap();
        leave_descriptors(2 * of_a_loop);
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let started = cores.start(options(), async move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            pending::<io::Result<()>>().await
        });
        let error = started.unwrap_err();
        assert!(!error.failures.is_empty(), "{error}");
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn several_addresses_and_those_of_a_host_have_one_port() {
    let both: [SocketAddr; 2] = ["127.0.0.1:0", "[::1]:0"].map(|text| text.parse().unwrap());
    let two = NonZero::new(2).unwrap();
    // The machine may have no IPv6.
    let both = Cores::bind(both, two).ok();
    let others = [
        Cores::bind("localhost:0", two).unwrap(),
        Cores::bind("127.0.0.1:0", NonZero::<usize>::MIN).unwrap(),
    ];
    for cores in both.into_iter().chain(others) {
        let addresses = cores.local_addrs().unwrap();
        assert_eq!(cores.local_addr().unwrap(), addresses[0]);
        let running = cores.start(options(), async |core| {
            let greet = async |client: Connection<'_>| client.write_all(b"!").await;
            core.server.serve(core.listener, greet).await
        });
        let running = running.unwrap();
        for address in addresses.iter().cycle().take(20) {
            assert_eq!(address.port(), addresses[0].port());
            client(*address);
        }
        running.shutdown().begin();
        running.join().unwrap();
    }
}

#[test]
fn a_text_that_is_no_address_is_refused() {
    let error = Cores::bind("nonsense", NonZero::<usize>::MIN).unwrap_err();
    assert!(matches!(error, nio_net::Error::Address { .. }), "{error}");
}

#[test]
fn another_server_does_not_share_the_address() {
    let cores = bind(ANY_PORT, 2).unwrap();
    let address = cores.local_addr().unwrap();
    for threads in [1, 2] {
        let error = bind(address, threads).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot listen on {address}: "))
        );
    }
}

#[test]
fn a_listener_that_cannot_be_bound_twice_is_shared() {
    let place = Place::new("cores");
    let listener = unix::net::UnixListener::bind(&place.0).unwrap();
    let clones = [listener.try_clone().unwrap(), listener];
    let (serves, served) = channel();
    let running = Cores::of(clones).start(options(), async move |core| {
        let serves = serves.clone();
        let handler = async move |client: Connection<'_, _>| {
            serves.send(()).unwrap();
            client.write_all(b"!").await
        };
        core.server.serve(core.listener, handler).await
    });
    let running = running.unwrap();
    for _ in 0..50 {
        let mut client = unix::net::UnixStream::connect(&place.0).unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(served.try_iter().count(), 50);
    running.shutdown().begin();
    running.join().unwrap();
}

#[test]
fn without_listeners_there_is_nothing_to_start() {
    let cores = Cores::<std::net::TcpListener>::of([]);
    let error = cores.local_addr().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let running = cores.start(options(), async |_| {
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    running.unwrap().join().unwrap();
}
