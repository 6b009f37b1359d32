//! The example `phases`, compared with the output of NodeJS for `phases.js`.

use crate::program::Program;

/// The output of Node 20: `node phases.js >phases.txt`.
const TRANSCRIPT: &str = include_str!("../../phases.txt");

#[test]
fn phases_prints_the_same_as_node() {
    let end = Program::start("phases", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    assert!(end.lines.iter().eq(TRANSCRIPT.lines()), "{:#?}", end.lines);
}

#[test]
fn the_readme_of_the_loop_shows_the_output_of_phases() {
    let readme = include_str!("../../../nio-loop/README.md");
    // The README has the tick and the task in the line of their callback.
    let short = TRANSCRIPT.replace("\n           ", ", ");
    assert!(readme.contains(&short), "{short}");
}
