//! Fetches a file by HTTP/1.1, and shows the progress.
//!
//! ```text
//! cargo run --release -p nio-programs --bin fetch -- http://example.com/ -o example.html
//! ```
//!
//! An output that may block, such as a pipe without a reader, is written by another thread, so the loop still
//! reacts to Ctrl-C.

mod output;
mod url;

use std::{
    cell::RefCell, future::poll_fn, io, path::PathBuf, pin::Pin, process::ExitCode, rc::Rc,
    time::Duration,
};

use clap::Parser;
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::{Body, Bytes, Frame, Incoming},
    client::conn::http1,
    header::{self, HeaderName},
};
use indicatif::{ProgressBar, ProgressStyle};
use nio_loop::{Elapsed, Handle, Signal};
use nio_programs::{Failure, connect, describe, exit, print_error, run, seconds};

use output::{Output, Place, remove_if_empty};
use url::{address_of, follow, parse};

/// Fetches a file by HTTP/1.1, and shows the progress
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: fetch http://example.com/ -o example.html"
)]
struct Options {
    /// The URL to fetch; it begins with http://
    url: String,
    /// The file to write; it is named FILE.part until it is complete [default: -, the standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue an earlier fetch that was cut off, from the end of FILE.part
    #[arg(short, long = "continue", requires = "output")]
    continues: bool,
    /// Do not show progress
    #[arg(short, long)]
    quiet: bool,
    /// Follow at most this many redirects
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    redirects: u32,
    /// Give up after this many seconds without a connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect: Duration,
    /// Give up after this many seconds without a byte from the server
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    idle: Duration,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    options.output = options.output.filter(|path| path.as_os_str() != "-");
    run(async move |handle| {
        if let Some(path) = options.output.as_ref().filter(|path| path.is_dir()) {
            let path = path.display();
            return Err(Failure(format!("{path} is a directory; name a file in it")));
        }
        let bar = if options.quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length() // not drawn if the output is not a terminal
        };
        let place = Place::of(options.output.as_deref())?;
        let part = Rc::new(RefCell::new(None));
        exit_on_ctrl_c(&handle, &bar, &part)?;
        let result = fetch(&handle, &options, place, &part, &bar).await;
        bar.finish_and_clear();
        result
    })
}

/// Exits at a signal. The bytes that have arrived stay in the part.
fn exit_on_ctrl_c(
    handle: &Handle,
    bar: &ProgressBar,
    part: &Rc<RefCell<Option<PathBuf>>>,
) -> Result<(), Failure> {
    for signal in [Signal::INTERRUPT, Signal::TERMINATE] {
        let (bar, part) = (bar.clone(), Rc::clone(part));
        let id = handle.on_signal(signal, move |_, _| {
            let fetched = bar.position(); // finishing sets it to the length
            bar.finish_and_clear();
            let part = part.borrow();
            part.as_deref().inspect(|part| remove_if_empty(part));
            match part.as_ref().filter(|part| part.exists()) {
                Some(part) => print_error(format_args!(
                    "interrupted: {fetched} bytes are in {}",
                    part.display()
                )),
                None => print_error(format_args!("interrupted after {fetched} bytes")),
            }
            exit(128 + signal.as_raw()); // the exit status that a shell has for the signal
        })?;
        handle.unref(id);
    }
    Ok(())
}

async fn fetch(
    handle: &Handle,
    options: &Options,
    place: Place,
    part: &RefCell<Option<PathBuf>>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut url = parse(&options.url)?;
    // A file is opened first: if that fails, no request is sent.
    let (mut output, mut place) = match place {
        Place::File(_) => (Some(place.open(handle, options.continues).await?), None),
        place => (None, Some(place)),
    };
    if let Some(output) = &output {
        part.replace(output.part.clone());
    }
    let mut redirects = 0;
    // The validator and the length of the file, as the first range has them.
    let mut version = None;
    loop {
        let had = output.as_ref().filter(|output| output.had > 0);
        let response = ask(handle, &url, options, had).await?;
        let status = response.status();
        if let (true, Some(location)) = (
            status.is_redirection(),
            response.headers().get(header::LOCATION),
        ) {
            url = follow(&url, location.as_bytes())?;
            redirects += 1;
            if redirects > options.redirects {
                let limit = options.redirects;
                let text = format!("{url}: redirected more than {limit} times");
                return Err(Failure(text));
            }
            continue;
        }
        let check = check(&response, had).map_err(|reason| Failure(format!("{url}: {reason}")))?;
        let mut opened = match (output.take(), place.take()) {
            (Some(output), _) => output,
            (None, place) => place.unwrap_or(Place::Stdout).open(handle, false).await?,
        };
        if check != Check::Nothing {
            let goes_on = check != Check::Whole;
            opened.begin(goes_on, validator(response.headers()))?;
        }
        bar.set_position(opened.had);
        match check {
            Check::Nothing => {}
            Check::Whole => save(handle, response, options, &opened, None, bar).await?,
            Check::Range { end, total } => {
                let own = (validator(response.headers()).map(str::to_owned), total);
                if *version.get_or_insert_with(|| own.clone()) != own {
                    return Err(Failure(format!("{url}: {CHANGED}")));
                }
                save(handle, response, options, &opened, Some(end), bar).await?;
                if end < total {
                    opened.had = end;
                    output = Some(opened);
                    continue;
                }
            }
        }
        if let (Some(path), false) = (opened.complete()?, options.quiet) {
            let fetched = bar.position();
            print_error(format_args!("{}: {fetched} bytes", path.display()));
        }
        part.take();
        return Ok(());
    }
}

/// The content of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Whole,
    /// The bytes after those that an earlier fetch has left, up to an end. A server may send fewer than requested;
    /// then `total`, the length of the file, is more.
    Range {
        end: u64,
        total: u64,
    },
    /// Nothing: an earlier fetch has left the whole file.
    Nothing,
}

const CHANGED: &str = "the file has changed since the earlier fetch\nfetch it without --continue";

/// Checks that a response answers the request.
fn check(response: &Response<Incoming>, had: Option<&Output>) -> Result<Check, String> {
    let headers = response.headers();
    for coding in headers.get_all(header::TRANSFER_ENCODING) {
        if !coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked")
        {
            let coding = String::from_utf8_lossy(coding.as_bytes());
            return Err(format!(
                "the transfer coding of the response is not supported: {coding}"
            ));
        }
    }
    let range = headers
        .get(header::CONTENT_RANGE)
        .map(|range| range.as_bytes());
    let range = range.map(|range| String::from_utf8_lossy(range).into_owned());
    let range = range.as_deref().unwrap_or("nothing");
    let Some(output) = had else {
        return match response.status() {
            StatusCode::PARTIAL_CONTENT => Err(format!(
                "the server sent a range that was not requested: {range}"
            )),
            status if status.is_success() => Ok(Check::Whole),
            status => Err(format!("the server answered {status}")),
        };
    };
    let had = output.had;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let Some((end, total)) = end_of(range, had) else {
                return Err(format!(
                    "the server sent another range than the one from byte {had}: {range}"
                ));
            };
            let (len, expected) = (response.body().size_hint().exact(), end - had);
            if let Some(len) = len.filter(|len| *len != expected) {
                return Err(format!(
                    "the server sent {len} bytes as a range of {expected}: {range}"
                ));
            }
            // The server should have compared it with If-Range, but not every server does.
            let is_changed = output
                .validator()
                .zip(validator(headers))
                .is_some_and(|(old, new)| is_tag(&old) == is_tag(new) && old != new);
            match is_changed {
                true => Err(CHANGED.into()),
                false => Ok(Check::Range { end, total }),
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if range == format!("bytes */{had}") => {
            Ok(Check::Nothing)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => Err(format!(
            "the {had} bytes of the earlier fetch are not the beginning of this file ({range})\n\
             fetch it without --continue"
        )),
        status if status.is_success() => Ok(Check::Whole),
        status => Err(format!("the server answered {status}")),
    }
}

/// The end of a range that begins at `had`, and the length of the file. `None` if it begins elsewhere, or
/// is invalid. If the length of the file is not given, the range counts as the last.
fn end_of(range: &str, had: u64) -> Option<(u64, u64)> {
    let (unit, range) = range.split_once(' ')?;
    let (range, total) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let end = last.checked_add(1)?;
    let total = match total {
        "*" => end,
        total => total.parse().ok()?,
    };
    let fits = unit.eq_ignore_ascii_case("bytes") && first == had && had < end && end <= total;
    fits.then_some((end, total))
}

/// The validator by which a later request asks for the same version. A weak tag will not do: several versions
/// may have it.
fn validator(headers: &HeaderMap) -> Option<&str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = text(header::ETAG).filter(|tag| is_tag(tag));
    tag.or_else(|| text(header::LAST_MODIFIED))
}

/// Whether a validator is a strong tag, not a date.
fn is_tag(validator: &str) -> bool {
    validator.starts_with('"')
}

/// Sends the request, and waits for the head of the response.
async fn ask(
    handle: &Handle,
    url: &Uri,
    options: &Options,
    had: Option<&Output>,
) -> Result<Response<Incoming>, Failure> {
    let host = url.host().unwrap_or_default();
    let target = format!("{host}:{}", url.port_u16().unwrap_or(80));
    let stream = connect(handle, &target, options.connect).await?;
    let (mut sender, connection) = http1::handshake(stream).await?;
    // The response reports the errors of the connection, too.
    handle.spawn(connection).detach();
    // `path_and_query` lacks the "/" in "http://host?query".
    let query = url.query().map(|query| format!("?{query}"));
    let request = Request::get(format!("{}{}", url.path(), query.unwrap_or_default()))
        .header(header::HOST, address_of(url))
        .header(header::USER_AGENT, "nio-fetch");
    let request = match had {
        None => request,
        Some(output) => {
            let request = request.header(header::RANGE, format!("bytes={}-", output.had));
            match output.validator() {
                Some(validator) => request.header(header::IF_RANGE, validator),
                None => request,
            }
        }
    };
    let request = request.body(String::new())?;
    let response = handle.timeout(options.idle, sender.send_request(request));
    match response.await {
        Ok(response) => {
            response.map_err(|error| Failure(format!("{target}: {}", describe(&error))))
        }
        Err(Elapsed { limit }) => Err(Failure(format!("{target}: no progress for {limit:?}"))),
    }
}

/// Writes the body of a response while it arrives. A body that is a range must lead to its end.
async fn save(
    handle: &Handle,
    response: Response<Incoming>,
    options: &Options,
    output: &Output,
    end: Option<u64>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    let template = match body.size_hint().exact() {
        Some(len) => {
            bar.set_length(bar.position() + len);
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        }
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    while let Some(bytes) = next(handle, &mut body, options.idle, bar).await? {
        let len = bytes.len() as u64;
        if end.is_some_and(|end| bar.position() + len > end) {
            let reason = "the server announced no more, but sent more";
            return Err(cut_off(bar, reason));
        }
        match output.write(handle, bytes).await {
            // The reader has read enough, as head(1) does: not an error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|error| output.cannot_write(&error))?,
        }
        bar.inc(len);
    }
    match end {
        Some(end) if bar.position() < end => {
            let reason = format!("the server announced bytes up to {end}");
            Err(cut_off(bar, &reason))
        }
        _ => Ok(()),
    }
}

/// The next bytes of a body.
async fn next(
    handle: &Handle,
    body: &mut Incoming,
    limit: Duration,
    bar: &ProgressBar,
) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = handle.timeout(limit, frame).await;
        let frame = frame
            .map_err(|Elapsed { limit }| cut_off(bar, &format!("no progress for {limit:?}")))?;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(bytes))) => return Ok(Some(bytes)),
            Some(Ok(Err(_))) => {} // trailers
            Some(Err(error)) => return Err(cut_off(bar, &describe(&error))),
        }
    }
}

fn cut_off(bar: &ProgressBar, reason: &str) -> Failure {
    let fetched = bar.position();
    Failure(format!("cut off after {fetched} bytes: {reason}"))
}
