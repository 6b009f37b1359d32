//! Exercise of chapter 15: limits as a semaphore. `nio_net::Semaphore` with two permits, and five tasks that each take a permit, sleep 10
//! ms, and give it back. Print the most that ran at once: `2 at once`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
