//! The example `phases`, against what NodeJS prints when it runs `phases.js`.

use crate::program::Program;

/// Of Node 20: `node phases.js >phases.txt`.
const TRANSCRIPT: &str = include_str!("../../phases.txt");

#[test]
fn phases_says_what_node_says() {
    let end = Program::start("phases", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.complaints, "");
    assert!(end.lines.iter().eq(TRANSCRIPT.lines()), "{:#?}", end.lines);
}

#[test]
fn phases_stands_in_the_readme_of_the_loop() {
    let readme = include_str!("../../../nio-loop/README.md");
    // There with what runs after a callback in the same line.
    let short = TRANSCRIPT.replace("\n           ", ", ");
    assert!(readme.contains(&short), "{short}");
}
