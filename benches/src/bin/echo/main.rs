//! An echo server on nio beside the same one on its peers.
//!
//! `cargo run --release -p nio-benches --bin echo` prints how much CPU time a server takes for one
//! message, and how many system calls. `README.md` says how to read it.

#[cfg(target_os = "linux")]
mod count;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod time;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(served) = nio_benches::process::serve_if_told(&arguments) {
        return served;
    }
    let options = options::parse(&arguments)?;
    if options.table {
        return table::print(&options);
    }
    time::print(&options)?;
    if options.syscalls {
        count::print_system_calls(&options);
    }
    if options.callgrind {
        count::print_instructions(&options);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("echo compares with epoll, so it runs on Linux only");
}
