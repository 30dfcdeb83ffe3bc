//! Suggestions for mistyped words: "did you mean …?".

/// Maximum length of a word, in bytes. Longer words are not typing errors, and comparing them takes too much time.
const LONGEST_OCTETS: usize = 64;

/// Return the edit distance from `word` to `known`, or `None` if more than one letter in three differs.
pub(crate) fn slips(word: &str, known: &str) -> Option<usize> {
    if word.len() > LONGEST_OCTETS {
        return None;
    }
    let slips = strsim::osa_distance(word, known);
    (slips * 3 <= known.chars().count()).then_some(slips)
}

/// Return the word in `known` that was most likely meant by `word`, if any is near enough.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .filter_map(|candidate| Some((slips(word, candidate)?, candidate)))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_typing_errors_are_corrected() {
        let known = ["listen", "memory", "lan", "interval"];
        for (word, meant) in [
            ("memori", Some("memory")),
            ("lsiten", Some("listen")),
            ("lam", Some("lan")),
            ("interwall", Some("interval")),
            ("wan", Some("lan")),
            ("la", Some("lan")),
            ("wlan0", None),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word:?}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
