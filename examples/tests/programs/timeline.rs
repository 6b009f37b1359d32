//! The example `timeline`, which records itself.

use std::{fs, path::Path};

use crate::program::Program;

#[test]
fn timeline_writes_a_page_and_a_trace_of_its_run() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("timeline");
    let _ = fs::remove_dir_all(&folder);
    let end = Program::start("timeline", &[folder.to_str().unwrap()]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    let told = end.lines.iter().any(|line| line.contains("timeline.html"));
    assert!(told, "{end:?}");

    let page = fs::read_to_string(folder.join("timeline.html")).unwrap();
    let trace = fs::read_to_string(folder.join("timeline.json")).unwrap();
    let kinds = [
        "timeout",
        "interval",
        "watch",
        "post",
        "immediate",
        "close",
        "tick",
        "task",
    ];
    for kind in kinds {
        assert!(page.contains(&format!("\"{kind}\"")), "{kind}");
        assert!(
            trace.contains(&format!(r#""name":"{kind}","cat":"callback""#)),
            "{kind}"
        );
    }
    // Each callback has its line, in this program.
    assert!(page.contains("timeline.rs:"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn timeline_says_where_it_could_not_write() {
    // The example is a file, and no folder.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("timeline.rs");
    let end = Program::start("timeline", &[file.to_str().unwrap()]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("timeline.rs"), "{end:?}");
}
