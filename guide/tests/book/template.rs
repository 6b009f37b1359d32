//! The chapters have the same sections, and are short.

use crate::text::chapters;

/// In words, without code.
const LONGEST_CHAPTER: usize = 1800;

/// The sections of a chapter, in this order. Those with a star may be left out.
const SECTIONS: [&str; 9] = [
    "Without it",
    "The idea",
    "The program",
    "Run it",
    "In Node",
    "*What each kernel does",
    "Left out, and why",
    "Exercise",
    "Where nio does this",
];

/// Chapters that are no lessons: the tour at the end.
const TOURS: [&str; 1] = ["19-tour.md"];

#[test]
fn each_chapter_has_the_sections_of_the_template() {
    for page in chapters() {
        if TOURS.contains(&page.name().as_str()) {
            continue;
        }
        let headings = page.headings();
        let (level, title) = &headings[0];
        assert_eq!(*level, 1, "{}", page.name());
        assert!(
            title.ends_with('?'),
            "{}: {title} is no question",
            page.name()
        );
        assert!(
            page.text.contains("minutes"),
            "{}: how long does it take?",
            page.name()
        );
        let found: Vec<_> = headings
            .iter()
            .filter(|it| it.0 == 2)
            .map(|it| &it.1)
            .collect();
        let wanted = SECTIONS
            .iter()
            .filter_map(|section| match section.strip_prefix('*') {
                Some(section) => found.iter().any(|it| *it == section).then_some(section),
                None => Some(section),
            });
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{}", page.name());
    }
}

#[test]
fn no_chapter_is_long() {
    for page in chapters() {
        let words = page.prose().split_whitespace().count();
        assert!(words <= LONGEST_CHAPTER, "{}: {words} words", page.name());
    }
}
