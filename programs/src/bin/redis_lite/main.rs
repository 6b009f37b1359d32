//! A small Redis: strings that expire, for redis-cli, redis-benchmark, and clients of RESP2 and RESP3.
//!
//! ```text
//! cargo run --release -p nio-programs --bin redis_lite
//! redis-cli -p 6380
//! ```
//!
//! Requests are parsed (`protocol`), executed in order on the store (`commands`, `store`), and answered
//! together (`answers`), so pipelining costs nothing. There is one thread and no lock. Memory is bounded:
//! requests, answers and values each have a limit, and `memory` limits the sums.

mod answers;
mod clients;
mod commands;
mod connection;
mod glob;
mod keys;
mod memory;
mod protocol;
mod server;
mod store;
mod strings;
mod transaction;

use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Parser;
use nio_net::Connection;
use nio_programs::{Serving, address, at_least_one, run, seconds, serve};

use answers::Answers;
use clients::{Clients, Connected};
use commands::{Context, Then, execute};
use memory::{Charge, Memory};
use protocol::Requests;
use store::Store;

/// A small Redis: strings that expire
///
/// It has the commands of Redis for strings, keys, expiry and transactions, and those that clients send to learn
/// about a server. COMMAND LIST names all commands, and COMMAND DOCS describes them.
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: redis-cli -p 6380, or redis-benchmark -p 6380 -t set,get,incr -P 16"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:6380", value_parser = address)]
    address: SocketAddr,
    /// Close a connection after this many seconds without a command, or without reading the answer
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    idle: Duration,
    /// Memory limit for values, in megabytes; the same again for requests, transactions and answers
    #[arg(long, value_name = "MEGABYTES", default_value_t = 512, value_parser = at_least_one)]
    memory: usize,
    #[command(flatten)]
    serving: Serving,
}

/// How many bytes are read at once, and how many bytes of answers are collected before they are sent.
const READ: usize = 16 * 1024;
const ANSWERS: usize = 64 * 1024;

const NO_MEMORY: &str = "OOM the server has no memory for so large a request or answer";

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let port = Rc::default();
        let [values, buffers] =
            [(); 2].map(|()| Memory::new(options.memory.saturating_mul(1 << 20)));
        let shared = Shared {
            store: Store::new(&handle, &values),
            clients: Rc::default(),
            server: commands::Server {
                port: Rc::clone(&port),
                connections: options.serving.connections,
                started: Instant::now(),
                buffers,
            },
        };
        serve(
            &handle,
            options.address,
            options.serving.options().idle_sending(options.idle),
            |address| {
                port.set(address.port());
                format!("try: redis-cli -h {} -p {}", address.ip(), address.port())
            },
            async move |client| {
                let addresses = [Some(*client.peer), client.local_addr().ok()];
                let connected = shared.clients.enter(client.handle(), addresses);
                answer(client, &shared, &connected).await
            },
        )
        .await
    })
}

/// The state that all connections share.
struct Shared {
    store: Rc<RefCell<Store>>,
    clients: Rc<Clients>,
    server: commands::Server,
}

/// Answers the requests of a connection, until it is closed or the server shuts down.
async fn answer(client: Connection<'_>, shared: &Shared, connected: &Connected) -> io::Result<()> {
    let (mut requests, mut answers) = (Requests::default(), Answers::default());
    let mut charge = Charge::new(&shared.server.buffers);
    let mut fits = |requests: &Requests, answers: &Answers| {
        // A small buffer is not charged.
        let bytes = [requests.capacity(), answers.bytes.capacity()];
        let large = bytes.into_iter().filter(|bytes| *bytes > 2 * ANSWERS);
        charge.set(large.sum())
    };
    loop {
        requests.make_room(READ, ANSWERS);
        if !fits(&requests, &answers) {
            requests = Requests::default();
            answers.begin();
            answers.replace(NO_MEMORY);
            fits(&requests, &answers);
            return client.write_all(&answers.bytes).await;
        }
        let read = client.read_buf(&mut requests.bytes);
        let read = client.unless_shutdown(read).await;
        if read.unwrap_or(Ok(0))? == 0 {
            return Ok(());
        }
        let (mut then, mut is_complete) = (Then::GoOn, true);
        while then == Then::GoOn && is_complete {
            match requests.next() {
                Ok(None) => is_complete = false,
                Ok(Some(request)) => {
                    client.idle.touch();
                    let mut context = Context {
                        store: &mut shared.store.borrow_mut(),
                        clients: &shared.clients,
                        client: &connected.client,
                        answers: &mut answers,
                        server: &shared.server,
                    };
                    then = execute(&mut context, &request);
                }
                Err(error) => {
                    answers.begin();
                    answers.error(&format!("ERR Protocol error: {error}"));
                    then = Then::Close;
                }
            }
            if !fits(&requests, &answers) {
                if !is_complete {
                    answers.begin(); // earlier answers stay
                }
                answers.replace(NO_MEMORY);
                // The client may take its time to read this.
                requests = Requests::default();
                fits(&requests, &answers);
                then = Then::Close;
            }
            if answers.bytes.len() >= ANSWERS {
                client.write_all(&answers.bytes).await?;
                answers.clear(ANSWERS);
            }
        }
        client.write_all(&answers.bytes).await?;
        answers.clear(ANSWERS);
        match then {
            Then::GoOn => {}
            Then::Close => return Ok(()),
            Then::Refuse => {
                let text = "HTTP request, perhaps from a web page that attacks this server; closed";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
}
