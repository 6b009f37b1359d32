//! Fetches a file by HTTP/1.1, and shows how far it is.
//!
//! ```text
//! cargo run --release -p nio-programs --bin fetch -- http://example.com/ -o example.html
//! ```

use std::{
    fs::{self, File},
    future::poll_fn,
    io::{self, Write},
    path::{Path, PathBuf},
    pin::Pin,
    process::{self, ExitCode},
    time::Duration,
};

use clap::Parser;
use hyper::{
    Request, Response, Uri,
    body::{Body, Incoming},
    client::conn::http1,
    header,
};
use indicatif::{ProgressBar, ProgressStyle};
use nio_loop::{Handle, Signal};
use nio_net::Idle;
use nio_programs::{Failure, complain, connect, run, seconds, why};

/// Fetches a file by HTTP/1.1, and shows how far it is
#[derive(Parser)]
struct Options {
    /// What to fetch; it begins with http://
    url: String,
    /// Where to write it; until it is complete it is named FILE.part [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How often to go where a server says that something else is
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    redirects: u32,
    /// How many seconds a server has to be found and to accept the connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect: Duration,
    /// After how many seconds without a byte to give up
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle: Duration,
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let bar = if options.quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length() // hidden by itself where it is no terminal
        };
        exit_on_ctrl_c(&handle, &bar, options.output.as_deref())?;
        let result = fetch(&handle, &options, &bar).await;
        bar.finish_and_clear();
        result
    })
}

/// What has come so far stays; there is nothing else to finish.
fn exit_on_ctrl_c(
    handle: &Handle,
    bar: &ProgressBar,
    output: Option<&Path>,
) -> Result<(), Failure> {
    for signal in [Signal::INTERRUPT, Signal::TERMINATE] {
        let (bar, part) = (bar.clone(), output.map(part_of));
        let id = handle.on_signal(signal, move |_, _| {
            let fetched = bar.position(); // of a bar that is finished it is the length
            bar.finish_and_clear();
            match part.as_ref().filter(|part| part.exists()) {
                Some(part) => complain(format_args!(
                    "interrupted: {fetched} bytes are in {}",
                    part.display()
                )),
                None => complain(format_args!("interrupted after {fetched} bytes")),
            }
            process::exit(130);
        })?;
        handle.unref(id);
    }
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

async fn fetch(handle: &Handle, options: &Options, bar: &ProgressBar) -> Result<(), Failure> {
    let mut url = parse(&options.url)?;
    for _ in 0..=options.redirects {
        let idle = Idle::new(handle, options.idle);
        let asking = ask(handle, &url, options.connect);
        let response = idle.limit(asking).await??;
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        match location.and_then(|location| location.to_str().ok()) {
            Some(location) if status.is_redirection() => url = follow(&url, location)?,
            _ if status.is_success() => return save(response, &idle, options, bar).await,
            _ => return Err(Failure(format!("{url}: the server says {status}"))),
        }
    }
    let limit = options.redirects;
    Err(Failure(format!(
        "{url}: redirected more than {limit} times"
    )))
}

fn parse(text: &str) -> Result<Uri, Failure> {
    let fail = |what| Failure(format!("{text}: {what}; try http://example.com/"));
    let url: Uri = text.parse().map_err(|_| fail("not a URL"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(url),
        (Some("https"), _) => Err(fail("https is not spoken here, only http")),
        _ => Err(fail("not a URL that begins with http://")),
    }
}

/// Where a server says that something is, as seen from where it was asked for.
fn follow(from: &Uri, location: &str) -> Result<Uri, Failure> {
    if location.contains("://") {
        return parse(location);
    }
    let host = from.authority().map_or("", |authority| authority.as_str());
    if location.starts_with('/') {
        return parse(&format!("http://{host}{location}"));
    }
    let directory = from.path().rsplit_once('/').map_or("", |(path, _)| path);
    parse(&format!("http://{host}{directory}/{location}"))
}

/// Sends the request, and waits for the head of the response.
async fn ask(handle: &Handle, url: &Uri, limit: Duration) -> Result<Response<Incoming>, Failure> {
    let host = url.host().unwrap_or_default();
    let target = format!("{host}:{}", url.port_u16().unwrap_or(80));
    let stream = connect(handle, &target, limit).await?;
    let (mut sender, connection) = http1::handshake(stream).await?;
    // Its errors are those of the response, too.
    handle.spawn(connection).detach();
    let authority = url.authority().map_or(host, |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, "nio-fetch")
        .body(String::new())?;
    let response = sender.send_request(request).await;
    response.map_err(|error| Failure(format!("{target}: {}", why(&error))))
}

/// Writes the body of a response as it comes.
async fn save(
    response: Response<Incoming>,
    idle: &Idle,
    options: &Options,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    let template = match body.size_hint().exact() {
        Some(len) => {
            bar.set_length(len);
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        }
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    let part = options.output.as_deref().map(part_of);
    let mut output: Box<dyn Write> = match &part {
        Some(part) => Box::new(File::create(part).map_err(|error| cannot_write(part, &error))?),
        None => Box::new(io::stdout()),
    };
    let copying = async {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| {
                let fetched = bar.position();
                Failure(format!("cut off after {fetched} bytes: {}", why(&error)))
            })?;
            idle.touch();
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            // Files are written to memory, by and large, which does not keep the loop waiting.
            match output.write_all(bytes) {
                // Whoever reads it has enough, as head(1) does.
                Err(error) if part.is_none() && error.kind() == io::ErrorKind::BrokenPipe => break,
                result => result.map_err(|error| match &part {
                    Some(part) => cannot_write(part, &error),
                    None => error.into(),
                })?,
            }
            bar.inc(bytes.len() as u64);
        }
        Ok::<_, Failure>(())
    };
    idle.limit(copying).await??;
    if let Err(error) = output.flush() {
        if error.kind() != io::ErrorKind::BrokenPipe {
            return Err(error.into());
        }
    }
    drop(output);
    if let (Some(part), Some(path)) = (part, &options.output) {
        fs::rename(part, path).map_err(|error| cannot_write(path, &error))?;
        if !options.quiet {
            let fetched = bar.position();
            complain(format_args!("{}: {fetched} bytes", path.display()));
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure(format!("cannot write {}: {error}", path.display()))
}
