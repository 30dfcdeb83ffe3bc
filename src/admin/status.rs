//! The state of the tracker.

use crate::api::{self, Status};
use crate::shared::{AnnounceUrl, Shared};
use crate::torrents::TorrentRules;
use crate::tracker::{Horizon, Part, Tracker};
use crate::{sides, store};

/// Return the state of the tracker.
pub fn status(shared: &Shared) -> Status {
    let tracker = shared.tracker.borrow();
    let usage = tracker.usage();
    let named = tracker.counters.named().map(|(name, count)| (name.into(), count));
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_seconds: shared.uptime_seconds(),
        running_seconds: shared.now().seconds(),
        announce_urls: shared.announce_urls.borrow().iter().map(announce_url).collect(),
        public_url: shared.public_url.borrow().clone(),
        admission: admission(&tracker),
        http_connections: api::Room {
            entries: shared.http_connections.get().into(),
            capacity: shared.http_capacity.get().into(),
        },
        memory: api::Memory {
            budget_octets: usage.budget_octets as u64,
            lines: usage.lines as u64,
            lines_in_use: usage.lines_in_use as u64,
            swarms: usage.swarms as u64,
            peers: (usage.seeders + usage.leechers) as u64,
            seeders: usage.seeders as u64,
            leechers: usage.leechers as u64,
            lan_peers: usage.parts.iter().filter(|part| part.horizon == Horizon::Lan).map(peers).sum(),
        },
        whitelist: api::Room { entries: usage.whitelist_entries as u64, capacity: usage.whitelist_capacity as u64 },
        torrents: torrents(shared, tracker.torrents()),
        flash: api::Flash { octets_written: shared.store.flash_octets_written() },
        disk: disk(shared.store.health()),
        interfaces: shared.sides.borrow().interfaces.iter().map(interface).collect(),
        warnings: warnings(shared),
        counters: api::Counters(named.collect()),
    }
}

fn peers(part: &Part) -> u64 {
    (part.seeders + part.leechers) as u64
}

fn announce_url(url: &AnnounceUrl) -> api::AnnounceUrl {
    api::AnnounceUrl { url: url.url.clone(), side: url.horizon.name().into() }
}

fn admission(tracker: &Tracker) -> api::Admissions {
    let policy = tracker.policy();
    api::Admissions { lan: policy.lan.name().into(), wan: policy.wan.name().into() }
}

fn torrents(shared: &Shared, rules: &TorrentRules) -> api::TorrentUse {
    api::TorrentUse {
        mode: rules.mode.name().into(),
        entries: rules.list.as_ref().map_or(0, |list| list.count() as u64),
        capacity: shared.torrents.settings().capacity as u64,
    }
}

fn interface(of: &sides::Interface) -> api::Interface {
    api::Interface {
        name: of.name.clone(),
        side: of.side.to_string(),
        reason: of.reason.to_string(),
        networks: of.networks.iter().map(ToString::to_string).collect(),
    }
}

/// Return the warnings about the interfaces, the clock, the list of torrents, and the sources of the requests.
pub(super) fn warnings(shared: &Shared) -> Vec<String> {
    let mut warnings = shared.sides.borrow().warnings();
    if shared.wall().is_none() {
        warnings.push("the system clock is not set: end dates of whitelist entries have no effect until it is".into());
    }
    warnings.extend(shared.torrents.warning(&shared.tracker.borrow()));
    warnings.extend(shared.tracker.borrow().suspects().map(|suspect| suspect.to_string()));
    warnings
}

fn disk(health: store::Health) -> api::Disk {
    let store::Health { failing, export_failing, recovered, failures, rebuilds } = health;
    api::Disk { failing, export_failing, recovered, failures, rebuilds }
}
