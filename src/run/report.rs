//! The report of `nakodo check`: memory by use, and the capacity that it gives.

use core::fmt::Write;

use super::{housekeeping, interfaces};
use crate::config::units::brief_octets;
use crate::config::{Config, is_daemons};
use crate::exit::{self, Failure};
use crate::net::http::CONNECTION_OCTETS;
use crate::net::udp;
use crate::store::{self, Checked};
use crate::torrents::{TORRENT_OCTETS, TorrentMode};
use crate::tracker::{Capacity, WHITELIST_ENTRY_OCTETS};

/// Memory of the running program itself, the database included: measured as the RSS of an idle tracker minus the parts
/// below (`benches/memory.rs`), and rounded up.
const PROGRAM_OCTETS: u64 = 6 << 20;

/// Check the data directory, without a change of it: first the text copy, then the database.
pub fn check_data(config: &Config) -> impl Iterator<Item = Result<Checked, Failure>> {
    // A panic of the library is damage.
    std::panic::set_hook(Box::new(|_| {
        store::remove_copy();
        let message = "the database is damaged: its library panicked on it; the next start uses the text copy";
        let _ = Failure::new(exit::DATAERR, message).report();
        std::process::exit(exit::DATAERR.into());
    }));
    let data_dir = config.paths(is_daemons).data_dir;
    let head = Checked { lines: vec![format!("data in {}", data_dir.display())], is_damaged: false };
    let path = data_dir.clone();
    let text = core::iter::once_with(move || Ok(store::check_text(&path)));
    let database = core::iter::once_with(move || {
        store::check_database(&data_dir)
            .map_err(|error| Failure::new(exit::IOERR, format_args!("cannot copy the database for the check: {error}")))
    });
    core::iter::once(Ok(head)).chain(text).chain(database)
}

/// Describe the list of torrents and its effect.
fn torrent_list(config: &Config) -> String {
    let (mode, capacity) = (config.torrents.mode, config.torrents.capacity as usize);
    if mode == TorrentMode::Any {
        return "\ntorrents: all are served\n".into();
    }
    let file = config.paths(is_daemons).torrents;
    match store::read_torrents(&file, capacity) {
        Ok(list) => {
            let these = if mode == TorrentMode::Only { "only" } else { "all except" };
            format!(
                "\ntorrents: {these} those of {} are served, {} of at most {capacity}\n",
                file.display(),
                list.count()
            )
        }
        Err(error) => format!("\nwarning: {error}; none of the torrents is served until that is corrected\n"),
    }
}

/// Describe a valid configuration.
pub fn check(config: &Config) -> String {
    let capacity = Capacity::of_budget(usize::try_from(config.memory_octets).unwrap_or(usize::MAX));
    let http = u64::from(config.http.connections) * CONNECTION_OCTETS as u64;
    let udp = config.listen.len() as u64 * udp::BUFFERS_OCTETS as u64;
    let whitelist = u64::from(config.access.capacity) * WHITELIST_ENTRY_OCTETS as u64;
    // A reload has the old and the new list for a moment.
    let torrents = match config.torrents.mode {
        TorrentMode::Any => 0,
        TorrentMode::Only | TorrentMode::Except => 2 * u64::from(config.torrents.capacity) * TORRENT_OCTETS as u64,
    };
    let fixed = PROGRAM_OCTETS + http + udp + whitelist + torrents;
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
        ("  torrents", torrents, format!("{} on the list, twice during a reload", config.torrents.capacity)),
    ];
    for (part, octets, remark) in lines {
        let _ = writeln!(text, "  {part:18} {:>9}  {remark}", brief_octets(octets));
    }
    let sides = housekeeping::sides_of(config, &interfaces::host());
    text.push_str("\ninterfaces, and the sides of their neighbours\n");
    sides.lines().iter().for_each(|line| text.extend(["  ", line, "\n"]));
    sides.warnings().iter().for_each(|warning| text.extend(["  warning: ", warning, "\n"]));
    text.push_str(&torrent_list(config));
    let Capacity { torrents, peers4, peers6, .. } = capacity;
    let _ = write!(
        text,
        "\ncapacity, for only one of these\n  {torrents:>9} torrents, of up to 4 IPv4 peers each\n  \
         {peers4:>9} IPv4 peers\n  {peers6:>9} IPv6 peers\n\n{}",
        config.resolved()
    );
    text
}
