//! Exercise of chapter 3: a queue without registrations, and a wait of 1.5 milliseconds, a hundred times. Measure each with
//! `Instant`, and print `never early` if none was shorter.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
