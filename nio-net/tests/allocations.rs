//! Operations allocate no memory, and dropped futures leave none.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    future::{Future, poll_fn},
    io::{IoSlice, IoSliceMut},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use nio_loop::Handle;
use nio_net::{Batch, ByteStream, Stream, UdpSocket, UnixDatagram, UnixStream};
use support::{ANY_PORT, end_of_turn, listen, pair, run};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread how often it is asked, and how many bytes
/// it has given out.
struct Counting;

// SAFETY: everything is done by the allocator of the system; the count allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD.set(HELD.get().wrapping_add(layout.size()));
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // Memory that another thread freed may be reused by this one.
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations something makes when it is done for the hundredth time.
async fn allocations(mut something: impl AsyncFnMut()) -> usize {
    for _ in 0..99 {
        something().await;
    }
    let before = ALLOCATIONS.get();
    something().await;
    ALLOCATIONS.get() - before
}

/// Whether a future is not ready. It waits in the name of the task that asks, and is given up.
async fn would_wait(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Every operation of a stream, there and back, with waiting.
async fn use_stream<S: Stream>(one: &ByteStream<S>, other: &ByteStream<S>, reserve: &mut Vec<u8>) {
    let mut bytes = [0; 8];
    assert!(would_wait(other.read(&mut bytes)).await);
    one.write_all(b"ping").await.unwrap();
    other.readable().await.unwrap();
    assert_eq!(other.peek(&mut bytes).await.unwrap(), 4);
    other.read_exact(&mut bytes[..4]).await.unwrap();

    let pieces = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
    other.write_vectored(&pieces).await.unwrap();
    one.readable().await.unwrap();
    let (first, second) = bytes.split_at_mut(2);
    let mut buffers = [IoSliceMut::new(first), IoSliceMut::new(second)];
    one.read_vectored(&mut buffers).await.unwrap();

    assert!(other.try_read(&mut bytes).is_err());
    one.write(b"ping").await.unwrap();
    let echo = other.read_with(|bytes| other.try_write_all(bytes).unwrap());
    assert!(echo.await.unwrap().unwrap().is_empty());
    assert_eq!(one.read_with(<[u8]>::len).await.unwrap(), Some(4));

    one.write(b"ping").await.unwrap();
    reserve.clear();
    assert_eq!(other.read_buf(reserve).await.unwrap(), 4);
}

#[test]
fn no_operation_allocates() {
    run(async |handle: Handle| {
        let mut reserve = Vec::with_capacity(64);
        // The first time, the shared buffer of the thread is made.
        let (one, other) = UnixStream::pair(&handle).unwrap();
        use_stream(&one, &other, &mut reserve).await;
        let (one, other) = pair(&handle).await;
        one.set_nodelay(true).unwrap();
        let made = allocations(async || use_stream(&one, &other, &mut reserve).await).await;
        assert_eq!(made, 0, "by a TCP stream");

        let (one, other) = UnixStream::pair(&handle).unwrap();
        let made = allocations(async || use_stream(&one, &other, &mut reserve).await).await;
        assert_eq!(made, 0, "by a Unix stream");

        let mut batch = Batch::new(8, 8);
        let one = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let address = one.local_addr().unwrap();
        let made = allocations(async || {
            assert!(would_wait(one.recv_many(&mut batch)).await);
            one.send_to(b"ping", address).await.unwrap();
            one.recv_from(&mut [0; 8]).await.unwrap();
            one.send_many_to(&[(b"a", address), (b"b", address)])
                .await
                .unwrap();
            let mut received = 0;
            while received < 2 {
                received += one.recv_many(&mut batch).await.unwrap();
            }
        });
        assert_eq!(made.await, 0, "by a UDP socket");

        let (one, other) = UnixDatagram::pair(&handle).unwrap();
        let made = allocations(async || {
            one.send(b"ping").await.unwrap();
            other.recv(&mut [0; 8]).await.unwrap();
        });
        assert_eq!(made.await, 0, "by a Unix socket of datagrams");
    });
}

#[test]
fn dropped_accepts_leave_nothing_behind() {
    run(async |handle: Handle| {
        let (listener, _) = listen(&handle);
        let listener = Rc::new(listener);
        listener.pause();
        let accept = || {
            let listener = Rc::clone(&listener);
            handle.spawn(async move { listener.accept().await.map(drop) })
        };
        let stay = [accept(), accept()];
        let give_up = async |times: usize| {
            for _ in 0..times {
                let gives_up = accept();
                end_of_turn(&handle).await;
                gives_up.abort();
            }
            HELD.get()
        };
        let before = give_up(100).await;
        let after = give_up(1000).await;
        assert!(after < before + 1000, "{before} bytes, then {after}");
        drop(stay);
    });
}
