//! A web server with TLS: hyper on rustls on nio, connected by nio-net's bridges.
//!
//! ```text
//! cargo run --release -p nio-programs --bin https -- --write-certificate nio.pem
//! curl --cacert nio.pem https://localhost:7443/ticks/10
//! ```
//!
//! The certificate is made when the program starts. It is self-signed.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use clap::Parser;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{
    TlsAcceptor,
    pki_types::PrivateKeyDer,
    rustls::{ServerConfig, crypto::ring},
    server::TlsStream,
};
use hyper::rt::{self, ReadBufCursor};
use nio_loop::Elapsed;
use nio_net::TcpStream;
use nio_programs::{Failure, Serving, address, run, seconds, serve, web};

/// A web server with TLS: hyper on rustls on nio, with a self-signed certificate
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: https --write-certificate nio.pem\n        curl --cacert nio.pem https://localhost:7443/ticks/10"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7443", value_parser = address)]
    address: SocketAddr,
    /// A host name or address in the certificate; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1"], value_parser = name)]
    names: Vec<String>,
    /// Write the certificate to a file, for clients to trust
    #[arg(long, value_name = "FILE")]
    write_certificate: Option<PathBuf>,
    /// Close a connection whose TLS handshake takes longer than this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    handshake: Duration,
    /// Close a connection after this many seconds without a request, or without reading the response
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*:".contains(&byte);
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.into()),
        false => Err(
            "not a name or an address; try localhost, 127.0.0.1, or xn--nxasmq6b.example".into(),
        ),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let serving = options.serving.options().idle_sending(options.idle);
    run(async move |handle| {
        let acceptor = TlsAcceptor::from(Arc::new(configure(&options)?));
        let handshake = options.handshake;
        serve(
            &handle,
            options.address,
            serving,
            |address| hint(&options, address),
            async move |client| {
                let accepting = acceptor.accept(&**client.stream);
                let accepting = client.handle().timeout(handshake, accepting);
                let Some(accepted) = client.unless_shutdown(accepting).await else {
                    return Ok(());
                };
                let accepted = accepted.map_err(|Elapsed { limit }| {
                    let text = format!("no TLS handshake within {limit:?}");
                    io::Error::new(io::ErrorKind::TimedOut, text)
                });
                web::serve_site(client, Tls(accepted??)).await
            },
        )
        .await
    })
}

fn hint(options: &Options, address: SocketAddr) -> String {
    let trust = match &options.write_certificate {
        Some(path) => format!("--cacert {}", path.display()),
        None => "--insecure".into(),
    };
    let name = options.names.first().map_or("localhost", String::as_str);
    let name = match name.contains(':') {
        true => &format!("[{name}]"),
        false => name,
    };
    format!("try: curl {trust} https://{name}:{}/", address.port())
}

fn configure(options: &Options) -> Result<ServerConfig, Failure> {
    let made = rcgen::generate_simple_self_signed(options.names.clone())?;
    if let Some(path) = &options.write_certificate {
        std::fs::write(path, made.cert.pem())
            .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    }
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|error| Failure(error.into()))?;
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A TLS connection for hyper. rustls uses the traits of futures-io.
struct Tls<'a>(TlsStream<&'a TcpStream>);

/// How much is read at once: one TLS record.
const RECORD: usize = 16 * 1024;

impl rt::Read for Tls<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; RECORD];
        let room = buffer.remaining().min(RECORD);
        let read = Pin::new(&mut self.0).poll_read(context, &mut bytes[..room]);
        buffer.put_slice(&bytes[..ready!(read)?]);
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Tls<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}
