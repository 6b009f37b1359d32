//! Exercise of chapter 13: the pool that nio-loop has. With `Handle::spawn_blocking`, count the bytes of the running program's own file
//! (`std::env::current_exe`) on another thread, and await the result in a task. Print `more than 1000 bytes`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
