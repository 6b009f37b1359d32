//! The operations that only Unix sockets have. Those that they share with TCP are tested in `bytes`.

mod support;

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::{
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net,
    },
    pin::pin,
    task::Poll,
    time::Duration,
};

use nio_net::{Error, UnixDatagram, UnixListener, UnixStream};
use support::{Place, in_child, join, limit_descriptors, open_descriptors, poll, poll_once, run};

#[test]
fn bytes_travel_both_ways_over_a_path() {
    let place = Place::new("both-ways");
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        assert_eq!(
            listener.local_addr().unwrap().as_pathname(),
            Some(&*place.0)
        );
        let client = UnixStream::connect(&handle, &place.0).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        assert!(client.local_addr().unwrap().is_unnamed());
        // q85: the peer is unnamed, which systems report in several ways.
        assert!(peer.is_unnamed());
        assert!(server.peer_addr().unwrap().is_unnamed());

        client.write_all(b"there").await.unwrap();
        drop(client);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes, 100).await.unwrap();
        assert_eq!(bytes, b"there");
    });
}

#[test]
fn q85_a_client_with_a_name_is_accepted_with_it() {
    let (listens, connects) = (Place::new("listens"), Place::new("connects"));
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &listens.0).unwrap();
        let client = named_client(&connects.0, &listens.0);
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(&*connects.0));
        drop(client);
    });
}

#[cfg(not(target_os = "openbsd"))] // It wants room for a zero, and refuses the name (EINVAL).
#[test]
fn q85_a_client_whose_name_fills_its_address_is_accepted_as_unnamed() {
    let (listens, mut connects) = (Place::new("roomy"), Place::new("full"));
    // SAFETY: all zeroes is a valid sockaddr_un.
    let room = unsafe { std::mem::zeroed::<libc::sockaddr_un>() };
    let len = connects.0.as_os_str().len();
    let rest = "x".repeat(room.sun_path.len() - len);
    connects.0.as_mut_os_string().push(rest);
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &listens.0).unwrap();
        let mut client = named_client(&connects.0, &listens.0);
        let (stream, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        client.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
    });
}

/// A connected client that is bound to a path, which the standard library cannot make.
fn named_client(own: &std::path::Path, other: &std::path::Path) -> net::UnixStream {
    use std::os::{fd::FromRawFd, unix::ffi::OsStrExt};
    let raw = |path: &std::path::Path| {
        // SAFETY: all zeroes is a valid sockaddr_un.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in raw.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
            *to = *from as libc::c_char;
        }
        raw
    };
    let (own, other) = (raw(own), raw(other));
    let len = size_of_val(&own) as libc::socklen_t;
    // SAFETY: the pointers and the lengths are those of whole address structures; the descriptor is
    // new and ours.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        assert!(fd != -1);
        assert_eq!(libc::bind(fd, (&raw const own).cast(), len), 0);
        assert_eq!(libc::connect(fd, (&raw const other).cast(), len), 0);
        net::UnixStream::from_raw_fd(fd)
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_abstract_name_needs_no_file() {
    run(async |handle| {
        let name = format!("nio-net-{}\0with a zero", std::process::id());
        let address = net::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind(&handle, &address).unwrap();
        let bound = listener.local_addr().unwrap();
        assert_eq!(bound.as_abstract_name(), Some(name.as_bytes()));
        let client = UnixStream::connect(&handle, &address).await.unwrap();
        listener.accept().await.unwrap();
        let peer = client.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(name.as_bytes()));
    });
}

#[test]
fn errors_name_the_path() {
    in_child(|| {
        let place = Place::new("errors");
        run(async |handle| {
            let name = place.0.to_str().unwrap();
            let error = UnixStream::connect(&handle, &place.0).await.unwrap_err();
            assert!(matches!(error, Error::ConnectUnix { .. }));
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);

            drop(UnixListener::bind(&handle, &place.0).unwrap());
            let error = UnixStream::connect(&handle, &place.0).await.unwrap_err();
            assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
            // The file is still there.
            let error = UnixListener::bind(&handle, &place.0).unwrap_err();
            assert!(matches!(error, Error::BindUnix { .. }));
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(io::Error::from(error).kind(), ErrorKind::AddrInUse);

            let long = "x".repeat(200);
            let error = UnixListener::bind(&handle, &long).unwrap_err();
            assert!(matches!(error, Error::Path { .. }));
            assert!(error.to_string().contains(&long), "{error}");
        });
    });
}

#[test]
fn q42_a_connection_waits_for_room_in_a_full_queue() {
    let place = Place::new("full");
    run(async |handle| {
        let listener = net::UnixListener::bind(&place.0).unwrap();
        // SAFETY: takes no pointers.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let mut made = Vec::new();
        for _ in 0..10 {
            let mut connect = pin!(UnixStream::connect(&handle, &place.0));
            match poll(connect.as_mut()) {
                Poll::Ready(Ok(stream)) => made.push(stream),
                // On the BSDs a full queue refuses.
                Poll::Ready(Err(error))
                    if !cfg!(any(target_os = "linux", target_os = "android")) =>
                {
                    return println!("nothing to test here: {error}");
                }
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => {
                    handle.sleep(Duration::from_millis(20)).await;
                    assert!(poll(connect.as_mut()).is_pending());
                    drop(listener.accept().unwrap());
                    let stream = connect.await.unwrap();
                    assert!(stream.peer_addr().unwrap().as_pathname().is_some());
                    return;
                }
            }
        }
        panic!("the queue is never full");
    });
}

#[test]
fn the_other_side_is_this_process() {
    let place = Place::new("credentials");
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        let client = UnixStream::connect(&handle, &place.0).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut streams = vec![client, server];
        // NetBSD and DragonFly note it only in connect(2).
        if !cfg!(any(target_os = "netbsd", target_os = "dragonfly")) {
            streams.extend(<[_; 2]>::from(UnixStream::pair(&handle).unwrap()));
        }
        for stream in streams {
            let peer = stream.peer_credentials().unwrap();
            // SAFETY: these take nothing and always succeed.
            assert_eq!((peer.user, peer.group), unsafe {
                (libc::geteuid(), libc::getegid())
            });
            if cfg!(any(
                target_os = "linux",
                target_os = "android",
                target_vendor = "apple"
            )) {
                assert_eq!(peer.process, Some(std::process::id() as i32));
            }
        }
    });
}

#[test]
fn descriptors_arrive_open_in_order_and_close_on_exec() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let pairs = [(); 3].map(|()| net::UnixStream::pair().unwrap());
        let sent: Vec<_> = pairs.iter().map(|(_, sent)| sent.as_fd()).collect();
        one.write_with_descriptors(b"three", &sent).await.unwrap();

        let (mut bytes, mut descriptors) = ([0; 64], Vec::new());
        let n = other
            .read_with_descriptors(&mut bytes, &mut descriptors)
            .await
            .unwrap();
        assert_eq!((&bytes[..n], descriptors.len()), (&b"three"[..], 3));
        for (i, ((mut keeps, sent), got)) in pairs.into_iter().zip(descriptors).enumerate() {
            drop(sent);
            // SAFETY: F_GETFD takes no further argument.
            let flags = unsafe { libc::fcntl(got.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            net::UnixStream::from(got).write_all(&[i as u8]).unwrap();
            let mut byte = Vec::new();
            keeps.read_to_end(&mut byte).unwrap();
            assert_eq!(byte, [i as u8]);
        }
    });
}

/// As many as one message carries.
const MOST: usize = if cfg!(target_os = "openbsd") {
    127
} else if cfg!(target_os = "dragonfly") {
    64
} else {
    253
};

#[test]
fn descriptors_are_waited_for() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let (mut bytes, mut descriptors) = ([0; 64], Vec::new());
        let reading = handle.spawn(async move {
            let n = other
                .read_with_descriptors(&mut bytes, &mut descriptors)
                .await
                .unwrap();
            (n, descriptors.len())
        });
        handle.sleep(Duration::from_millis(2)).await;
        let all: Vec<OwnedFd> = (0..MOST)
            .map(|_| io::stdin().as_fd().try_clone_to_owned().unwrap())
            .collect();
        let all: Vec<_> = all.iter().map(AsFd::as_fd).collect();
        one.write_with_descriptors(b"!", &all).await.unwrap();
        assert_eq!(join(reading).await, (1, MOST));
    });
}

#[test]
fn descriptors_need_a_byte_and_must_not_be_too_many() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let stdin = io::stdin();
        let many = [stdin.as_fd(); MOST + 1];
        for (bytes, descriptors) in [(&b""[..], &many[..1]), (b"!", &many)] {
            let sent = one.write_with_descriptors(bytes, descriptors).await;
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(poll_once(other.read(&mut [0])).is_pending());
        // No descriptors are not an error.
        assert_eq!(one.write_with_descriptors(b"!", &[]).await.unwrap(), 1);
        let (mut bytes, mut descriptors) = ([0; 64], Vec::new());
        let n = other
            .read_with_descriptors(&mut bytes, &mut descriptors)
            .await
            .unwrap();
        assert_eq!((n, descriptors.len()), (1, 0));
    });
}

#[test]
fn descriptors_that_find_no_room_are_an_error_and_none_stays_open() {
    in_child(|| {
        run(async |handle| {
            let (one, other) = UnixStream::pair(&handle).unwrap();
            let stdin = io::stdin();
            one.write_with_descriptors(b"!", &[stdin.as_fd(); 50])
                .await
                .unwrap();
            // The first read registers with the loop what it may need.
            other.readable().await.unwrap();
            let before = open_descriptors();
            limit_descriptors(before as u64 + 10);
            let (mut bytes, mut descriptors) = ([0; 64], Vec::new());
            let result = other
                .read_with_descriptors(&mut bytes, &mut descriptors)
                .await;
            result.unwrap_err();
            assert!(descriptors.is_empty());
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn l66_writing_to_a_unix_stream_that_is_gone_raises_no_signal() {
    in_child(|| {
        // Rust programs ignore this signal from the beginning; others die of it.
        // SAFETY: the default action is no handler that could be unsound.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(async |handle| {
            let (one, other) = UnixStream::pair(&handle).unwrap();
            drop(other);
            let pieces = [io::IoSlice::new(b"hello")];
            let errors = [
                one.write(b"hello").await.unwrap_err(),
                one.write_vectored(&pieces).await.unwrap_err(),
                one.write_with_descriptors(b"hello", &[]).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            }
        });
    });
}

#[test]
fn an_empty_path_is_an_error_and_no_anonymous_address() {
    run(async |handle| {
        let errors = [
            UnixListener::bind(&handle, "").unwrap_err(),
            UnixDatagram::bind(&handle, "").unwrap_err(),
            UnixStream::connect(&handle, "").await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(&error, Error::Path { path, .. } if path.as_os_str().is_empty()));
            assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
        }
    });
}
