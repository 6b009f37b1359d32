//! What a loop does, beside what others do: turns, timeouts, tasks, wakes and a TCP connection.
//!
//! `cargo run --release -p nio-benches --bin loop` runs all contenders of all groups and prints
//! nanoseconds, and how many times as long as nio each of them takes; with `--callgrind`, also the
//! instructions outside of the kernel. Names of groups after that run only these.

mod bell;
mod count;
mod group;
mod runtimes;
mod tasks;
mod tcp;
mod threads;
mod timeout;
mod turn;
mod uv;

use group::Group;

fn main() {
    let groups: [Group; 8] = [
        turn::group(),
        timeout::group(),
        tasks::spawn(),
        tasks::yields(),
        tasks::wakes(),
        threads::ping_pong(),
        threads::flood(),
        threads::posts(),
    ];
    let groups = groups.into_iter().chain([tcp::group()]);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["once", group, contender, times] => {
            let group = groups.into_iter().find(|known| known.name == group);
            let times = times.parse().expect("a number of times");
            group.expect("a group's name").once(contender, times);
        }
        ["--callgrind", ref only @ ..] => run(groups, only, true),
        ref only => run(groups, only, false),
    }
}

fn run(groups: impl IntoIterator<Item = Group>, only: &[&str], counted: bool) {
    println!("In brackets, the ratios to nio at the quarter points\n");
    for group in groups {
        if only.is_empty() || only.contains(&group.name) {
            group.run(counted);
        }
    }
}
