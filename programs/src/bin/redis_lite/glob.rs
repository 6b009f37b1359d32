//! Patterns for keys: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a character that stands for itself.

/// The limit on a pattern, in bytes. Matching takes at most that many steps for each byte of the key.
pub(crate) const PATTERN: usize = 1024;

pub(crate) fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // The position after the last star, and where its match ends now. Earlier stars need no other match.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', behind @ ..] = pattern {
            star = Some((behind, text));
            pattern = behind;
            continue;
        }
        match (one(pattern, text.first().copied()), star) {
            (Some(behind), _) => (pattern, text) = (behind, &text[1..]),
            (None, _) if pattern.is_empty() && text.is_empty() => return true,
            (None, Some((behind, [_, later @ ..]))) => {
                star = Some((behind, later));
                (pattern, text) = (behind, later);
            }
            (None, _) => return false,
        }
    }
}

/// The pattern after its first element, if that element matches the byte.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?;
    match pattern {
        [b'?', behind @ ..] => Some(behind),
        [b'[', class @ ..] => {
            let (is_in, behind) = in_class(class, byte);
            is_in.then_some(behind)
        }
        [b'\\', expected, behind @ ..] | [expected, behind @ ..] => {
            (*expected == byte).then_some(behind)
        }
        [] => None,
    }
}

/// Whether a byte is in a class, and the pattern after it. A class without an end ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (is_not, mut class) = match class {
        [b'^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut is_in = false;
    let behind = loop {
        match class {
            [] => break class,
            [b']', behind @ ..] => break behind,
            [b'\\', expected, rest @ ..] => {
                is_in |= *expected == byte;
                class = rest;
            }
            [first, b'-', last, rest @ ..] => {
                is_in |= (first.min(last)..=first.max(last)).contains(&&byte);
                class = rest;
            }
            [expected, rest @ ..] => {
                is_in |= *expected == byte;
                class = rest;
            }
        }
    };
    (is_in != is_not, behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_those_of_redis() {
        for (pattern, yes, no) in [
            ("*", &["", "a", "abc"][..], &[][..]),
            ("a*c", &["ac", "abc", "abcbc"], &["a", "ab", "abcd"]),
            ("a?c", &["abc"], &["ac", "abbc"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo"]),
            ("h[^e]llo", &["hallo"], &["hello", "hllo"]),
            ("h[a-c]", &["ha", "hb"], &["hd", "h-"]),
            ("h[c-a]", &["hb"], &["hd"]),
            (r"a\*c", &["a*c"], &["abc"]),
            (r"[\]]", &["]"], &["\\"]),
            ("*b*d*", &["abcd", "bd"], &["dbc"]),
            ("", &[""], &["a"]),
            ("[ab", &["a"], &["c"]),
            (r"a\", &[r"a\"], &["a"]),
        ] {
            let is_match = |text: &&str| matches(pattern.as_bytes(), text.as_bytes());
            assert!(yes.iter().all(is_match), "{pattern}");
            assert!(!no.iter().any(is_match), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_one() {
        let pattern = [&b"*a".repeat(PATTERN / 2 - 1)[..], b"*b"].concat();
        assert!(!matches(&pattern, &[b'a'; 10_000]));
    }
}
