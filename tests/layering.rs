//! Rules of the architecture, checked in the sources: the core is pure, arrows never point left, and files and
//! functions stay small.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a function.
const FUNCTION_LINES: usize = 60;
/// Maximum number of lines of a file without its tests.
const FILE_LINES: usize = 400;

/// The layers without access to the outside world.
const CORE: [&str; 13] = [
    "tracker",
    "ticket",
    "torrents.rs",
    "pool",
    "wire",
    "http",
    "access",
    "sides.rs",
    "horizon.rs",
    "hash_key.rs",
    "history.rs",
    "latency.rs",
    "clock.rs",
];

/// The other folders of several files.
const SHELL: [&str; 8] = ["admin", "cli", "client", "config", "net", "page", "run", "store"];

/// Names that the core must not use, each with the resource behind it.
const IMPURE: [(&str, &str); 21] = [
    ("std::net::Tcp", "sockets"),
    ("std::net::Udp", "sockets"),
    ("std::os", "the operating system"),
    ("std::fs", "files"),
    ("std::io", "files and sockets"),
    ("std::env", "the environment"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::sync", "threads"),
    ("Instant::now", "the clock"),
    ("SystemTime", "the clock"),
    ("getrandom", "randomness that is no argument"),
    ("fastrand::Rng::new(", "randomness that is no argument"),
    ("log::", "logging"),
    ("println!", "printing"),
    ("smol", "the runtime"),
    ("async", "the runtime"),
    ("nix::", "the operating system"),
    ("rustix", "the operating system"),
    ("sled", "the database"),
    ("serde", "the shell's formats"),
];

/// Modules of the crate, callers before callees, each with the modules that it uses. The drawings in `lib.rs` and
/// docs/architecture.md are this table.
const ARROWS: [(&str, &[&str]); 28] = [
    ("main", &["cli", "exit"]),
    ("cli", &["access", "api", "client", "config", "exit", "run", "suggest"]),
    ("client", &["access", "api", "clock", "config", "exit"]),
    (
        "run",
        &[
            "access",
            "config",
            "exit",
            "history",
            "horizon",
            "net",
            "shared",
            "sides",
            "store",
            "system_clock",
            "torrents",
            "tracker",
        ],
    ),
    ("net", &["admin", "api", "clock", "http", "page", "shared", "tracker", "wire"]),
    ("page", &["admin", "config", "http", "shared"]),
    (
        "admin",
        &[
            "access", "api", "clock", "config", "history", "http", "latency", "process", "shared", "sides", "store",
            "ticket", "torrents", "tracker", "wire",
        ],
    ),
    ("api", &["access"]),
    ("config", &["access", "http", "suggest", "ticket", "torrents"]),
    ("suggest", &[]),
    ("exit", &[]),
    (
        "shared",
        &[
            "access",
            "clock",
            "history",
            "horizon",
            "latency",
            "sides",
            "store",
            "system_clock",
            "ticket",
            "torrents",
            "tracker",
        ],
    ),
    ("process", &[]),
    ("sides", &["horizon"]),
    ("store", &["access", "clock", "system_clock", "ticket", "torrents", "wire"]),
    ("system_clock", &["clock"]),
    ("tracker", &["access", "clock", "hash_key", "horizon", "http", "pool", "ticket", "torrents", "wire"]),
    ("ticket", &["access", "clock"]),
    ("torrents", &["wire"]),
    ("access", &["clock"]),
    ("pool", &["clock", "hash_key", "horizon", "wire"]),
    ("wire", &["http"]),
    ("http", &[]),
    ("history", &["clock"]),
    ("latency", &[]),
    ("horizon", &[]),
    ("hash_key", &[]),
    ("clock", &[]),
];

/// The documents with the drawing of [`ARROWS`], each with the prefix of its lines.
const DRAWINGS: [(&str, &str); 2] = [("src/lib.rs", "//! "), ("docs/architecture.md", "")];

/// A file of `src`, with its path relative to `src`.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_in(&self, layer: &str) -> bool {
        self.path == layer || self.path == format!("{layer}.rs") || self.path.starts_with(&format!("{layer}/"))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let path = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                sources.push(Source { path, text });
            }
        }
    }
    assert!(sources.len() > 40, "the sources are found");
    sources
}

fn production_sources() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| !source.is_test())
}

/// Mark the lines of a source that belong to test-only items. Sources are formatted, so an item ends at the next line
/// with its indentation that closes it.
fn test_lines(text: &str) -> Vec<bool> {
    // Indentation of the current test item, set when its attribute is found.
    let mut test_item: Option<usize> = None;
    let of_tests = text.lines().map(|line| {
        let code = without_comment(line);
        let indentation = line.len() - line.trim_start().len();
        match test_item {
            None if code.trim() == "#[cfg(test)]" => test_item = Some(indentation),
            None => return false,
            Some(of_item) => {
                let ends = code.trim_start().starts_with('}') || code.trim_end().ends_with([';', ',', '}']);
                if indentation == of_item && ends {
                    test_item = None;
                }
            }
        }
        true
    });
    of_tests.collect()
}

/// Return the lines of a source without comments and test-only items. Removed lines become empty lines, so that line
/// numbers stay.
fn production(text: &str) -> Vec<String> {
    let lines = text.lines().zip(test_lines(text));
    lines.map(|(line, of_tests)| if of_tests { String::new() } else { without_comment(line).to_owned() }).collect()
}

fn without_comment(line: &str) -> &str {
    // A `//` after a colon is part of a URL in a string.
    let start = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    start.map_or(line, |(at, _)| &line[..at])
}

/// Return whether `line` contains `pattern` at the start of a word.
fn names(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// Return the lines of a source that use a name of [`IMPURE`].
fn impurities(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in production(text).iter().enumerate() {
        for (pattern, what) in IMPURE {
            if names(line, pattern) {
                found.push(format!("{}: {what}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

/// Return the modules of the crate that a text uses as `crate::…`, including those in braces.
fn modules_named(text: &str) -> Vec<String> {
    named_after(&["crate::", "nakodo::"], text)
}

/// Return the names that follow one of `starts` in a text, including those in braces.
fn named_after(starts: &[&str], text: &str) -> Vec<String> {
    let code = production(text).join("\n");
    let mut modules = Vec::new();
    for start in starts {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            match rest.strip_prefix('{').and_then(|rest| rest.split_once("};")) {
                Some((group, _)) => modules.extend(first_words(group)),
                None => modules.push(word(rest).to_owned()),
            }
        }
    }
    modules
}

/// Return the first word of each item in a group, split at the commas outside of inner braces.
fn first_words(group: &str) -> Vec<String> {
    let mut depth = 0;
    let items = group.split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    });
    items.map(|item| word(item.trim()).to_owned()).filter(|word| !word.is_empty()).collect()
}

fn word(text: &str) -> &str {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or_default()
}

/// Return the files that a file reaches through the names in it, directly or through other files.
fn reached_from(file: &str, names: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let (mut reached, mut to_visit) = (BTreeSet::new(), vec![file]);
    while let Some(file) = to_visit.pop() {
        let named = names.get(file).into_iter().flatten();
        to_visit.extend(named.filter(|name| reached.insert((*name).clone())).map(String::as_str));
    }
    reached
}

/// Return the circle of files that a file belongs to, itself included.
fn circle_of(file: &str, names: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut circle = reached_from(file, names);
    circle.retain(|other| reached_from(other, names).contains(file));
    circle.insert(file.to_owned());
    circle
}

/// Return the functions of a text that exceed the limit, with their lengths.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines = production(text);
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indentation = line.len() - line.trim_start().len();
        if !is_function(line) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indentation));
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |last| last + 1);
        // A function without a body, or with a body on the same line, has one line.
        let length = if line.ends_with(';') || line.ends_with('}') { 1 } else { length };
        if length > FUNCTION_LINES {
            long.push((line.trim().to_owned(), length));
        }
    }
    long
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.find(|word| !matches!(*word, "const" | "async" | "extern") && !word.starts_with("pub")) == Some("fn")
}

/// Count the lines of a file without its tests.
fn lines_without_tests(text: &str) -> usize {
    test_lines(text).into_iter().filter(|of_tests| !of_tests).count()
}

#[test]
fn the_core_is_pure() {
    let mut checked = 0;
    for source in production_sources().filter(|source| CORE.iter().any(|layer| source.is_in(layer))) {
        assert_eq!(impurities(&source.text), Vec::<String>::new(), "in {}", source.path);
        checked += 1;
    }
    assert!(checked > 25, "{checked} files of the core");
}

#[test]
fn no_code_uses_the_32_bit_clock_of_the_standard_library() {
    for source in production_sources() {
        let uses: Vec<_> = production(&source.text).into_iter().filter(|line| names(line, "SystemTime")).collect();
        assert_eq!(uses, Vec::<String>::new(), "`system_clock` works after January 2038; in {}", source.path);
    }
}

#[test]
fn each_module_uses_the_modules_in_the_table() {
    for (module, uses) in ARROWS {
        let of_module: Vec<_> = production_sources().filter(|source| source.is_in(module)).collect();
        assert!(!of_module.is_empty(), "{module} exists");
        let used: BTreeSet<String> = of_module.iter().flat_map(|source| modules_named(&source.text)).collect();
        let used: Vec<_> = used.iter().map(String::as_str).filter(|used| *used != module).collect();
        assert_eq!(used, uses, "used by {module}");
    }
}

#[test]
fn arrows_point_from_callers_to_callees_and_the_table_has_every_module() {
    let position = |module: &str| ARROWS.iter().position(|(name, _)| *name == module);
    for (caller, (module, uses)) in ARROWS.iter().enumerate() {
        for callee in *uses {
            assert!(position(callee) > Some(caller), "{module} uses {callee}, which comes before it");
        }
    }
    let library = sources().into_iter().find(|source| source.path == "lib.rs").expect("lib.rs");
    for line in production(&library.text) {
        let module = line.trim_start_matches("pub ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        assert!(module.is_none_or(|module| position(module).is_some()), "{module:?} is in the table");
    }
}

#[test]
fn the_drawings_are_the_table() {
    let arrow = |(module, uses): &(&str, &[&str])| format!("{module:8} → {}", uses.join(", "));
    for (document, prefix) in DRAWINGS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).expect(document);
        let drawn: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(prefix)).collect();
        for arrow in ARROWS.iter().filter(|(_, uses)| !uses.is_empty()).map(arrow) {
            assert!(drawn.contains(&arrow.as_str()), "{document} has no line {prefix}{arrow}");
        }
        let arrows = drawn.iter().filter(|line| line.contains(" → ") && !line.starts_with('|')).count();
        let expected = ARROWS.iter().filter(|(_, uses)| !uses.is_empty()).count();
        assert_eq!(arrows, expected, "{document} has other arrows too");
    }
}

#[test]
fn no_circle_has_more_than_two_files() {
    for folder in CORE.iter().chain(&SHELL).filter(|layer| !layer.ends_with(".rs")) {
        let file_name =
            |source: &Source| Some(source.path.strip_prefix(&format!("{folder}/"))?.strip_suffix(".rs")?.to_owned());
        let files: Vec<_> =
            production_sources().filter_map(|source| Some((file_name(&source)?, source.text))).collect();
        let is_file = |name: &String| files.iter().any(|(file, _)| file == name);
        let names: BTreeMap<String, Vec<String>> = files
            .iter()
            .filter(|(file, _)| file != "mod")
            .map(|(file, text)| (file.clone(), named_after(&["super::"], text).into_iter().filter(is_file).collect()))
            .collect();
        assert!(names.len() > 1, "the files of {folder} are found");
        for file in names.keys() {
            let circle = circle_of(file, &names);
            assert!(circle.len() <= 2, "in {folder}: {circle:?}");
        }
    }
}

#[test]
fn only_the_store_names_the_database() {
    for source in production_sources().filter(|source| !source.is_in("store")) {
        let named: Vec<_> = production(&source.text).into_iter().filter(|line| names(line, "sled::")).collect();
        assert_eq!(named, Vec::<String>::new(), "in {}", source.path);
    }
}

#[test]
fn unsafe_code_is_forbidden_in_library_and_binary() {
    for root in ["lib.rs", "main.rs"] {
        let source = sources().into_iter().find(|source| source.path == root).expect(root);
        assert!(source.text.lines().any(|line| line == "#![forbid(unsafe_code)]"), "{root}");
    }
}

#[test]
fn each_file_begins_with_its_subject_and_public_items_need_a_description() {
    for Source { path, text } in sources() {
        assert!(text.starts_with("//! "), "{path}");
    }
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("Cargo.toml");
    let lints = manifest.split("\n[lints.rust]\n").nth(1).and_then(|rest| rest.split("\n[").next());
    assert!(lints.is_some_and(|lints| lints.lines().any(|line| line == "missing_docs = \"warn\"")), "in the lints");
}

#[test]
fn functions_are_short() {
    for source in production_sources() {
        assert_eq!(long_functions(&source.text), vec![], "in {}", source.path);
    }
}

#[test]
fn files_are_short() {
    for source in production_sources() {
        let lines = lines_without_tests(&source.text);
        assert!(lines <= FILE_LINES, "{} has {lines} lines", source.path);
    }
}

#[test]
fn each_impurity_is_caught_and_none_in_comments_and_tests() {
    for (pattern, _) in IMPURE {
        let line = format!("    let x = {pattern};");
        assert!(!impurities(&line).is_empty(), "{pattern}");
        assert_eq!(impurities(&format!("fn f() {{}} // {pattern}")), Vec::<String>::new());
        assert_eq!(impurities(&format!("/// {pattern}\n//! {pattern}")), Vec::<String>::new());
        let test = format!("#[cfg(test)]\nmod tests {{\n    fn f() {{\n{line}\n    }}\n}}\n");
        assert_eq!(impurities(&test), Vec::<String>::new(), "{pattern} in a test");
        assert_eq!(impurities(&format!("{test}{line}")).len(), impurities(&line).len(), "{pattern} after a test");
        let declared = format!("#[cfg(test)]\nmod tests;\n{line}");
        assert!(!impurities(&declared).is_empty(), "{pattern} after tests in another file");
        let field = format!("struct X {{\n    #[cfg(test)]\n    f: u8,\n{line}\n}}\n");
        assert!(!impurities(&field).is_empty(), "{pattern} after a field for tests");
        let method = format!("impl X {{\n    #[cfg(test)]\n    fn f() {{\n    {line}\n    }}\n\n{line}\n}}\n");
        assert_eq!(impurities(&method).len(), impurities(&line).len(), "{pattern} after a method for tests");
    }
    assert_eq!(impurities("    catalog::open(); let address = core::net::IpAddr::from(x);"), Vec::<String>::new());
}

#[test]
fn arrows_are_found_in_every_form() {
    for text in ["use crate::store;", "use crate::store::Store;", "let x = crate::store::open();", "use nakodo::store;"]
    {
        assert_eq!(modules_named(text), ["store"], "{text}");
    }
    let group = "use crate::{\n    store::{self, Store},\n    wire,\n};";
    assert_eq!(modules_named(group), ["store", "wire"]);
    assert_eq!(modules_named("use super::store; // crate::net\n"), Vec::<String>::new());
    assert_eq!(modules_named("#[cfg(test)]\nmod tests {\n    use crate::net;\n}\n"), Vec::<String>::new());
}

#[test]
fn circles_are_found_at_any_length() {
    let names: BTreeMap<String, Vec<String>> =
        [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a", "d"]), ("d", vec![])]
            .map(|(file, names)| (file.to_owned(), names.into_iter().map(str::to_owned).collect()))
            .into();
    assert_eq!(circle_of("b", &names), ["a", "b", "c"].map(str::to_owned).into());
    assert_eq!(circle_of("d", &names), ["d".to_owned()].into());
    assert_eq!(named_after(&["super::"], "use super::{chain::{self, Place}, tree};\n"), ["chain", "tree"]);
}

#[test]
fn the_database_is_found_where_it_is_named() {
    assert!(names("let tree = sled::open(path);", "sled::"));
    assert!(names("use sled::Db;", "sled::"));
    assert!(!names("bobsled::ride();", "sled::"));
}

#[test]
fn long_functions_and_files_are_measured() {
    let function =
        |lines: usize| format!("impl X {{\n    pub(crate) fn f() {{\n{}    }}\n}}\n", "        g();\n".repeat(lines));
    assert_eq!(long_functions(&function(FUNCTION_LINES - 2)), vec![]);
    assert_eq!(long_functions(&function(FUNCTION_LINES - 1)).len(), 1);
    let indented: String = function(100).lines().map(|line| format!("    {line}\n")).collect();
    let test = format!("#[cfg(test)]\nmod tests {{\n{indented}}}\n");
    assert_eq!(long_functions(&test), vec![]);
    assert_eq!(lines_without_tests(&format!("{}{test}{}", function(100), function(2))), 104 + 6);
    for line in ["fn f() {", "pub const fn f() {", "    pub(super) async fn f(", "const fn f()"] {
        assert!(is_function(line), "{line}");
    }
    for line in ["let fnord = 1;", "x.map(fn_pointer)", "type F = fn(u8);"] {
        assert!(!is_function(line), "{line}");
    }
}
