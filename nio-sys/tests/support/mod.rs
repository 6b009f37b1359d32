//! Helpers of the tests of this crate: a queue with short calls, descriptors of every kind, and child processes
//! for tests that must not disturb others.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

mod alone;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod seccomp;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{EventFlags, EventList, Filter, Kevent, Kqueue, UserFlags};

pub const LEVEL: EventFlags = EventFlags::empty();
pub const ADD: EventFlags = EventFlags::ADD;
pub const DELETE: EventFlags = EventFlags::DELETE;
pub const ENABLE: EventFlags = EventFlags::ENABLE;
pub const DISABLE: EventFlags = EventFlags::DISABLE;
pub const ONESHOT: EventFlags = EventFlags::ONESHOT;
pub const CLEAR: EventFlags = EventFlags::CLEAR;
pub const RECEIPT: EventFlags = EventFlags::RECEIPT;
pub const DISPATCH: EventFlags = EventFlags::DISPATCH;

pub const READ: Filter = Filter::READ;
pub const WRITE: Filter = Filter::WRITE;

#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use alone::{child, in_child, in_fork, raise};

/// How long to wait for an event that must come. Far more than it takes, so that a busy machine does not fail a
/// test.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Room for more events than a test has knotes.
const ROOM: usize = 256;

/// A queue, with the calls that tests make.
pub struct Queue(pub Kqueue);

impl Deref for Queue {
    type Target = Kqueue;

    fn deref(&self) -> &Kqueue {
        &self.0
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Queue {
    pub fn new() -> Queue {
        Queue(Kqueue::new().unwrap())
    }

    /// Makes one change and returns its result.
    pub fn change(&self, change: Kevent) -> io::Result<()> {
        let mut changes = [change];
        self.apply(&mut changes)?;
        changes[0].receipt()
    }

    /// Makes one change, which must succeed.
    pub fn make(&self, change: Kevent) {
        if let Err(error) = self.change(change) {
            panic!("{change:?}: {error}");
        }
    }

    /// The errno of a change, which must fail.
    pub fn refused(&self, change: Kevent) -> i32 {
        match self.change(change) {
            Ok(()) => panic!("{change:?} was accepted"),
            Err(error) => error.raw_os_error().unwrap(),
        }
    }

    /// Makes several changes in one call and returns their errnos, 0 for a success.
    pub fn results(&self, changes: &[Kevent]) -> Vec<i32> {
        let mut changes = changes.to_vec();
        self.apply(&mut changes).unwrap();
        changes.iter().map(|change| change.data() as i32).collect()
    }

    pub fn add(&self, fd: &impl AsFd, filter: Filter, flags: EventFlags, udata: usize) {
        self.make(on(fd, filter, ADD | flags).with_udata(udata));
    }

    pub fn enable(&self, fd: &impl AsFd, filter: Filter, udata: usize) {
        self.make(on(fd, filter, ENABLE).with_udata(udata));
    }

    pub fn disable(&self, fd: &impl AsFd, filter: Filter, udata: usize) {
        self.make(on(fd, filter, DISABLE).with_udata(udata));
    }

    pub fn delete(&self, fd: &impl AsFd, filter: Filter) {
        self.make(on(fd, filter, DELETE));
    }

    /// The udata of a user knote is its ident, for short.
    pub fn add_user(&self, ident: usize, flags: EventFlags) {
        self.make(user(ident, ADD | flags));
    }

    pub fn trigger(&self, ident: usize) {
        self.make(trigger(ident));
    }

    /// kevent(2) with all its arguments.
    pub fn call(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<Duration>,
    ) -> io::Result<Vec<Kevent>> {
        let mut events = EventList::with_capacity(room);
        let count = self.kevent(changes, &mut events, timeout)?;
        assert_eq!(count, events.len());
        assert!(count <= room);
        Ok(events.to_vec())
    }

    /// The events that are pending.
    pub fn collect(&self) -> Vec<Kevent> {
        self.collect_at_most(ROOM)
    }

    pub fn collect_at_most(&self, room: usize) -> Vec<Kevent> {
        self.call(&[], room, Some(Duration::ZERO)).unwrap()
    }

    /// Waits for this time at most, and returns the events. A signal does not end it, nor does a stop of the
    /// process or of its container, which ends a wait on some systems.
    pub fn take(&self, room: usize, timeout: Option<Duration>) -> Vec<Kevent> {
        let start = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            match self.call(&[], room, left) {
                Ok(events) => return events,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until there are events, and returns them. A signal does not end it.
    pub fn wait(&self) -> Vec<Kevent> {
        loop {
            match self.call(&[], ROOM, Some(LIMIT)) {
                Ok(events) if events.is_empty() => panic!("no event came within {LIMIT:?}"),
                Ok(events) => return events,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for exactly one event.
    pub fn one(&self) -> Kevent {
        let events = self.wait();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }

    /// Waits until there is an event of this filter. Events of other filters, which systems may add, are
    /// ignored.
    pub fn one_of(&self, filter: Filter) -> Kevent {
        loop {
            let found = self.wait().into_iter().find(|e| e.filter() == filter);
            if let Some(event) = found {
                return event;
            }
        }
    }

    /// Waits until an event of this filter has EV_EOF; on TCP that may take a moment.
    pub fn end_of(&self, filter: Filter) -> Kevent {
        loop {
            let event = self.one_of(filter);
            if event.is_eof() {
                return event;
            }
        }
    }

    /// Asserts that no event is pending.
    #[track_caller]
    pub fn assert_silent(&self) {
        let events = self.collect();
        assert!(events.is_empty(), "{events:?}");
    }

    /// Asserts that no event comes for a while.
    #[track_caller]
    pub fn assert_silent_for(&self, milliseconds: u64) {
        let events = self.take(ROOM, Some(Duration::from_millis(milliseconds)));
        assert!(events.is_empty(), "{events:?}");
    }
}

/// A change of a descriptor's knote.
pub fn on(fd: &impl AsFd, filter: Filter, flags: EventFlags) -> Kevent {
    Kevent::new(number(fd), filter, flags)
}

/// A change of a user knote, with its ident as udata.
pub fn user(ident: usize, flags: EventFlags) -> Kevent {
    Kevent::user(ident, flags).with_udata(ident)
}

/// The change that triggers a user knote.
pub fn trigger(ident: usize) -> Kevent {
    user(ident, EventFlags::empty()).with_fflags(UserFlags::TRIGGER)
}

/// The number of a descriptor, as the ident of an event.
pub fn number(fd: &impl AsFd) -> usize {
    fd.as_fd().as_raw_fd() as usize
}

/// The idents of events, sorted.
pub fn idents(events: &[Kevent]) -> Vec<usize> {
    let mut idents: Vec<usize> = events.iter().map(Kevent::ident).collect();
    idents.sort_unstable();
    idents
}

/// The filters of events, in a fixed order.
pub fn filters(events: &[Kevent]) -> Vec<Filter> {
    let mut filters: Vec<Filter> = events.iter().map(Kevent::filter).collect();
    filters.sort_unstable_by_key(|&filter| filter != READ);
    filters
}

/// Asserts that the function ends the wait of a thread that waits without a timeout.
pub fn wakes(queue: &Queue, cause: impl FnOnce()) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            start.wait();
            queue.take(4, None).len()
        });
        start.wait();
        cause();
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// Lets eight threads wait, causes one event, and returns how many events they got. Threads that
/// got none waited for their whole time.
pub fn share(queue: &Queue, cause: impl FnOnce()) -> usize {
    let timeout = Duration::from_millis(60);
    let start = Barrier::new(9);
    let got = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let since = Instant::now();
                let events = queue.take(4, Some(timeout));
                assert!(!events.is_empty() || since.elapsed() >= timeout);
                got.fetch_add(events.len(), Ordering::Relaxed);
            });
        }
        start.wait();
        cause();
    });
    got.into_inner()
}

/// A number that no descriptor has: far above the numbers that a test opens.
pub const CLOSED: usize = 1_000_003;

/// The result of a system call, -1 turned into its error.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

fn owned(fd: libc::c_int) -> OwnedFd {
    let fd = check(fd).unwrap();
    // SAFETY: the system call that returned the number has just opened it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub fn set_nonblocking(fd: &impl AsFd) {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: both commands read or write flags of an open descriptor.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL)).unwrap();
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)).unwrap();
    }
}

/// Two connected Unix stream sockets, non-blocking.
pub fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// A pipe, non-blocking: the end to read and the end to write.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two numbers.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    let [reader, writer] = ends.map(owned);
    set_nonblocking(&reader);
    set_nonblocking(&writer);
    (File::from(reader), File::from(writer))
}

/// A listener on the loopback interface, non-blocking.
pub fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Two connected TCP sockets, non-blocking.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    (client, server)
}

/// A TCP socket that is neither bound nor connected, non-blocking.
pub fn tcp_socket() -> TcpStream {
    // SAFETY: takes no pointers.
    let socket = owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) });
    set_nonblocking(&socket);
    TcpStream::from(socket)
}

/// A TCP socket that has an address but does not listen: connections to it are refused.
pub fn bound() -> TcpStream {
    let socket = tcp_socket();
    with_address(([127, 0, 0, 1], 0).into(), |address, length| {
        // SAFETY: the address has the length given, and lives until the call returns.
        unsafe { libc::bind(socket.as_raw_fd(), address, length) }
    })
    .unwrap();
    socket
}

/// connect(2), which on a non-blocking socket usually answers EINPROGRESS.
pub fn connect(socket: &TcpStream, to: SocketAddr) -> io::Result<()> {
    with_address(to, |address, length| {
        // SAFETY: the address has the length given, and lives until the call returns.
        unsafe { libc::connect(socket.as_raw_fd(), address, length) }
    })
}

/// Calls a function with an address as a struct of the system.
fn with_address(
    address: SocketAddr,
    call: impl FnOnce(*const libc::sockaddr, libc::socklen_t) -> libc::c_int,
) -> io::Result<()> {
    let SocketAddr::V4(address) = address else {
        panic!("the tests use IPv4");
    };
    // SAFETY: a sockaddr_in is made of integers, which may be zero.
    let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = address.port().to_be();
    raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    check(call(ptr::from_ref(&raw).cast(), length)).map(drop)
}

/// Closes a TCP socket by a reset.
pub fn reset(socket: TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the option's value is a struct linger of the length given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            ptr::from_ref(&linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    })
    .unwrap();
}

/// A directory of a test, removed with its content when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("nio-sys-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Scratch(path),
                // A test that was killed has left it, in a process with the same id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with this content: its path, and the file open for reading.
    pub fn file(&self, name: &str, content: &str) -> (PathBuf, File) {
        let path = self.join(name);
        fs::write(&path, content).unwrap();
        let file = File::open(&path).unwrap();
        (path, file)
    }

    /// A directory: its path, and the directory open.
    pub fn directory(&self, name: &str) -> (PathBuf, File) {
        let path = self.join(name);
        fs::create_dir(&path).unwrap();
        let directory = File::open(&path).unwrap();
        (path, directory)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes to the end of a file, through a descriptor of its own.
pub fn append(path: &Path, content: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// Writes over the start of a file, through a descriptor of its own.
pub fn overwrite(path: &Path, content: &str) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// A signal handler that does nothing.
pub extern "C" fn do_nothing(_: libc::c_int) {}

/// Installs a handler, SIG_IGN or SIG_DFL, and returns the one before.
pub fn handle(signal: i32, handler: usize, flags: i32) -> usize {
    // SAFETY: zero is a valid sigaction; the handlers of these tests take one integer and are
    // async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        check(libc::sigaction(signal, &action, &mut before)).unwrap();
        before.sa_sigaction
    }
}

/// Sends a signal to this process.
pub fn kill(signal: i32) {
    // SAFETY: takes no pointers.
    check(unsafe { libc::kill(libc::getpid(), signal) }).unwrap();
}

/// Sends one urgent byte.
pub fn send_urgent(socket: &TcpStream) {
    // SAFETY: one byte, which lives until the call returns.
    let sent = unsafe { libc::send(socket.as_raw_fd(), [1_u8].as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

/// A terminal: its master and its slave.
pub fn pty() -> (File, File) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the two numbers live until the call returns; null means no name, termios or size.
    check(unsafe {
        libc::openpty(
            &mut master,
            &mut slave,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })
    .unwrap();
    let [master, slave] = [master, slave].map(owned);
    set_nonblocking(&master);
    set_nonblocking(&slave);
    (File::from(master), File::from(slave))
}

/// Writes until no more bytes fit; returns the number of bytes.
pub fn fill(mut to: impl Write) -> usize {
    let chunk = [7; 4096];
    let mut sum = 0;
    loop {
        match to.write(&chunk) {
            Ok(n) => sum += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sum,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads until nothing is left; returns the number of bytes.
pub fn drain(mut from: impl Read) -> usize {
    let mut chunk = [0; 4096];
    let mut sum = 0;
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return sum,
            Ok(n) => sum += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sum,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The answer of poll(2) for a descriptor.
pub fn poll_now(fd: &impl AsFd, events: libc::c_short) -> libc::c_short {
    let mut entry = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one entry, which lives until the call returns.
    check(unsafe { libc::poll(&mut entry, 1, 0) }).unwrap();
    entry.revents
}

/// The number that the next descriptor gets.
pub fn next_number() -> usize {
    let (a, _b) = pair();
    number(&a)
}

/// Closes a descriptor and opens another, which must get its number.
pub fn reuse<T: AsFd>(old: impl AsFd, open: impl FnOnce() -> T) -> T {
    let freed = number(&old);
    drop(old);
    let new = open();
    assert_eq!(number(&new), freed);
    new
}

/// Closes a descriptor and opens a pair, whose first socket must get its number.
pub fn reuse_by_pair(old: impl AsFd) -> (UnixStream, UnixStream) {
    let mut peer = None;
    let open = || {
        let (first, second) = pair();
        peer = Some(second);
        first
    };
    (reuse(old, open), peer.unwrap())
}

/// Allows this many descriptors and no more.
pub fn limit_descriptors(descriptors: usize) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct lives until each call returns.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit)).unwrap();
        limit.rlim_cur = descriptors as libc::rlim_t;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit)).unwrap();
    }
}
