//! nakodo is a BitTorrent tracker for home gateways, set-top appliances and small ARM boards. It introduces peers to each
//! other over HTTP and UDP, IPv4 and IPv6. It is one binary with one data directory, a memory budget that it never
//! exceeds, and a whitelist of addresses that survives power cuts.
//!
//! # Goals and anti-goals
//!
//! Goals: all memory for swarms is reserved once, at start; one thread owns all state; nothing that a remote peer sends
//! allocates in the core, blocks, panics or writes to flash; an acknowledged whitelist change survives a power cut.
//!
//! Anti-goals: type tricks, macros of our own, plugins, a storage layer for more than one database, a second way to do
//! anything.
//!
//! # Layers
//!
//! ```text
//! main     → cli, exit
//! cli      → access, api, client, config, exit, run, suggest
//! client   → access, api, clock, config, exit
//! run      → access, config, exit, history, horizon, net, shared, sides, store, system_clock, torrents, tracker
//! net      → admin, api, clock, http, page, shared, tracker, wire
//! page     → admin, config, http, shared
//! admin    → access, api, clock, config, history, http, latency, process, shared, sides, store, ticket, torrents, tracker, wire
//! api      → access
//! config   → access, http, suggest, ticket, torrents
//! shared   → access, clock, history, horizon, latency, sides, store, system_clock, ticket, torrents, tracker
//! sides    → horizon
//! store    → access, clock, system_clock, ticket, torrents, wire
//! system_clock → clock
//! tracker  → access, clock, hash_key, horizon, http, pool, ticket, torrents, wire
//! ticket   → access, clock
//! torrents → wire
//! access   → clock
//! pool     → clock, hash_key, horizon, wire
//! wire     → http
//! history  → clock
//! ```
//!
//! An arrow points from a caller to its callees, and only to modules further down. `tracker`, `ticket`, `torrents`,
//! `access`, `pool`, `wire`, `http`, `sides`, `horizon`, `hash_key`, `history`, `latency` and `clock` are the core: it
//! names no socket, file, clock, randomness, log or runtime, and gets time and random seeds as arguments. `pool` stores
//! and `tracker` decides: the pool gets the policy that it needs as closures and plain values. `tests/layering.rs`
//! reads the sources and compares them with these arrows.
//!
//! | module | contents |
//! |---|---|
//! | [`http`] | plain HTTP for announces and the admin API: head, query, status |
//! | [`wire`] | bytes ↔ requests and replies of BitTorrent: UDP, HTTP, bencode; no decisions |
//! | [`access`] | the whitelist as a table of fixed capacity |
//! | [`ticket`] | tickets: their text, keys and revocations |
//! | [`torrents`] | the list of torrents and its effect |
//! | [`clock`] | running time and the wall clock, as plain numbers |
//! | [`horizon`] | the split horizon: LAN or WAN, and how far an address reaches |
//! | [`sides`] | the side of each interface of the host, and the networks and external addresses that follow |
//! | [`system_clock`] | the clocks of the system, read also after 2038 |
//! | [`hash_key`] | the secret key of a run |
//! | [`history`] | announces, logins and refusals of the last hour and day |
//! | [`latency`] | the time of requests in the tracker, as a histogram |
//! | [`process`] | the memory and the files of this process |
//! | [`pool`] | the storage: swarms and their peers in lines, index, selection, sweep, eviction, prefetch |
//! | [`tracker`] | the policy: admission, announce, scrape, connection ids, counters, settings |
//! | [`net`] | sockets: wait until one is ready, receive, call the core, send |
//! | [`store`] | the whitelist on disk, and the repair of a damaged database; the only module that names sled |
//! | [`api`] | the JSON of the admin API, for both ends |
//! | [`admin`] | the tracker's end of the API: the effect of each request |
//! | `page` | the page for people: its document, its login page, the plain page; the feature `page` |
//! | [`client`] | the commands' end of the API: requests, and answers in the form for people |
//! | [`config`] | one table of keys, from which the reader, the errors and the sample come |
//! | [`cli`] | the command line |
//! | [`exit`] | the exit codes, and the failure that ends a command |
//! | [`shared`] | the state that all tasks share: the tracker, the store, the clocks, the latest events |
//! | [`run`] | construction of everything, the tasks beside the sockets, signals |
//!
//! # The life of an announce
//!
//! [`net::server`] waits until a socket is ready. Over UDP, [`net::udp`] receives up to 32 datagrams with one call, each
//! with its destination address. [`tracker::Tracker::look_ahead`] prefetches the memory that the batch will need. For
//! each datagram, [`tracker::Tracker::answer_datagram`] parses it with [`wire::udp`] and verifies the connection id. Then
//! follows the policy of both transports, `tracker/announce.rs`: find the side of the client (LAN or WAN), admit it (by
//! the policy and the whitelist, which notes the time), store the peer (with an eviction if the memory is used up),
//! select peers (those on the client's side of the gateway first), and count the outcome. The reply is written into a
//! buffer of the batch, and the batch is sent with one call.
//!
//! Over HTTP a connection has a slot of [`net::http`] with fixed buffers. [`net::connection`] reads into it. As soon as a
//! head is complete, [`tracker::Tracker::answer_request`] parses it, follows the same policy and writes the response. The
//! response is sent at once, and the part that the client does not take waits in the slot. If several connections are
//! ready, all are read and prefetched before the first is answered.
//!
//! # The life of a whitelist change
//!
//! `nakodo allow` parses its arguments ([`cli`]) and sends a request over the Unix socket ([`client`]). [`net::admin`]
//! reads it and calls [`admin::answer`], which holds the lock for changes, checks that the table has room, has [`store`]
//! write and sync the entry on a thread of the blocking pool, puts the entry into the table, and only then answers. An
//! import does the same with all its entries as one change. So
//! the disk always has every acknowledged change. After a failure of the disk the database is abandoned, and
//! [`shared::Shared::mend_disk`] writes a new one from the table, so that a refused change stays refused.
//!
//! A revocation takes the same path, in batches if it removes many entries. It is answered when the peers of the
//! addresses have left the swarms: a walk in bounded steps removes them (`pool/forget.rs`), with a turn of the server
//! after each step ([`shared::Turns`]). Retired entries share that walk. Announces change the table only; idle times are
//! written in rare batches, by the housekeeping of [`run`].
//!
//! # The life of a ticket
//!
//! The path of an announce with a ticket is not that of an announce, so [`tracker::Tracker::answer_request`] answers it
//! by `tracker/login.rs`; over UDP the path comes in the options. If the address of the client is admitted, the ticket
//! is not read. Otherwise `tracker/tickets.rs` checks it, its signature last ([`ticket`]), and puts the address on the
//! whitelist in memory, perhaps in place of the stalest one of the same user. [`shared::Shared::save_brought`] writes
//! those of login pages in rare batches; those of announces stay in memory. Keys and revocations are a
//! [`ticket::Book`], which [`shared::Tickets`] passes to the tracker when it is on the disk.
//!
//! # The life of a torrent list
//!
//! The list is a file ([`store`]), read at the start and at a reload. [`shared::Torrents`] passes the rule that follows to
//! the tracker, which asks it at each announce ([`torrents::TorrentRules::serve`]). A list that is wrong leaves the previous
//! one in effect, and without one no torrent is served. The walk that removes the peers of revoked addresses also removes
//! those of torrents that are no longer served.
//!
//! # The life of a session
//!
//! `nakodo page` asks for a code over the Unix socket ([`admin`]). The first browser that shows it at `admin.listen` gets a
//! session of its address ([`shared::Sessions`]), which [`store`] keeps for the next run. `net/admin/gate.rs` admits each
//! request there: by its side, its token, or its host, session and origin. The page reads and changes the tracker by the
//! same API as every program.
//!
//! # Where every byte comes from
//!
//! | memory | reserved | size |
//! |---|---|---|
//! | swarms, peers and their index: lines of 64 bytes | once, at start | `memory` |
//! | the whitelist | once, at start | `access.capacity` × [`tracker::WHITELIST_ENTRY_OCTETS`] |
//! | UDP batches | once for each socket | [`net::udp::BUFFERS_OCTETS`] |
//! | HTTP buffers | once, at start | `http.connections` × [`net::http::CONNECTION_OCTETS`] |
//! | the history of an hour and a day | once, at start | 15 KiB |
//! | the list of torrents | when it is read | `torrents.capacity` × [`torrents::TORRENT_OCTETS`], twice during a reload |
//! | the admin API | for each request | [`net::admin::exchange::REQUEST_OCTETS`], at most 8 connections a listener; one long request |
//! | the database | at start, and for a change | its cache of 64 KiB; the list as it is read |
//!
//! Reserved memory costs nothing until its first use: the system provides a page at the first write to it. `nakodo
//! check` prints the sum.
//!
//! # Where to look
//!
//! | subject | files |
//! |---|---|
//! | the calls of the pool, and its invariants | `pool/mod.rs`, `pool/swarms.rs`, `pool/invariants.rs` |
//! | a peer in 7 bytes, and a line in 64 | `pool/line.rs`, `columns.rs`, `meta_word.rs`, then `tree.rs`, `index.rs` |
//! | the age of a record, in ticks | `pool/age.rs` |
//! | prefetching, so that an announce seldom waits for memory | `pool/prefetch.rs` |
//! | the cost of a request, and the share of the system in it | `benches/`; `benches/instructions` for callgrind's count |
//! | a pool whose memory is used up | `pool/evict.rs`, `pool/sweep.rs` |
//! | the removal of a revoked address's peers, without missing one | `pool/forget.rs` |
//! | the choice of the peers in a reply | `pool/select.rs`, `horizon.rs` |
//! | the rules that trackers get wrong, by number | `tests/rules.rs`; the code cites them as "rule 17" |
//! | durability, and the reasons for it | `store/database.rs`, `store/snapshots.rs` |
//! | a failing disk | `store/durable_copy.rs`, `store/tests/failing_disk.rs` |
//! | notifications to systemd | `run/supervisor.rs` |
//! | a key of the configuration | `config/keys.rs` |
//! | a counter | `tracker/counters.rs` |
//! | a printed message | beside its subject, in a `Display` |
//!
//! # Tests
//!
//! | ring | where | subject |
//! |---|---|---|
//! | beside the code | `src/**` | one concept, in tables and both directions; the pool against a slow twin |
//! | the core through bytes | `tests/rules.rs`, `random_bytes.rs`, `allocations.rs` | the rules; no panic, no allocation |
//! | simulated clients | `tests/simulated_clients.rs` | days on a bad network, each reply against a model |
//! | the binary | `tests/command_line.rs`, `daemon.rs`, `failing_disk.rs`, `kills.rs`, `check_data.rs` | output, exit codes, signals, `kill -9`, bad disks |
//! | real sockets | `tests/sockets.rs`, `socket_allocations.rs` | slow, greedy and garbled clients; floods; no allocation |
//! | the shape | `tests/layering.rs`, `architecture.rs` | purity, arrows, lengths of functions and files, the walks of the documents |
//! | real clients | `tests/real-clients` | aria2 and transmission move a file |
//! | boards | `tests/board`, `board-power-cuts` | emulated ARM boards; power cuts at any write to an ext4 or f2fs disk |
//! | the admin API | `tests/openapi` | property-based requests against docs/openapi.yaml |
//! | tickets | `tests/tickets.rs`, `ticket-signers`, `src/shared/tests.rs` | logins, restarts, revocations; signers in three languages; a year of customers |
//! | the page | `tests/page`, `tests/luci` | Chromium at home and a friend outside; LuCI on a played router |
//! | monitoring | `tests/monitoring` | a real Prometheus with the alerts, the dashboard's expressions and the collector |
//! | sides | `tests/sides`, `sides-clients` | clients of every side, family and setting, in network namespaces |
//! | logins | `tests/logins` | libtorrent on both sides of a gateway: tickets over UDP, a change of address, the wire |
//! | power cuts | `tests/power-cuts` | states that a disk could have after a cut, between any two writes |
//! | full disks | `tests/full-disk` | a tmpfs and an ext4 that run full |
//! | packages | `tests/debian-package`, `openwrt-package` | install, use, upgrade, remove; with real systemd, and a stand-in for procd |
//!
//! `cargo test` runs all but the real clients, the boards, the API's tester and those after it that are no Rust files.
//! `.ci/run` runs everything, and `cargo test` on both ARM targets as well. `benches/` measures speed and memory.
//! `boards/README.md` describes the packages for each board.

#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod exit;
pub mod hash_key;
pub mod history;
pub mod horizon;
pub mod http;
pub mod latency;
pub mod net;
#[cfg(feature = "page")]
pub mod page;
pub mod pool;
pub mod process;
pub mod run;
pub mod shared;
pub mod sides;
pub mod store;
mod suggest;
pub mod system_clock;
#[cfg(test)]
mod testing;
pub mod ticket;
pub mod torrents;
pub mod tracker;
pub mod wire;
