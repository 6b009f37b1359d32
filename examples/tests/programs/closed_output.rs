//! All examples that print something when they start, as in `… | head -1`.

use crate::program::Program;

#[test]
fn an_example_ends_quietly_when_its_output_is_closed() {
    let examples = [
        "blocking",
        "children",
        "embed",
        "phases",
        "report",
        "signals",
        "timer_heap",
        "timers",
        "virtual_time",
    ];
    let servers = ["echo", "kqueue_101", "poll_echo"];
    let examples = examples.map(|name| (name, &[][..]));
    let servers = servers.map(|name| (name, &["127.0.0.1:0"][..]));
    for (name, arguments) in examples.into_iter().chain(servers) {
        let end = Program::start_with_closed_output(name, arguments).end();
        // The status that a shell shows for a program that SIGPIPE has killed.
        assert_eq!(end.status.code(), Some(141), "{name}: {end:?}");
        assert_eq!(end.errors, "", "{name}");
    }
}
