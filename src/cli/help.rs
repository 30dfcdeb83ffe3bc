//! Help texts, from the table of commands.

use super::commands::{Flag, VERBS, Verb};
use crate::config;

/// Return the overview of all commands.
pub(super) fn overview() -> String {
    let rows: Vec<(String, String)> =
        VERBS.iter().map(|verb| (format!("{} {}", verb.name, verb.operand), verb.summary.into())).collect();
    format!(
        "nakodo {}: a BitTorrent tracker for the edge\n\n\
         Usage: nakodo [COMMAND] [OPTIONS]\n\n\
         Commands:\n{}\n\
         `nakodo help COMMAND` prints the options of a command, `nakodo --version` prints the version.\n",
        env!("CARGO_PKG_VERSION"),
        aligned(&rows)
    )
}

/// Return the help text of one command.
pub(super) fn of(verb: &Verb) -> String {
    let rows: Vec<(String, String)> = verb.flags().map(|flag| (usage(flag), meaning(flag))).collect();
    let operand = if verb.operand.is_empty() { String::new() } else { format!(" {}", verb.operand) };
    let details = if verb.details.is_empty() { String::new() } else { format!("{}\n\n", verb.details) };
    format!(
        "nakodo {name}: {summary}\n\nUsage: nakodo {name}{operand} [OPTIONS]\n\n{details}Options:\n{}",
        aligned(&rows),
        name = verb.name,
        summary = verb.summary,
    )
}

fn usage(flag: &Flag) -> String {
    format!("{} {}", flag.name, flag.value)
}

fn meaning(flag: &Flag) -> String {
    match flag.replaces.and_then(config::default_of) {
        Some(default) => format!("{} (default: {default})", flag.meaning),
        None => flag.meaning.into(),
    }
}

/// Format rows as two aligned columns.
fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.trim_end().len()).max().unwrap_or(0);
    rows.iter().map(|(name, meaning)| format!("  {:width$}  {meaning}\n", name.trim_end())).collect()
}
