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
    net::SocketAddr,
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
use hyper_util::service::TowerToHyperService;
use nio_programs::{Serving, address, run, seconds, serve, web};

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
    /// Close a connection after this many seconds without a request, or without reading the response
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
            options.serving.options().idle_sending(options.idle),
            |address| format!("try: curl http://{address}/hello/world"),
            async move |client| {
                let service = TowerToHyperService::new(routes.clone());
                web::serve_http(client, &**client.stream, service).await
            },
        )
        .await
    })
}
