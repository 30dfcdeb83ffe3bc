//! Answers in the form for people.

use core::time::Duration;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use crate::api::{Allowed, Entry, Explanation, Interface, Revoked, Status, StillAdmitted, Whitelist};
use crate::config::units::{brief_duration, brief_octets};

pub(super) fn allowed(allowed: &Allowed) -> String {
    let done = if allowed.replaced { "changed" } else { "allowed" };
    format!("{done} {}\n", allowed.prefix)
}

pub(super) fn revoked(revoked: &Revoked) -> String {
    let mut text = match revoked.removed {
        1 => String::from("removed 1 entry\n"),
        n => format!("removed {n} entries\n"),
    };
    if revoked.tickets_revoked {
        text.push_str("the tickets are refused from now on\n");
    }
    for StillAdmitted { prefix, by } in &revoked.still_admitted {
        text.push_str(&format!("{prefix} is still admitted by {}\n", printable(by)));
    }
    text
}

pub(super) fn explanation(explanation: &Explanation) -> String {
    let Explanation { address, side, side_reason, admitted, reason, entry, peers, is_proxy } = explanation;
    let admitted = if *admitted { "yes" } else { "no" };
    let mut lines = vec![
        ("address", printable(address)),
        ("side", format!("{}: {}", printable(side), printable(side_reason))),
        ("admitted", format!("{admitted}: {}", printable(reason))),
    ];
    if let Some(entry) = entry {
        let [prefix, user, idle, retires_in, until] = row(entry);
        lines
            .push(("entry", format!("{prefix}, user {user}, idle for {idle}, retires in {retires_in}, until {until}")));
    }
    lines.push(("peers", peers.to_string()));
    if *is_proxy {
        let text = "a trusted proxy: over HTTP, the client that it names counts instead; UDP from it is refused";
        lines.push(("proxy", text.into()));
    }
    lines.iter().map(|(name, value)| format!("{name:8}  {value}\n")).collect()
}

pub(super) fn whitelist(whitelist: &Whitelist) -> String {
    if whitelist.entries.is_empty() {
        return "the whitelist is empty\n".into();
    }
    let head = ["PREFIX", "USER", "IDLE", "RETIRES IN", "UNTIL"].map(String::from);
    let rows = whitelist.entries.iter().map(row);
    table(&core::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn row(entry: &Entry) -> [String; 5] {
    [
        entry.prefix.to_string(),
        entry.user.as_deref().map_or("-".into(), printable),
        brief_duration(Duration::from_secs(entry.idle_seconds)),
        retires_in(entry),
        until(entry),
    ]
}

fn until(entry: &Entry) -> String {
    let ended = if entry.has_ended { " (ended)" } else { "" };
    entry.until_unix.map_or("-".into(), |until| time(until) + ended)
}

fn retires_in(entry: &Entry) -> String {
    match entry.retire_after_seconds.map(|after| after.saturating_sub(entry.idle_seconds)) {
        None => "never".into(),
        Some(0) => "now".into(),
        Some(left) => brief_duration(Duration::from_secs(left)),
    }
}

/// Return seconds since 1970 as a date and time. These end with the year 9999.
pub(super) fn time(unix: u64) -> String {
    let mut text = String::new();
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(unix));
    match time.map(|time| write!(text, "{}", humantime::format_rfc3339_seconds(time))) {
        Some(Ok(())) => text,
        _ => "after the year 9999".into(),
    }
}

/// Return a table with columns as wide as their widest cell, two spaces between them, and none after the last.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = core::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A figure of the status: its group, its name in it, and its value.
type Figure = (String, String, String);

pub(super) fn status(status: &Status) -> String {
    let span = |seconds| brief_duration(Duration::from_secs(seconds));
    let memory = &status.memory;
    let own = [
        ("nakodo", "version", printable(&status.version)),
        ("nakodo", "up for", span(status.uptime_seconds)),
        ("nakodo", "in all its runs", span(status.running_seconds)),
        ("memory", "budget", brief_octets(memory.budget_octets)),
        ("memory", "lines in use", format!("{} of {}", memory.lines_in_use, memory.lines)),
        ("memory", "swarms", memory.swarms.to_string()),
        ("memory", "peers", memory.peers.to_string()),
        ("memory", "seeders", memory.seeders.to_string()),
        ("memory", "leechers", memory.leechers.to_string()),
        ("whitelist", "entries", format!("{} of {}", status.whitelist.entries, status.whitelist.capacity)),
        ("flash", "written", brief_octets(status.flash.octets_written)),
        ("disk", "failures", status.disk.failures.to_string()),
        ("disk", "rebuilds", status.disk.rebuilds.to_string()),
    ];
    let failing = [
        ("failing", &status.disk.failing),
        ("export failing", &status.disk.export_failing),
        ("at the start", &status.disk.recovered),
    ];
    let failing = failing.into_iter().filter_map(|(name, why)| Some(("disk", name, printable(why.as_ref()?))));
    let own = own.into_iter().chain(failing).map(|(group, name, value)| (group.into(), name.into(), value));
    let counted = status.counters.0.iter().map(|(name, count)| counter(name, *count));
    let interfaces = status.interfaces.iter().map(interface);
    let warnings = status
        .warnings
        .iter()
        .zip(1..)
        .map(|(warning, number): (&String, u32)| ("warnings".into(), number.to_string(), printable(warning)));
    groups(&own.chain(counted).chain(interfaces).chain(warnings).collect::<Vec<_>>())
}

fn interface(interface: &Interface) -> Figure {
    let Interface { name, side, reason, networks } = interface;
    let value = format!("{side}, {reason}: {}", networks.join(", "));
    ("interfaces".into(), printable(name), printable(&value))
}

/// Return a counter as a figure: `udp_bad_ids` is "bad ids" in the group "udp".
fn counter(name: &str, count: u64) -> Figure {
    let (group, name) = name.split_once('_').unwrap_or(("counters", name));
    (printable(group), printable(&name.replace('_', " ")), count.to_string())
}

/// Return one figure a line under the name of its group, with all values aligned.
fn groups(figures: &[Figure]) -> String {
    let width = figures.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut current = "";
    for (group, name, value) in figures {
        if group != current {
            text.push_str(&format!("{group}\n"));
            current = group;
        }
        text.push_str(&format!("  {name:width$}  {value}\n"));
    }
    text
}

/// Return text without control characters, which could move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
