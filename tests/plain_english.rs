//! Comments in plain technical English: words that mark a roundabout sentence stay rare.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with sources.
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

/// Words, and how many of them there may be in a thousand lines of comments.
const RARE: [(&[&str], usize); 4] = [
    (&["what"], 20),
    (&["who", "whom", "whose", "whoever", "nobody"], 5),
    (&["tell", "tells", "told", "telling"], 5),
    (&["stands"], 5),
];

fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut sources) = (FOLDERS.map(|folder| root.join(folder)).to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    sources
}

/// Return the text of a comment on a line, if there is one. The `//` of a URL begins none.
fn comment(line: &str) -> Option<&str> {
    let start = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with([':', '"']))?.0;
    line.get(start..)
}

fn count(comment: &str, words: &[&str]) -> usize {
    let lower = comment.to_lowercase();
    lower.split(|character: char| !character.is_alphanumeric()).filter(|word| words.contains(word)).count()
}

#[test]
fn roundabout_words_are_rare_in_comments() {
    let texts: Vec<String> = sources().iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    let comments: Vec<&str> = texts.iter().flat_map(|text| text.lines().filter_map(comment)).collect();
    assert!(comments.len() > 2000, "{} lines of comments", comments.len());
    for (words, in_a_thousand) in RARE {
        let found: Vec<&&str> = comments.iter().filter(|comment| count(comment, words) > 0).collect();
        let most = comments.len() * in_a_thousand / 1000;
        assert!(
            found.len() <= most,
            "{words:?}: {} of {} lines, at most {most}: {found:#?}",
            found.len(),
            comments.len()
        );
    }
}

#[test]
fn comments_and_words_are_found() {
    assert_eq!(comment("let x = 1; // Tell it."), Some("// Tell it."));
    assert_eq!(comment("/// What it is."), Some("/// What it is."));
    assert_eq!(comment("let url = \"http://example\";"), None);
    assert_eq!(count("/// What it is told, and what not; whatever.", &["what"]), 2);
    assert_eq!(count("// Nobody is told.", &["who", "nobody"]), 1);
}
