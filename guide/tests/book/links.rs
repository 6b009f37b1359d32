//! Links, file names and commands of the text.

use std::{collections::BTreeSet, fs};

use pulldown_cmark::{Event, Tag};

use crate::text::{Page, guide, pages};

/// The fragment that a code host and mdBook give to a heading.
fn fragment(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn check(page: &Page, link: &str) -> Result<(), String> {
    if link.starts_with("https://") {
        return Ok(());
    }
    let (file, wanted) = link.split_once('#').unwrap_or((link, ""));
    let path = match file {
        "" => page.path.clone(),
        file => page.path.parent().unwrap().join(file),
    };
    let name = |error: &str| format!("{}: {link}: {error}", page.name());
    if !path.exists() {
        return Err(name("no such file"));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).map_err(|error| name(&error.to_string()))?;
    let target = Page { path, text };
    let has = target
        .headings()
        .iter()
        .any(|(_, it)| fragment(it) == wanted);
    has.then_some(()).ok_or_else(|| name("no such heading"))
}

#[test]
fn each_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (event, _) in page.events() {
            let (Event::Start(Tag::Link { dest_url, .. })
            | Event::Start(Tag::Image { dest_url, .. })) = event
            else {
                continue;
            };
            wrong.extend(check(&page, &dest_url).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_page() {
    let summary = fs::read_to_string(guide().join("text/SUMMARY.md")).unwrap();
    for page in pages() {
        let name = page.name();
        if name != "SUMMARY.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "{name} is not in SUMMARY.md"
            );
        }
    }
}

#[test]
fn each_file_that_the_text_names_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (event, _) in page.events() {
            let Event::Code(code) = event else { continue };
            let is_path = code.contains('/') && code.ends_with(".rs") && !code.contains([' ', '*']);
            if is_path && !guide().join("..").join(&*code).exists() {
                wrong.push(format!("{}: `{code}`", page.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such files:\n{}", wrong.join("\n"));
}

/// Whether a command runs a program of this package, or tests what a reader wrote for an exercise.
fn runs_a_program(command: &str) -> bool {
    let programs = include_str!("../../Cargo.toml");
    let program = command.strip_prefix("cargo run --bin ").map(|it| {
        let name = it.split(' ').next().unwrap();
        programs.contains(&format!("name = \"{name}\""))
    });
    let exercises = include_str!("../exercises.rs");
    let tests = "cargo test -p nio-guide --test exercises -- --ignored ";
    let exercise = command.strip_prefix(tests).map(|name| {
        let mut lines = exercises.lines().map(str::trim);
        lines.any(|line| line.starts_with(&format!("{name} solution_")))
    });
    program.or(exercise).unwrap_or(false)
}

#[test]
fn each_command_is_known() {
    let known = include_str!("commands.txt");
    let known: BTreeSet<&str> = known.lines().collect();
    let mut unknown = BTreeSet::new();
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "sh") {
            for line in block.code.lines().filter(|line| !line.is_empty()) {
                let command = line.split(" #").next().unwrap().trim_end();
                if !runs_a_program(command) && !known.contains(command) {
                    unknown.insert(format!("{}: {command}", page.name()));
                }
            }
        }
    }
    let unknown: Vec<_> = unknown.into_iter().collect();
    assert!(
        unknown.is_empty(),
        "try these, and put them into commands.txt:\n{}",
        unknown.join("\n")
    );
}

/// The tests cite rules by number, some of them two (`l66_q84_…`): a reader finds each of them here.
#[test]
fn each_rule_that_a_test_names_is_listed() {
    let rules = ["rules.md", "rules-loop.md", "rules-quirks.md"]
        .map(|name| fs::read_to_string(guide().join("text").join(name)).unwrap());
    let (mut found, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for tests in [
        "nio-sys/tests",
        "nio-poll/tests",
        "nio-loop/tests",
        "nio-net/tests",
    ] {
        for entry in fs::read_dir(guide().join("..").join(tests)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                let Some(name) = line.trim().strip_prefix("fn ") else {
                    continue;
                };
                for rule in name.split('_').map_while(rule) {
                    if !rules.iter().any(|it| it.contains(&format!("| {rule} |"))) {
                        missing.insert(rule.clone());
                    }
                    found.insert(rule.chars().next());
                }
            }
        }
    }
    assert_eq!(found.len(), 3, "tests of K, L and Q");
    assert!(missing.is_empty(), "no such rules: {missing:?}");
}

/// A word of a test's name that is the number of a rule.
fn rule(word: &str) -> Option<String> {
    let digits = word.strip_prefix(['k', 'l', 'q'])?;
    digits.parse::<u32>().ok().map(|_| word.to_uppercase())
}
