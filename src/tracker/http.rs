//! HTTP: one request in, one response out (BEP 3, BEP 48).

use core::fmt::Write;
use core::net::IpAddr;
use core::slice;

use super::{Ahead, Caller, Refusal, Sender, Tracker};
use crate::clock::Running;
use crate::horizon::Horizon;
use crate::http::query::parameters;
use crate::http::{
    ForwardingHeader, Head, HeadStatus, Method, NoClient, Status, all_forwarded, forwarded_client, parse_head,
};
use crate::wire::http::{self, Failure, RetryIn, Target, Ticketed};
use crate::wire::{Announce, Full, InfoHash, SwarmCounts, Transport};

/// Size in bytes of the longest response: a scrape of 74 swarms.
pub const MAX_RESPONSE_OCTETS: usize = {
    let announce = http::ANNOUNCE_REPLY_OVERHEAD_OCTETS + super::PEERS4_OCTETS + super::PEERS6_OCTETS;
    if announce > http::MAX_SCRAPE_REPLY_OCTETS { announce } else { http::MAX_SCRAPE_REPLY_OCTETS }
};

const NOT_FOUND: &str = "Not found. This is a BitTorrent tracker; its paths are /announce and /scrape.\n";
const FRONT_PAGE: &str = "This is nakodo, a BitTorrent tracker. Put this address with /announce into a torrent.\n";
const BAD_REQUEST: &str = "The request is not valid HTTP.\n";
const BAD_METHOD: &str = "Method not allowed. The tracker answers GET, HEAD and OPTIONS.\n";
const HEAD_TOO_LONG: &str = "The head of the request is too long.\n";

/// Time after which a client that should never come back may ask again, if it does not know BEP 31.
const NEVER_SECONDS: u32 = 24 * 60 * 60;

/// Maximum length in bytes of a `Host` header that a failure reason repeats.
const HOST_OCTETS: usize = 128;

/// Reason why the client of a request is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hidden {
    /// A trusted proxy names no client.
    ByProxy(NoClient),
    /// A proxy that is not in the configuration names a client outside the local networks. Without this check, the
    /// address of the proxy would admit the world (rule 25).
    ByForgottenProxy(IpAddr),
}

/// Answer to the bytes that a connection has sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The head of the request is not complete yet.
    Incomplete,
    /// A response was written.
    Response {
        /// Size of the request in bytes. The bytes after it belong to the next request.
        consumed: usize,
        /// Size of the response in bytes.
        written: usize,
        /// Whether the connection stays open.
        keep_alive: bool,
        /// Whether the request was served. If not, the client may still be sending the rest of it.
        ok: bool,
    },
}

/// An announce over HTTP that was read, and waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct AnnounceRequest {
    caller: Caller,
    announce: Announce,
    consumed: usize,
    keep_alive: bool,
    method: Method,
}

impl AnnounceRequest {
    /// Return the form that [`Tracker::look_ahead`] needs.
    pub fn ahead(&self) -> Ahead {
        Ahead::new(self.caller.address, &self.announce)
    }
}

impl Tracker {
    /// Read the first request in `received`, which came from `sender`, if it is a complete and valid announce.
    ///
    /// This serves a batch: read several announces, prefetch for all of them ([`Tracker::look_ahead`]), and then answer
    /// each. For one request of any kind, call [`Self::answer_request`].
    pub fn read_announce(&self, sender: impl Into<Sender>, received: &[u8]) -> Option<AnnounceRequest> {
        let HeadStatus::Complete(head) = parse_head(received) else { return None };
        if !is_answered(head.method) || Target::of(head.path) != Target::Announce {
            return None;
        }
        let (caller, announce) =
            (self.client_behind(sender.into(), &head).ok()?, http::parse_announce(head.query).ok()?);
        Some(AnnounceRequest {
            caller,
            announce,
            consumed: head.octets,
            keep_alive: head.keep_alive,
            method: head.method,
        })
    }

    /// Answer an announce from [`Self::read_announce`]. `out` is as for [`Self::answer_request`].
    pub fn answer_announce(&mut self, now: Running, request: &AnnounceRequest, out: &mut [u8]) -> Answer {
        let AnnounceRequest { caller, announce, consumed, keep_alive, method } = *request;
        let written = self.respond_to_announce(now, &caller, &announce, keep_alive, out).unwrap_or(0);
        Answer::Response { consumed, written: sent_octets(method, &out[..written]), keep_alive, ok: true }
    }

    /// Answer the first request in `received`, which came from `sender`. The response is written to the start of `out`,
    /// which must have [`MAX_RESPONSE_OCTETS`] bytes.
    pub fn answer_request(
        &mut self,
        now: Running,
        sender: impl Into<Sender>,
        received: &[u8],
        out: &mut [u8],
    ) -> Answer {
        match parse_head(received) {
            HeadStatus::Complete(head) => {
                let ok = is_served(&head);
                let written = self.respond(now, sender.into(), &head, out).unwrap_or(0);
                let written = sent_octets(head.method, &out[..written]);
                Answer::Response { consumed: head.octets, written, keep_alive: head.keep_alive, ok }
            }
            HeadStatus::Incomplete => Answer::Incomplete,
            HeadStatus::Malformed => self.give_up_on(received, Status::BadRequest, BAD_REQUEST, out),
            HeadStatus::TooManyHeaders => self.answer_long_head(received, out),
        }
    }

    /// Answer a head that does not fit its buffer (rule 24). The connection is closed after the response.
    pub fn answer_long_head(&mut self, received: &[u8], out: &mut [u8]) -> Answer {
        self.give_up_on(received, Status::HeaderFieldsTooLarge, HEAD_TOO_LONG, out)
    }

    fn give_up_on(&mut self, received: &[u8], status: Status, text: &str, out: &mut [u8]) -> Answer {
        self.counters.http_bad_requests += 1;
        let written = http::emit_plain(out, status, text, false).unwrap_or(0);
        Answer::Response { consumed: received.len(), written, keep_alive: false, ok: false }
    }

    fn respond(&mut self, now: Running, sender: Sender, head: &Head<'_>, out: &mut [u8]) -> Result<usize, Full> {
        let keep_alive = head.keep_alive;
        if head.method == Method::Options {
            return http::emit_options(out, keep_alive);
        }
        if !is_answered(head.method) {
            self.counters.http_bad_requests += 1;
            return http::emit_plain(out, Status::MethodNotAllowed, BAD_METHOD, keep_alive);
        }
        let target = Target::of(head.path);
        if target == Target::Other
            && let Some(ticketed) = Ticketed::of(head.path)
        {
            return self.answer_ticketed(now, self.client_behind(sender, head), ticketed, head, out);
        }
        match target {
            Target::Other if names_an_info_hash(head.query) => self.answer_at_wrong_path(head, out),
            Target::Other if is_front_page(head) => http::emit_plain(out, Status::Ok, FRONT_PAGE, keep_alive),
            Target::Other => {
                self.counters.http_not_found += 1;
                http::emit_plain(out, Status::NotFound, NOT_FOUND, keep_alive)
            }
            target => match self.client_behind(sender, head) {
                Ok(caller) if target == Target::Announce => {
                    self.answer_http_announce(now, &caller, head.query, keep_alive, out)
                }
                Ok(caller) => self.answer_http_scrape(now, &caller, head.query, keep_alive, out),
                Err(hidden) => self.refuse_forwarded(hidden, keep_alive, out),
            },
        }
    }

    /// Return whether `address` is that of a proxy, which forwards the requests of other clients.
    #[inline]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        // Most trackers have no proxy.
        !self.policy.proxies.is_empty() && self.is_in_proxies(address.to_canonical())
    }

    /// Return whether a connection from `address` starts with a header of the PROXY protocol.
    pub fn expects_proxy_header(&self, address: IpAddr) -> bool {
        self.policy.proxy_protocol && self.is_proxy(address)
    }

    #[inline(never)]
    fn is_in_proxies(&self, address: IpAddr) -> bool {
        self.policy.proxies.iter().any(|proxy| proxy.contains(&address))
    }

    /// Return the client of a request: the client that a trusted proxy names, or else the sender itself (rule 25).
    ///
    /// A local client that forwards a request of a client outside is a proxy that is not in the configuration.
    fn client_behind(&self, sender: Sender, head: &Head<'_>) -> Result<Caller, Hidden> {
        let header = self.policy.forwarded_header;
        let (client, headers) = if self.is_proxy(sender.address) {
            let client = forwarded_client(head, header, |hop| self.is_proxy(hop)).map_err(Hidden::ByProxy)?;
            (client.into(), slice::from_ref(&header))
        } else {
            (sender, &ForwardingHeader::ALL[..])
        };
        let caller = self.caller(client);
        let is_at_home = |hop| self.is_proxy(hop) || self.networks.horizon(hop) == Horizon::Lan;
        if head.is_forwarded && caller.horizon == Horizon::Lan && !all_forwarded(head, headers, is_at_home) {
            return Err(Hidden::ByForgottenProxy(client.address));
        }
        Ok(caller)
    }

    /// Refuse a request whose client is unknown.
    #[cold]
    pub(super) fn refuse_forwarded(&mut self, hidden: Hidden, keep_alive: bool, out: &mut [u8]) -> Result<usize, Full> {
        let header = self.policy.forwarded_header.name();
        let mut reason = heapless::String::<160>::new();
        // The texts fit: the longest is shorter by a quarter.
        let _ = match hidden {
            Hidden::ByProxy(no_client) => {
                self.counters.http_bad_forwarded_for += 1;
                write!(reason, "the proxy in front of this tracker must send the address of the client in {header}; ")
                    .and_then(|()| reason.push_str(no_client_reason(no_client)).map_err(|_| core::fmt::Error))
            }
            Hidden::ByForgottenProxy(proxy) => {
                self.counters.http_forgotten_proxy += 1;
                self.sources.forgotten_proxy = Some(proxy.to_canonical());
                write!(reason, "this request came through a proxy that is not in the tracker's network.proxies")
            }
        };
        http::emit_failure(out, &self.failure(reason.as_bytes()), keep_alive)
    }

    /// Refuse an announce or a scrape at another path, and name the right URL (rule 29).
    #[cold]
    fn answer_at_wrong_path(&mut self, head: &Head<'_>, out: &mut [u8]) -> Result<usize, Full> {
        self.counters.http_not_found += 1;
        let host = head.host().filter(|host| host.len() <= HOST_OCTETS).unwrap_or("HOST:PORT");
        let mut reason = heapless::String::<{ 64 + HOST_OCTETS }>::new();
        let _ = write!(reason, "wrong path: the announce URL of this tracker is http://{host}/announce");
        http::emit_failure(out, &self.failure(reason.as_bytes()), head.keep_alive)
    }

    /// Return a failure after which the client may retry as after a usual reply.
    const fn failure<'a>(&self, reason: &'a [u8]) -> Failure<'a> {
        Failure { reason, retry_in: RetryIn::Absent, interval_seconds: self.pace.interval_seconds }
    }

    fn answer_http_announce(
        &mut self,
        now: Running,
        caller: &Caller,
        query: &[u8],
        keep_alive: bool,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        match http::parse_announce(query) {
            Ok(announce) => self.respond_to_announce(now, caller, &announce, keep_alive, out),
            Err(error) => self.bad_parameters(error.reason(), keep_alive, out),
        }
    }

    fn respond_to_announce(
        &mut self,
        now: Running,
        caller: &Caller,
        announce: &Announce,
        keep_alive: bool,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        match self.announce_from(now, caller, Transport::Http, announce) {
            Ok(reply) => http::emit_announce(out, &reply, keep_alive),
            Err(refusal) => self.emit_refusal(out, refusal, keep_alive),
        }
    }

    pub(super) fn answer_http_scrape(
        &mut self,
        now: Running,
        caller: &Caller,
        query: &[u8],
        keep_alive: bool,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let info_hashes = match http::parse_scrape(query) {
            Ok(info_hashes) => info_hashes,
            Err(error) => return self.bad_parameters(error.reason(), keep_alive, out),
        };
        self.counters.scrapes_http += 1;
        if let Err(refusal) = self.may_scrape(now, caller) {
            return self.emit_refusal(out, refusal, keep_alive);
        }
        let tick = self.pool.advance_to(now);
        let file = |info_hash: &InfoHash| -> (InfoHash, SwarmCounts) { (*info_hash, self.scrape(tick, info_hash)) };
        http::emit_scrape(out, info_hashes.iter().map(file), keep_alive)
    }

    pub(super) fn bad_parameters(&mut self, reason: &str, keep_alive: bool, out: &mut [u8]) -> Result<usize, Full> {
        self.counters.http_bad_parameters += 1;
        http::emit_failure(out, &self.failure(reason.as_bytes()), keep_alive)
    }

    /// Write a refusal, with the time after which the client may retry (rule 30).
    pub(super) fn emit_refusal(&self, out: &mut [u8], refusal: Refusal, keep_alive: bool) -> Result<usize, Full> {
        let (retry_in, interval_seconds) = match refusal {
            Refusal::NotWhitelisted { retry_in_minutes } => (RetryIn::Minutes(retry_in_minutes), retry_in_minutes * 60),
            Refusal::WanClosed => (RetryIn::Never, NEVER_SECONDS),
            // Its operator may serve the torrent later.
            Refusal::TorrentNotServed => {
                (RetryIn::Minutes(self.pace.retry_in_minutes), self.pace.retry_in_minutes * 60)
            }
            Refusal::PortZero | Refusal::UdpFromProxy => (RetryIn::Absent, self.pace.interval_seconds),
        };
        http::emit_failure(
            out,
            &Failure { reason: refusal.reason().as_bytes(), retry_in, interval_seconds },
            keep_alive,
        )
    }
}

fn is_front_page(head: &Head<'_>) -> bool {
    head.path == b"/"
}

/// Return whether the response to this request has a status of success.
fn is_served(head: &Head<'_>) -> bool {
    let is_page = Target::of(head.path) != Target::Other
        || is_front_page(head)
        || names_an_info_hash(head.query)
        || Ticketed::of(head.path).is_some();
    head.method == Method::Options || is_answered(head.method) && is_page
}

const fn is_answered(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head)
}

/// Return the number of bytes of a response to send: for a HEAD request, only those of its head.
fn sent_octets(method: Method, response: &[u8]) -> usize {
    if method == Method::Head { http::without_body(response).len() } else { response.len() }
}

/// Return whether the query is that of an announce or a scrape, wherever it was sent.
fn names_an_info_hash(query: &[u8]) -> bool {
    parameters(query).any(|(name, _)| name == b"info_hash")
}

const fn no_client_reason(no_client: NoClient) -> &'static str {
    match no_client {
        NoClient::Absent => "it sent none",
        NoClient::ProxiesOnly => "it sent only those of other proxies",
        NoClient::Malformed => "it sent other text",
    }
}
