//! Names, by which people tell each other apart: none looks like another one, or like a notice of the server.
//!
//! Two names look alike if they have the same skeleton by Unicode's table of confusable characters (UTS 39), whether
//! letters are large or small.

use unicode_security::skeleton;

/// How long a name may be, in characters.
pub(crate) const NAME: usize = 20;

/// What a name looks like: as it is, and in small letters, for a large I looks like a small l, and a small i does not.
#[derive(Debug)]
pub(crate) struct Look([String; 2]);

impl Look {
    pub(crate) fn of(name: &str) -> Look {
        let look = |name: &str| {
            let look = skeleton(name).collect::<String>().to_lowercase();
            look.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        Look([look(name), look(&name.to_lowercase())])
    }

    /// Whether one may be taken for the other.
    pub(crate) fn is_like(&self, other: &Look) -> bool {
        self.0.iter().any(|look| other.0.contains(look))
    }
}

/// Finds out whether somebody may have a name.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().count() > NAME {
        return Err("a name has 1 to 20 letters".into());
    }
    if name.chars().any(is_invisible) {
        return Err("a name has no invisible characters; choose another one".into());
    }
    // Such a name would make what is said look like a notice, a command, or the word of another one.
    let signs = ['*', ':', ','];
    let mut looks = skeleton(name);
    if looks.any(|char| signs.contains(&char)) || name.starts_with('/') {
        return Err("a name has no * : or , in it and no / before it; choose another one".into());
    }
    let servers = ["server", "the server"].map(Look::of);
    if servers.iter().any(|server| server.is_like(&Look::of(name))) {
        return Err("only the server is called that; choose another one".into());
    }
    Ok(())
}

/// Whether a character takes no room, or is blank and no blank (Unicode's Default_Ignorable_Code_Point, and
/// U+2800).
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_for_each_other_look_alike() {
        for (one, other) in [
            ("ann", "Ann"),
            ("ann", "\u{430}nn"), // Cyrillic a
            ("paypal", "p\u{430}yp\u{430}l"),
            ("Bill", "BiIl"),      // large i for small L
            ("bob", "b\u{3bf}b"),  // Greek omicron
            ("ann", "\u{ff41}nn"), // full width
            ("guest 1", "guest  1"),
            ("guest 1", "guest\u{a0}1"),
            ("gr\u{fc}n", "gru\u{308}n"),
        ] {
            assert!(Look::of(one).is_like(&Look::of(other)), "{one} {other}");
        }
        for (one, other) in [
            ("ann", "anna"),
            ("\u{1f600}", "\u{1f601}"),
            ("guest 1", "guest 2"),
        ] {
            assert!(!Look::of(one).is_like(&Look::of(other)), "{one} {other}");
        }
    }
}
