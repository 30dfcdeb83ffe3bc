//! Counters of events: one number for each outcome, and one place that maps outcomes to numbers.

use super::Refusal;
use super::announce::Outcome;
use crate::pool::Evicted;
use crate::wire::{Announce, Event, Transport};

/// Numbers of events since the start. The shell counts its own events here too, such as those of sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name describes its counter")]
pub struct Counters {
    pub announces_http: u64,
    pub announces_udp: u64,
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
    pub refused_port_zero: u64,
    pub refused_udp_from_proxy: u64,
    pub peers_added: u64,
    pub peers_not_stored: u64,
    pub peers_evicted_stale: u64,
    pub peers_evicted_greedy: u64,
    pub peers_expired: u64,
    pub peers_revoked: u64,
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
    pub fn named(&self) -> [(&'static str, u64); 36] {
        [
            ("announces_http", self.announces_http),
            ("announces_udp", self.announces_udp),
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
            ("refused_port_zero", self.refused_port_zero),
            ("refused_udp_from_proxy", self.refused_udp_from_proxy),
            ("peers_added", self.peers_added),
            ("peers_not_stored", self.peers_not_stored),
            ("peers_evicted_stale", self.peers_evicted_stale),
            ("peers_evicted_greedy", self.peers_evicted_greedy),
            ("peers_expired", self.peers_expired),
            ("peers_revoked", self.peers_revoked),
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
    pub(super) fn announce(&mut self, transport: Transport, announce: &Announce, outcome: Result<Outcome, Refusal>) {
        match transport {
            Transport::Http => self.announces_http += 1,
            Transport::Udp => self.announces_udp += 1,
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

    pub(super) fn refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::NotWhitelisted { .. } => self.refused_not_whitelisted += 1,
            Refusal::WanClosed => self.refused_wan_closed += 1,
            Refusal::PortZero => self.refused_port_zero += 1,
            Refusal::UdpFromProxy => self.refused_udp_from_proxy += 1,
        }
    }

    pub(super) fn evicted(&mut self, evicted: Evicted) {
        self.peers_evicted_stale += evicted.stale;
        self.peers_evicted_greedy += evicted.greedy;
    }
}
