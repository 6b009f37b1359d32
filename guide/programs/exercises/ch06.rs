//! Exercise of chapter 6: a socket that is full. Make a pair of sockets, write to one end until it would block, and watch
//! it for WRITE, edge-triggered. Print `no room`; then read everything from the other end, and print `room again`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
