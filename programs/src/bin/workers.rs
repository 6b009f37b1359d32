//! A server on all cores: one loop on each core, and one limit on connections for all.
//!
//! ```text
//! cargo run --release -p nio-programs --bin workers
//! wrk -c 100 http://127.0.0.1:7300/
//! ```
//!
//! On Linux, FreeBSD and DragonFly each thread has a listener, and the kernel spreads connections over
//! them (SO_REUSEPORT). Elsewhere the threads share one listener, and a free thread accepts.

use std::{
    cell::Cell, io, net::SocketAddr, num::NonZero, process::ExitCode, rc::Rc,
    thread::available_parallelism, time::Duration,
};

use clap::Parser;
use nio_net::{Connection, Core, Cores, ServeError};
use nio_programs::{
    Failure, Serving, address, at_least_one, finish, print_line, raise_limit, seconds, with_log,
};

/// Answers GET requests on all cores, with one loop on each
#[derive(Clone, Copy, Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: wrk -c 100 http://127.0.0.1:7300/"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7300", value_parser = address)]
    address: SocketAddr,
    /// Number of threads [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = at_least_one)]
    workers: Option<usize>,
    /// Multiplications to compute for each answer
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    work: u64,
    /// Close a connection after this many seconds without a request
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

/// How long the head of a request may be.
const HEAD: usize = 8 * 1024;

fn main() -> ExitCode {
    finish(serve(Options::parse()))
}

/// Serves on all cores. This thread needs no loop, as it only waits for the workers.
fn serve(options: Options) -> Result<(), Failure> {
    raise_limit();
    let workers = options.workers.and_then(NonZero::new);
    let workers = workers.or_else(|| available_parallelism().ok());
    let cores = Cores::bind(options.address, workers.unwrap_or(NonZero::<usize>::MIN))?;
    let address = cores.local_addr()?;
    let serving = options.serving.options().idle_sending(options.idle);
    let running = cores.start(serving, async move |core| work(core, options).await);
    let running = running.map_err(|error| Failure(format!("{error}\ntry fewer --workers")))?;
    print_line(format_args!(
        "listening on {address}; try: curl http://{address}/"
    ));
    Ok(running.join()?)
}

/// Runs one worker.
async fn work(core: Core, options: Options) -> Result<(), ServeError> {
    let number = core.number;
    let answered = Rc::new(Cell::new(0_u64));
    let total = Rc::clone(&answered);
    let result = with_log(core.server)
        .serve(core.listener, async move |client| {
            let answer = || {
                answered.set(answered.get() + 1);
                format!("worker {number}: {:016x}\n", compute(options.work))
            };
            let _ = client.set_nodelay(true);
            answer_requests(client, answer).await
        })
        .await;
    print_line(format_args!("worker {number}: {} answers", total.get()));
    result
}

/// Keeps a core busy.
fn compute(multiplications: u64) -> u64 {
    let mix = |hash: u64, n: u64| (hash ^ n).wrapping_mul(0x0100_0000_01b3);
    (0..multiplications).fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Answers the requests of a connection. Requests that arrive together are answered together.
async fn answer_requests(
    client: Connection<'_>,
    mut answer: impl FnMut() -> String,
) -> io::Result<()> {
    let (mut bytes, mut answers) = (Vec::new(), Vec::new());
    let mut goes_on = true;
    while goes_on {
        bytes.reserve(HEAD);
        let read = client.unless_shutdown(client.read_buf(&mut bytes)).await;
        if read.unwrap_or(Ok(0))? == 0 {
            return Ok(());
        }
        let mut start = 0;
        while let Some(end) = find(&bytes[start..], b"\r\n\r\n") {
            let head = &bytes[start..start + end];
            start += end + 4;
            client.idle.touch();
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
        client.write_all(&answers).await?;
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

/// Whether the connection ends after this request: it asks to close, it is older than HTTP/1.1, or it has a
/// body, which is not supported here and must not be taken for the next request.
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

/// The value of a line, if it is the header of this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let is_it = line[..colon].trim_ascii().eq_ignore_ascii_case(name);
    is_it.then(|| line[colon + 1..].trim_ascii())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
