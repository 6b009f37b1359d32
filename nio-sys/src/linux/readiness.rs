//! From a mask of epoll to the readiness of READ, WRITE and EXCEPT: when EPOLLRDHUP, EPOLLHUP and EPOLLERR
//! become EV_EOF.
//!
//! | the mask | of | READ | WRITE |
//! |---|---|---|---|
//! | IN | all | ready | |
//! | OUT | all | | ready |
//! | RDHUP (the peer has ended writing, or SHUT_RD) | sockets | EOF | |
//! | HUP and RDHUP (both directions have ended) | sockets | EOF | EOF |
//! | HUP without RDHUP and IN | sockets that were never connected and never listened | | |
//! | HUP without RDHUP and IN | TCP listeners after shutdown(2), connections that were given up | EOF | EOF |
//! | HUP | pipes, terminals | EOF | EOF |
//! | ERR (the reader has gone) | pipes | EOF | EOF |
//! | ERR without HUP (an error, as from ICMP) | sockets | ready | ready |
//!
//! With ERR, READ and WRITE have PENDING_ERROR too. EXCEPT is ready with PRI. epoll adds HUP and ERR to every mask, asked for or not.

use std::{io, os::fd::RawFd};

use super::{
    count, epoll,
    inotify::FileState,
    slot::{ERR, HUP, IN, Kind, OUT, PRI, RDHUP, Slot},
};
use crate::EventFlags;

/// The readiness of each filter: not ready, or ready with EV_EOF, PENDING_ERROR, both or none.
pub(super) type Readiness = [Option<EventFlags>; 3];

/// The readiness of the filters of a descriptor by a mask. Records the kind of the descriptor in the slot if it
/// had to be asked for.
#[inline]
pub(super) fn readiness(fd: RawFd, mask: u32, slot: &mut Slot) -> Readiness {
    let hang_up = mask & (HUP | ERR) != 0;
    slot.unconnected = hang_up && is_unconnected(fd, mask, slot);
    if slot.unconnected {
        return [None; 3];
    }
    let both = hang_up && ends_both(fd, mask, slot);
    let flag = |is: bool, flag| if is { flag } else { EventFlags::empty() };
    let error = flag(mask & ERR != 0, EventFlags::PENDING_ERROR);
    let when = |bits, eof: bool| {
        let is_ready = hang_up || mask & bits != 0;
        is_ready.then(|| flag(eof, EventFlags::EOF) | error)
    };
    [
        when(IN | RDHUP, both || mask & RDHUP != 0),
        when(OUT, both),
        (mask & PRI != 0).then_some(EventFlags::empty()),
    ]
}

/// Whether a hang-up is that of a socket that was never connected. A connection that has ended has RDHUP, but an
/// entry for WRITE alone did not ask for it: then poll(2) is asked. A listener that was shut down has the mask of a
/// new socket.
fn is_unconnected(fd: RawFd, mask: u32, slot: &mut Slot) -> bool {
    mask & (HUP | IN | RDHUP | ERR) == HUP
        && kind(fd, slot) == Kind::Socket
        && poll_now(fd, IN | RDHUP) & (IN | RDHUP) == 0
        && !count::was_disconnected(fd)
}

/// Whether a hang-up or an error ends both directions.
fn ends_both(fd: RawFd, mask: u32, slot: &mut Slot) -> bool {
    mask & HUP != 0 || mask & RDHUP == 0 && kind(fd, slot) == Kind::Pipe
}

/// Whether a descriptor is a pipe or a socket: asked once for each registration.
fn kind(fd: RawFd, slot: &mut Slot) -> Kind {
    let file_type = || FileState::of(fd).map(|state| state.file_type());
    *slot.kind.get_or_insert_with(|| match file_type() {
        Ok(libc::S_IFIFO) => Kind::Pipe,
        Ok(libc::S_IFSOCK) => Kind::Socket,
        _ => Kind::Other,
    })
}

/// The answer of poll(2) for a descriptor now, asked for `events`, in the bits of epoll. Never blocks.
pub(super) fn poll_now(fd: RawFd, events: u32) -> u32 {
    let mut entry = libc::pollfd {
        fd,
        events: events as libc::c_short,
        revents: 0,
    };
    // SAFETY: one entry, which lives until the call returns.
    match unsafe { libc::poll(&mut entry, 1, 0) } {
        1 => u32::from(entry.revents as u16),
        _ => 0,
    }
}

/// Whether a descriptor is a queue, or any other epoll set. An epoll set is never writable, and epoll would
/// accept WRITE of it and report nothing (K10). `probe` is an eventfd of the caller.
pub(super) fn is_queue(fd: RawFd, slot: &mut Slot, probe: RawFd) -> bool {
    if kind(fd, slot) != Kind::Other {
        return false;
    }
    // Only an epoll set takes an entry; the entry asks for nothing and is removed at once.
    match epoll::control(&fd, libc::EPOLL_CTL_ADD, probe, super::slot::IDLE, 0) {
        Ok(()) => {
            let _ = epoll::control(&fd, libc::EPOLL_CTL_DEL, probe, 0, 0);
            true
        }
        // The caller's own set has it already.
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        net::{TcpListener, TcpStream, UdpSocket},
        os::{
            fd::{AsFd, AsRawFd, OwnedFd},
            unix::net::{UnixListener, UnixStream},
        },
    };

    use super::{super::slot::VACANT, *};
    use crate::owned::owned;

    const READY: Option<EventFlags> = Some(EventFlags::empty());
    const EOF: Option<EventFlags> = Some(EventFlags::EOF);
    const FAILED: Option<EventFlags> = Some(EventFlags::PENDING_ERROR);
    const EOF_FAILED: Option<EventFlags> = Some(EventFlags::EOF.union(EventFlags::PENDING_ERROR));

    fn of(fd: &impl AsFd, mask: u32) -> Readiness {
        readiness(fd.as_fd().as_raw_fd(), mask, &mut VACANT.clone())
    }

    /// The end to read and the end to write.
    fn pipe() -> (OwnedFd, OwnedFd) {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two numbers.
        let result = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        assert_eq!(result, 0);
        let [reader, writer] = ends.map(|end| owned(end).unwrap());
        (reader, writer)
    }

    #[test]
    fn data_and_room_are_readiness_without_an_end() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(of(&socket, IN), [READY, None, None]);
        assert_eq!(of(&socket, IN | OUT), [READY, READY, None]);
        assert_eq!(of(&socket, OUT), [None, READY, None]);
        assert_eq!(of(&socket, PRI | OUT), [None, READY, READY]);
    }

    #[test]
    fn k122_the_peers_half_close_is_an_end_of_reading_only() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(of(&socket, IN | OUT | RDHUP), [EOF, READY, None]);
    }

    #[test]
    fn k106_a_hang_up_ends_both_directions() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let all = IN | OUT | RDHUP | HUP;
        assert_eq!(of(&socket, all), [EOF, EOF, None]);
        assert_eq!(of(&socket, all | ERR), [EOF_FAILED, EOF_FAILED, None]);
        let (reader, _writer) = pipe();
        assert_eq!(of(&reader, IN | HUP), [EOF, EOF, None]);
        assert_eq!(of(&reader, HUP), [EOF, EOF, None]);
    }

    #[test]
    fn k133_an_error_of_a_pipe_is_the_end_of_its_reader() {
        let (_reader, writer) = pipe();
        assert_eq!(of(&writer, OUT | ERR)[1], EOF_FAILED);
        assert_eq!(of(&writer, ERR)[1], EOF_FAILED);
    }

    #[test]
    fn k110_an_error_of_a_datagram_socket_is_no_end() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(of(&socket, OUT | ERR), [FAILED, FAILED, None]);
    }

    #[test]
    fn k115_a_socket_that_was_never_connected_is_not_ready() {
        // SAFETY: takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
        let socket = owned(socket).unwrap();
        let mut slot = VACANT;
        let nothing = readiness(socket.as_raw_fd(), OUT | HUP, &mut slot);
        assert_eq!(nothing, [None; 3]);
        assert!(slot.unconnected);
    }

    /// The two ends of a pseudo-terminal: the one that emulates the terminal first.
    fn terminal() -> (OwnedFd, OwnedFd) {
        // SAFETY: the two calls take no pointers, and TIOCGPTPEER takes flags and returns a descriptor.
        unsafe {
            let near = owned(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY)).unwrap();
            assert_eq!(libc::unlockpt(near.as_raw_fd()), 0);
            let flags = libc::O_RDWR | libc::O_NOCTTY;
            #[cfg(not(target_os = "android"))]
            use libc::TIOCGPTPEER;
            #[cfg(target_os = "android")]
            const TIOCGPTPEER: libc::Ioctl = 0x5441;
            let far = libc::ioctl(near.as_raw_fd(), TIOCGPTPEER as _, flags);
            (near, owned(far).unwrap())
        }
    }

    #[test]
    fn k115_every_hang_up_is_an_end_of_reading_but_that_of_a_new_socket() {
        let shut_down = |socket: &dyn AsRawFd, how| {
            // SAFETY: takes no pointers.
            assert_eq!(unsafe { libc::shutdown(socket.as_raw_fd(), how) }, 0);
        };
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (reading, both) = (listener(), listener());
        shut_down(&reading, libc::SHUT_RD);
        shut_down(&both, libc::SHUT_RDWR);
        let path = std::env::temp_dir().join(format!("nio-sys-k115-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        shut_down(&unix, libc::SHUT_RD);
        let (reader, _) = pipe();
        let (near, _) = terminal();
        let (_, far) = terminal();
        let (socket, _) = UnixStream::pair().unwrap();
        let ended: [&dyn AsRawFd; 7] = [&reading, &both, &unix, &reader, &near, &far, &socket];
        for (number, fd) in ended.into_iter().enumerate() {
            // epoll gives an entry the bits that it asked for, and HUP and ERR.
            let mask = poll_now(fd.as_raw_fd(), IN | RDHUP);
            let [read, ..] = readiness(fd.as_raw_fd(), mask, &mut VACANT.clone());
            let is_end = read.is_some_and(|flags| flags.contains(EventFlags::EOF));
            assert!(is_end, "number {number}, mask {mask:#x}");
        }
    }

    #[test]
    fn k123_a_connection_that_is_closed_and_was_registered_for_writing_alone_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(of(&client, OUT | HUP), [EOF, EOF, None]);
    }

    #[test]
    fn k10_queues_are_distinguished_from_other_descriptors() {
        let (one, other) = (epoll::create().unwrap(), epoll::create().unwrap());
        let probe = epoll::eventfd().unwrap();
        let is_queue =
            |fd: &dyn AsRawFd| is_queue(fd.as_raw_fd(), &mut VACANT.clone(), probe.as_raw_fd());
        epoll::control(&one, libc::EPOLL_CTL_ADD, probe.as_raw_fd(), IN, 0).unwrap();
        assert!(is_queue(&one) && is_queue(&other));
        assert!(is_queue(&other.try_clone().unwrap()));
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert!(!is_queue(&probe) && !is_queue(&socket));
        assert!(!is_queue(&epoll::eventfd().unwrap()));
    }
}
