//! Exercise of chapter 1: a socket pair whose one end is non-blocking. Read from it when there is nothing, after one byte
//! was written, and after the other end was dropped; print `would block`, `1 byte` and `the end`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
