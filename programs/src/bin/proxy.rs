//! Forwards TCP connections.
//!
//! ```text
//! cargo run --release -p nio-programs --bin proxy 127.0.0.1:7200 example.com:80
//! curl -H 'Host: example.com' http://127.0.0.1:7200/
//! ```
//!
//! Clients beyond the limit wait in the kernel's queue. A half-close is passed on, and the other direction
//! goes on. A connection without progress is reset after a limit, which is shorter after a half-close. A
//! connection that is cut off, also by the exit of the proxy, is reset: a clean end would look like the end of
//! the data. A side that has already been sent an end is not reset, so it still receives the last bytes.
//!
//! If the target were the proxy itself, it would connect to itself until no descriptor is left. The proxy
//! refuses such a target at the start if it can tell, and otherwise at the first connection that comes back.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
    io::{self, IsTerminal},
    net::{SocketAddr, UdpSocket},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use clap::Parser;
use nio_loop::{Elapsed, Handle};
use nio_net::{Connection, Idle, TcpStream, Way, copy_bidirectional_with, resolve};
use nio_programs::{
    Bytes, Failure, Serving, address, connect, print_error, print_status, reset, run, seconds,
    serve,
};

/// Forwards TCP connections to another address
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: proxy 127.0.0.1:7200 example.com:80\n        curl -H 'Host: example.com' http://127.0.0.1:7200/"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(value_parser = address)]
    address: SocketAddr,
    /// The target to connect to, as HOST:PORT
    #[arg(value_parser = target)]
    target: String,
    /// Reset a connection after this many seconds without a byte in either direction
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    idle: Duration,
    /// The same after one side has ended its direction
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    half_closed: Duration,
    /// Give up on a connection to the target after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect: Duration,
    /// Print statistics at this interval, in seconds [default: one line that is updated, on a terminal]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    statistics: Option<Duration>,
    #[command(flatten)]
    serving: Serving,
}

/// Parses the target. A host name is looked up when a client connects.
fn target(text: &str) -> Result<String, String> {
    match text
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse()))
    {
        Some((host, Ok(1_u16..))) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("not of the form HOST:PORT; try example.com:80".into()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        refuse_itself(&handle, &options).await?;
        let statistics = Rc::new(Statistics::default());
        statistics.print(&handle, options.statistics);
        let connections = OpenConnections::default();
        let _line = EndOfLine(options.statistics.is_none() && io::stderr().is_terminal());
        let (address, serving) = (options.address, options.serving.options());
        let hint = format!("forwarding to {}", options.target);
        let forwarding = async move |client: Connection<'_>| {
            let _open = statistics.open();
            let result = forward(client.stream, &options, &statistics, &connections).await;
            statistics.failed(result.is_err());
            result
        };
        serve(&handle, address, serving, |_| hint, forwarding).await
    })
}

/// Ends the program if its target is the address that it listens on. A name that cannot be looked up yet is
/// not an error.
async fn refuse_itself(handle: &Handle, options: &Options) -> Result<(), Failure> {
    let port = options
        .target
        .rsplit_once(':')
        .map(|(_, port)| port.parse());
    if port != Some(Ok(options.address.port())) {
        return Ok(());
    }
    let found = handle.timeout(options.connect, resolve(handle, &*options.target));
    let Ok(Ok(addresses)) = found.await else {
        return Ok(());
    };
    let here = options.address.ip().to_canonical();
    let is_here = |target: SocketAddr| {
        let target = target.ip().to_canonical();
        // Only an address of this machine can be bound; the unspecified one connects to this machine.
        target == here
            || here.is_unspecified() && UdpSocket::bind((target, 0)).is_ok()
            || target.is_unspecified() && here.is_loopback()
    };
    match addresses.into_iter().any(is_here) {
        true => Err(Failure(format!(
            "the target {} is this proxy itself\nname another target, or listen at another port",
            options.target
        ))),
        false => Ok(()),
    }
}

/// The open connections to this proxy and from it, each as the addresses of its client and its server. If
/// both ends of a connection are here, the target leads back to this proxy.
#[derive(Default)]
struct OpenConnections(RefCell<HashSet<[SocketAddr; 2]>>);

impl OpenConnections {
    /// Adds a connection until the guard is dropped.
    fn insert(&self, client: SocketAddr, server: SocketAddr) -> io::Result<OpenConnection<'_>> {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port()).into();
        let addresses = [client, server].map(canonical);
        match self.0.borrow_mut().insert(addresses) {
            true => Ok(OpenConnection {
                connections: self,
                addresses,
            }),
            false => Err(io::Error::other(
                "the target leads back to this proxy; name another target",
            )),
        }
    }
}

struct OpenConnection<'a> {
    connections: &'a OpenConnections,
    addresses: [SocketAddr; 2],
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.connections.0.borrow_mut().remove(&self.addresses);
    }
}

/// One connection.
async fn forward(
    client: &TcpStream,
    options: &Options,
    statistics: &Statistics,
    connections: &OpenConnections,
) -> io::Result<()> {
    let handle = client.handle();
    reset(client);
    let _to_here = connections.insert(client.peer_addr()?, client.local_addr()?)?;
    let server = connect(handle, &options.target, options.connect).await?;
    reset(&server);
    let _from_here = connections.insert(server.local_addr()?, server.peer_addr()?)?;
    let _ = server.set_nodelay(true);
    let idle = Idle::new(handle, options.idle);
    let idle = idle.watch(client).watch(&server);
    let half_closed = Cell::new(false);
    let copying = copy_bidirectional_with(client, &server, |way, bytes| {
        if bytes == 0 {
            // A reset would discard bytes that this side, which may be slow, has not read yet.
            let receiver = match way {
                Way::AToB => &server,
                Way::BToA => client,
            };
            let _ = receiver.options().set_linger(None);
            half_closed.set(true);
            idle.set_limit(options.half_closed.min(options.idle));
        }
        idle.touch();
        statistics.copied(way, bytes);
    });
    match idle.limit(copying).await {
        Ok(copied) => copied.map(drop).map_err(io::Error::from),
        Err(Elapsed { limit }) => {
            let state = if half_closed.get() {
                "half-closed, "
            } else {
                ""
            };
            let text = format!("{state}no progress for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

/// Counts of connections and bytes.
#[derive(Default)]
struct Statistics {
    open: Cell<u64>,
    total: Cell<u64>,
    failed: Cell<u64>,
    /// Bytes to the target, and back from it.
    copied: [Cell<u64>; 2],
}

impl Statistics {
    fn open(self: &Rc<Statistics>) -> Open {
        self.open.set(self.open.get() + 1);
        self.total.set(self.total.get() + 1);
        Open(Rc::clone(self))
    }

    fn failed(&self, failed: bool) {
        self.failed.set(self.failed.get() + u64::from(failed));
    }

    fn copied(&self, way: Way, bytes: usize) {
        let count = &self.copied[way as usize];
        count.set(count.get() + bytes as u64);
    }

    /// Prints the statistics at an interval, on the standard error output.
    fn print(self: &Rc<Statistics>, handle: &Handle, every: Option<Duration>) {
        let updates_a_line = every.is_none();
        if updates_a_line && !io::stderr().is_terminal() {
            return;
        }
        let every = every.unwrap_or(Duration::from_secs(1));
        let statistics = Rc::clone(self);
        let mut earlier = statistics.look(handle);
        let id = handle.set_interval(every, move |handle, _| {
            let now = statistics.look(handle);
            let line = Line(&earlier, &now);
            match updates_a_line {
                true => print_status(&format!("\r{line}\x1b[K")),
                false => print_error(line),
            }
            earlier = now;
        });
        handle.unref(id);
    }

    fn look(&self, handle: &Handle) -> Look {
        Look {
            at: handle.now().since_start().as_secs_f64(),
            counts: [&self.open, &self.total, &self.failed].map(Cell::get),
            copied: [&self.copied[0], &self.copied[1]].map(|count| count.get() as f64),
        }
    }
}

/// Ends the updated line on a terminal when it is dropped.
struct EndOfLine(bool);

impl Drop for EndOfLine {
    fn drop(&mut self) {
        if self.0 {
            print_status("\n");
        }
    }
}

/// A connection is open until this is dropped.
struct Open(Rc<Statistics>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// The statistics at a time, in seconds.
struct Look {
    at: f64,
    counts: [u64; 3],
    copied: [f64; 2],
}

/// The statistics of the time between two looks.
struct Line<'a>(&'a Look, &'a Look);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(earlier, now) = self;
        let [open, total, failed] = now.counts;
        let rate = |way: Way| {
            let bytes = now.copied[way as usize] - earlier.copied[way as usize];
            Bytes(bytes / (now.at - earlier.at).max(1e-9))
        };
        write!(
            f,
            "{open} open, {total} in all, {failed} failed; {}/s to the target, {}/s back; {} in all",
            rate(Way::AToB),
            rate(Way::BToA),
            Bytes(now.copied.iter().sum())
        )
    }
}

#[cfg(test)]
mod tests {
    use nio_loop::EventLoop;
    use nio_net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_that_comes_back_to_the_proxy_is_refused() {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let ended = event_loop.block_on(async {
            let listener = TcpListener::bind(&handle, "127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let arguments = ["proxy", "127.0.0.1:0", &address.to_string()];
            let options = Rc::new(Options::parse_from(arguments));
            let (statistics, connections) = (Rc::default(), Rc::<OpenConnections>::default());
            let client = TcpStream::connect(&handle, address).await.unwrap();
            let mut forwarding = Vec::new();
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                let (options, statistics) = (Rc::clone(&options), Rc::clone(&statistics));
                let connections = Rc::clone(&connections);
                forwarding.push(listener.handle().spawn(async move {
                    forward(&stream, &options, &statistics, &connections).await
                }));
            }
            let mut ended = Vec::new();
            for forwarding in forwarding {
                ended.push(forwarding.await.unwrap().is_err());
            }
            assert!(client.read(&mut [0]).await.is_err(), "a reset");
            assert!(connections.0.borrow().is_empty());
            ended
        });
        assert_eq!(ended.unwrap(), [true, true]);
    }
}
