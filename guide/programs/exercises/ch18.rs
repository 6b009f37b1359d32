//! Exercise of chapter 18: a day in a moment. With a clock that jumps (`Clock::automatic`), a task sleeps eight hours, three times, and counts
//! them. Print `3 nights, 24 hours` with the hours from `Handle::now`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
