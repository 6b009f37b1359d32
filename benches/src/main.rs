//! nio beside its peers: `cargo run --release -p nio-benches`.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    nio_benches::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the benchmarks compare with epoll, so they run on Linux only");
}
