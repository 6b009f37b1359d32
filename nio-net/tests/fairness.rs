//! Nobody has the loop to himself.

mod support;

use std::{
    cell::Cell,
    io::{Read, Write},
    net,
    rc::Rc,
};

use nio_net::TcpStream;
use support::{end_of_turn, fill, join, listen, pair_with_std, run};

/// Operations of one direction of a socket that are few enough for one turn of the loop: twice what
/// the loop allows in a row, because a turn may have the end of one row and the beginning of the next.
const A_FEW: u32 = 64;

/// A stream with so much to read that reading it byte by byte takes long.
fn never_dry(handle: &nio_loop::Handle) -> (TcpStream, net::TcpStream) {
    let (stream, peer) = pair_with_std(handle);
    assert!(fill(&peer) > 50_000);
    (stream, peer)
}

/// Reads a stream byte by byte, and counts the reads.
fn count_reads(handle: &nio_loop::Handle, stream: TcpStream) -> Rc<Cell<u32>> {
    let reads = Rc::new(Cell::new(0));
    let count = Rc::clone(&reads);
    handle.spawn(async move {
        while stream.read(&mut [0]).await.unwrap() > 0 {
            count.set(count.get() + 1);
        }
    });
    reads
}

#[test]
fn l60_a_stream_that_never_runs_dry_is_read_a_little_in_each_turn() {
    run(async |handle| {
        let (stream, _peer) = never_dry(&handle);
        let reads = count_reads(&handle, stream);
        for _ in 0..100 {
            let before = reads.get();
            end_of_turn(&handle).await;
            let now = reads.get() - before;
            assert!((1..=A_FEW).contains(&now), "{now} reads in a turn");
        }
    });
}

#[test]
fn l60_a_stream_that_never_runs_dry_leaves_another_its_turn() {
    run(async |handle| {
        let (busy, _full) = never_dry(&handle);
        let (quiet, mut peer) = pair_with_std(&handle);
        let reads = count_reads(&handle, busy);
        peer.write_all(b"!").unwrap();
        for _ in 0..100 {
            // The byte may arrive some turns after it was sent.
            quiet.readable().await.unwrap();
            let before = reads.get();
            let mut byte = [0];
            quiet.read_exact(&mut byte).await.unwrap();
            quiet.write_all(&byte).await.unwrap();
            peer.read_exact(&mut byte).unwrap();
            peer.write_all(&byte).unwrap();
            let between = reads.get() - before;
            assert!(between <= 4 * A_FEW, "{between} reads of the other stream");
        }
    });
}

#[test]
fn l60_streams_that_never_run_dry_take_turns() {
    run(async |handle| {
        let (one, _ones) = never_dry(&handle);
        let (other, _others) = never_dry(&handle);
        let (one, other) = (count_reads(&handle, one), count_reads(&handle, other));
        for _ in 0..50 {
            end_of_turn(&handle).await;
            assert!(one.get().abs_diff(other.get()) <= A_FEW);
        }
        assert!(one.get() > 0);
    });
}

#[test]
fn l60_a_stream_that_always_has_room_is_written_a_little_in_each_turn() {
    run(async |handle| {
        // There is room for all that is written here.
        let (stream, _peer) = pair_with_std(&handle);
        let writes = Rc::new(Cell::new(0));
        let count = Rc::clone(&writes);
        handle.spawn(async move {
            while stream.write(b"!").await.is_ok() {
                count.set(count.get() + 1);
            }
        });
        for _ in 0..20 {
            let before = writes.get();
            end_of_turn(&handle).await;
            let now = writes.get() - before;
            assert!((1..=A_FEW).contains(&now), "{now} writes in a turn");
        }
    });
}

#[test]
fn l63_a_queue_that_never_runs_dry_leaves_timers_their_turn() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let clients: Vec<_> = (0..100)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        let task = handle.spawn(async move {
            while count.get() < 100 {
                listener.accept().await.unwrap();
                count.set(count.get() + 1);
            }
        });
        let (seen, count) = (Rc::new(Cell::new(0)), Rc::clone(&accepted));
        let flag = Rc::clone(&seen);
        handle.set_immediate(move |_| flag.set(count.get()));
        join(task).await;
        assert!((1..=A_FEW).contains(&seen.get()), "{}", seen.get());
        drop(clients);
    });
}
