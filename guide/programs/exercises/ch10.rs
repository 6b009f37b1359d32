//! Exercise of chapter 10: the same with nio-loop, which has this protocol inside. A thread posts 1,000 closures to a loop
//! (`EventLoop::handle().remote()`, `Remote::post`), each adds 1 to a counter; the last one stops the loop. Print `1000`.

fn main() {
    println!("{}", nio_guide::NOT_DONE);
}
