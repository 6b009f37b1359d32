//! Exercise of chapter 4: all or nothing. Apply the three changes of the chapter; if one is refused, delete those that were
//! done. Print `socket 2 is refused`, and then what a wait reports: `0 events`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
