//! Exercise of chapter 12: two futures, and the first one that is ready. Write `first(one, other)`, which polls both and returns the
//! output of the one that is ready first. Race a sleep of 20 ms against one of 10 ms on `nio_guide::Executor`: print `10 ms`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
