//! Exercise of chapter 2: a second kind of event. Watch two sockets with one queue, udata 1 and 2, and print
//! `socket 2` and then `socket 1`, in the order in which their bytes come.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
