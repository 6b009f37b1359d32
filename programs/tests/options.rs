//! The options of all programs: the values that they refuse, and the messages.

mod support;

use support::Program;

/// The programs, each with its required arguments.
fn programs() -> Vec<(&'static str, Vec<&'static str>)> {
    #[allow(unused_mut)] // not mutated without the features
    let mut programs = vec![
        (env!("CARGO_BIN_EXE_chat"), vec![]),
        (
            env!("CARGO_BIN_EXE_proxy"),
            vec!["127.0.0.1:0", "127.0.0.1:1"],
        ),
        (env!("CARGO_BIN_EXE_redis_lite"), vec![]),
        (env!("CARGO_BIN_EXE_workers"), vec![]),
    ];
    #[cfg(feature = "http")]
    programs.push((env!("CARGO_BIN_EXE_http"), vec![]));
    #[cfg(feature = "https")]
    programs.push((env!("CARGO_BIN_EXE_https"), vec![]));
    #[cfg(feature = "axum")]
    programs.push((env!("CARGO_BIN_EXE_axum_hello"), vec![]));
    #[cfg(feature = "fetch")]
    programs.push((env!("CARGO_BIN_EXE_fetch"), vec!["http://127.0.0.1:1/"]));
    programs
}

#[test]
fn a_value_out_of_range_is_named_with_its_option() {
    for (path, arguments) in programs() {
        for (value, reason) in [
            ("-1", "not a positive number of seconds"),
            ("0", "not a positive number of seconds"),
            ("soon", "not a number of seconds"),
            ("1e15", "longer than 4294967295 seconds"),
        ] {
            let arguments = [&arguments[..], &["--idle", value]].concat();
            let mut program = Program::start(path, &arguments);
            assert_eq!(program.end().code(), Some(2), "{path} {value}");
            let text = format!("error: invalid value '{value}' for '--idle <SECONDS>': {reason}");
            assert!(
                program.seen[0].starts_with(&text),
                "{path}: {:?}",
                program.seen
            );
        }
    }
}

#[test]
fn the_help_of_each_program_says_how_to_try_it() {
    for (path, _) in programs() {
        let mut program = Program::start(path, &["--help"]);
        assert!(program.end().success());
        let text = program.seen.join("\n");
        assert!(
            text.contains("Usage:") && text.contains("Try it: "),
            "{text}"
        );
        assert!(text.contains("--idle <SECONDS>"), "{text}");
    }
}
