//! What the text forms of the small types share: errors, numbers, and the nearest known word.

/// Why a text is none of the values it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// None of the known words.
    #[error("'{given}' is no {what}{}; write {expected}", meant(given, expected))]
    Unknown {
        /// What was to be named.
        what: &'static str,
        /// What was given.
        given: String,
        /// The forms that are read.
        expected: &'static str,
    },
    /// A number is missing, or out of the range in which it means something.
    #[error("'{given}' as {what}: {wanted}")]
    Number {
        /// What was to be named.
        what: &'static str,
        /// What was given.
        given: String,
        /// What is wanted.
        wanted: &'static str,
    },
}

/// The form that was most likely meant, of those in `none, batch:B (B an integer or inf) or rms`.
fn meant(given: &str, expected: &str) -> String {
    let outside = expected.split(['(', ')']).step_by(2).collect::<String>();
    let forms = outside.replace(" or ", ", ");
    let words: Vec<&str> = forms
        .split(", ")
        .filter_map(|form| form.trim().split(':').next())
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()))
        .collect();
    let given = folded(given);
    did_you_mean(given.split(':').next().unwrap_or_default(), &words)
}

/// ` (did you mean X?)`, or nothing where no candidate is near.
pub(super) fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    let close = nearest(word, candidates).filter(|_| !word.is_empty());
    close.map_or(String::new(), |close| format!(" (did you mean {close}?)"))
}

/// A word as it is compared: lower case, no blanks around it.
pub(super) fn folded(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// A finite number.
pub(super) fn finite(what: &'static str, text: &str) -> Result<f64, TextError> {
    match text.trim().parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err(TextError::Number {
            what,
            given: text.into(),
            wanted: "a finite number is needed",
        }),
    }
}

/// The shortest decimal that reads back as `x`, with an exponent where the plain form is long;
/// Rust, Python and TOML read it alike (TOML takes a plain integer for an integer).
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 || (1e-5..1e16).contains(&size) || !x.is_finite() {
        format!("{x}")
    } else {
        format!("{x:e}")
    }
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y))
                .min(above + 1)
                .min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

/// The candidate that `word` was most likely meant to be; `None` where more than half of its
/// letters would have to change. Ties go to the first.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let (steps, best) = candidates
        .iter()
        .map(|c| (distance(word, c), *c))
        .min_by_key(|(steps, _)| *steps)?;
    (2 * steps <= best.chars().count()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for x in [
            0.0,
            1.0,
            -1.0 / 3.0,
            1e-5,
            9.999e-6,
            1e16,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
        ] {
            assert_eq!(number(x).parse::<f64>().unwrap(), x);
            assert!(number(x).len() < 26, "{}", number(x));
        }
    }

    #[test]
    fn the_nearest_word_is_found() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("wdiths", &["depth", "widths"]), Some("widths"));
        assert_eq!(nearest("zzzzzz", &["depth", "widths"]), None);
        assert_eq!(nearest("x", &[]), None);
        let forms = "none, batch:B (B an integer or inf), layer or rms";
        assert_eq!(meant("btch:3", forms), " (did you mean batch?)");
        assert_eq!(meant("Layr", forms), " (did you mean layer?)");
        assert_eq!(meant("integer", forms), "");
        assert_eq!(meant("", forms), "");
    }
}
