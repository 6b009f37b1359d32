//! The text is plain.

use crate::text::pages;

/// Words that a plain text does without.
const NOT_PLAIN: &[&str] = &[
    "who",
    "whoever",
    "anew",
    "mostly",
    "he",
    "she",
    "his",
    "just",
    "simply",
    "easily",
    "obviously",
    "trivially",
    "gong",
];

const NOT_PLAIN_PHRASES: &[&str] = &["of course", "it is there, and"];

#[test]
fn the_text_is_plain() {
    let mut wrong = Vec::new();
    for page in pages() {
        for line in page.prose().lines() {
            let lower = line.to_lowercase();
            let words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'');
            for word in words.filter(|word| NOT_PLAIN.contains(word)) {
                wrong.push(format!("{}: {word:?} in: {line}", page.name()));
            }
            for phrase in NOT_PLAIN_PHRASES
                .iter()
                .filter(|phrase| lower.contains(*phrase))
            {
                wrong.push(format!("{}: {phrase:?} in: {line}", page.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
