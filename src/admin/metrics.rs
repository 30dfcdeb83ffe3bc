//! The metrics in the text format of Prometheus: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
//!
//! No label has a user, an address or an info-hash: those are private, and their number has no limit.

use core::fmt::{Display, Write as _};

use crate::latency::{LIMITS_MICROSECONDS, Latency};
use crate::process;
use crate::shared::Shared;
use crate::tracker::{Counters, Horizon, Usage};

/// Media type of the metrics. Version 3 of Prometheus takes no other spelling.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text, as it is being written.
struct Metrics(String);

impl Metrics {
    /// Begin a metric. The kind is `counter`, `gauge` or `histogram`.
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // A write to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{text}\"", if number == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// Write a metric without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.begin(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// Return all metrics.
pub(super) fn metrics(shared: &Shared) -> String {
    let mut metrics = Metrics(String::with_capacity(12 << 10));
    let (counters, usage) = {
        let tracker = shared.tracker.borrow();
        (tracker.counters, tracker.usage())
    };
    metrics.begin("nakodo_build_info", "gauge", "The version of the tracker; always 1.");
    metrics.sample("nakodo_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    metrics.single("nakodo_uptime_seconds", "gauge", "Time since the start.", shared.uptime_seconds());
    requests(&mut metrics, &counters);
    swarms(&mut metrics, &usage);
    tables(&mut metrics, &usage, &counters, shared.http_connections.get());
    latency(&mut metrics, &shared.latency.get());
    disk(&mut metrics, shared);
    if let Some(octets) = process::resident_octets() {
        metrics.single("process_resident_memory_bytes", "gauge", "Resident memory.", octets);
    }
    if let Some(files) = process::open_files() {
        metrics.single("process_open_fds", "gauge", "Open files and sockets.", files);
    }
    metrics.0
}

fn requests(metrics: &mut Metrics, counters: &Counters) {
    let name = "nakodo_requests_total";
    metrics.begin(name, "counter", "Requests, refused ones included.");
    for (transport, kind, count) in [
        ("udp", "connect", counters.connects_udp),
        ("udp", "announce", counters.announces_udp),
        ("udp", "scrape", counters.scrapes_udp),
        ("http", "announce", counters.announces_http),
        ("http", "scrape", counters.scrapes_http),
    ] {
        metrics.sample(name, &[("transport", transport), ("kind", kind)], count);
    }
    let name = "nakodo_announces_wan_total";
    metrics.begin(name, "counter", "Announces from the WAN, refused ones included.");
    metrics.sample(name, &[("transport", "udp")], counters.announces_wan_udp);
    metrics.sample(name, &[("transport", "http")], counters.announces_wan_http);
    let name = "nakodo_announces_granted_total";
    metrics.begin(name, "counter", "Announces that were granted, by the role of the client.");
    metrics.sample(name, &[("role", "seeder")], counters.announces_seeder);
    metrics.sample(name, &[("role", "leecher")], counters.announces_leecher);
    metrics.single("nakodo_downloads_completed_total", "counter", "Completed downloads.", counters.downloads_completed);
    let name = "nakodo_refusals_total";
    metrics.begin(name, "counter", "Requests and tickets that were refused, by reason.");
    for (reason, count) in counters.refusals() {
        // "refused_torrent" is `torrent`; "tickets_forged" is `ticket_forged`.
        let reason =
            reason.strip_prefix("refused_").map_or_else(|| reason.replacen("tickets", "ticket", 1), String::from);
        metrics.sample(name, &[("reason", &reason)], count);
    }
    let name = "nakodo_discarded_total";
    metrics.begin(name, "counter", "Datagrams and HTTP requests that are none, by reason.");
    for (reason, count) in [
        ("udp_malformed", counters.udp_malformed),
        ("udp_bad_connection_id", counters.udp_bad_connection_id),
        ("udp_source_port_zero", counters.udp_source_port_zero),
        ("udp_reply_dropped", counters.udp_replies_dropped),
        ("http_bad_request", counters.http_bad_requests),
        ("http_bad_parameters", counters.http_bad_parameters),
        ("http_not_found", counters.http_not_found),
        ("http_timed_out", counters.http_connections_timed_out),
        ("http_given_up", counters.http_connections_given_up),
    ] {
        metrics.sample(name, &[("reason", reason)], count);
    }
}

fn swarms(metrics: &mut Metrics, usage: &Usage) {
    let name = "nakodo_swarms";
    metrics.begin(name, "gauge", "Swarms by side.");
    metrics.sample(name, &[("side", "lan")], usage.lan_swarms);
    metrics.sample(name, &[("side", "wan")], usage.swarms - usage.lan_swarms);
    let name = "nakodo_peers";
    metrics.begin(name, "gauge", "Peers by role, family and side.");
    for part in usage.parts {
        let family = if part.is_ipv6 { "ipv6" } else { "ipv4" };
        let side = if part.horizon == Horizon::Lan { "lan" } else { "wan" };
        for (role, peers) in [("seeder", part.seeders), ("leecher", part.leechers)] {
            metrics.sample(name, &[("role", role), ("family", family), ("side", side)], peers);
        }
    }
}

fn tables(metrics: &mut Metrics, usage: &Usage, counters: &Counters, connections: u32) {
    let name = "nakodo_pool_lines";
    metrics.begin(name, "gauge", "Lines of 64 bytes in the memory of the swarms, by state.");
    metrics.sample(name, &[("state", "used")], usage.lines_in_use);
    metrics.sample(name, &[("state", "free")], usage.lines - usage.lines_in_use);
    let name = "nakodo_peers_removed_total";
    metrics.begin(name, "counter", "Peers that were removed without an announce of theirs, by reason.");
    for (reason, peers) in [
        ("expired", counters.peers_expired),
        ("evicted_stale", counters.peers_evicted_stale),
        ("evicted_greedy", counters.peers_evicted_greedy),
        ("revoked", counters.peers_revoked),
    ] {
        metrics.sample(name, &[("reason", reason)], peers);
    }
    metrics.single("nakodo_peers_not_stored_total", "counter", "New peers without room.", counters.peers_not_stored);
    let entries = usage.whitelist_entries;
    metrics.single("nakodo_whitelist_entries", "gauge", "Entries of the whitelist.", entries);
    let capacity = usage.whitelist_capacity;
    metrics.single("nakodo_whitelist_capacity_entries", "gauge", "Maximum number of entries.", capacity);
    let retired = counters.entries_retired;
    metrics.single("nakodo_whitelist_retired_total", "counter", "Entries that were retired or ended.", retired);
    let name = "nakodo_logins_total";
    metrics.begin(name, "counter", "Addresses that tickets brought to the whitelist.");
    metrics.sample(name, &[("kind", "added")], counters.tickets_added);
    metrics.sample(name, &[("kind", "moved")], counters.tickets_moved);
    metrics.single("nakodo_http_connections", "gauge", "Open HTTP connections.", connections);
}

fn latency(metrics: &mut Metrics, latency: &Latency) {
    let name = "nakodo_request_duration_seconds";
    metrics.begin(name, "histogram", "Time of a request in the tracker: the length of its batch.");
    let mut total = 0;
    let limits = LIMITS_MICROSECONDS.iter().map(|limit| seconds(*limit * 1000)).chain(["+Inf".into()]);
    for (count, limit) in latency.buckets.iter().zip(limits) {
        total += count;
        metrics.sample(&format!("{name}_bucket"), &[("le", &limit)], total);
    }
    metrics.sample(&format!("{name}_sum"), &[], seconds(latency.sum_nanoseconds));
    metrics.sample(&format!("{name}_count"), &[], total);
}

fn seconds(nanoseconds: u64) -> String {
    let text = format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn disk(metrics: &mut Metrics, shared: &Shared) {
    let (health, written) = (shared.store.health(), shared.store.flash_octets_written());
    metrics.single("nakodo_flash_written_bytes_total", "counter", "Bytes written to the data directory.", written);
    let failing = u8::from(health.failing.is_some());
    metrics.single("nakodo_disk_failing", "gauge", "1 while changes of the whitelist are refused.", failing);
    metrics.single("nakodo_disk_failures_total", "counter", "Failures of the database.", health.failures);
    let recovered = u8::from(health.recovered.is_some());
    metrics.single("nakodo_disk_recovered", "gauge", "1 if the start found damage and recovered.", recovered);
    let insane = u8::from(shared.wall().is_none());
    metrics.single("nakodo_clock_not_set", "gauge", "1 while the system clock is not set.", insane);
    let warnings = super::status::warnings(shared).len();
    metrics.single("nakodo_warnings", "gauge", "Probable mistakes of the configuration; see status.", warnings);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{self, TempDir};

    #[test]
    fn each_metric_has_one_head_and_each_sample_belongs_to_it() {
        let dir = TempDir::new();
        let shared = testing::shared(&dir, testing::settings(4));
        let mut latency = Latency::default();
        latency.add(3, core::time::Duration::from_micros(20));
        shared.latency.set(latency);
        let text = metrics(&shared);
        assert!(text.ends_with('\n') && text.len() < 12 << 10, "{} bytes", text.len());
        let (mut names, mut samples, mut current) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                current = head.split(' ').next().expect("a name").into();
                assert!(names.insert(current.clone()), "{current} twice");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                assert!(name.starts_with(&current), "{line} below {current}");
                assert!(value.parse::<f64>().is_ok() && samples.insert(name.to_owned()), "{line}");
            }
        }
        for line in [
            "nakodo_requests_total{transport=\"udp\",kind=\"announce\"} 0",
            "nakodo_peers{role=\"seeder\",family=\"ipv6\",side=\"wan\"} 0",
            "nakodo_refusals_total{reason=\"not_whitelisted\"} 0",
            "nakodo_refusals_total{reason=\"ticket_forged\"} 0",
            "nakodo_request_duration_seconds_bucket{le=\"0.000016\"} 0",
            "nakodo_request_duration_seconds_bucket{le=\"0.000064\"} 3",
            "nakodo_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "nakodo_request_duration_seconds_sum 0.00006",
            "nakodo_request_duration_seconds_count 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
        }
    }
}
