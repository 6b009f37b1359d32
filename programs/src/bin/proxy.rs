//! Forwards TCP connections.
//!
//! ```text
//! cargo run --release -p nio-programs --bin proxy 127.0.0.1:7200 example.com:80
//! curl -H 'Host: example.com' http://127.0.0.1:7200/
//! ```
//!
//! More clients than may be connected wait in the kernel's queue. The end of a side is passed on as
//! such, and the way back goes on. Connections in which nothing happens are reset, and sooner when one
//! side has finished: mostly the other one has nothing more to say, or nobody to say it to. Whatever is
//! cut off is reset, also by the end of this program: a clean end would say that this was all. To whom an
//! end has been passed on, nothing is cut off: the kernel delivers what is on its way still.

use std::{
    cell::Cell,
    fmt,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use clap::Parser;
use nio_loop::{Elapsed, Handle};
use nio_net::{Connection, Idle, TcpStream, Way, copy_bidirectional_with};
use nio_programs::{Bytes, Serving, address, connect, host_and_port, reset, run, seconds, serve};

/// Forwards TCP connections to another address
#[derive(Parser)]
#[command(
    after_help = "Try it: proxy 127.0.0.1:7200 example.com:80\n        curl -H 'Host: example.com' http://127.0.0.1:7200/"
)]
struct Options {
    /// Where to listen; port 0 is one that is free
    #[arg(value_parser = address)]
    address: SocketAddr,
    /// Where to connect to: HOST:PORT
    #[arg(value_parser = target)]
    target: String,
    /// After how many seconds without a byte in either direction a connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    idle: Duration,
    /// The same when one side has finished and the other one has not
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    half_closed: Duration,
    /// How many seconds the target has to be found and to accept a connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect: Duration,
    /// Print statistics every so many seconds [default: a line that lives, if it is a terminal]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    statistics: Option<Duration>,
    #[command(flatten)]
    serving: Serving,
}

fn target(text: &str) -> Result<String, String> {
    host_and_port(text).map(|_| text.to_owned())
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let statistics = Rc::new(Statistics::default());
        statistics.print(&handle, options.statistics);
        let _line = EndOfLine(options.statistics.is_none() && io::stderr().is_terminal());
        let (address, serving) = (options.address, options.serving.options());
        let hint = format!("forwarding to {}", options.target);
        let forwarding = async move |client: Connection<'_>| {
            let _open = statistics.open();
            let result = forward(client.stream, &options, &statistics).await;
            statistics.failed(result.is_err());
            result
        };
        serve(&handle, address, serving, |_| hint, forwarding).await
    })
}

/// One connection.
async fn forward(client: &TcpStream, options: &Options, statistics: &Statistics) -> io::Result<()> {
    let handle = client.handle();
    reset(client);
    let server = connect(handle, &options.target, options.connect).await?;
    reset(&server);
    let _ = server.set_nodelay(true);
    let idle = Idle::new(handle, options.idle);
    let idle = idle.watch(client).watch(&server);
    let half_closed = Cell::new(false);
    let copying = copy_bidirectional_with(client, &server, |way, bytes| {
        if bytes == 0 {
            // This side gets all, though its reader may be slow, and a reset would overtake it.
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
            let first = if half_closed.get() {
                "half-closed, and "
            } else {
                ""
            };
            let text = format!("{first}nothing has happened for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

/// What the proxy has done.
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

    /// Prints them again and again, on the standard error output.
    fn print(self: &Rc<Statistics>, handle: &Handle, every: Option<Duration>) {
        let lives = every.is_none();
        if lives && !io::stderr().is_terminal() {
            return;
        }
        let every = every.unwrap_or(Duration::from_secs(1));
        let statistics = Rc::clone(self);
        let mut earlier = statistics.look(handle);
        let id = handle.set_interval(every, move |handle, _| {
            let now = statistics.look(handle);
            let line = Line(&earlier, &now);
            let mut output = io::stderr().lock();
            let _ = match lives {
                true => write!(output, "\r{line}\x1b[K"),
                false => writeln!(output, "{line}"),
            };
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

/// Ends the line that lives, if there is one, when it is dropped.
struct EndOfLine(bool);

impl Drop for EndOfLine {
    fn drop(&mut self) {
        if self.0 {
            let _ = writeln!(io::stderr());
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
            "{open} open, {total} in all, {failed} failed; {}/s forth, {}/s back; {} in all",
            rate(Way::AToB),
            rate(Way::BToA),
            Bytes(now.copied.iter().sum())
        )
    }
}
