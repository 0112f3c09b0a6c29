//! What was meant by a name that is not there.

/// Letters to be changed, added, left out, or swapped with their neighbour; case does not matter.
fn edits(a: &str, b: &str) -> usize {
    strsim::osa_distance(&a.to_lowercase(), &b.to_lowercase())
}

/// Names close to a word, closest first.
pub fn near(word: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let letters = word.chars().count();
    let mut close: Vec<(usize, String)> = names
        // a third of the letters, as in clap's own suggestions; lengths further apart than that need no table
        .filter(|other| 3 * other.chars().count().abs_diff(letters) <= letters)
        .map(|other| (edits(word, &other), other))
        .filter(|(distance, _)| 3 * distance <= letters)
        .collect();
    close.sort();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("kitten", "Sitting"), 3);
        assert_eq!(edits("", "ab"), 2);
        assert_eq!(edits("weights.npy", "wieghts.npy"), 1);
        assert_eq!(edits("ab", "ba"), 1);
        assert_eq!(edits("spkie", "spike"), 1);
    }

    #[test]
    fn the_closest_come_first() {
        let names = || {
            ["singular", "spike", "singulars"]
                .into_iter()
                .map(String::from)
        };
        assert_eq!(near("sinular", names()), ["singular", "singulars"]);
        assert!(near("zzz", names()).is_empty() && near("", names()).is_empty());
    }
}
