//! Exercise of chapter 7: a drift. An interval of 10 takes 3 for its work, so `next = now + 10` after the work is late. With
//! numbers for the time, print the first four times of `next = now + 10`, and of `next += 10`: `10 23 36 49`, `10 20 30 40`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
