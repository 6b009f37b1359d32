//! A web server: hyper on nio.
//!
//! ```text
//! cargo run --release -p nio-programs --bin http
//! curl http://127.0.0.1:7400/ticks/10
//! ```

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use nio_programs::{Serving, address, run, seconds, serve, web};

/// A web server: hyper on nio
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: curl http://127.0.0.1:7400/ticks/10"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7400", value_parser = address)]
    address: SocketAddr,
    /// Close a connection after this many seconds without a request, or without reading the response
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let serving = options.serving.options().idle_sending(options.idle);
    run(async move |handle| {
        serve(
            &handle,
            options.address,
            serving,
            |address| format!("try: curl http://{address}/ticks/10"),
            async |client| web::serve_site(client, &**client.stream).await,
        )
        .await
    })
}
