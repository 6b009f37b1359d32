//! Exercise of chapter 9: a long piece of work in small pieces. Sum up the numbers below 1,000,000 in pieces of 10,000, each an
//! immediate, while an interval of 1 ns counts. Print the sum, `499999500000`, and `the interval ran` if it did meanwhile.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
