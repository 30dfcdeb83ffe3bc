//! The admin API: the JSON requests of the commands and of a billing system, and the tracker's answers.
//! `docs/openapi.yaml` describes it for other programs.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/history` | | [`History`] |
//! | `GET /v1/refused` | | [`Refusals`] |
//! | `GET /metrics` | | metrics as text for Prometheus |
//! | `POST /v1/page-codes` | | [`PageCode`] |
//! | `GET /v1/whitelist` | | [`Whitelist`]; `user`, `within`, `after` and `limit` select entries |
//! | `POST /v1/whitelist` | [`Allow`] | [`Allowed`], once it is on disk |
//! | `DELETE /v1/whitelist` | [`Revoke`] | [`Revoked`], once it is on disk |
//! | `POST /v1/whitelist/import` | [`Import`] | [`Imported`], once it is on disk |
//! | `GET /v1/users` | | [`Users`]; `after` and `limit` select a page |
//! | `GET /v1/explain/ADDRESS` | | [`Explanation`] |
//! | `GET /v1/tickets` | | [`Tickets`] |
//! | `POST /v1/tickets` | [`SignTicket`] | [`TicketContent`] |
//! | `POST /v1/tickets/inspect` | [`InspectTicket`] | [`TicketContent`] |
//! | `GET /v1/keys` | | [`Keys`] |
//! | `POST /v1/keys` | [`NewKey`] | [`Key`], once it is on disk |
//! | `DELETE /v1/keys` | [`RemoveKey`] | [`Key`], once it is removed from the disk |
//! | `GET /v1/torrents` | | [`TorrentPage`] |
//! | `POST /v1/torrents` | [`AddTorrents`] | [`TorrentsChanged`], once it is on disk |
//! | `DELETE /v1/torrents` | [`RemoveTorrents`] | [`TorrentsChanged`], once it is on disk |
//! | `POST /v1/torrents/reload` | | [`TorrentsChanged`] |
//! | `GET /v1/swarms` | | [`Swarms`]; `after` and `limit` select a page |
//! | `GET /v1/swarms/INFO-HASH` | | [`Swarms`] of one torrent |
//! | `GET /v1/events` | | events, as they happen ([server-sent events][sse]) |
//!
//! One connection takes one request, of at most 8 KiB; imports and lists of torrents may have 3 MiB. Lists may be long and
//! have no length in their head: the end of the connection is their end, and one is complete if its JSON is complete.
//!
//! Every failure is a [`Problem`]. Its status is 400 for an invalid request, 401 for a wrong token, 404 for an unknown
//! path or entry, 409 for a conflict, 500 for a failure of the tracker, 503 while it is busy, and 507 for a full table or
//! a disk failure (with the [`Outcome`]). Requests with unknown fields are refused; later versions may add fields to
//! answers.
//!
//! [sse]: https://html.spec.whatwg.org/multipage/server-sent-events.html

mod history;
mod problem;
mod status;
mod tickets;
mod torrents;
mod whitelist;

pub use history::{HISTORY, History, PAGE_CODES, PageCode, REFUSED, Refusals, RefusedClient, Scale, Series};
pub use problem::{Outcome, PROBLEM_TYPE, Problem};
pub use status::{Admissions, AnnounceUrl, Counters, Disk, Flash, Interface, Memory, Room, STATUS, Status, TorrentUse};
pub use tickets::{
    INSPECT, InspectTicket, KEYS, Key, Keys, NewKey, RemoveKey, SignTicket, TICKETS, TicketContent, TicketUse, Tickets,
};
pub use torrents::{
    AddTorrents, RELOAD_TORRENTS, RemoveTorrents, SWARMS, Swarm, Swarms, TORRENTS, TORRENTS_A_REQUEST, Torrent,
    TorrentPage, TorrentsChanged,
};
pub use whitelist::{
    Allow, Allowed, EXPLAIN, Entry, Explanation, IMPORT, IMPORT_ENTRIES, Import, Imported, Known, NAMED_ENTRIES,
    Revoke, Revoked, StillAdmitted, USERS, UserSummary, Users, WHITELIST, Whitelist,
};

/// Path of the metrics.
pub const METRICS: &str = "/metrics";

/// Path of the stream of events.
pub const EVENTS: &str = "/v1/events";
