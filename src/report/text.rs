//! Names in a checkpoint are written by strangers: what they may become on a screen or a page.

use std::borrow::Cow;

/// Characters without a blank between them that are shown in full: longer than any path, so that only absurd names are cut.
const LONGEST: usize = 5000;

/// Characters of a longer run that are shown at its start, and half as many at its end.
const SHOWN: usize = 80;

/// Cannot be seen, ends a line, drives a terminal, or turns the direction of what follows.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Text with every hidden character spelled out.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unprintable(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Visible text for a screen: of an endless name only the ends.
pub fn shown(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    if text.len() <= LONGEST {
        return text;
    }
    let cut: Vec<Cow<'_, str>> = text.split(' ').map(ends).collect();
    Cow::Owned(cut.join(" "))
}

fn ends(run: &str) -> Cow<'_, str> {
    let length = run.chars().count();
    if length <= LONGEST {
        return Cow::Borrowed(run);
    }
    let head: String = run.chars().take(SHOWN).collect();
    let tail: String = run.chars().skip(length - SHOWN / 2).collect();
    let left_out = length - SHOWN - SHOWN / 2;
    Cow::Owned(format!("{head}...({left_out} more characters)...{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_hidden_is_spelled_out() {
        assert_eq!(
            visible("x\u{202e}\n\0y\x1b["),
            "x\\u{202e}\\n\\u{0}y\\u{1b}["
        );
        for plain in ["conv.weight", "\u{e9}\u{4e2d}\u{1f600}", "a\\n"] {
            assert!(matches!(visible(plain), Cow::Borrowed(p) if p == plain));
        }
    }

    #[test]
    fn of_endless_names_the_ends_are_shown() {
        let path = "d/".repeat(2000);
        assert_eq!(shown(&path), path);
        let text = format!("error in {}\u{e9}end: zero", "n".repeat(1_000_000));
        let short = shown(&text);
        assert!(short.len() < 300, "{short}");
        assert!(
            short.starts_with("error in nnn") && short.ends_with("\u{e9}end: zero"),
            "{short}"
        );
        assert!(short.contains("999885 more characters"), "{short}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(name in ".*") {
            prop_assert!(!visible(&name).contains(is_unprintable));
        }
    }
}
