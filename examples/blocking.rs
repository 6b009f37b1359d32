//! Blocking work on other threads: they read files and compute checksums, while an interval and a
//! task of the loop go on.
//!
//! ```text
//! cargo run --example blocking [FILE]...
//! ```
//!
//! It prints the CRC-32 of each file in the order in which the threads finish (without files: of
//! zeros, six times), with the name of the thread. The interval shows that the loop is not blocked. A
//! name look-up has threads of its own: it does not wait behind the files.

use std::{
    cell::Cell,
    env,
    error::Error,
    fs::File,
    io::{self, Read},
    net::ToSocketAddrs,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    thread,
    time::Duration,
};

use nio_examples::println;
use nio_loop::Handle;

/// How many zeros one checksum is of: enough that the interval ticks in the meantime.
const ZEROS: u64 = if cfg!(debug_assertions) {
    1 << 20
} else {
    16 << 20
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut files: Vec<Option<PathBuf>> = env::args_os()
        .skip(1)
        .map(|path| Some(path.into()))
        .collect();
    if files.is_empty() {
        files = vec![None; 6];
    }
    // Runs the loop until this future is ready; then the task and the interval end too.
    nio_loop::run(async |handle| {
        // Two threads instead of the default four: four of the six files have to wait.
        handle.set_threads(2)?;

        // A task that counts, and an interval that prints the count.
        let count = Rc::new(Cell::new(0));
        handle.spawn(count_milliseconds(handle.clone(), Rc::clone(&count)));
        handle.set_interval(Duration::from_millis(100), move |handle, _| {
            let count = count.get();
            let text = format!("the loop runs, and a task has counted to {count}");
            say(handle, &text);
        });

        let failed = run_jobs(&handle, files).await?;
        Ok(match failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })?
}

fn say(handle: &Handle, text: &str) {
    println!("{:>5} ms  {text}", handle.now().since_start().as_millis());
}

/// Starts a job for each file and one for the name. Returns whether a file could not be read.
async fn run_jobs(handle: &Handle, files: Vec<Option<PathBuf>>) -> Result<bool, Box<dyn Error>> {
    let mut sums = Vec::new();
    for file in files {
        sums.push(handle.spawn(print_sum(handle.clone(), file)));
    }
    // Starts after the files and still does not wait for them: names have threads of their own.
    handle.yield_now().await;
    let job = handle.spawn_slow(|| {
        let addresses = ("localhost", 0).to_socket_addrs();
        (addresses.map(Iterator::collect::<Vec<_>>), thread_name())
    })?;
    let (addresses, thread) = job.await?;
    let address = match &addresses {
        Ok(addresses) => addresses
            .first()
            .map_or("nowhere".into(), |at| at.ip().to_string()),
        Err(error) => format!("unknown: {error}"),
    };
    say(handle, &format!("{thread}  localhost is {address}"));

    let mut failed = false;
    for sum in sums {
        failed |= !sum.await??;
    }
    Ok(failed)
}

/// Prints the checksum of one file. Returns false if the file could not be read.
async fn print_sum(handle: Handle, file: Option<PathBuf>) -> Result<bool, nio_loop::Error> {
    let name = match &file {
        Some(path) => path.display().to_string(),
        None => format!("{} MiB of zeros", ZEROS >> 20),
    };
    // The closure is moved to another thread, so it must be `Send`. A handle is not `Send`: the
    // compiler refuses a closure that would use the loop from there.
    let job = handle.spawn_blocking(move || (checksum(file.as_deref()), thread_name()))?;
    // The task waits here; the loop goes on.
    match job
        .await
        .expect("the job is not aborted and does not panic")
    {
        (Ok(sum), thread) => {
            say(&handle, &format!("{thread}  {sum:08x}  {name}"));
            Ok(true)
        }
        (Err(error), _) => {
            eprintln!("{name}: {error}");
            Ok(false)
        }
    }
}

/// Counts milliseconds without end.
async fn count_milliseconds(handle: Handle, count: Rc<Cell<u64>>) {
    let mut milliseconds = handle.interval(Duration::from_millis(1));
    loop {
        // More than 1 if the loop was late.
        count.set(count.get() + milliseconds.tick().await);
    }
}

/// The checksum of a file. Reading and computing block the thread.
fn checksum(file: Option<&Path>) -> io::Result<u32> {
    let mut input: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::repeat(0).take(ZEROS)),
    };
    let mut bytes = [0; 64 * 1024];
    let mut crc = u32::MAX;
    loop {
        match input.read(&mut bytes)? {
            0 => return Ok(!crc),
            n => crc = bytes[..n].iter().fold(crc, |crc, &byte| add(crc, byte)),
        }
    }
}

/// CRC-32 bit by bit. A table would be faster; this job is meant to take long.
fn add(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(byte), |crc, _| {
        let polynomial = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        (crc >> 1) ^ polynomial
    })
}

fn thread_name() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}
