//! "Did you mean …?": how near a mistyped word is to one that we know.

/// Longer words than this are no slips of a finger, and comparing them would cost time.
const LONGEST_OCTETS: usize = 64;

/// How many slips lie between `word` and `known`, unless there are too many for a slip: one in three letters.
pub(crate) fn slips(word: &str, known: &str) -> Option<usize> {
    if word.len() > LONGEST_OCTETS {
        return None;
    }
    let slips = strsim::osa_distance(word, known);
    (slips * 3 <= known.chars().count()).then_some(slips)
}

/// The word of `known` that `word` was most likely meant to be.
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
    fn only_slips_are_corrected() {
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
