//! Sending files.

mod support;

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{self, Shutdown},
    os::unix::fs::FileExt,
    sync::Arc,
    thread,
};

use nio_loop::Handle;
use nio_net::{ByteStream, Stream, UnixStream, pipe};
use support::{Counted, Place, join, pair_with_std, pattern, poll_once, run, shrink_buffer};

/// Longer than a call sends at once.
const LONG: usize = 1_000_003;

/// A file without a name.
fn file(name: &str, bytes: &[u8]) -> File {
    let place = Place::new(name);
    File::create(&place.0).unwrap().write_all(bytes).unwrap();
    File::open(&place.0).unwrap()
}

fn read_all(peer: net::TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        (&peer).read_to_end(&mut all).unwrap();
        all
    })
}

#[test]
fn a_file_is_sent_whole_through_a_small_buffer() {
    run(async |handle| {
        let file = file("whole", &pattern(LONG));
        let (stream, peer) = pair_with_std(&handle);
        shrink_buffer(&stream);
        let all = read_all(peer);
        assert_eq!(stream.send_file_all(&file, ..).await.unwrap(), LONG as u64);
        drop(stream);
        assert!(all.join().unwrap() == pattern(LONG));
    });
}

#[test]
fn a_range_of_a_file_is_sent_and_its_position_stays() {
    run(async |handle| {
        let mut file = file("range", b"0123456789");
        let (stream, peer) = pair_with_std(&handle);
        assert_eq!(stream.send_file_all(&file, 2..5).await.unwrap(), 3);
        assert_eq!(stream.send_file_all(&file, 7..=8).await.unwrap(), 2);
        assert_eq!(stream.send_file_all(&file, 8..100).await.unwrap(), 2);
        assert_eq!(stream.send_file_all(&file, 10..).await.unwrap(), 0);
        assert_eq!(stream.send_file_all(&file, 5..5).await.unwrap(), 0);
        assert_eq!(stream.send_file(&file, 0, 1).await.unwrap(), 1);
        drop(stream);
        assert_eq!(read_all(peer).join().unwrap(), b"23478890");
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"0123456789");
    });
}

#[test]
fn a_range_across_the_first_two_gibibytes_is_sent() {
    const END: u64 = 1 << 31;
    run(async |handle| {
        let place = Place::new("sparse");
        let file = File::create_new(&place.0).unwrap();
        file.write_all_at(b"0123456789", END - 5).unwrap();
        let file = File::open(&place.0).unwrap();
        let (stream, peer) = pair_with_std(&handle);
        assert_eq!(stream.send_file_all(&file, END - 1..).await.unwrap(), 6);
        assert_eq!(
            stream.send_file_all(&file, END - 5..END + 1).await.unwrap(),
            6
        );
        drop(stream);
        assert_eq!(read_all(peer).join().unwrap(), b"456789012345");
    });
}

/// Sends a file to one end and reads it from the other.
async fn round<A: Stream + 'static, B: Stream + 'static>(
    handle: &Handle,
    to: ByteStream<A>,
    from: ByteStream<B>,
) {
    let file = file("round", &pattern(LONG));
    let send = handle.spawn(async move { to.send_file_all(&file, ..).await.unwrap() });
    let mut all = Vec::new();
    from.read_to_end(&mut all, LONG).await.unwrap();
    assert!(all == pattern(LONG));
    assert_eq!(join(send).await, LONG as u64);
}

#[test]
fn a_file_is_sent_to_unix_sockets_and_pipes_too() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        round(&handle, one, other).await;
        let (reader, writer) = pipe(&handle).unwrap();
        round(&handle, writer, reader).await;
    });
}

#[test]
fn a_file_without_positions_is_an_error() {
    run(async |handle| {
        let (reader, _writer) = pipe(&handle).unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(reader.into_std()));
        let (stream, _peer) = pair_with_std(&handle);
        let error = stream.send_file(&file, 0, 10).await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_file_that_the_kernel_cannot_send_is_read_and_written() {
    run(async |handle| {
        // Linux has no sendfile(2) for it.
        let Ok(file) = File::open("/proc/self/status") else {
            return println!("nothing to test here");
        };
        let (stream, peer) = pair_with_std(&handle);
        let sent = stream.send_file_all(&file, ..).await.unwrap();
        drop(stream);
        let all = read_all(peer).join().unwrap();
        assert_eq!(all.len() as u64, sent);
        assert!(all.starts_with(b"Name:"));
    });
}

#[test]
fn a_file_that_is_sent_to_a_stream_that_has_ended_is_an_error() {
    run(async |handle| {
        let file = file("ended", b"0123456789");
        let (stream, _peer) = pair_with_std(&handle);
        stream.shutdown(Shutdown::Write).unwrap();
        let error = stream.send_file_all(&file, ..).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn l96_a_send_of_a_file_that_is_dropped_leaves_nothing() {
    run(async |handle| {
        let file = file("dropped", &pattern(LONG));
        let (stream, _peer) = UnixStream::pair(&handle).unwrap();
        while poll_once(stream.send_file(&file, 0, LONG)).is_ready() {}
        let counted = Arc::new(Counted::default());
        for _ in 0..3 {
            let mut send = Box::pin(stream.send_file(&file, 0, 10));
            assert!(counted.poll(send.as_mut()).is_pending());
            assert!(counted.kept() > 0);
            drop(send);
            assert_eq!(counted.kept(), 0);
        }
    });
}

#[test]
fn l95_a_file_that_always_has_room_leaves_the_others_their_turns() {
    run(async |handle| {
        let file = file("room", &pattern(LONG));
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let reading = handle.spawn(async move {
            let mut all = 0;
            while let Some(n) = other.read_with(<[u8]>::len).await.unwrap() {
                all += n;
            }
            all
        });
        let sending = handle.spawn(async move {
            for _ in 0..100 {
                one.send_file(&file, 0, 1).await.unwrap();
            }
        });
        let mut turns = 0;
        while !sending.is_finished() {
            handle.next_turn().await;
            turns += 1;
        }
        assert!(turns >= 3, "{turns} turns");
        assert_eq!(join(reading).await, 100);
    });
}
