//! axum on nio: its router is a service for hyper, and hyper runs on the loop.
//!
//! ```text
//! cargo run --release -p nio-programs --bin axum_hello
//! curl http://127.0.0.1:7500/hello/world
//! ```
//!
//! axum's handlers must be `Send`, and nio's handles are not. A handler that needs the loop uses a `Remote`, which
//! posts closures to it.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use clap::Parser;
use hyper::server::conn::http1;
use hyper_util::service::TowerToHyperService;
use nio_programs::{Serving, address, describe, run, seconds, serve};

/// A web server: axum on nio
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: curl http://127.0.0.1:7500/hello/world"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7500", value_parser = address)]
    address: SocketAddr,
    /// Close a connection after this many seconds without a request
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "hello from axum on nio\n" }))
        .route("/hello/{name}", get(hello))
        .route("/count", get(count).post(count))
        .with_state(Arc::default())
}

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

async fn count(State(counter): State<Arc<AtomicU64>>) -> String {
    let before = counter.fetch_add(1, Ordering::Relaxed);
    format!("{}\n", before + 1)
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let routes = routes();
        serve(
            &handle,
            options.address,
            options.serving.options().idle(Some(options.idle)),
            |address| format!("try: curl http://{address}/hello/world"),
            async move |client| {
                let service = TowerToHyperService::new(routes.clone());
                let mut builder = http1::Builder::new();
                // The server's idle limit covers the head of a request too.
                builder.header_read_timeout(None);
                let mut connection = pin!(builder.serve_connection(&**client.stream, service));
                let ended = match client.unless_shutdown(connection.as_mut()).await {
                    Some(ended) => ended,
                    None => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                ended.map_err(|error| io::Error::other(describe(&error)))
            },
        )
        .await
    })
}
