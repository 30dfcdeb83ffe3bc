//! UDP: one datagram in, at most one out (BEP 15).

use super::tickets::Unserved;
use super::{Caller, Refusal, Sender, Tracker};
use crate::clock::Running;
use crate::wire::http::Ticketed;
use crate::wire::{Announce, AnnounceReply, Full, Transport, udp};

/// Error message for an invalid connection id. The reply is cut to the length of the request (rule 14).
const BAD_CONNECTION_ID: &str = "connection id expired or not yours: connect again";

/// Maximum length in bytes of the URL data that is read: a path with the longest ticket has 150.
const URL_OCTETS: usize = 255;

impl Tracker {
    /// Answer a datagram from `sender`: write the reply to the start of `out`, and return its length, or 0 for no reply.
    /// Until a connection id is verified, the reply is at most as long as `datagram` (rule 14).
    ///
    /// `out` should have [`udp::MAX_REPLY_OCTETS`] bytes; a reply that does not fit is dropped.
    pub fn answer_datagram(
        &mut self,
        now: Running,
        sender: impl Into<Sender>,
        datagram: &[u8],
        out: &mut [u8],
    ) -> usize {
        let sender = sender.into();
        // Rule 4: no client can receive a reply at port 0.
        if sender.port == 0 {
            self.counters.udp_source_port_zero += 1;
            return 0;
        }
        let caller = self.caller(sender);
        let written = match udp::parse(datagram) {
            Ok(udp::Request::Connect { transaction_id }) => {
                self.counters.connects_udp += 1;
                udp::emit_connect(out, transaction_id, self.connection_ids.issue(now, caller.address))
            }
            Ok(
                udp::Request::Announce { connection_id, transaction_id, .. }
                | udp::Request::Scrape { connection_id, transaction_id, .. },
            ) if !self.connection_ids.verify(now, caller.address, connection_id) => {
                self.counters.udp_bad_connection_id += 1;
                udp::emit_error(out, transaction_id, BAD_CONNECTION_ID, datagram.len())
            }
            // Rule 25: UDP names no client behind a proxy. Without this check, the address of the proxy would admit all.
            Ok(udp::Request::Announce { transaction_id, .. } | udp::Request::Scrape { transaction_id, .. })
                if self.is_proxy(caller.address) =>
            {
                self.counters.refusal(Refusal::UdpFromProxy);
                udp::emit_error(out, transaction_id, Refusal::UdpFromProxy.reason(), udp::MAX_REPLY_OCTETS)
            }
            Ok(udp::Request::Announce { transaction_id, announce, options, .. }) if !options.is_empty() => {
                self.answer_udp_announce_with_url(now, &caller, transaction_id, &announce, options, out)
            }
            Ok(udp::Request::Announce { transaction_id, announce, .. }) => {
                self.answer_udp_announce(now, &caller, transaction_id, &announce, out)
            }
            Ok(udp::Request::Scrape { transaction_id, info_hashes, .. }) => {
                self.answer_udp_scrape(now, &caller, transaction_id, info_hashes, out)
            }
            Err(_) => {
                self.counters.udp_malformed += 1;
                return 0;
            }
        };
        written.unwrap_or(0)
    }

    /// Answer an announce with the URL of the tracker in its options (BEP 41, "URLData"), which may have a ticket.
    #[cold]
    fn answer_udp_announce_with_url(
        &mut self,
        now: Running,
        caller: &Caller,
        transaction_id: u32,
        announce: &Announce,
        options: udp::Options<'_>,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let mut url = heapless::Vec::<u8, URL_OCTETS>::new();
        for piece in options.url_data() {
            // The path of a ticket is shorter, and its query is not needed.
            let room = URL_OCTETS - url.len();
            let _ = url.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        let path = url.split(|octet| *octet == b'?').next().unwrap_or_default();
        let Some(Ticketed::Announce(text)) = Ticketed::of(path) else {
            return self.answer_udp_announce(now, caller, transaction_id, announce, out);
        };
        let emit = |reply: &AnnounceReply<'_>| emit_reply(out, transaction_id, caller, reply);
        match self.announce_with_ticket(now, caller, Transport::Udp, announce, text, emit) {
            Ok(written) => written,
            Err(Unserved::Announce(refusal)) => emit_refusal(out, transaction_id, refusal.reason()),
            Err(Unserved::Ticket(refusal)) => emit_refusal(out, transaction_id, refusal.reason()),
        }
    }

    #[inline(always)]
    fn answer_udp_announce(
        &mut self,
        now: Running,
        caller: &Caller,
        transaction_id: u32,
        announce: &Announce,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        match self.announce_from(now, caller, Transport::Udp, announce) {
            Ok(reply) => emit_reply(out, transaction_id, caller, &reply),
            Err(refusal) => emit_refusal(out, transaction_id, refusal.reason()),
        }
    }

    fn answer_udp_scrape(
        &mut self,
        now: Running,
        caller: &Caller,
        transaction_id: u32,
        info_hashes: udp::InfoHashes<'_>,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        self.counters.scrapes_udp += 1;
        match self.may_scrape(now, caller) {
            Ok(()) => {
                let tick = self.pool.advance_to(now);
                udp::emit_scrape(out, transaction_id, info_hashes.map(|info_hash| self.scrape(tick, &info_hash)))
            }
            Err(refusal) => udp::emit_error(out, transaction_id, refusal.reason(), udp::MAX_REPLY_OCTETS),
        }
    }
}

#[inline(always)]
fn emit_reply(out: &mut [u8], transaction_id: u32, caller: &Caller, reply: &AnnounceReply<'_>) -> Result<usize, Full> {
    // Rule 10: the reply has the peers of the packet's address family.
    let peers = if caller.address.is_ipv4() { reply.peers4 } else { reply.peers6 };
    udp::emit_announce(out, transaction_id, reply.interval_seconds, reply.counts, peers)
}

fn emit_refusal(out: &mut [u8], transaction_id: u32, reason: &str) -> Result<usize, Full> {
    udp::emit_error(out, transaction_id, reason, udp::MAX_REPLY_OCTETS)
}
