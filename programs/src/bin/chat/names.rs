//! Names of members. No name looks like another one, or like a message of the server.
//!
//! Two names look alike if they have the same skeleton by Unicode's table of confusable characters (UTS 39), whether
//! letters are large or small.

use unicode_security::skeleton;

/// The limit on the length of a name, in characters.
pub(crate) const NAME: usize = 20;

/// The look of a name, as it is and in lower case: an upper-case I looks like a lower-case l, but a lower-case i
/// does not.
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

    /// Whether one looks like the other.
    pub(crate) fn is_like(&self, other: &Look) -> bool {
        self.0.iter().any(|look| other.0.contains(look))
    }
}

/// Checks a name.
///
/// # Errors
///
/// The reason, if it is not allowed.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().count() > NAME {
        return Err("a name has 1 to 20 characters".into());
    }
    if name.chars().any(is_invisible) {
        return Err("a name has no invisible characters; choose another one".into());
    }
    // With these characters a line could look like a server message, a command, or a line of another member.
    let signs = ['*', ':', ','];
    let mut looks = skeleton(name);
    if looks.any(|char| signs.contains(&char)) || name.starts_with('/') {
        return Err(
            "a name has no * : or , in it and does not begin with /; choose another one".into(),
        );
    }
    let servers = ["server", "the server"].map(Look::of);
    if servers.iter().any(|server| server.is_like(&Look::of(name))) {
        return Err("that name is reserved for the server; choose another one".into());
    }
    Ok(())
}

/// Whether a character is invisible: Unicode's Default_Ignorable_Code_Point, and U+2800, which looks like a space.
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
    fn names_that_can_be_confused_look_alike() {
        for (one, other) in [
            ("ann", "Ann"),
            ("ann", "\u{430}nn"), // Cyrillic a
            ("paypal", "p\u{430}yp\u{430}l"),
            ("Bill", "BiIl"),      // upper-case I for lower-case L
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
