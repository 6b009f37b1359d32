//! Exercise of chapter 5: edge-triggered, and nothing is left behind. Write `hello` into a socket pair whose other end is
//! registered with CLEAR, and for each event read until `WouldBlock`, two bytes at a time. Print `1 event, 5 bytes`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
