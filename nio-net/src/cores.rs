//! A server on all cores: one thread with its own loop for each core, and one limit and one shutdown for all.
//!
//! The laws:
//!
//! 1. Where the kernel spreads connections over several listeners of one address (Linux, DragonFly,
//!    and FreeBSD from 12 on), each thread has its own listener. Elsewhere all threads accept from the same
//!    one, and a connection goes to the first thread that accepts it.
//! 2. The threads share one limit: no connection waits while a permit is free, whichever thread it is
//!    on.
//! 3. A thread that fails or panics shuts down the others, and is reported.
//! 4. When `start` returns, each thread has its loop, and listens to the signals if the options say so.
//! 5. `main` runs when all threads have their loops. If one has failed, it runs on none, so that `start` waits for
//!    no function of the user.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{self, SocketAddr},
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use nio_loop::{EventLoop, Handle};

use crate::{
    CoresShutdown, Error, Listen, Listener, Semaphore, ServeOptions, Server, ToAddresses,
    address::Addresses,
    listener::BACKLOG,
    panics::text_of,
    raw,
    resolve::look_up_here,
    tcp_listener::{is_foreign, listen_on_all, socket},
};

/// A listener for each of several threads, which [`start`](Cores::start) begins.
///
/// ```
/// use std::num::NonZero;
/// use nio_net::{Cores, ServeOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
/// let cores = Cores::bind("localhost:0", threads)?;
/// println!("listening on {}", cores.local_addr()?);
/// let running = cores.start(ServeOptions::new(), async |core| {
///     let greet = async |client: nio_net::Connection<'_>| client.write_all(b"hello\n").await;
///     core.server.serve(core.listener, greet).await
/// })?;
/// # running.shutdown().begin();
/// running.join()?; // until a SIGINT (Ctrl-C) or a SIGTERM
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[doc(alias("cluster", "worker_threads", "thread per core", "SO_REUSEPORT"))]
pub struct Cores<L: Listen = net::TcpListener> {
    /// The sockets of each thread: one for each address, at least one.
    listeners: Vec<Vec<L>>,
}

impl Cores {
    /// Listens on an address, or on several, for a number of threads, as
    /// [`TcpListener::bind`](crate::TcpListener::bind) does for one. With port 0 the system chooses a port:
    /// [`local_addr`](Cores::local_addr) returns it. It does not run on a loop, so a host name is looked up by a call
    /// that blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the first address that fails, also if another server already listens there with
    /// SO_REUSEPORT; [`Error::Address`] if it is no address; [`Error::Resolve`] with the name.
    pub fn bind(to: impl ToAddresses, threads: NonZero<usize>) -> Result<Cores, Error> {
        let threads = threads.get();
        let listen = |address, only_v6| {
            let listeners = listeners(address, only_v6, threads);
            listeners.map_err(|source| Error::Bind { address, source })
        };
        let of_addresses = match to.to_addresses()? {
            Addresses::One(address) => vec![listen(address, false)?],
            Addresses::Several(addresses) => listen_on_all(&addresses, |_| false, listen)?,
            Addresses::Host(host) => listen_on_all(&look_up_here(&host)?, is_foreign, listen)?,
        };
        let mut listeners: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
        for sockets in of_addresses {
            for (listener, socket) in listeners.iter_mut().zip(sockets) {
                listener.push(socket);
            }
        }
        Ok(Cores { listeners })
    }
}

impl<L: Listen> Cores<L> {
    /// Takes a listener for each thread. For a socket that cannot be bound several times, such as a
    /// Unix socket or one that the program was started with, make clones of it (`try_clone`): the
    /// threads share it then.
    pub fn of(listeners: impl IntoIterator<Item = L>) -> Cores<L> {
        let listeners = listeners
            .into_iter()
            .map(|listener| vec![listener])
            .collect();
        Cores { listeners }
    }

    /// The address that is listened on; the first, if there are several.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no listener.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        match self.listeners.first() {
            Some(sockets) => raw::local_addr(&sockets[0]),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no listener: give one for each thread",
            )),
        }
    }

    /// All addresses that are listened on.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addrs(&self) -> io::Result<Vec<L::Address>> {
        let first = self.listeners.first().into_iter().flatten();
        first.map(raw::local_addr).collect()
    }

    /// Starts a thread for each listener, with its own loop that runs `main`. The limit on connections in
    /// the options is for all threads together. Blocks until all threads have begun.
    ///
    /// # Errors
    ///
    /// [`CoresError`] if a thread or its loop cannot be made, usually because the descriptors have run out.
    /// Then the other threads have ended, and `main` has run on none.
    pub fn start<F, E>(self, options: ServeOptions, main: F) -> Result<RunningCores, CoresError>
    where
        L: Send,
        F: AsyncFn(Core<L>) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let count = self.listeners.len();
        let permits = Semaphore::new(options.connections);
        let (shutdown, main) = (CoresShutdown::default(), Arc::new(main));
        let (begun, beginning) = channel();
        let mut running = RunningCores {
            threads: Vec::with_capacity(count),
            shutdown: shutdown.clone(),
        };
        // A thread that receives the signal runs `main`. If the senders are dropped, it ends.
        let mut gates = Vec::with_capacity(count);
        for (number, sockets) in self.listeners.into_iter().enumerate() {
            let (gate, open) = channel();
            gates.push(gate);
            let start = Start {
                number,
                sockets,
                options: options.clone(),
                permits: permits.clone(),
                shutdown: shutdown.clone(),
                begun: begun.clone(),
                open,
            };
            let main = Arc::clone(&main);
            let thread = thread::Builder::new().name(format!("core-{number}"));
            match thread.spawn(move || start.run(&*main)) {
                Ok(thread) => running.threads.push(thread),
                Err(error) => {
                    drop(gates);
                    return Err(running.fail(error.into(), count));
                }
            }
        }
        drop(begun);
        // It ends when all have begun, or have failed.
        if beginning.iter().count() < count {
            drop(gates);
            let failures = running.failures();
            return Err(CoresError { failures, count });
        }
        for gate in gates {
            // The thread waits for this.
            let _ = gate.send(());
        }
        Ok(running)
    }
}

/// Makes a listener for each thread, all of one address.
fn listeners(
    mut address: SocketAddr,
    only_v6: bool,
    threads: usize,
) -> io::Result<Vec<net::TcpListener>> {
    let mut listeners: Vec<net::TcpListener> = Vec::with_capacity(threads);
    let mut spreads = threads > 1;
    if spreads {
        // It fails if another program listens on the address. SO_REUSEPORT alone would not fail: a second server of
        // the same user would get half of the connections of the first.
        raw::bind(&socket(address, only_v6)?, &address)?;
    }
    while listeners.len() < threads {
        let listener = match listeners.first() {
            Some(first) if !spreads => first.try_clone()?,
            _ => {
                let socket = socket(address, only_v6)?;
                spreads = spreads && socket.options().spread_connections();
                socket.listen_on(address, BACKLOG)?
            }
        };
        address = listener.local_addr()?; // the same port for all
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The loop of a thread, for the function that runs on it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Core<L: Listen = net::TcpListener> {
    /// The number of the thread, from 0 on.
    pub number: usize,
    /// The loop.
    pub handle: Handle,
    /// The listener.
    pub listener: Listener<L>,
    /// The server, whose limit is shared with the other threads. Its shutdown is that of this thread,
    /// and begins with theirs.
    pub server: Server,
    /// The shutdown of all threads.
    pub shutdown: CoresShutdown,
}

/// The values that are moved to a new thread.
struct Start<L: Listen> {
    number: usize,
    sockets: Vec<L>,
    options: ServeOptions,
    permits: Semaphore,
    shutdown: CoresShutdown,
    /// Notified when the thread has begun.
    begun: Sender<()>,
    /// Notifies the thread when all have begun; disconnected if one has failed.
    open: Receiver<()>,
}

type Failure = Box<dyn StdError + Send + Sync>;

impl<L: Listen> Start<L> {
    /// Runs the thread to its end.
    fn run<F, E>(self, main: &F) -> Result<(), Failure>
    where
        F: AsyncFn(Core<L>) -> Result<(), E>,
        E: Into<Failure>,
    {
        let shutdown = self.shutdown.clone();
        let result = catch_unwind(AssertUnwindSafe(|| self.run_loop(main)));
        let result = result.unwrap_or_else(|panic| Err(text_of("the thread", &*panic).into()));
        if result.is_err() {
            shutdown.begin();
        }
        result
    }

    fn run_loop<F, E>(self, main: &F) -> Result<(), Failure>
    where
        F: AsyncFn(Core<L>) -> Result<(), E>,
        E: Into<Failure>,
    {
        let mut event_loop = EventLoop::new()?;
        let handle = event_loop.handle();
        let listener = Listener::from_all(&handle, self.sockets).map_err(Error::from)?;
        let server = Server::with_permits(&handle, self.options, self.permits);
        server.listen_to_signals()?;
        let (all, own) = (self.shutdown.clone(), server.shutdown().clone());
        let number = self.number;
        let begins = handle.spawn(async move {
            all.begun(number).await;
            own.begin();
        });
        begins.unref();
        let _ = self.begun.send(());
        drop(self.begun);
        if self.open.recv().is_err() {
            return Ok(());
        }
        let core = Core {
            number,
            handle,
            listener,
            server,
            shutdown: self.shutdown,
        };
        event_loop.block_on(main(core))?.map_err(Into::into)
    }
}

/// Running threads. Dropping this detaches them.
#[must_use = "the threads end with the process unless they are joined"]
#[derive(Debug)]
pub struct RunningCores {
    threads: Vec<thread::JoinHandle<Result<(), Failure>>>,
    shutdown: CoresShutdown,
}

impl RunningCores {
    /// The shutdown of all threads.
    #[must_use]
    pub fn shutdown(&self) -> &CoresShutdown {
        &self.shutdown
    }

    /// Blocks until all threads have ended: when the functions that they run have returned. So they must return
    /// after the shutdown begins, as [`Server::serve`] does.
    ///
    /// # Errors
    ///
    /// [`CoresError`] with the error or the panic message of each thread that failed.
    pub fn join(mut self) -> Result<(), CoresError> {
        let count = self.threads.len();
        match self.failures() {
            failures if failures.is_empty() => Ok(()),
            failures => Err(CoresError { failures, count }),
        }
    }

    /// Waits for the threads.
    fn failures(&mut self) -> Vec<(usize, Failure)> {
        let threads = self.threads.drain(..).enumerate();
        let failures = threads.filter_map(|(number, thread)| match thread.join() {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some((number, failure)),
            Err(panic) => Some((number, text_of("the thread", &*panic).into())),
        });
        failures.collect()
    }

    /// Waits for the threads that have begun, because the next one cannot be made.
    fn fail(mut self, failure: Failure, count: usize) -> CoresError {
        let number = self.threads.len();
        let mut failures = self.failures();
        failures.push((number, failure));
        CoresError { failures, count }
    }
}

/// Some of several threads failed. Converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{} of {count} threads failed{}", .failures.len(), List(.failures))]
#[non_exhaustive]
pub struct CoresError {
    /// The threads that failed, by number, and why. A thread that was not started is among them.
    pub failures: Vec<(usize, Box<dyn StdError + Send + Sync>)>,
    /// How many threads there are.
    pub count: usize,
}

struct List<'a>(&'a [(usize, Failure)]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |(number, failure): &(usize, Failure)| write!(f, "; thread {number}: {failure}");
        self.0.iter().try_for_each(each)
    }
}

impl From<CoresError> for io::Error {
    fn from(error: CoresError) -> io::Error {
        io::Error::other(error)
    }
}
