//! Fetches a file by HTTP/1.1, and shows how far it is.
//!
//! ```text
//! cargo run --release -p nio-programs --bin fetch -- http://example.com/ -o example.html
//! ```
//!
//! What may keep a writer waiting, such as a pipe that nobody reads, is written to by another thread,
//! so that Ctrl-C is heard all the same.

use std::{
    fs::{self, File},
    future::poll_fn,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use hyper::{
    Request, Response, Uri,
    body::{Body, Bytes, Frame, Incoming},
    client::conn::http1,
    header,
};
use indicatif::{ProgressBar, ProgressStyle};
use nio_loop::{Elapsed, Handle, Signal};
use nio_programs::{Failure, complain, connect, exit, run, seconds, why};

/// Fetches a file by HTTP/1.1, and shows how far it is
#[derive(Parser)]
#[command(after_help = "Try it: fetch http://example.com/ -o example.html")]
struct Options {
    /// What to fetch; it begins with http://
    url: String,
    /// Where to write it; until it is complete it is named FILE.part [default: -, the standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How often to go where a server says that something else is
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    redirects: u32,
    /// How many seconds the server has to be found and to accept the connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect: Duration,
    /// After how many seconds without a byte from the server to give up
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
            ProgressBar::no_length() // hidden by itself where it is no terminal
        };
        let place = options.output.as_deref().map(Place::of).transpose()?;
        exit_on_ctrl_c(&handle, &bar, place.as_ref())?;
        let result = fetch(&handle, &options, place.as_ref(), &bar).await;
        bar.finish_and_clear();
        result
    })
}

/// What has come so far stays; there is nothing else to finish.
fn exit_on_ctrl_c(
    handle: &Handle,
    bar: &ProgressBar,
    place: Option<&Place>,
) -> Result<(), Failure> {
    for signal in [Signal::INTERRUPT, Signal::TERMINATE] {
        let (bar, part) = (bar.clone(), place.map(|place| place.part.clone()));
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
            exit(128 + signal.as_raw()); // as a shell has it
        })?;
        handle.unref(id);
    }
    Ok(())
}

/// Where a file is to be.
struct Place {
    /// The file itself: what a link points to, and not the link.
    path: PathBuf,
    /// Where it is written until it is complete. A device or a pipe is no file to be replaced by one:
    /// there it is the same.
    part: PathBuf,
}

impl Place {
    fn of(path: &Path) -> Result<Place, Failure> {
        let mut path = path.to_owned();
        loop {
            let is_replaced = match path.metadata() {
                Ok(metadata) => metadata.is_file() && !names_what_is_open(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                // Such as that of a link that leads to itself.
                Err(error) => return Err(cannot_write(Some(&path), &error)),
            };
            if !is_replaced {
                let part = path.clone();
                return Ok(Place { path, part });
            }
            let Ok(target) = path.read_link() else { break };
            path = path.parent().unwrap_or(&path).join(target);
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = part.into();
        Ok(Place { path, part })
    }
}

/// Whether a path is one such as /dev/stdout: not the place of a file, though it may look like a link
/// to one that somebody has redirected an output to.
fn names_what_is_open(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    let folder = Path::new(".").join(folder).canonicalize(); // of a mere name it is ""
    folder.is_ok_and(|folder| {
        folder.starts_with("/proc") || ["/dev", "/dev/fd"].map(Path::new).contains(&&*folder)
    })
}

async fn fetch(
    handle: &Handle,
    options: &Options,
    place: Option<&Place>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut url = parse(&options.url)?;
    for _ in 0..=options.redirects {
        let response = ask(handle, &url, options).await?;
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        match location.and_then(|location| location.to_str().ok()) {
            Some(location) if status.is_redirection() => url = follow(&url, location)?,
            _ if status.is_success() => return save(handle, response, options, place, bar).await,
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
    let port = address_of(&url).rsplit_once(':').map(|(_, port)| port);
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => match port.filter(|port| !port.ends_with(']')) {
            // What is no port would be taken for none.
            Some(port) if !port.is_empty() && !matches!(port.parse(), Ok(1..=u16::MAX)) => {
                Err(fail("not a port from 1 to 65535"))
            }
            _ => Ok(url),
        },
        (Some("https"), _) => Err(fail("https is not spoken here, only http")),
        _ => Err(fail("not a URL that begins with http://")),
    }
}

/// The host and the port of a URL, without the name of a user.
fn address_of(url: &Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Where a server says that something is, as seen from where it was asked for.
fn follow(from: &Uri, location: &str) -> Result<Uri, Failure> {
    let location = location.split('#').next().unwrap_or(location);
    let first = location.find([':', '/', '?']);
    if first.is_some_and(|first| location[first..].starts_with(':')) {
        return parse(location);
    }
    if location.starts_with("//") {
        return parse(&format!("http:{location}"));
    }
    let (host, path) = (address_of(from), from.path());
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let absolute = match location.bytes().next() {
        Some(b'/') => location.into(),
        Some(b'?') => format!("{path}{location}"),
        Some(_) => format!("{directory}/{location}"),
        None => return Ok(from.clone()),
    };
    parse(&format!("http://{host}{}", without_dots(&absolute)))
}

/// A path and its query, without the parts of the path that say "here" and "one up".
fn without_dots(path_and_query: &str) -> String {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (path, query) = path_and_query.split_at(end);
    let mut parts = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push(""); // a directory
    }
    format!("/{}{query}", parts.join("/"))
}

/// Sends the request, and waits for the head of the response.
async fn ask(handle: &Handle, url: &Uri, options: &Options) -> Result<Response<Incoming>, Failure> {
    let host = url.host().unwrap_or_default();
    let target = format!("{host}:{}", url.port_u16().unwrap_or(80));
    let stream = connect(handle, &target, options.connect).await?;
    let (mut sender, connection) = http1::handshake(stream).await?;
    // Its errors are those of the response, too.
    handle.spawn(connection).detach();
    // Of "http://host?query" the path is "/", too, but not in one word with the query.
    let query = url.query().map(|query| format!("?{query}"));
    let request = Request::get(format!("{}{}", url.path(), query.unwrap_or_default()))
        .header(header::HOST, address_of(url))
        .header(header::USER_AGENT, "nio-fetch")
        .body(String::new())?;
    let response = handle.timeout(options.idle, sender.send_request(request));
    match response.await {
        Ok(response) => response.map_err(|error| Failure(format!("{target}: {}", why(&error)))),
        Err(Elapsed { limit }) => Err(Failure(format!(
            "{target}: the server has said nothing for {limit:?}"
        ))),
    }
}

/// Writes the body of a response as it comes.
async fn save(
    handle: &Handle,
    response: Response<Incoming>,
    options: &Options,
    place: Option<&Place>,
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
    let part = place.map(|place| place.part.clone());
    let output = Output::open(handle, part).await?;
    if let Some(Ok(replaced)) = place.map(|place| place.path.metadata()) {
        // Who may not read the old one is not to read this one. Not every file system knows that.
        let _ = output.file.set_permissions(replaced.permissions());
    }
    while let Some(bytes) = next(handle, &mut body, options.idle, bar).await? {
        let len = bytes.len() as u64;
        match output.write(handle, bytes).await {
            // Whoever reads it has enough, as head(1) does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|error| cannot_write(output.path.as_deref(), &error))?,
        }
        bar.inc(len);
    }
    let Some(Place { path, part }) = place else {
        return Ok(());
    };
    if part != path {
        fs::rename(part, path).map_err(|error| cannot_write(Some(path), &error))?;
    }
    if !options.quiet {
        let fetched = bar.position();
        complain(format_args!("{}: {fetched} bytes", path.display()));
    }
    Ok(())
}

/// The next bytes of a body.
async fn next(
    handle: &Handle,
    body: &mut Incoming,
    limit: Duration,
    bar: &ProgressBar,
) -> Result<Option<Bytes>, Failure> {
    let cut_off = |why| {
        let fetched = bar.position();
        Failure(format!("cut off after {fetched} bytes: {why}"))
    };
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = handle.timeout(limit, frame).await;
        let frame = frame.map_err(|Elapsed { limit }| cut_off(format!("nothing for {limit:?}")))?;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(bytes))) => return Ok(Some(bytes)),
            Some(Ok(Err(_))) => {} // trailers
            Some(Err(error)) => return Err(cut_off(why(&error))),
        }
    }
}

/// Where a body is written.
struct Output {
    file: Arc<File>,
    /// None if it is the standard output.
    path: Option<PathBuf>,
    /// Files are written to memory, by and large, which does not keep the loop waiting. All else may,
    /// so that is for other threads.
    blocks: bool,
}

impl Output {
    async fn open(handle: &Handle, path: Option<PathBuf>) -> Result<Output, Failure> {
        let file = match path.clone() {
            None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            // A pipe that has a name waits for its reader.
            Some(path) => handle.spawn_blocking(|| File::create(path))?.await?,
        };
        let file = file.map_err(|error| cannot_write(path.as_deref(), &error))?;
        let blocks = !file.metadata().is_ok_and(|metadata| metadata.is_file());
        let file = Arc::new(file);
        Ok(Output { file, path, blocks })
    }

    async fn write(&self, handle: &Handle, bytes: Bytes) -> io::Result<()> {
        if !self.blocks {
            return (&*self.file).write_all(&bytes);
        }
        let file = Arc::clone(&self.file);
        let writing = handle.spawn_blocking(move || (&*file).write_all(&bytes));
        writing
            .map_err(io::Error::other)?
            .await
            .map_err(io::Error::other)?
    }
}

/// The standard output, if there is no path.
fn cannot_write(path: Option<&Path>, error: &io::Error) -> Failure {
    let path = path.unwrap_or(Path::new("the standard output"));
    Failure(format!("cannot write {}: {error}", path.display()))
}
