//! Constraints between keys.

use core::time::Duration;
use std::path::Path;

use super::units::{seconds, show_duration};
use super::{Config, paths};

/// Conflict between two keys. The first is the one to change.
#[derive(Debug)]
pub(super) struct Disagreement {
    pub(super) keys: [&'static str; 2],
    pub(super) message: String,
}

/// Return the first conflict between two keys.
pub(super) fn disagreement(config: &Config) -> Option<Disagreement> {
    let checks = [min_interval, peer_timeout, default_peers, external_v4, external_v6, tokens, socket, listen];
    checks.into_iter().find_map(|check| check(config))
}

/// Time between two announces of libtorrent over UDP, at least, and some seconds until the second one arrives.
const LIBTORRENT_INTERVAL: Duration = seconds(70);

/// Describe valid settings that are probably mistakes.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let timeout = config.announce.peer_timeout;
    let is_short = timeout < LIBTORRENT_INTERVAL;
    let text = format!(
        "announce.peer_timeout: {} is short: libtorrent announces over UDP at most once a minute, so its peers are \
         forgotten in between; set it to at least {}",
        show_duration(timeout),
        show_duration(LIBTORRENT_INTERVAL)
    );
    is_short.then_some(text).into_iter().collect()
}

fn disagree(keys: [&'static str; 2], message: String) -> Option<Disagreement> {
    Some(Disagreement { keys, message })
}

fn min_interval(config: &Config) -> Option<Disagreement> {
    let (min, interval) = (config.announce.min_interval, config.announce.interval);
    if min <= interval {
        return None;
    }
    let message = format!("{} is more than announce.interval ({})", show_duration(min), show_duration(interval));
    disagree(["announce.min_interval", "announce.interval"], message)
}

/// Check that a peer outlives the interval. Replies vary it by up to 10 %, and a client may be some time late.
fn peer_timeout(config: &Config) -> Option<Disagreement> {
    let (timeout, interval) = (config.announce.peer_timeout, config.announce.interval);
    let least = seconds((interval.as_secs() * 6).div_ceil(5));
    if timeout >= least {
        return None;
    }
    let message = format!(
        "{} is less than 1.2 times announce.interval ({}), so peers would be forgotten before their next announce; set \
         it to at least {}",
        show_duration(timeout),
        show_duration(interval),
        show_duration(least)
    );
    disagree(["announce.peer_timeout", "announce.interval"], message)
}

fn default_peers(config: &Config) -> Option<Disagreement> {
    let (default, max) = (config.announce.default_peers, config.announce.max_peers);
    if default <= max {
        return None;
    }
    disagree(
        ["announce.default_peers", "announce.max_peers"],
        format!("{default} is more than announce.max_peers ({max})"),
    )
}

fn external_v4(config: &Config) -> Option<Disagreement> {
    external("network.external_v4", config.network.external_v4?.into(), config)
}

fn external_v6(config: &Config) -> Option<Disagreement> {
    external("network.external_v6", config.network.external_v6?.into(), config)
}

/// Check that an external address is not one of the LAN, which is useless outside and must never be sent there.
fn external(key: &'static str, address: core::net::IpAddr, config: &Config) -> Option<Disagreement> {
    let net = config.network.lan.iter().find(|net| net.contains(&address))?;
    disagree(
        [key, "network.lan"],
        format!("{address} is inside network.lan ({net}), so it cannot be reached from outside"),
    )
}

fn tokens(config: &Config) -> Option<Disagreement> {
    let same = config.admin.token_file.as_ref().filter(|file| config.admin.read_token_file.as_ref() == Some(file))?;
    let message =
        format!("{} is the file of admin.token_file too, so its token would do more than read", same.display());
    disagree(["admin.read_token_file", "admin.token_file"], message)
}

/// Maximum length of the path of a Unix socket, in bytes (`sun_path` without its NUL).
const MOST_SOCKET_OCTETS: usize = 107;

fn socket(config: &Config) -> Option<Disagreement> {
    let too_long = |path: &Path| path.as_os_str().len() > MOST_SOCKET_OCTETS;
    let message = |path: &Path, advice| {
        let octets = path.as_os_str().len();
        format!("the path of the socket would have {octets} bytes; the maximum is {MOST_SOCKET_OCTETS}{advice}")
    };
    match (&config.admin.socket, &config.data_dir) {
        (Some(socket), _) if too_long(socket) => disagree(["admin.socket", "data_dir"], message(socket, "")),
        (None, Some(data_dir)) => {
            let socket = paths::socket_in(data_dir);
            let message = too_long(&socket).then(|| message(&socket, "; set admin.socket to a shorter path"))?;
            disagree(["data_dir", "admin.socket"], message)
        }
        _ => None,
    }
}

fn listen(config: &Config) -> Option<Disagreement> {
    let mut rest = config.listen.as_slice();
    while let Some((address, others)) = rest.split_first() {
        if address.port() != 0 && others.contains(address) {
            return disagree(["listen", "listen"], format!("{address} is listed twice"));
        }
        rest = others;
    }
    let tcp = config.admin.listen.filter(|address| address.port() != 0 && config.listen.contains(address))?;
    disagree(["admin.listen", "listen"], format!("{tcp} is already used by listen"))
}
