//! The programs of the guide: their parts, which the text shows, and their size.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use crate::text::{guide, pages};

/// A program is not longer than this, in lines.
const LONGEST_PROGRAM: usize = 150;

/// So many equal lines in two programs belong into the library of this package.
const EQUAL_LINES: usize = 8;

/// The part of a file that a marker names: `FILE`, `FILE:ANCHOR`, `FILE#ITEM`, or `FILE#head`, which is all
/// before the first item.
/// Returns its lines with their numbers in the file.
pub(crate) fn part(folder: &Path, marker: &str) -> Result<(PathBuf, Vec<(usize, String)>), String> {
    let (path, wanted) = match marker.find([':', '#']) {
        Some(at) => (
            &marker[..at],
            Some((&marker[at..at + 1], &marker[at + 1..])),
        ),
        None => (marker, None),
    };
    let path = folder.join(path);
    let path = fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines: Vec<(usize, String)> = (0..).zip(file.lines().map(String::from)).collect();
    let range = match wanted {
        None => 0..lines.len(),
        Some((":", anchor)) => {
            anchored(&lines, anchor).ok_or(format!("{marker}: no such anchor"))?
        }
        Some((_, item)) => item_range(&lines, item).ok_or(format!("{marker}: no such item"))?,
    };
    let is_shown = |(_, line): &(usize, String)| !is_anchor(line);
    let part = lines[range].iter().filter(|line| is_shown(line));
    Ok((path, part.cloned().collect()))
}

fn is_anchor(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("// ANCHOR: ") || line.starts_with("// ANCHOR_END: ")
}

fn anchored(lines: &[(usize, String)], anchor: &str) -> Option<std::ops::Range<usize>> {
    let find = |word: &str| {
        let text = format!("// {word}: {anchor}");
        lines.iter().position(|(_, line)| line.trim() == text)
    };
    Some(find("ANCHOR")? + 1..find("ANCHOR_END")?)
}

/// An item with its comments and attributes, up to the line that closes it: with rustfmt's indentation,
/// the first one that is indented as the item is and does not open something.
fn item_range(lines: &[(usize, String)], item: &str) -> Option<std::ops::Range<usize>> {
    let begins = |line: &str| {
        let line = line.trim_start();
        [
            "fn", "async fn", "struct", "enum", "impl", "trait", "type", "const", "static",
        ]
        .iter()
        .flat_map(|kind| [format!("{kind} {item}"), format!("pub {kind} {item}")])
        .any(|start| {
            let rest = line.strip_prefix(&start);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    if item == "head" {
        let end = lines.iter().position(|(_, line)| {
            let is_doc = line.starts_with("///");
            is_doc
                || ["type ", "struct ", "fn ", "const "]
                    .iter()
                    .any(|it| line.starts_with(it))
        });
        return Some(0..end?);
    }
    let line = lines.iter().position(|(_, line)| begins(line))?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(&lines[line].1);
    let mut end = line;
    if !lines[line].1.ends_with(';') {
        let closes = |text: &str| {
            let is_close = text.trim_start().starts_with(['}', ')']);
            is_close && indent(text) == own && (text.ends_with('}') || text.ends_with(';'))
        };
        end = line
            + lines[line..]
                .iter()
                .position(|(_, text)| closes(text) || text.ends_with('}') && indent(text) == own)?;
    }
    let is_above = |text: &str| {
        let text = text.trim_start();
        text.starts_with("///") || text.starts_with("#[")
    };
    let above = lines[..line]
        .iter()
        .rev()
        .take_while(|(_, text)| is_above(text))
        .count();
    Some(line - above..end + 1)
}

/// The files below `programs`, without those of exercises: a reader writes these.
fn programs() -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = Vec::new();
    for folder in ["programs", "src"] {
        let files = fs::read_dir(guide().join(folder)).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        programs.extend(files.filter(|path| path.extension().is_some_and(|it| it == "rs")));
    }
    programs.sort();
    programs
}

fn lines_of(path: &Path) -> Vec<String> {
    let file = fs::read_to_string(path).unwrap();
    file.lines().map(String::from).collect()
}

#[test]
fn each_anchor_is_closed_and_unique() {
    for path in programs() {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for line in lines_of(&path) {
            let line = line.trim();
            if let Some(anchor) = line.strip_prefix("// ANCHOR: ") {
                counts.entry(anchor.into()).or_default().0 += 1;
            } else if let Some(anchor) = line.strip_prefix("// ANCHOR_END: ") {
                counts.entry(anchor.into()).or_default().1 += 1;
            }
        }
        for (anchor, count) in counts {
            assert_eq!(count, (1, 1), "{}: {anchor}", path.display());
        }
    }
}

#[test]
fn every_line_of_a_program_is_shown() {
    let mut shown: HashMap<PathBuf, BTreeSet<usize>> = HashMap::new();
    for page in pages() {
        for block in page.blocks() {
            let Some(marker) = block.marker else { continue };
            let (path, part) = part(page.path.parent().unwrap(), &marker).unwrap();
            let shown = shown.entry(path).or_default();
            shown.extend(part.into_iter().map(|(number, _)| number));
        }
    }
    let mut missing = Vec::new();
    let mut paths = programs();
    paths.retain(|path| !path.ends_with("src/lib.rs"));
    paths.push(guide().join("../examples/mini_loop.rs"));
    for path in paths {
        let path = fs::canonicalize(path).unwrap();
        let shown = shown.remove(&path).unwrap_or_default();
        for (number, line) in (0..).zip(lines_of(&path)) {
            // What encloses the functions that are shown one by one.
            let is_frame = line == "}" || line.starts_with("impl ");
            if !line.trim().is_empty() && !is_frame && !is_anchor(&line) && !shown.contains(&number)
            {
                missing.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    // The chapter of the mini loop shows all of it once it is written.
    if !guide().join("text/08-the-loop.md").exists() {
        missing.retain(|line| !line.contains("mini_loop.rs"));
    }
    assert!(
        missing.is_empty(),
        "no chapter shows\n{}",
        missing.join("\n")
    );
}

#[test]
fn no_program_is_long() {
    for path in programs() {
        let length = lines_of(&path)
            .iter()
            .filter(|line| !is_anchor(line))
            .count();
        assert!(
            length <= LONGEST_PROGRAM,
            "{}: {length} lines",
            path.display()
        );
    }
}

#[test]
fn what_two_programs_share_is_in_the_library() {
    let mut seen: HashMap<Vec<String>, PathBuf> = HashMap::new();
    for path in programs() {
        let lines = lines_of(&path).into_iter().filter(|line| !is_anchor(line));
        let lines: Vec<String> = lines.map(|line| line.trim().into()).collect();
        let lines: Vec<String> = lines
            .into_iter()
            .filter(|line: &String| line.len() > 1)
            .collect();
        for window in lines.windows(EQUAL_LINES) {
            let other = seen.entry(window.to_vec()).or_insert_with(|| path.clone());
            let (one, other) = (path.display(), other);
            assert_eq!(
                *other,
                path,
                "{one} and {} share\n{}",
                other.display(),
                window.join("\n")
            );
        }
    }
}
