//! Counters of events: one number for each outcome, and one place that maps outcomes to numbers.

use super::Refusal;
use super::announce::Outcome;
use super::tickets::{Accepted, TicketRefusal};
use crate::horizon::Horizon;
use crate::pool::Evicted;
use crate::wire::{Announce, Event, Transport};

/// Numbers of events since the start. The shell counts its own events here too, such as those of sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name describes its counter")]
pub struct Counters {
    pub announces_http: u64,
    pub announces_udp: u64,
    pub announces_wan_http: u64,
    pub announces_wan_udp: u64,
    pub announces_seeder: u64,
    pub announces_leecher: u64,
    pub announces_started: u64,
    pub announces_completed: u64,
    pub announces_stopped: u64,
    pub announces_paused: u64,
    pub announces_early: u64,
    pub downloads_completed: u64,
    pub scrapes_http: u64,
    pub scrapes_udp: u64,
    pub connects_udp: u64,
    pub refused_not_whitelisted: u64,
    pub refused_wan_closed: u64,
    pub refused_torrent: u64,
    pub refused_port_zero: u64,
    pub refused_udp_from_proxy: u64,
    pub tickets_known: u64,
    pub tickets_added: u64,
    pub tickets_moved: u64,
    pub tickets_too_long: u64,
    pub tickets_cut_short: u64,
    pub tickets_escaped: u64,
    pub tickets_wrong_case: u64,
    pub tickets_malformed: u64,
    pub tickets_expired: u64,
    pub tickets_not_yet_valid: u64,
    pub tickets_unknown_key: u64,
    pub tickets_revoked: u64,
    pub tickets_forged: u64,
    pub tickets_over_limit: u64,
    pub tickets_try_later: u64,
    pub tickets_whitelist_full: u64,
    pub tickets_wrong_side: u64,
    pub peers_added: u64,
    pub peers_not_stored: u64,
    pub peers_evicted_stale: u64,
    pub peers_evicted_greedy: u64,
    pub peers_expired: u64,
    pub peers_revoked: u64,
    pub entries_retired: u64,
    pub udp_malformed: u64,
    pub udp_bad_connection_id: u64,
    pub udp_source_port_zero: u64,
    pub udp_replies_dropped: u64,
    pub http_connections: u64,
    pub http_connections_given_up: u64,
    pub http_connections_timed_out: u64,
    pub http_bad_requests: u64,
    pub http_bad_parameters: u64,
    pub http_bad_forwarded_for: u64,
    pub http_forgotten_proxy: u64,
    pub http_bad_proxy_header: u64,
    pub http_not_found: u64,
}

impl Counters {
    /// Return every counter with its name, in an order that is easy to read.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        self.of_requests().into_iter().chain(self.of_state())
    }

    const fn of_requests(&self) -> [(&'static str, u64); 37] {
        [
            ("announces_http", self.announces_http),
            ("announces_udp", self.announces_udp),
            ("announces_wan_http", self.announces_wan_http),
            ("announces_wan_udp", self.announces_wan_udp),
            ("announces_seeder", self.announces_seeder),
            ("announces_leecher", self.announces_leecher),
            ("announces_started", self.announces_started),
            ("announces_completed", self.announces_completed),
            ("announces_stopped", self.announces_stopped),
            ("announces_paused", self.announces_paused),
            ("announces_early", self.announces_early),
            ("downloads_completed", self.downloads_completed),
            ("scrapes_http", self.scrapes_http),
            ("scrapes_udp", self.scrapes_udp),
            ("connects_udp", self.connects_udp),
            ("refused_not_whitelisted", self.refused_not_whitelisted),
            ("refused_wan_closed", self.refused_wan_closed),
            ("refused_torrent", self.refused_torrent),
            ("refused_port_zero", self.refused_port_zero),
            ("refused_udp_from_proxy", self.refused_udp_from_proxy),
            ("tickets_known", self.tickets_known),
            ("tickets_added", self.tickets_added),
            ("tickets_moved", self.tickets_moved),
            ("tickets_too_long", self.tickets_too_long),
            ("tickets_cut_short", self.tickets_cut_short),
            ("tickets_escaped", self.tickets_escaped),
            ("tickets_wrong_case", self.tickets_wrong_case),
            ("tickets_malformed", self.tickets_malformed),
            ("tickets_expired", self.tickets_expired),
            ("tickets_not_yet_valid", self.tickets_not_yet_valid),
            ("tickets_unknown_key", self.tickets_unknown_key),
            ("tickets_revoked", self.tickets_revoked),
            ("tickets_forged", self.tickets_forged),
            ("tickets_over_limit", self.tickets_over_limit),
            ("tickets_try_later", self.tickets_try_later),
            ("tickets_whitelist_full", self.tickets_whitelist_full),
            ("tickets_wrong_side", self.tickets_wrong_side),
        ]
    }

    const fn of_state(&self) -> [(&'static str, u64); 20] {
        [
            ("peers_added", self.peers_added),
            ("peers_not_stored", self.peers_not_stored),
            ("peers_evicted_stale", self.peers_evicted_stale),
            ("peers_evicted_greedy", self.peers_evicted_greedy),
            ("peers_expired", self.peers_expired),
            ("peers_revoked", self.peers_revoked),
            ("entries_retired", self.entries_retired),
            ("udp_malformed", self.udp_malformed),
            ("udp_bad_connection_id", self.udp_bad_connection_id),
            ("udp_source_port_zero", self.udp_source_port_zero),
            ("udp_replies_dropped", self.udp_replies_dropped),
            ("http_connections", self.http_connections),
            ("http_connections_given_up", self.http_connections_given_up),
            ("http_connections_timed_out", self.http_connections_timed_out),
            ("http_bad_requests", self.http_bad_requests),
            ("http_bad_parameters", self.http_bad_parameters),
            ("http_bad_forwarded_for", self.http_bad_forwarded_for),
            ("http_forgotten_proxy", self.http_forgotten_proxy),
            ("http_bad_proxy_header", self.http_bad_proxy_header),
            ("http_not_found", self.http_not_found),
        ]
    }

    /// Count an announce and its outcome.
    pub(super) fn announce(
        &mut self,
        transport: Transport,
        horizon: Horizon,
        announce: &Announce,
        outcome: Result<Outcome, Refusal>,
    ) {
        let from_wan = u64::from(horizon == Horizon::Wan);
        match transport {
            Transport::Http => {
                self.announces_http += 1;
                self.announces_wan_http += from_wan;
            }
            Transport::Udp => {
                self.announces_udp += 1;
                self.announces_wan_udp += from_wan;
            }
        }
        let outcome = match outcome {
            Err(refusal) => return self.refusal(refusal),
            Ok(outcome) => outcome,
        };
        match announce.event {
            Event::Update => {}
            Event::Started => self.announces_started += 1,
            Event::Completed => self.announces_completed += 1,
            Event::Stopped => self.announces_stopped += 1,
            Event::Paused => self.announces_paused += 1,
        }
        if announce.left == 0 {
            self.announces_seeder += 1;
        } else {
            self.announces_leecher += 1;
        }
        match outcome {
            Outcome::Added => self.peers_added += 1,
            Outcome::NotStored => self.peers_not_stored += 1,
            Outcome::Early => self.announces_early += 1,
            Outcome::Completed => self.downloads_completed += 1,
            Outcome::Refreshed | Outcome::Left => {}
        }
    }

    /// Count a ticket that was shown.
    pub(super) fn ticket(&mut self, shown: Result<Accepted, TicketRefusal>) {
        match shown {
            Ok(Accepted::NotNeeded) => {}
            Ok(Accepted::Known) => self.tickets_known += 1,
            Ok(Accepted::Added) => self.tickets_added += 1,
            Ok(Accepted::Moved) => self.tickets_moved += 1,
            Err(TicketRefusal::TooLong) => self.tickets_too_long += 1,
            Err(TicketRefusal::CutShort) => self.tickets_cut_short += 1,
            Err(TicketRefusal::Escaped) => self.tickets_escaped += 1,
            Err(TicketRefusal::WrongCase) => self.tickets_wrong_case += 1,
            Err(TicketRefusal::Malformed) => self.tickets_malformed += 1,
            Err(TicketRefusal::Expired) => self.tickets_expired += 1,
            Err(TicketRefusal::NotYetValid) => self.tickets_not_yet_valid += 1,
            Err(TicketRefusal::UnknownKey) => self.tickets_unknown_key += 1,
            Err(TicketRefusal::Revoked) => self.tickets_revoked += 1,
            Err(TicketRefusal::Forged) => self.tickets_forged += 1,
            Err(TicketRefusal::OverLimit) => self.tickets_over_limit += 1,
            Err(TicketRefusal::TryLater) => self.tickets_try_later += 1,
            Err(TicketRefusal::WhitelistFull) => self.tickets_whitelist_full += 1,
            Err(TicketRefusal::WrongSide) => self.tickets_wrong_side += 1,
        }
    }

    /// Return the counters of requests that were refused, with their names.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let accepted = ["tickets_known", "tickets_added", "tickets_moved"];
        let is_refusal =
            |name: &str| (name.starts_with("refused_") || name.starts_with("tickets_")) && !accepted.contains(&name);
        self.named().filter(|(name, _)| is_refusal(name)).collect()
    }

    /// Return the number of requests of both transports, refused ones included.
    pub const fn requests(&self) -> u64 {
        self.announces_http
            + self.announces_udp
            + self.scrapes_http
            + self.scrapes_udp
            + self.connects_udp
            + self.udp_bad_connection_id
    }

    /// Return the number of addresses that tickets brought to the whitelist.
    pub const fn logins(&self) -> u64 {
        self.tickets_added + self.tickets_moved
    }

    pub(super) fn refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::NotWhitelisted { .. } => self.refused_not_whitelisted += 1,
            Refusal::WanClosed => self.refused_wan_closed += 1,
            Refusal::TorrentNotServed => self.refused_torrent += 1,
            Refusal::PortZero => self.refused_port_zero += 1,
            Refusal::UdpFromProxy => self.refused_udp_from_proxy += 1,
        }
    }

    pub(super) fn evicted(&mut self, evicted: Evicted) {
        self.peers_evicted_stale += evicted.stale;
        self.peers_evicted_greedy += evicted.greedy;
    }
}
