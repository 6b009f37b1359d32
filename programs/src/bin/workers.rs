//! A server on all cores: a loop on each, and no word between them.
//!
//! ```text
//! cargo run --release -p nio-programs --bin workers
//! wrk -c 100 http://127.0.0.1:7300/
//! ```
//!
//! Each thread has a loop of its own, and a listener of its own on the same address (SO_REUSEPORT).
//! Linux spreads connections over the listeners. Elsewhere one of them gets all, and this is a server
//! on one core.

use std::{
    cell::Cell,
    fmt::Display,
    io,
    net::SocketAddr,
    num::NonZero,
    process::ExitCode,
    rc::Rc,
    sync::mpsc::channel,
    thread::{self, available_parallelism},
    time::Duration,
};

use clap::Parser;
use nio_loop::Handle;
use nio_net::{GracefulShutdown, Idle, TcpListener, TcpSocket, TcpStream};
use nio_programs::{
    Failure, Server, Serving, address, at_least_one, explain, raise_limit, run, say, seconds, send,
    unless_idle,
};

/// Answers GET requests on all cores, by a loop on each
#[derive(Clone, Copy, Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: wrk -c 100 http://127.0.0.1:7300/"
)]
struct Options {
    /// Where to listen; port 0 is one that is free
    #[arg(default_value = "127.0.0.1:7300", value_parser = address)]
    address: SocketAddr,
    /// How many threads [default: as many as there are cores]
    #[arg(long, value_name = "NUMBER", value_parser = at_least_one)]
    workers: Option<usize>,
    /// How much there is to compute for each answer, in multiplications
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    work: u64,
    /// After how many seconds without a request a connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

/// How long the head of a request may be.
const HEAD: usize = 8 * 1024;

fn main() -> ExitCode {
    let mut options = Options::parse();
    let cores = || available_parallelism().map_or(1, NonZero::get);
    let workers = options.workers.unwrap_or_else(cores);
    // The limit is that of all of them together.
    options.serving.connections = options.serving.connections.div_ceil(workers);
    run(async move |handle| {
        raise_limit();
        claim(options.address)?;
        let mut address = options.address;
        let mut listeners = Vec::new();
        for number in 0..workers {
            let listener = listen(&handle, address).map_err(|Failure(text)| match number {
                0 => Failure(text),
                _ => too_many(number, workers, &text),
            })?;
            address = listener.local_addr()?; // the same port for all
            listeners.push(listener.into_std());
        }
        let mut threads = Vec::new();
        let (is_ready, ready) = channel();
        for (number, listener) in listeners.into_iter().enumerate() {
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            let is_ready = is_ready.clone();
            let thread = thread.spawn(move || {
                run(async move |handle| {
                    let listener = TcpListener::from_std(&handle, listener)?;
                    let server = Server::of(&handle, listener, options.serving)?;
                    let _ = is_ready.send(());
                    drop(is_ready);
                    work(server, number, options).await
                })
            });
            threads.push(thread.map_err(|error| too_many(number, workers, &error))?);
        }
        drop(is_ready);
        // Each of them cares for Ctrl-C by then.
        let running = ready.iter().count();
        if running < workers {
            // Those that run end with the process.
            return Err(too_many(running, workers, "the others say why"));
        }
        say(format_args!(
            "listening on {address}; {workers} workers; try: curl http://{address}/"
        ));
        // There is nothing to do for this thread's loop: it may as well wait like this.
        let mut failed = 0;
        for thread in threads {
            let ended_well = thread.join().is_ok_and(|code| code == ExitCode::SUCCESS);
            failed += usize::from(!ended_well);
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure(format!(
                "{failed} of {workers} workers ended badly"
            ))),
        }
    })
}

fn too_many(running: usize, workers: usize, why: impl Display) -> Failure {
    Failure(format!(
        "only {running} of {workers} workers could begin: {why}\ntry fewer --workers"
    ))
}

/// Finds out whether another program listens. Listeners that share an address would not: a second
/// server of one user's would get half of the connections of the first.
fn claim(address: SocketAddr) -> Result<(), Failure> {
    let socket = TcpSocket::new(address)?;
    socket.options().set_reuse_addr(true)?;
    socket.bind(address).map_err(explain)
}

/// A listener among several at one address.
fn listen(handle: &Handle, address: SocketAddr) -> Result<TcpListener, Failure> {
    const BACKLOG: u32 = 1024;
    let socket = TcpSocket::new(address)?;
    socket.options().set_reuse_addr(true)?;
    socket.options().set_reuse_port(true)?;
    socket.bind(address).map_err(explain)?;
    socket.listen(handle, BACKLOG).map_err(explain)
}

/// What a worker does.
async fn work(server: Server, number: usize, options: Options) -> Result<(), Failure> {
    let shutdown = server.shutdown.clone();
    let answered = Rc::new(Cell::new(0_u64));
    let total = Rc::clone(&answered);
    let result = server
        .serve(move |stream, _| {
            let (shutdown, answered) = (shutdown.clone(), Rc::clone(&answered));
            let idle = Idle::new(stream.handle(), options.idle);
            async move {
                let answer = || {
                    answered.set(answered.get() + 1);
                    format!("worker {number}: {:016x}\n", compute(options.work))
                };
                let work = converse(&stream, &idle, &shutdown, answer);
                unless_idle(&idle, work).await
            }
        })
        .await;
    say(format_args!("worker {number}: {} answers", total.get()));
    result
}

/// Work for a core.
fn compute(multiplications: u64) -> u64 {
    let mix = |hash: u64, n: u64| (hash ^ n).wrapping_mul(0x0100_0000_01b3);
    (0..multiplications).fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Answers the requests of a connection, several together if they came so.
async fn converse(
    stream: &TcpStream,
    idle: &Idle,
    shutdown: &GracefulShutdown,
    mut answer: impl FnMut() -> String,
) -> io::Result<()> {
    let (mut bytes, mut answers) = (Vec::new(), Vec::new());
    let mut goes_on = true;
    while goes_on {
        bytes.reserve(HEAD);
        let read = shutdown.unless_begun(stream.read_buf(&mut bytes)).await;
        if read.unwrap_or(Ok(0))? == 0 {
            return Ok(());
        }
        let mut start = 0;
        while let Some(end) = find(&bytes[start..], b"\r\n\r\n") {
            let head = &bytes[start..start + end];
            start += end + 4;
            idle.touch();
            goes_on = head.starts_with(b"GET ") && !is_the_last(head);
            let (status, body) = match head.starts_with(b"GET ") {
                true => ("200 OK", answer()),
                false => ("405 Method Not Allowed", "only GET\n".into()),
            };
            put(&mut answers, status, &body, goes_on);
            if !goes_on {
                break;
            }
        }
        bytes.drain(..start);
        if goes_on && bytes.len() >= HEAD {
            goes_on = false;
            let status = "431 Request Header Fields Too Large";
            put(&mut answers, status, "too long\n", goes_on);
        }
        send(stream, &answers, idle).await?;
        answers.clear();
    }
    Ok(())
}

fn put(answers: &mut Vec<u8>, status: &str, body: &str, goes_on: bool) {
    let connection = if goes_on { "keep-alive" } else { "close" };
    let len = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: {connection}\r\n\r\n{body}"
    );
    answers.extend_from_slice(answer.as_bytes());
}

/// What is older than HTTP/1.1 closes unless it asks not to, and that is not done here. Neither are
/// bodies: one must not be taken for the next request.
fn is_the_last(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    !lines
        .next()
        .is_some_and(|line| line.ends_with(b" HTTP/1.1"))
        || lines.any(|line| asks_to_close(line) || announces_a_body(line))
}

fn asks_to_close(line: &[u8]) -> bool {
    let options = value(line, b"connection").unwrap_or_default();
    let mut options = options.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    options.any(|option| option.eq_ignore_ascii_case(b"close"))
}

fn announces_a_body(line: &[u8]) -> bool {
    value(line, b"content-length").is_some_and(|len| len != b"0")
        || value(line, b"transfer-encoding").is_some()
}

/// What a line says, if it is the header of this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let is_it = line[..colon].trim_ascii().eq_ignore_ascii_case(name);
    is_it.then(|| line[colon + 1..].trim_ascii())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
