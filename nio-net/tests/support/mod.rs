//! Helpers that the tests of this crate share.

#![allow(dead_code)] // Each test binary uses a part of it.

mod alone;

use std::{
    cell::{Cell, RefCell},
    ffi::CStr,
    fs::{self, File},
    future::{Future, poll_fn},
    io::{self, Write},
    net::{self, SocketAddr},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    panic::resume_unwind,
    path::PathBuf,
    pin::{Pin, pin},
    ptr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use nio_loop::{EventLoop, Handle};
use nio_net::{TcpListener, TcpSocket, TcpStream};

#[allow(unused_imports)]
pub(crate) use alone::{in_child, raise};

/// No test takes longer than this, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on a loop of its own, which it ends if it hangs.
pub(crate) fn run<T>(test: impl AsyncFnOnce(Handle) -> T) -> T {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let limit = handle.set_timeout(LIMIT, |_| panic!("not done after {LIMIT:?}"));
    handle.unref(limit);
    event_loop.block_on(test(handle)).unwrap()
}

/// A path for a socket, removed at the end.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let name = format!("nio-net-{}-{name}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A port of this machine that the system chooses.
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::V4(net::SocketAddrV4::new(net::Ipv4Addr::LOCALHOST, 0));

pub(crate) fn listen(handle: &Handle) -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ANY_PORT).unwrap();
    let listener = socket.listen(handle, 1024).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Two connected streams of one loop.
pub(crate) async fn pair(handle: &Handle) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(handle);
    let one = TcpStream::connect(handle, address).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    (one, other)
}

/// A stream, and a blocking one of the standard library as its other side.
pub(crate) fn pair_with_std(handle: &Handle) -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let theirs = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (TcpStream::from_std(handle, ours).unwrap(), theirs)
}

/// Waits for a spawned task, and panics if it did.
pub(crate) async fn join<T: 'static>(task: nio_loop::JoinHandle<T>) -> T {
    task.await
        .unwrap_or_else(|error| resume_unwind(error.into_panic().unwrap()))
}

/// Polls a future once, and drops it.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    poll(pin!(future))
}

pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Ready when the loop has come to the end of its turn.
pub(crate) async fn end_of_turn(handle: &Handle) {
    let done = Rc::new(Cell::new(false));
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (flag, waiting) = (Rc::clone(&done), Rc::clone(&waker));
    handle.set_immediate(move |_| {
        flag.set(true);
        if let Some(waker) = waiting.take() {
            waker.wake();
        }
    });
    poll_fn(|context| {
        if done.get() {
            return Poll::Ready(());
        }
        waker.replace(Some(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// The output of the future that is ready first; the other is dropped. The first one has precedence.
pub(crate) async fn either<T>(left: impl Future<Output = T>, right: impl Future<Output = T>) -> T {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| match left.as_mut().poll(context) {
        Poll::Pending => right.as_mut().poll(context),
        ready => ready,
    })
    .await
}

pub(crate) async fn read_to_end(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&bytes[..n]),
        }
    }
}

/// Bytes that are not the same when one of them is missing.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut x = 1_u32;
    let next = |_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..len).map(next).collect()
}

pub(crate) fn set_option(socket: &impl AsFd, option: i32, value: impl Copy) {
    let fd = socket.as_fd().as_raw_fd();
    let (pointer, len) = ((&raw const value).cast(), size_of_val(&value));
    // SAFETY: the pointer and the length are those of `value`, which the call only reads.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            pointer,
            len as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Makes the buffer of a socket that sends small. (With a small one that receives, TCP waits for
/// its own timers again and again.)
pub(crate) fn shrink_buffer(socket: &impl AsFd) {
    set_option(socket, libc::SO_SNDBUF, 4096);
}

/// Closes a connection so that the peer's is reset.
pub(crate) fn reset(stream: impl AsFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    set_option(&stream, libc::SO_LINGER, linger);
}

/// How long a write must find no room before a connection counts as full: buffers grow, and bytes are on
/// their way to the peer for some time.
pub(crate) const FULL_FOR: Duration = Duration::from_millis(250);

/// Writes until the system takes no more, and returns how much it took.
pub(crate) fn fill(mut stream: &net::TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let bytes = [0; 64 * 1024];
    let (mut filled, mut took) = (0, Instant::now());
    loop {
        match stream.write(&bytes) {
            Ok(n) => (filled, took) = (filled + n, Instant::now()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
            Err(_) if took.elapsed() > FULL_FOR => break,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    stream.set_nonblocking(false).unwrap();
    filled
}

/// A waker whose wake-ups and clones are counted.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) wakes: AtomicUsize,
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counted {
    /// Polls a future with the waker.
    pub(crate) fn poll<F: Future + ?Sized>(
        self: &Arc<Self>,
        future: Pin<&mut F>,
    ) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        future.poll(&mut Context::from_waker(&waker))
    }

    /// How many clones of the waker are kept somewhere.
    pub(crate) fn kept(self: &Arc<Self>) -> usize {
        Arc::strong_count(self) - 1
    }
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    // SAFETY: F_GETFD takes no further argument.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..4096).filter(is_open).count()
}

/// Sets the number of descriptors that this process may have open. Those that it has stay open.
pub(crate) fn limit_descriptors(to: u64) {
    // SAFETY: the pointers are to a whole struct, which lives until the calls return.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = to as _;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Takes all the descriptors that this process may have, of which there are few from now on.
pub(crate) fn hoard_descriptors() -> Vec<OwnedFd> {
    limit_descriptors(64);
    let mut hoard = Vec::new();
    while let Ok(fd) = io::stdin().as_fd().try_clone_to_owned() {
        hoard.push(fd);
    }
    hoard
}

/// A terminal: the side of the user, that of a program, and the name of the latter.
pub(crate) fn a_terminal() -> (File, File, String) {
    let (mut user, mut program) = (-1, -1);
    let mut name = [0; 128];
    // SAFETY: the call writes two numbers and a name, which is shorter than the array; the other pointers may be
    // null.
    let result = unsafe {
        libc::openpty(
            &mut user,
            &mut program,
            name.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: the call has ended the name by a zero.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    let name = name.to_str().unwrap().to_owned();
    // SAFETY: the call has just opened them, and no other code knows them.
    unsafe { (File::from_raw_fd(user), File::from_raw_fd(program), name) }
}
