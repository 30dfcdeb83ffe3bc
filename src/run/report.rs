//! The report of `nakodo check`: memory by use, and the capacity that it gives.

use core::fmt::Write;

use super::{housekeeping, interfaces};
use crate::config::Config;
use crate::config::units::brief_octets;
use crate::net::http::CONNECTION_OCTETS;
use crate::net::udp;
use crate::tracker::{Capacity, WHITELIST_ENTRY_OCTETS};

/// Memory of the running program itself, the database included: measured as the RSS of an idle tracker minus the parts
/// below (`benches/memory.rs`), and rounded up.
const PROGRAM_OCTETS: u64 = 6 << 20;

/// Describe a valid configuration.
pub fn check(config: &Config) -> String {
    let capacity = Capacity::of_budget(usize::try_from(config.memory_octets).unwrap_or(usize::MAX));
    let http = u64::from(config.http.connections) * CONNECTION_OCTETS as u64;
    let udp = config.listen.len() as u64 * udp::BUFFERS_OCTETS as u64;
    let whitelist = u64::from(config.access.capacity) * WHITELIST_ENTRY_OCTETS as u64;
    let fixed = PROGRAM_OCTETS + http + udp + whitelist;
    let mut text = String::from("configuration OK\n");
    config.warnings().iter().for_each(|warning| text.extend(["warning: ", warning, "\n"]));
    text.push_str("\nmemory\n");
    let lines = [
        ("swarms and peers", config.memory_octets, format!("{} lines of 64 bytes", capacity.lines)),
        ("fixed part", fixed, "at most; touched only when used:".into()),
        ("  program", PROGRAM_OCTETS, "code, stacks, the database".into()),
        ("  HTTP", http, format!("{} connections", config.http.connections)),
        ("  UDP", udp, format!("{} sockets", config.listen.len())),
        ("  whitelist", whitelist, format!("{} entries", config.access.capacity)),
    ];
    for (part, octets, remark) in lines {
        let _ = writeln!(text, "  {part:18} {:>9}  {remark}", brief_octets(octets));
    }
    let sides = housekeeping::sides_of(config, &interfaces::host());
    text.push_str("\ninterfaces, and the sides of their neighbours\n");
    sides.lines().iter().for_each(|line| text.extend(["  ", line, "\n"]));
    sides.warnings().iter().for_each(|warning| text.extend(["  warning: ", warning, "\n"]));
    let Capacity { torrents, peers4, peers6, .. } = capacity;
    let _ = write!(
        text,
        "\ncapacity, for only one of these\n  {torrents:>9} torrents, of up to 4 IPv4 peers each\n  \
         {peers4:>9} IPv4 peers\n  {peers6:>9} IPv6 peers\n\n{}",
        config.resolved()
    );
    text
}
