//! Exercise of chapter 0: one thread, and no client that keeps the others waiting for ever. Copy the server `one_by_one`
//! and the two clients, and let the server wait for a client for 100 milliseconds at most.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
