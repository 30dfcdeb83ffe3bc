//! The state of the tracker as a page without scripts.

use core::fmt::Write as _;
use core::time::Duration;

use super::escape;
use crate::admin::{listed, state};
use crate::config::units::{brief_duration, brief_octets};
use crate::shared::Shared;

/// Maximum number of entries of the whitelist on the page.
const MOST_ENTRIES: usize = 200;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
<meta http-equiv=\"refresh\" content=\"60\"><link rel=\"icon\" href=\"data:,\"><title>nakodo</title><style>\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}\
td,th{text-align:left;padding:0 1rem 0 0;vertical-align:top}code{overflow-wrap:anywhere}</style></head><body><main>\n";

/// Return the page.
pub(super) fn page(shared: &Shared) -> String {
    let status = state(shared);
    let mut page = String::from(HEAD);
    // A write to a string cannot fail.
    let _ = writeln!(
        page,
        "<h1>nakodo {}</h1><p>Up for {}. This page needs no script, and shows the state only; changes need the page with \
         scripts or the <code>nakodo</code> command. It loads again each minute.</p>",
        status.version,
        brief_duration(Duration::from_secs(status.uptime_seconds))
    );
    let troubles = [&status.disk.failing, &status.disk.export_failing, &status.disk.recovered];
    let sentences: Vec<&String> = status.warnings.iter().chain(troubles.into_iter().flatten()).collect();
    if !sentences.is_empty() {
        page.push_str("<h2>Attention</h2><ul>");
        sentences.iter().for_each(|sentence| page.extend(["<li>", &escape(sentence), "</li>"]));
        page.push_str("</ul>\n");
    }
    page.push_str("<h2>Announce URLs</h2><table>");
    for url in &status.announce_urls {
        let _ = write!(page, "<tr><td>{}</td><td><code>{}</code></td></tr>", escape(&url.side), escape(&url.url));
    }
    page.push_str("</table>\n<h2>Use</h2><table>");
    let memory = &status.memory;
    let of = |part: u64, whole: u64| format!("{part} of {whole}");
    for (name, value) in [
        ("Peers", format!("{}, {} of them at home", memory.peers, memory.lan_peers)),
        ("Seeders", memory.seeders.to_string()),
        ("Leechers", memory.leechers.to_string()),
        ("Swarms", memory.swarms.to_string()),
        (
            "Memory",
            format!("{} lines of {}", of(memory.lines_in_use, memory.lines), brief_octets(memory.budget_octets)),
        ),
        ("Whitelist", of(status.whitelist.entries, status.whitelist.capacity)),
        ("HTTP connections", of(status.http_connections.entries, status.http_connections.capacity)),
        ("Written to flash", brief_octets(status.flash.octets_written)),
    ] {
        let _ = write!(page, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    page.push_str("</table>\n<h2>Whitelist</h2>");
    page.push_str(&whitelist(shared));
    page.push_str("\n<h2>Counters</h2><table>");
    for (name, count) in status.counters.0.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(page, "<tr><td>{}</td><td>{count}</td></tr>", name.replace('_', " "));
    }
    page.push_str("</table></main></body></html>\n");
    page
}

fn whitelist(shared: &Shared) -> String {
    let entries = listed(shared, MOST_ENTRIES);
    if entries.is_empty() {
        return "<p>The whitelist is empty.</p>".into();
    }
    let mut table = String::from("<table><tr><th>Address</th><th>User</th><th>Idle</th></tr>");
    for entry in &entries {
        let user = entry.user.as_deref().unwrap_or("-");
        let idle = brief_duration(Duration::from_secs(entry.idle_seconds));
        let _ = write!(table, "<tr><td>{}</td><td>{}</td><td>{idle}</td></tr>", entry.prefix, escape(user));
    }
    table.push_str("</table>");
    if entries.len() == MOST_ENTRIES {
        let _ = write!(table, "<p>These are the first {MOST_ENTRIES}; <code>nakodo list</code> prints all.</p>");
    }
    table
}
