//! What blocks runs beside the loop: files are read and summed up by other threads, while an
//! interval and a task go on as if nothing were.
//!
//! ```text
//! cargo run --example blocking [FILE]...
//! ```
//!
//! It prints the CRC-32 of each file in the order in which they are done (without files: of zeros,
//! six times), and which thread has computed it. In between the loop says that it is there. A name
//! is looked up meanwhile, in a lane of its own: it does not stand in the queue of the files.

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

/// How many zeros are summed up at a time: enough to see something of it.
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
    // This runs the whole loop until its own future is ready; then the task and the interval end too.
    nio_loop::run(async |handle| {
        // There may be four threads for files; with two it is easier to see that the rest waits.
        handle.set_threads(2)?;

        // A task that counts, and an interval that tells.
        let count = Rc::new(Cell::new(0));
        handle.spawn(count_milliseconds(handle.clone(), Rc::clone(&count)));
        handle.set_interval(Duration::from_millis(100), move |handle, _| {
            let count = count.get();
            let text = format!("the loop is there, and a task has counted to {count}");
            say(handle, &text);
        });

        let failed = everything(&handle, files).await?;
        Ok(match failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })?
}

fn say(handle: &Handle, what: &str) {
    println!("{:>5} ms  {what}", handle.now().since_start().as_millis());
}

/// Gives all the work to the threads at once, and returns whether any of it has failed.
async fn everything(handle: &Handle, files: Vec<Option<PathBuf>>) -> Result<bool, Box<dyn Error>> {
    let mut sums = Vec::new();
    for file in files {
        sums.push(handle.spawn(print_sum(handle.clone(), file)));
    }
    // Begins after the files and need not wait for them: these threads are for names.
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

/// Has one file summed up, prints the sum, and returns whether there is one.
async fn print_sum(handle: Handle, file: Option<PathBuf>) -> Result<bool, nio_loop::Error> {
    let name = match &file {
        Some(path) => path.display().to_string(),
        None => format!("{} MiB of zeros", ZEROS >> 20),
    };
    // The closure goes to the other thread with all that it uses, so it must be `Send`. The handle
    // is not: nothing of the loop can be touched from there, and the compiler sees to that.
    let job = handle.spawn_blocking(move || (checksum(file.as_deref()), thread_name()))?;
    // And here the task waits, not the loop.
    match job.await.expect("nobody aborts it, and it does not panic") {
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

/// Counts for ever.
async fn count_milliseconds(handle: Handle, count: Rc<Cell<u64>>) {
    let mut milliseconds = handle.interval(Duration::from_millis(1));
    loop {
        // More than one, if the machine had no time for us.
        count.set(count.get() + milliseconds.tick().await);
    }
}

/// Reads, and computes: this blocks, as all plain Rust does.
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

/// CRC-32 bit by bit. A table would be faster, but this is meant to take its time.
fn add(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(byte), |crc, _| {
        let polynomial = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        (crc >> 1) ^ polynomial
    })
}

fn thread_name() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}
