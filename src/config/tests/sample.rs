//! The sample configuration, `nakodo.toml`, made from the table of keys.

use crate::config::Config;
use crate::config::keys::{KEYS, Key, SECTIONS};

const SAMPLE_HEAD: &str = "\
# Configuration of nakodo. This file lists every key with its default; a key without a default is commented out. So the
# unchanged file has no effect. Install it as /etc/nakodo/nakodo.toml, or pass it with --config. Test your changes with
# `nakodo check`.
#
# Sizes and durations need a unit: \"8 MiB\", \"90s\", \"30m\", \"30d\". On SIGHUP a running tracker reads this file again;
# changes of keys marked with * take effect only after a restart.
";

/// Return the sample configuration that is shipped: every key with its description, default and limits.
pub(super) fn sample() -> String {
    let defaults = Config::default();
    let mut text = String::from(SAMPLE_HEAD);
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about);
            text.push_str(&format!("\n# {about}\n[{section}]\n"));
        }
        text.push_str(&sample_of(key, &defaults));
    }
    text
}

fn sample_of(key: &Key, defaults: &Config) -> String {
    let gap = if key.meaning.is_empty() { "" } else { "\n" };
    let meaning: String = key.meaning.iter().map(|line| format!("# {line}\n")).collect();
    let setting = match key.kind.show(defaults) {
        Some(value) => format!("{} = {value}", key.leaf()),
        None => format!("# {} = {:?}", key.leaf(), key.kind.example()),
    };
    let star = if key.at_start_only { "*" } else { "" };
    let notes: Vec<String> = [key.kind.limits(), star.into()].into_iter().filter(|note| !note.is_empty()).collect();
    let notes = if notes.is_empty() { String::new() } else { format!("  # {}", notes.join(" ")) };
    format!("{gap}{meaning}{setting}{notes}\n")
}
