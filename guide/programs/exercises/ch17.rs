//! Exercise of chapter 17: 100 messages of 10 bytes that come at once. Write them to one end of a socket pair, then wait and read
//! with room for 16 kB until all are there. Count: print `1 wait, 1 read`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
