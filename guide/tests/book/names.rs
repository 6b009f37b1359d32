//! The page for those who come from other libraries names what exists.

use std::fs;

use crate::text::{guide, pages};

/// What is not nio's: the standard library and crates beside it.
const OTHERS: &[&str] = &[
    "std",
    "futures",
    "join_all",
    "Shutdown",
    "AsFd",
    "futures-io",
    "async-channel",
    "tracing",
    "timeline",
];

/// The source of the crates.
fn source() -> String {
    let mut source = String::new();
    for crate_name in ["nio-poll", "nio-loop", "nio-net"] {
        for entry in fs::read_dir(guide().join("..").join(crate_name).join("src")).unwrap() {
            source += &fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        }
    }
    source
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c| !is_word(c)).any(|it| it == word)
}

/// Whether some public function, constant, field or feature of a type or of the crates has this name.
fn is_public(text: &str, name: &str) -> bool {
    let kinds = ["pub fn", "pub async fn", "pub const fn", "pub const", "pub"];
    kinds.iter().any(|kind| {
        let start = format!("{kind} {name}");
        text.match_indices(&start)
            .any(|(at, _)| !text[at + start.len()..].starts_with(is_word))
    })
}

/// The blocks `impl … TYPE …`, and the definition of an enum.
fn blocks_of(source: &str, type_name: &str) -> String {
    let mut blocks = String::new();
    let mut is_inside = false;
    for line in source.lines() {
        if line.starts_with("impl") || line.starts_with("pub enum ") {
            is_inside = has_word(line, type_name);
        }
        if is_inside {
            let is_variant = line.trim_start().starts_with(char::is_uppercase);
            blocks += if is_variant { "pub " } else { "" };
            blocks += line.trim_start();
            blocks.push('\n');
        }
        if line == "}" {
            is_inside = false;
        }
    }
    blocks
}

fn is_type(source: &str, name: &str) -> bool {
    let kinds = ["struct", "enum", "trait", "type"];
    kinds.iter().any(|kind| {
        let start = format!("pub {kind} {name}");
        source
            .match_indices(&start)
            .any(|(at, _)| !source[at + start.len()..].starts_with(is_word))
    })
}

/// What is wrong with a path such as `handle.spawn`, `TcpStream::connect` or `copy`.
fn check(source: &str, path: &str) -> Option<String> {
    let path = path
        .trim_start_matches("nio_net::")
        .trim_start_matches("nio_loop::");
    let parts: Vec<&str> = path.split(['.', ':']).filter(|it| !it.is_empty()).collect();
    if parts.is_empty() || parts.iter().any(|part| OTHERS.contains(part)) {
        return None;
    }
    let exists = match parts[..] {
        ["handle", name] => is_public(&blocks_of(source, "Handle"), name),
        [name, "await"] | [name] if name.starts_with(char::is_uppercase) => is_type(source, name),
        [name, item] if name.starts_with(char::is_uppercase) => {
            is_public(&blocks_of(source, name), item)
        }
        [.., "await"] => true,
        [.., name] => is_public(source, name),
        [] => true,
    };
    (!exists).then(|| format!("{path:?}"))
}

#[test]
fn each_name_of_nio_on_the_page_for_others_exists() {
    let source = source();
    let page = pages()
        .into_iter()
        .find(|page| page.name() == "coming-from.md");
    let page = page.unwrap();
    let mut wrong = Vec::new();
    for row in page.text.lines().filter(|line| line.starts_with("| ")) {
        let row = row.replace("\\|", " ");
        let cell = row.split('|').nth(2).unwrap_or_default();
        for code in cell.split('`').skip(1).step_by(2) {
            // A lower-case word inside of a longer piece of code is an argument, unless it is called.
            for (at, path) in paths(code) {
                let is_called = code[at + path.len()..].starts_with('(');
                let is_name = is_called
                    || path.len() == code.len()
                    || path.contains(['.', ':'])
                    || path.starts_with(char::is_uppercase);
                let is_keyword = ["async", "await", "move", "f"].contains(&path);
                if is_name && !is_keyword {
                    wrong.extend(check(&source, path).map(|it| format!("{it} in: {row}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "nio has no\n{}", wrong.join("\n"));
}

/// The paths of a piece of code, with their places.
fn paths(code: &str) -> Vec<(usize, &str)> {
    let is_part = |c: char| is_word(c) || "-.:".contains(c);
    let mut paths = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match start {
            None if is_word(c) => start = Some(at),
            Some(from) if !is_part(c) => {
                paths.push((from, &code[from..at]));
                start = None;
            }
            _ => {}
        }
    }
    paths
}
