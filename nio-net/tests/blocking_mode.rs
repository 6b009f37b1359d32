//! The mode (O_NONBLOCK) of descriptors that come into the loop and leave it.

mod support;

use std::{
    net,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix,
    },
    process::{Child, Command, Stdio},
};

use nio_loop::EventLoop;
use nio_net::{
    ByteStream, Stream, TcpListener, UdpSocket, UnixDatagram, UnixListener, UnixStream, pipe,
};
use support::{ANY_PORT, Place, listen, pair, pattern, run};

/// More than a pipe or a socket holds.
const MUCH: usize = 1 << 20;

fn is_nonblocking(descriptor: &impl AsFd) -> bool {
    // SAFETY: the command takes no argument.
    let flags = unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK != 0
}

fn assert_blocking(descriptor: impl AsFd) {
    assert!(!is_nonblocking(&descriptor));
}

#[test]
fn l103_a_descriptor_that_leaves_the_loop_is_in_blocking_mode() {
    run(async |handle| {
        let (listener, _) = listen(&handle);
        let (tcp, other_tcp) = pair(&handle).await;
        let (unix, other_unix) = UnixStream::pair(&handle).unwrap();
        let (reader, writer) = pipe(&handle).unwrap();
        let udp = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let (datagram, _other) = UnixDatagram::pair(&handle).unwrap();
        let place = Place::new("mode");
        let unix_listener = UnixListener::bind(&handle, &place.0).unwrap();
        assert!(is_nonblocking(&tcp) && is_nonblocking(&other_tcp));
        assert!(is_nonblocking(&reader) && is_nonblocking(&writer));

        assert_blocking(tcp.into_std());
        assert_blocking(other_tcp.into_std());
        assert_blocking(unix.into_std());
        assert_blocking(other_unix.into_std());
        assert_blocking(OwnedFd::from(reader.into_std()));
        assert_blocking(OwnedFd::from(writer.into_std()));
        assert_blocking(listener.into_std().remove(0));
        assert_blocking(unix_listener.into_std().remove(0));
        assert_blocking(udp.into_std());
        assert_blocking(datagram.into_std());
    });
}

#[test]
fn l103_a_stream_of_halves_that_leaves_the_loop_is_in_blocking_mode() {
    run(async |handle| {
        let (stream, _other) = UnixStream::pair(&handle).unwrap();
        let (reader, writer) = stream.into_split();
        assert_blocking(reader.reunite(writer).unwrap().into_std());
    });
}

#[test]
fn l99_a_descriptor_that_a_loop_refuses_comes_back_in_its_mode() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let (stream, other) = unix::net::UnixStream::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    let udp = net::UdpSocket::bind(ANY_PORT).unwrap();
    let refused = TcpListener::from_std(&handle, listener).unwrap_err();
    assert_blocking(refused.value);
    let refused = UnixStream::from_std(&handle, stream).unwrap_err();
    assert_blocking(refused.value);
    let refused = UnixStream::from_std(&handle, other).unwrap_err();
    assert!(is_nonblocking(&refused.value));
    let refused = UdpSocket::from_std(&handle, udp).unwrap_err();
    assert_blocking(refused.value);
}

#[test]
fn l103_a_descriptor_that_came_in_non_blocking_mode_leaves_in_blocking_mode() {
    run(async |handle| {
        let (stream, _other) = unix::net::UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = ByteStream::new(&handle, stream).unwrap();
        assert_blocking(stream.into_std());
    });
}

#[test]
fn l103_a_duplicate_has_the_mode_of_the_stream_also_when_that_is_dropped() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let of_one = one.get_ref().try_clone().unwrap();
        let of_other = other.get_ref().try_clone().unwrap();
        drop(one);
        assert!(is_nonblocking(&of_one));
        drop(other.into_std());
        assert_blocking(of_other);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn the_other_flags_of_a_descriptor_stay_when_it_leaves_the_loop() {
    run(async |handle| {
        let (_reader, writer) = pipe(&handle).unwrap();
        let flags = libc::O_DIRECT | libc::O_NONBLOCK;
        // SAFETY: the command takes an int, and the descriptor is open.
        let result = unsafe { libc::fcntl(writer.as_fd().as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(result, 0);
        let end = writer.into_std();
        // SAFETY: the command takes no argument.
        let flags = unsafe { libc::fcntl(end.as_fd().as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & (libc::O_DIRECT | libc::O_NONBLOCK), libc::O_DIRECT);
    });
}

/// A program that writes much, and fails if a write does.
fn writes_much(stdout: impl Into<Stdio>) -> Child {
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=65536", "count=16"]);
    dd.stdout(stdout).stderr(Stdio::null()).spawn().unwrap()
}

async fn read_much<S: Stream>(stream: ByteStream<S>, mut child: Child) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes, usize::MAX).await.unwrap();
    assert_eq!(bytes.len(), MUCH);
    assert!(child.wait().unwrap().success());
}

#[test]
fn l103_a_child_writes_all_it_has_to_each_kind_of_stream_that_it_is_given() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        read_much(reader, writes_much(writer)).await;
        let (reader, writer) = pipe(&handle).unwrap();
        read_much(reader, writes_much(OwnedFd::from(writer.into_std()))).await;
        let (reader, writer) = pipe(&handle).unwrap();
        read_much(reader, writes_much(OwnedFd::from(writer.into_std()))).await;
        let (ours, theirs) = UnixStream::pair(&handle).unwrap();
        read_much(ours, writes_much(theirs)).await;
        let (ours, theirs) = UnixStream::pair(&handle).unwrap();
        read_much(ours, writes_much(OwnedFd::from(theirs.into_std()))).await;
        let (ours, theirs) = pair(&handle).await;
        read_much(ours, writes_much(theirs)).await;
    });
}

#[test]
fn l103_a_child_reads_to_the_end_of_a_stream_that_is_empty_when_it_starts() {
    async fn write<S: Stream>(stream: ByteStream<S>, bytes: &[u8]) {
        stream.write_all(bytes).await.unwrap();
    }

    async fn count(stdin: impl Into<Stdio>, write: impl Future<Output = ()>) {
        let mut wc = Command::new("wc");
        let wc = wc.arg("-c").stdin(stdin).stdout(Stdio::piped());
        let child = wc.spawn().unwrap();
        write.await;
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let counted = String::from_utf8(output.stdout).unwrap();
        assert_eq!(counted.trim(), MUCH.to_string());
    }

    run(async |handle| {
        let bytes = pattern(MUCH);
        let (reader, writer) = pipe(&handle).unwrap();
        count(reader, write(writer, &bytes)).await;
        let (ours, theirs) = UnixStream::pair(&handle).unwrap();
        count(theirs, write(ours, &bytes)).await;
        let (ours, theirs) = pair(&handle).await;
        count(theirs, write(ours, &bytes)).await;
    });
}
