//! Conversion of the configuration into the settings of the core and of the servers.

use std::path::PathBuf;

use crate::config::Config;
use crate::net::admin::GateSettings;
use crate::net::http::Timeouts;
use crate::shared::{Shared, TorrentSettings};
use crate::tracker::{External, Policy, Settings};

/// Return the settings to build the core from.
pub(super) fn of(config: &Config) -> Settings {
    Settings {
        memory_octets: usize::try_from(config.memory_octets).unwrap_or(usize::MAX),
        whitelist_capacity: config.access.capacity as usize,
        peer_timeout: config.announce.peer_timeout,
        lan: config.network.lan.clone(),
        policy: policy(config, External::default()),
    }
}

/// Return the settings that may change during a run.
pub(super) fn policy(config: &Config, external: External) -> Policy {
    Policy {
        interval: config.announce.interval,
        min_interval: config.announce.min_interval,
        max_peers: config.announce.max_peers as u16,
        default_peers: config.announce.default_peers as u16,
        lan: config.access.lan,
        wan: config.access.wan,
        retire_after: config.access.retire_after,
        retry_in: config.access.retry_in,
        external,
        proxies: config.network.proxies.clone(),
        forwarded_header: config.network.forwarded_header,
        proxy_protocol: config.network.proxy_protocol,
    }
}

/// Use the keys, the audience and the links of the configuration for tickets.
pub(super) fn configure_tickets(config: &Config, shared: &Shared) {
    let audience = config.tickets.audience.clone().unwrap_or_default();
    shared.public_url.replace(config.public_url());
    shared.tickets.configure(&mut shared.tracker.borrow_mut(), config.tickets.keys.clone(), audience);
}

/// Return the settings of the list of torrents in `file`.
pub(super) fn torrents(config: &Config, file: PathBuf) -> TorrentSettings {
    TorrentSettings { mode: config.torrents.mode, file, capacity: config.torrents.capacity as usize }
}

/// Return the settings of the TCP address of the admin API.
pub(super) fn gate(config: &Config) -> GateSettings<'_> {
    GateSettings {
        token_file: config.admin.token_file.as_deref(),
        read_token_file: config.admin.read_token_file.as_deref(),
        metrics_from: &config.admin.metrics_from,
        names: &config.admin.names,
    }
}

/// Return the HTTP server's time limits.
pub(super) fn http_timeouts(config: &Config) -> Timeouts {
    Timeouts { head: config.http.head_timeout, idle: config.http.idle_timeout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_core_are_those_of_the_configuration() {
        let (core, configured) = (Settings::default(), of(&Config::default()));
        assert_eq!(format!("{:?}", core.policy), format!("{:?}", configured.policy));
        let sizes = |settings: &Settings| (settings.memory_octets, settings.whitelist_capacity, settings.peer_timeout);
        assert_eq!(sizes(&core), sizes(&configured));
    }
}
