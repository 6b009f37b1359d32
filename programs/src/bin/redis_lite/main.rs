//! A small Redis: strings that expire, for redis-cli, redis-benchmark, and whatever speaks RESP2.
//!
//! ```text
//! cargo run --release -p nio-programs --bin redis_lite
//! redis-cli -p 6380
//! ```
//!
//! Commands are taken out of what has been read (`protocol`), executed in order (`commands`, on the
//! `store`), and answered together: pipelining costs nothing. There are no locks, for there is one thread.

mod commands;
mod protocol;
mod store;

use std::{cell::RefCell, io, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use nio_net::Connection;
use nio_programs::{Serving, address, run, seconds, serve};

use commands::{Then, execute};
use protocol::{Answers, parse};
use store::Store;

/// A small Redis: PING, ECHO, GET, SET, DEL, EXISTS, INCR, EXPIRE, PEXPIRE, PERSIST, TTL, PTTL, DBSIZE, FLUSHALL
#[derive(Parser)]
#[command(
    after_help = "Try it: redis-cli -p 6380, or redis-benchmark -p 6380 -t set,get,incr -P 16"
)]
struct Options {
    /// Where to listen; port 0 is one that is free
    #[arg(default_value = "127.0.0.1:6380", value_parser = address)]
    address: SocketAddr,
    /// After how many seconds without a command, or a part of an answer that is read, a connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

/// How much is read at once, and how long answers become before they are sent.
const READ: usize = 16 * 1024;
const ANSWERS: usize = 64 * 1024;

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let store = Store::new(&handle);
        serve(
            &handle,
            options.address,
            options.serving.options().idle_sending(options.idle),
            |address| format!("try: redis-cli -h {} -p {}", address.ip(), address.port()),
            async move |client| answer(client, &store).await,
        )
        .await
    })
}

/// Answers what a connection asks, until it is closed or the server ends.
async fn answer(client: Connection<'_>, store: &RefCell<Store>) -> io::Result<()> {
    let (mut bytes, mut answers) = (Vec::new(), Answers::default());
    loop {
        bytes.reserve(READ);
        let read = client.unless_shutdown(client.read_buf(&mut bytes)).await;
        if read.unwrap_or(Ok(0))? == 0 {
            return Ok(());
        }
        let mut start = 0;
        let mut then = Then::GoOn;
        while then == Then::GoOn {
            match parse(&bytes[start..]) {
                Ok(None) => break,
                Ok(Some(request)) => {
                    client.idle.touch();
                    start += request.len;
                    then = execute(&mut store.borrow_mut(), &request.arguments, &mut answers);
                }
                Err(error) => {
                    answers.error(&format!("ERR Protocol error: {error}"));
                    then = Then::Close;
                }
            }
            if answers.bytes.len() >= ANSWERS {
                client.write_all(&answers.bytes).await?;
                answers.bytes.clear();
            }
        }
        client.write_all(&answers.bytes).await?;
        answers.bytes.clear();
        if then == Then::Close {
            return Ok(());
        }
        bytes.drain(..start);
        // A large value is no reason to need so much for each small one that comes later.
        answers.bytes.shrink_to(ANSWERS);
        if bytes.is_empty() {
            bytes.shrink_to(ANSWERS);
        }
    }
}
