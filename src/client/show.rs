//! Answers in the form for people.

use core::time::Duration;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use super::fields::Fields;
use crate::access::{Retire, User, write_terms, write_user};
use crate::clock::UnixSeconds;
use crate::config::units::{brief_duration, brief_octets};
use crate::exit::Failure;

pub(super) fn allowed(allowed: Fields<'_>) -> String {
    let done = if allowed.is("replaced") { "changed" } else { "allowed" };
    let before = allowed.some_text("user_before").map(|user| format!(", which was of user {user}")).unwrap_or_default();
    format!("{done} {}{before}\n", allowed.text("prefix"))
}

pub(super) fn imported(imported: Fields<'_>) -> Result<String, Failure> {
    let [added, changed, unchanged] = ["added", "changed", "unchanged"].map(|name| imported.number(name));
    let mut text = format!("{added} entries added, {changed} changed, {unchanged} unchanged\n");
    for known in imported.list("replaced")? {
        let _ = writeln!(text, "changed {}", named(known));
    }
    Ok(text)
}

/// Return the entries of other users that an import would have replaced, each after a line break.
pub(super) fn conflicts(problem: Fields<'_>) -> String {
    let conflicts = problem.list("conflicts").into_iter().flatten();
    conflicts.map(|known| format!("\n  {}", named(known))).collect()
}

fn named(known: Fields<'_>) -> String {
    let user = known.some_text("user").map(|user| format!(", which was of user {user}")).unwrap_or_default();
    format!("{}{user}", known.text("prefix"))
}

pub(super) fn revoked(revoked: Fields<'_>) -> Result<String, Failure> {
    let mut text = match revoked.number("removed") {
        1 => String::from("removed 1 entry\n"),
        n => format!("removed {n} entries\n"),
    };
    if revoked.is("tickets_revoked") {
        text.push_str("the tickets are refused from now on\n");
    }
    for still in revoked.list("still_admitted").into_iter().flatten() {
        let _ = writeln!(text, "{} is still admitted by {}", still.text("prefix"), still.text("by"));
    }
    Ok(text)
}

pub(super) fn explanation(explanation: Fields<'_>) -> String {
    let text = |name| explanation.text(name);
    let admitted = if explanation.is("admitted") { "yes" } else { "no" };
    let mut lines = vec![
        ("address", text("address")),
        ("side", format!("{}: {}", text("side"), text("side_reason"))),
        ("admitted", format!("{admitted}: {}", text("reason"))),
    ];
    if let Some(entry) = explanation.some("entry") {
        let [prefix, user, idle, retires_in, until] = row(entry);
        lines
            .push(("entry", format!("{prefix}, user {user}, idle for {idle}, retires in {retires_in}, until {until}")));
    }
    lines.push(("peers", explanation.number("peers").to_string()));
    if explanation.is("is_proxy") {
        let text = "a trusted proxy: over HTTP, the client that it names counts instead; UDP from it is refused";
        lines.push(("proxy", text.into()));
    }
    lines.iter().map(|(name, value)| format!("{name:8}  {value}\n")).collect()
}

pub(super) fn whitelist(whitelist: Fields<'_>) -> Result<String, Failure> {
    let head = ["PREFIX", "USER", "IDLE", "RETIRES IN", "UNTIL"].map(String::from);
    let rows: Vec<_> = core::iter::once(head).chain(whitelist.list("entries")?.map(row)).collect();
    Ok(if rows.len() == 1 { "the whitelist is empty\n".into() } else { table(&rows) })
}

/// Return the whitelist as text for `allow --import`. Entries of tickets are left out: their tickets bring them again.
/// Entries past their end are left out too.
pub(super) fn exported(whitelist: Fields<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    let is_kept = |entry: &Fields<'_>| entry.some_text("ticket").is_none() && !entry.is("has_ended");
    for entry in whitelist.list("entries")?.filter(is_kept) {
        text.push_str(&entry.text("prefix"));
        let retire = match entry.some_number("retire_after_seconds") {
            _ if entry.is("retires_by_default") => Retire::Default,
            None => Retire::Never,
            Some(seconds) => Retire::After(u32::try_from(seconds).unwrap_or(u32::MAX)),
        };
        let user = User::try_from(entry.text("user").as_str()).unwrap_or_default();
        // A write to a string cannot fail.
        let _ = write_terms(&mut text, entry.some_number("until_unix").map(UnixSeconds), retire);
        let _ = write_user(&mut text, &user);
        text.push('\n');
    }
    Ok(text)
}

fn row(entry: Fields<'_>) -> [String; 5] {
    [
        entry.text("prefix"),
        entry.some_text("user").unwrap_or("-".into()),
        brief_duration(Duration::from_secs(entry.number("idle_seconds"))),
        retires_in(entry),
        until(entry),
    ]
}

fn until(entry: Fields<'_>) -> String {
    let ended = if entry.is("has_ended") { " (ended)" } else { "" };
    entry.some_number("until_unix").map_or("-".into(), |until| time(until) + ended)
}

fn retires_in(entry: Fields<'_>) -> String {
    let idle = entry.number("idle_seconds");
    match entry.some_number("retire_after_seconds").map(|after| after.saturating_sub(idle)) {
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

/// Return the list of torrents: its rule, and a line a torrent.
pub(super) fn torrents(list: Fields<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    for torrent in list.list("torrents")? {
        let line = format!("{} {}", torrent.text("info_hash"), torrent.text("name"));
        text.extend([line.trim_end(), "\n"]);
    }
    let effect = match list.text("mode").as_str() {
        "only" => "only these torrents are served",
        "except" => "all torrents except these are served",
        _ => "torrents.mode is \"any\": the list has no effect",
    };
    Ok(format!("# {}: {effect}\n{text}", list.text("file")))
}

/// Return the links with a code that open the page.
pub(super) fn page_code(code: Fields<'_>) -> String {
    let (links, minutes) = (code.texts("links"), code.number("valid_seconds") / 60);
    if links.is_empty() {
        return "the page has no address: set admin.listen, or stop the program that has its port, and restart nakodo\n".into();
    }
    let links: String = links.iter().map(|link| format!("{link}\n")).collect();
    format!("{links}One of these opens the page, once, in the next {minutes} minutes.\n")
}

pub(super) fn torrents_changed(changed: Fields<'_>) -> String {
    let [added, renamed, removed, torrents] =
        ["added", "renamed", "removed", "torrents"].map(|name| changed.number(name));
    let torrents = if torrents == 1 { "1 torrent".into() } else { format!("{torrents} torrents") };
    format!("{added} added, {renamed} renamed, {removed} removed; the list has {torrents}\n")
}

/// A figure of the status: its group, its name in it, and its value.
type Figure = (String, String, String);

pub(super) fn status(status: Fields<'_>) -> String {
    let counted = status.within("counters").numbers().map(|(name, count)| counter(&name, count.to_string()));
    figures(status, counted.collect())
}

/// Return the status with the counters that have counted, and their rates since an earlier status.
pub(super) fn status_with_rates(status: Fields<'_>, before: Option<(Fields<'_>, Duration)>) -> String {
    let rate = |name: &str, count: u64| {
        let Some((before, time)) = before else { return String::new() };
        let grown = count.saturating_sub(before.within("counters").number(name));
        // In tenths, rounded.
        let tenths = (u128::from(grown) * 10_000 + time.as_millis() / 2) / time.as_millis().max(1);
        if tenths == 0 { String::new() } else { format!("  {}.{}/s", tenths / 10, tenths % 10) }
    };
    let counted = status.within("counters").numbers().filter(|(_, count)| *count > 0);
    let counted = counted.map(|(name, count)| counter(&name, format!("{count}{}", rate(&name, count))));
    figures(status, counted.collect())
}

fn figures(status: Fields<'_>, counted: Vec<Figure>) -> String {
    let span = |seconds| brief_duration(Duration::from_secs(seconds));
    let [memory, whitelist, torrents, disk] =
        ["memory", "whitelist", "torrents", "disk"].map(|name| status.within(name));
    let of = |fields: Fields<'_>, capacity| format!("{} of {}", fields.number("entries"), fields.number(capacity));
    let own = [
        ("nakodo", "version", status.text("version")),
        ("nakodo", "up for", span(status.number("uptime_seconds"))),
        ("nakodo", "in all its runs", span(status.number("running_seconds"))),
        ("memory", "budget", brief_octets(memory.number("budget_octets"))),
        ("memory", "lines in use", format!("{} of {}", memory.number("lines_in_use"), memory.number("lines"))),
        ("memory", "swarms", memory.number("swarms").to_string()),
        ("memory", "peers", memory.number("peers").to_string()),
        ("memory", "seeders", memory.number("seeders").to_string()),
        ("memory", "leechers", memory.number("leechers").to_string()),
        ("whitelist", "entries", of(whitelist, "capacity")),
        ("torrents", "served", torrents.some_text("mode").unwrap_or("any".into())),
        ("torrents", "on the list", of(torrents, "capacity")),
        ("flash", "written", brief_octets(status.within("flash").number("octets_written"))),
        ("disk", "failures", disk.number("failures").to_string()),
        ("disk", "rebuilds", disk.number("rebuilds").to_string()),
    ];
    let failing = [("failing", "failing"), ("export failing", "export_failing"), ("at the start", "recovered")];
    let failing = failing.into_iter().filter_map(|(name, field)| Some(("disk", name, disk.some_text(field)?)));
    let own = own.into_iter().chain(failing).map(|(group, name, value)| (group.into(), name.into(), value));
    let interfaces = status.list("interfaces").into_iter().flatten().map(interface);
    let warnings = status.texts("warnings").into_iter().zip(1..);
    let warnings = warnings.map(|(warning, number): (String, u32)| ("warnings".into(), number.to_string(), warning));
    groups(&own.chain(counted).chain(interfaces).chain(warnings).collect::<Vec<_>>())
}

fn interface(interface: Fields<'_>) -> Figure {
    let networks = interface.texts("networks").join(", ");
    let value = format!("{}, {}: {networks}", interface.text("side"), interface.text("reason"));
    ("interfaces".into(), interface.text("name"), value)
}

/// Return a counter as a figure: `udp_bad_ids` is "bad ids" in the group "udp".
fn counter(name: &str, value: String) -> Figure {
    let (group, name) = name.split_once('_').unwrap_or(("counters", name));
    (group.into(), name.replace('_', " "), value)
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
