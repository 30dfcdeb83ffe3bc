//! The walks in docs/architecture.md: each file exists, and each calls the next one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Maximum number of files of a walk.
const FILES: usize = 7;

/// One step of a walk.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    file: String,
    /// True if the step before it reaches this file through the control socket instead of a call.
    is_over_the_socket: bool,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// Return the walks of a document, each with its heading.
fn walks(document: &str) -> Vec<(String, Vec<Step>)> {
    let mut walks = Vec::new();
    for section in document.split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').expect("a heading");
        let steps = body.split('\n').filter_map(step).collect();
        walks.push((heading.to_owned(), steps));
    }
    walks
}

/// Return the step of a line such as "1. `src/net/server.rs` waits".
fn step(line: &str) -> Option<Step> {
    let (number, rest) = line.split_once(". `")?;
    let (file, text) = rest.split_once('`')?;
    let is_over_the_socket = text.contains("from the socket");
    number.parse::<u32>().is_ok().then(|| Step { file: file.to_owned(), is_over_the_socket })
}

/// Return the words of a source without its comments and its tests.
fn words(source: &str) -> BTreeSet<&str> {
    let code = source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|character: char| !character.is_alphanumeric() && character != '_')).collect()
}

/// Return the functions that a source offers to other files.
fn offered(source: &str) -> BTreeSet<&str> {
    let functions = source.lines().filter_map(|line| {
        let line = line.trim_start();
        let (before, after) = line.split_once("fn ")?;
        let is_offered = before.starts_with("pub") && !before.contains("//");
        is_offered.then(|| after.split(['(', '<']).next().unwrap_or_default())
    });
    functions.collect()
}

#[test]
fn each_file_of_a_walk_calls_the_next() {
    let walks = walks(&read("docs/architecture.md"));
    assert_eq!(walks.len(), 3, "UDP, HTTP and the administration");
    for (heading, steps) in walks {
        assert!((4..=FILES).contains(&steps.len()), "{heading}: {} files", steps.len());
        for pair in steps.windows(2) {
            let (caller, callee) = (read(&pair[0].file), read(&pair[1].file));
            let called: Vec<_> = words(&caller).intersection(&offered(&callee)).copied().collect();
            let is_called = called.iter().any(|function| !offered(&caller).contains(function) && *function != "new");
            assert!(is_called || pair[1].is_over_the_socket, "{heading}: {} calls {}", pair[0].file, pair[1].file);
        }
    }
}

#[test]
fn walks_and_calls_are_found() {
    let document = "## Walks\n\n### One\n\n1. `src/a.rs` does\n   more\n2. `src/b.rs` reads from the socket.\n";
    let step = |file: &str, is_over_the_socket| Step { file: file.to_owned(), is_over_the_socket };
    assert_eq!(walks(document), [("One".to_owned(), vec![step("src/a.rs", false), step("src/b.rs", true)])]);
    let source = "pub(super) fn f(x: u8) {}\nfn private() {}\n    pub const fn g<T>() {}\n// pub fn h()\n";
    assert_eq!(offered(source), BTreeSet::from(["f", "g"]));
    assert!(words("let x = f(1); // g\n").contains("f"));
    assert!(!words("// f(1)\n").contains("f"));
}
