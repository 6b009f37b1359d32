//! Servers and signals. Each test has a process of its own.

mod support;

use std::{
    future::pending,
    num::NonZero,
    sync::atomic::{AtomicI32, Ordering::SeqCst},
    time::Duration,
};

use nio_loop::EventLoop;
use nio_net::{Connection, Cores, ServeError, ServeOptions, Server, TcpStream};
use support::{ANY_PORT, end_of_turn, in_child, join, listen, raise, run};

#[test]
fn the_first_signal_begins_the_shutdown_and_the_second_cuts_it_off() {
    for (first, second) in [(libc::SIGINT, libc::SIGTERM), (libc::SIGTERM, libc::SIGINT)] {
        in_child(|| {
            run(async |handle| {
                let options = ServeOptions::new().grace(Duration::MAX);
                let (listener, address) = listen(&handle);
                let server = Server::with(&handle, options);
                let serving = handle.spawn(server.serve(listener, async |client| {
                    client.write_all(b"hello").await?;
                    pending().await
                }));
                let client = TcpStream::connect(&handle, address).await.unwrap();
                client.read_exact(&mut [0; 5]).await.unwrap();
                raise(first);
                server.shutdown().begun().await;
                end_of_turn(&handle).await;
                assert!(!serving.is_finished());
                raise(second);
                let error = join(serving).await.unwrap_err();
                assert!(matches!(error, ServeError::CutOff(_)), "{error}");
                assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
            });
        });
    }
}

#[test]
fn the_second_signal_calls_the_function_of_the_options() {
    static CALLED: AtomicI32 = AtomicI32::new(0);
    in_child(|| {
        run(async |handle| {
            let options = ServeOptions::new().grace(Duration::MAX);
            let options = options.on_second_signal(|signal| CALLED.store(signal.as_raw(), SeqCst));
            let (listener, address) = listen(&handle);
            let server = Server::with(&handle, options);
            let serving = handle.spawn(server.serve(listener, async |client| {
                client.write_all(b"hello").await?;
                pending().await
            }));
            let client = TcpStream::connect(&handle, address).await.unwrap();
            client.read_exact(&mut [0; 5]).await.unwrap();
            raise(libc::SIGINT);
            server.shutdown().begun().await;
            assert_eq!(CALLED.load(SeqCst), 0);
            raise(libc::SIGTERM);
            while CALLED.load(SeqCst) == 0 {
                end_of_turn(&handle).await;
            }
            assert_eq!(CALLED.load(SeqCst), libc::SIGTERM);
            assert!(!serving.is_finished());
            server.shutdown().cut_off();
            join(serving).await.unwrap_err();
        });
    });
}

#[test]
fn signals_that_come_before_the_server_is_polled_are_not_lost() {
    in_child(|| {
        run(async |handle| {
            let (listener, _) = listen(&handle);
            let serving = Server::new(&handle).serve(listener, async |_| Ok(()));
            raise(libc::SIGTERM);
            serving.await.unwrap();
        });
    });
}

#[test]
fn nothing_of_a_server_keeps_a_loop_alive() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (listener, _) = listen(&handle);
        let server = Server::new(&handle);
        let serving = server.serve(listener, async |_: Connection<'_>| Ok(()));
        assert!(!event_loop.run().unwrap());
        drop(serving);
    });
}

#[test]
fn a_signal_ends_all_threads() {
    in_child(|| {
        let cores = Cores::bind(ANY_PORT, NonZero::new(3).unwrap()).unwrap();
        let running = cores.start(ServeOptions::new(), async |core| {
            core.server.serve(core.listener, async |_| Ok(())).await
        });
        let running = running.unwrap();
        // SAFETY: takes no pointers.
        assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGTERM) }, 0);
        running.join().unwrap();
    });
}
