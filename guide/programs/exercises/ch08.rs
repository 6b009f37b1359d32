//! Exercise of chapter 8: timers at the end of a turn. Take `ch08_turns`, move the timers behind the wait,
//! and see that timeout A runs in the turn that slept for it. Print only `timeout A in turn 2`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
