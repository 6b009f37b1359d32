//! README.md agrees with the repository: its links, its table of examples, its path through the code.

use std::{collections::BTreeSet, fs, path::Path};

/// The lines of the path through the code: an afternoon's reading.
const LONGEST_PATH: usize = 900;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The text below a heading, up to the next one.
fn section(heading: &str) -> String {
    let readme = readme();
    let start = format!("\n## {heading}\n");
    let (_, text) = readme.split_once(&start).expect("the heading is there");
    let end = text.find("\n## ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// The texts in backticks.
fn codes(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of each row of a table, without the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    lines
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| !row[0].starts_with("---"))
        .skip(1)
        .collect()
}

#[test]
fn the_table_of_examples_lists_each_example_once() {
    let manifest = fs::read_to_string(root().join("examples/Cargo.toml")).unwrap();
    let names = manifest.split("[[example]]\nname = \"").skip(1);
    let names: BTreeSet<&str> = names.map(|rest| rest.split('"').next().unwrap()).collect();
    let text = section("The examples");
    let listed: Vec<&str> = rows(&text).iter().map(|row| codes(row[0])[0]).collect();
    assert_eq!(listed.len(), names.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), names);
}

#[test]
fn each_relative_link_leads_to_a_file() {
    let readme = readme();
    for link in readme.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        if !link.starts_with("https://") && !link.starts_with('#') {
            assert!(root().join(link).exists(), "{link}");
        }
    }
}

/// The lines of a function or a struct, with its comments.
fn item_lines(source: &str, name: &str) -> usize {
    let lines: Vec<&str> = source.lines().collect();
    let is_name = |line: &&str, kind: &str| {
        let rest = line.split_once(kind).map_or("", |(_, rest)| rest);
        let rest = rest.strip_prefix(name).unwrap_or("x");
        rest.starts_with(['(', '<', ' '])
    };
    let at = lines
        .iter()
        .position(|line| is_name(line, "fn ") || is_name(line, "struct "));
    let at = at.unwrap_or_else(|| panic!("no {name}"));
    let indent = lines[at].len() - lines[at].trim_start().len();
    let is_above = |line: &&&str| line.trim_start().starts_with(['/', '#']);
    let above = lines[..at].iter().rev().take_while(is_above).count();
    let end = format!("{}}}", &lines[at][..indent]);
    let below = lines[at..].iter().position(|line| *line == end);
    above + below.unwrap() + 1
}

#[test]
fn the_path_through_the_code_is_as_long_as_it_says() {
    let text = section("How to read the code");
    let mut sum = 0;
    for row in rows(&text) {
        let (codes, said) = (codes(row[1]), row[2].parse::<usize>().unwrap());
        let source = fs::read_to_string(root().join(codes[0])).unwrap();
        let head = source.lines().take_while(|line| line.starts_with("//!"));
        let counted: usize = match &codes[1..] {
            [] => source
                .split("#[cfg(all(test")
                .next()
                .unwrap()
                .lines()
                .count(),
            items => {
                head.count()
                    + items
                        .iter()
                        .map(|it| item_lines(&source, it))
                        .sum::<usize>()
            }
        };
        println!("{counted:4} {}", codes.join(" "));
        assert!(
            said.abs_diff(counted) <= 10,
            "{}: {counted} lines",
            codes[0]
        );
        sum += counted;
    }
    println!("{sum:4}");
    assert!((1..=LONGEST_PATH).contains(&sum), "{sum} lines");
}
