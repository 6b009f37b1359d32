//! Exercise of chapter 11: a future by hand. `YieldNow` is pending once, wakes its own task at once, and is ready then. Two tasks
//! print `A1 B1 A2 B2`, each with a `YieldNow` in the middle, on `nio_guide::Executor`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
