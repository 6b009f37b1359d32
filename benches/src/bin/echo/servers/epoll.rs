//! Nothing but system calls: epoll_wait(2), level-triggered, with recv(2) and send(2).

use std::{
    io,
    mem::{MaybeUninit, zeroed},
    net::TcpStream,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use super::{BUFFER, EVENTS};

pub(super) fn serve(streams: Vec<TcpStream>) -> io::Result<()> {
    // SAFETY: takes no pointers.
    let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } as isize)? as RawFd;
    // SAFETY: the kernel has just made it, and nobody else closes it.
    let _close = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut streams: Vec<Option<TcpStream>> = streams.into_iter().map(Some).collect();
    for (index, stream) in streams.iter().flatten().enumerate() {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: index as u64,
        };
        let fd = stream.as_raw_fd();
        // SAFETY: the event lives until the call returns.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
        check(result as isize)?;
    }

    // SAFETY: all zeroes is a valid array of plain numbers.
    let mut events: [libc::epoll_event; EVENTS] = unsafe { zeroed() };
    let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
    let mut open = streams.len();
    while open > 0 {
        // SAFETY: there is room for as many events as it says.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), EVENTS as i32, -1) };
        let count = check(count as isize)?;
        for event in &events[..count] {
            let index = event.u64 as usize;
            let Some(stream) = &streams[index] else {
                continue;
            };
            let (fd, bytes) = (stream.as_raw_fd(), buffer.as_mut_ptr().cast());
            // SAFETY: there is room for as many bytes as it says.
            let read = check(unsafe { libc::recv(fd, bytes, BUFFER, 0) })?;
            if read == 0 {
                streams[index] = None;
                open -= 1;
                continue;
            }
            // SAFETY: so many bytes were read.
            let written = check(unsafe { libc::send(fd, bytes, read, libc::MSG_NOSIGNAL) })?;
            assert_eq!(written, read);
        }
    }
    Ok(())
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
