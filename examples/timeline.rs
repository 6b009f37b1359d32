//! A picture of a loop at work: a run of 150 milliseconds is recorded, and written as a page to look at and as a
//! trace for <https://ui.perfetto.dev>.
//!
//! ```text
//! cargo run --example timeline [FOLDER]
//! ```
//!
//! In the run there is something of each kind: an interval, a watch, a tick, an immediate, tasks that talk over a TCP
//! connection, work on another thread, a post. One callback keeps the loop to itself for 30 milliseconds: look at
//! what has to wait meanwhile.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::Read,
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use nio_examples::println;
use nio_loop::{EventLoop, Handle, Interest};
use nio_net::{TcpListener, TcpStream};

/// How many entries the recording keeps: many more than there are.
const CAPACITY: usize = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).unwrap_or("target".into()));
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();

    let recording = handle.record(CAPACITY);
    set_timers(&handle);
    watch(&handle)?;
    use_threads(&handle);
    let conversation = handle.clone();
    handle.spawn_detached(async move { talk(&conversation).await });
    event_loop.run()?;
    let timeline = recording.stop();

    println!("recorded {} entries", timeline.entries.len());

    let (page, trace) = (folder.join("timeline.html"), folder.join("timeline.json"));
    fs::create_dir_all(&folder)
        .and_then(|()| timeline.write_html(File::create(&page)?))
        .and_then(|()| timeline.write_trace(File::create(&trace)?))
        .map_err(|error| format!("cannot write into {}: {error}", folder.display()))?;
    println!("{}: open it in a browser", page.display());
    println!("{}: open it at https://ui.perfetto.dev", trace.display());
    Ok(())
}

/// An interval of 10 ms for 150 ms, and in the middle a callback that is too slow.
fn set_timers(handle: &Handle) {
    let heartbeat = handle.set_interval(ms(10), |handle, _periods| {
        handle.next_tick(|_| work(ms(1) / 4));
        handle.set_immediate(|_| work(ms(1) / 2));
    });
    handle.set_timeout(ms(55), |_| work(ms(30)));
    handle.set_timeout(ms(150), move |handle| {
        handle.close(heartbeat, |_| work(ms(1)));
    });
}

/// A callback for a socket, to which a timeout writes.
fn watch(handle: &Handle) -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    handle.watch(ours, Interest::READABLE, |handle, mut socket, _| {
        work(ms(2));
        if matches!(socket.read(&mut [0; 64]), Ok(0)) {
            handle.clear(handle.current().expect("a watch has an id"));
        }
    })?;
    // The end of the stream is an event, too.
    handle.set_timeout(ms(35), |_| drop(theirs));
    Ok(())
}

/// Another thread posts a closure, and one of the loop's pool does work that blocks.
fn use_threads(handle: &Handle) {
    let remote = handle.remote();
    thread::spawn(move || {
        thread::sleep(ms(25));
        // It fails if the loop is gone.
        let _ = remote.post(|_| work(ms(1)));
    });
    let task = handle.clone();
    handle.spawn_detached(async move {
        let sum = task.spawn_blocking(|| {
            thread::sleep(ms(112));
            (1..=100).sum::<u32>()
        })?;
        println!("the sum is {}", sum.await?);
        Ok::<(), Box<dyn Error>>(())
    });
}

/// A server and a client, a task each, on one connection.
async fn talk(handle: &Handle) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(handle, "127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    handle.spawn_detached(async move {
        let (stream, _) = listener.accept().await?;
        let mut bytes = [0; 64];
        loop {
            let n = stream.read(&mut bytes).await?;
            if n == 0 {
                return Ok::<(), Box<dyn Error>>(());
            }
            stream.write_all(&bytes[..n]).await?;
        }
    });
    let stream = TcpStream::connect(handle, address).await?;
    for _ in 0..20 {
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0; 5]).await?;
        handle.sleep(ms(7)).await;
    }
    Ok(())
}

/// Keeps the loop to itself, as a computation does.
fn work(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {}
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
