//! Very many connections, one after the other: nothing is left of them, neither descriptors nor
//! memory.
//!
//! The normal test opens and closes 10,000 of them. This one takes 100,000:
//!
//! ```text
//! cargo test --release -p nio-net --test connections -- --ignored
//! ```

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use nio_loop::{EventLoop, Handle};
use nio_net::{TcpListener, TcpStream};
use support::{in_child, listen, open_descriptors};

/// The allocator of the system, which counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is done by the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many connections are open at the same time.
const AT_ONCE: usize = 100;

/// Opens and closes a hundred connections: each one is accepted, asked and answered in tasks of both
/// sides, and closed by a reset, so that no port stays in TIME_WAIT.
async fn a_hundred_connections(handle: &Handle, listener: &TcpListener, address: SocketAddr) {
    let mut clients = Vec::new();
    for i in 0..AT_ONCE {
        let connecting = handle.clone();
        clients.push(handle.spawn(async move {
            let stream = TcpStream::connect(&connecting, address).await.unwrap();
            let linger = Some(Duration::ZERO);
            stream.options().set_linger(linger).unwrap();
            // It is accepted now; what is reset in the queue, some systems pass over.
            stream.read_exact(&mut [0]).await.unwrap();
            // Some hear of the reset while they wait, and some do not wait.
            if i % 4 > 0 {
                stream.write_all(b"?").await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
        }));
    }
    let mut servers = Vec::new();
    for _ in 0..AT_ONCE {
        let (stream, _) = listener.accept().await.unwrap();
        servers.push(handle.spawn(async move {
            stream.write_all(b".").await.unwrap();
            let mut bytes = [0; 16];
            while let Ok(1..) = stream.read(&mut bytes).await {
                let _ = stream.write_all(b"!").await;
            }
        }));
    }
    for task in clients.into_iter().chain(servers) {
        task.await.unwrap();
    }
}

fn leave_nothing_behind(hundreds: usize) {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (listener, address) = listen(&handle);
    let mut measure = |rounds: usize| {
        for _ in 0..rounds {
            let round = a_hundred_connections(&handle, &listener, address);
            event_loop.block_on(round).unwrap();
        }
        (open_descriptors(), IN_USE.load(Ordering::Relaxed))
    };
    // Memory that the loop keeps for its next connections is there after some of them. A table may still grow
    // once, when more tasks are ready at the same time than ever before; a leak grows in each part.
    let (descriptors, _) = measure(10);
    let grown = (0..PARTS).map(|_| {
        let before = IN_USE.load(Ordering::Relaxed);
        let (descriptors_after, bytes) = measure(hundreds / PARTS);
        assert_eq!(descriptors_after, descriptors);
        bytes.saturating_sub(before)
    });
    let least = grown.min().unwrap();
    // A byte for every ten connections is more than any of them may leave.
    assert!(
        least <= hundreds / PARTS * AT_ONCE / 10,
        "each part left {least} bytes or more"
    );
}

/// In how many parts the connections are made.
const PARTS: usize = 4;

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    in_child(|| leave_nothing_behind(100));
}

#[test]
#[ignore = "it takes some ten seconds"]
fn a_hundred_thousand_connections_leave_nothing_behind() {
    in_child(|| leave_nothing_behind(1000));
}
