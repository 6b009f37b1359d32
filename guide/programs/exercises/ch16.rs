//! Exercise of chapter 16: find the rule. On your own system, watch one end of a socket pair for READ and for WRITE, edge-triggered, with
//! room for one event. Wait three times without sleeping, and print how many events came in all: `2 events`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
