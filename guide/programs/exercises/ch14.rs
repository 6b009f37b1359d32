//! Exercise of chapter 14: three children, and one wait. Start `sh -c "read start; exit 1"`, and so on to 3, register each with a
//! token of its own, let them start, and print the sum of their exit codes when all three have exited: `6`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
