//! Runs other programs: reads the output of one, filters text through one, waits for ten at once, and
//! kills one that takes too long.
//!
//! ```text
//! cargo run --example children
//! ```

use std::{
    error::Error,
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nio_examples::println;
use nio_loop::{EventLoop, Handle};
use nio_net::Child;

/// The most bytes of output that are kept; these programs write a line or two.
const LIMIT: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    event_loop.block_on(async move {
        let output = Child::output(&handle, Command::new("uname").arg("-s"), LIMIT).await?;
        println!(
            "the system: {}",
            String::from_utf8_lossy(&output.stdout).trim_end()
        );
        println!("sorted: {}", sort(&handle, "pear\napple\ncherry\n").await?);
        ten_at_once(&handle).await?;
        println!(
            "the one that takes too long: {}",
            with_a_limit(&handle).await?
        );
        println!("all children have ended");
        Ok(())
    })?
}

/// Sends text through another program.
async fn sort(handle: &Handle, text: &str) -> io::Result<String> {
    let mut sort = Command::new("sort");
    let mut child = Child::spawn(handle, sort.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let stdin = child.stdin.take().expect("it is piped");
    let text = text.to_owned();
    // In a task of its own: a child whose output is not read stops reading its input.
    let writing = handle.spawn(async move { stdin.write_all(text.as_bytes()).await });
    let output = child.wait_with_output(LIMIT).await?;
    writing.await.map_err(io::Error::other)??;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .replace('\n', " "))
}

/// Starts ten programs and prints how each ends, in the order in which they end.
async fn ten_at_once(handle: &Handle) -> io::Result<()> {
    let start = Instant::now();
    let mut reports = Vec::new();
    for number in 0..10 {
        // The last one to start is the first to end; the last two are killed by a signal.
        let tenths = 9 - number;
        let end = if number < 8 {
            format!("exit {number}")
        } else {
            "kill -TERM $$".into()
        };
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &format!("sleep 0.{tenths}; {end}")]);
        let mut child = Child::spawn(handle, shell)?;
        reports.push(handle.spawn(async move {
            let status = child.wait().await?;
            let elapsed = start.elapsed().as_millis();
            println!("{elapsed:>5} ms  child {number}: {status}");
            io::Result::Ok(())
        }));
    }
    println!("{} children are running", reports.len());
    for report in reports {
        report.await.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Kills a program that has not ended when its timeout expires.
async fn with_a_limit(handle: &Handle) -> io::Result<std::process::ExitStatus> {
    let mut child = Child::spawn(handle, Command::new("sleep").arg("1000"))?;
    let limit = Duration::from_millis(10);
    if let Ok(status) = handle.timeout(limit, child.wait()).await {
        return status;
    }
    child.kill()?;
    child.wait().await
}
