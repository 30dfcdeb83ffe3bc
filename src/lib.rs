//! nakodo is a BitTorrent tracker for home gateways, set-top appliances and small ARM boards: it introduces peers to each
//! other over HTTP and UDP, IPv4 and IPv6. It is one binary with one data directory, a memory budget that it never
//! exceeds, and a whitelist of addresses that survives pulling the plug.
//!
//! # Goals and anti-goals
//!
//! Goals: all memory for swarms is taken once, at start; one thread owns all state; nothing that a remote peer sends
//! allocates in the core, blocks, panics or writes to flash; an acknowledged change of the whitelist survives a power
//! cut.
//!
//! Anti-goals: type tricks, macros of our own, plugins, a storage layer for more than one database, a second way to do
//! anything.
//!
//! # Layers
//!
//! ```text
//! main     → cli, exit
//! cli      → access, api, client, config, exit, run, suggest
//! client   → api, config, exit
//! run      → access, config, exit, net, shared, store, tracker
//! net      → admin, clock, http, shared, tracker, wire
//! admin    → access, api, clock, config, http, shared, store
//! api      → access
//! config   → access, suggest
//! shared   → clock, store, tracker
//! store    → access, clock
//! tracker  → access, clock, hash_key, horizon, http, pool, wire
//! access   → clock
//! pool     → clock, hash_key, horizon, wire
//! wire     → http
//! ```
//!
//! An arrow points from a caller to its callees, and only to modules further down. `tracker`, `access`, `pool`, `wire`,
//! `http`, `horizon`, `hash_key` and `clock` are the core: it names no socket, file, clock, randomness, log or runtime,
//! and gets time and random seeds as arguments. `pool` stores and `tracker` decides: the pool gets the policy that it
//! needs as closures and plain values. `tests/layering.rs` reads the sources and compares them with these arrows.
//!
//! | module | what it is |
//! |---|---|
//! | [`http`] | plain HTTP for announces and the admin API: head, query, status |
//! | [`wire`] | bytes ↔ requests and replies of BitTorrent: UDP, HTTP, bencode; decides nothing |
//! | [`access`] | the whitelist as a table of fixed capacity |
//! | [`clock`] | running time and the wall clock, as plain numbers |
//! | [`horizon`] | the split horizon: LAN or WAN, and how far an address reaches |
//! | [`hash_key`] | the secret key of a run |
//! | [`pool`] | the storage: swarms and their peers in lines, index, selection, sweep, eviction, prefetch |
//! | [`tracker`] | the policy: admission, announce, scrape, connection ids, counters, settings |
//! | [`net`] | sockets: wait until one is ready, receive, hand to the core, send |
//! | [`store`] | the whitelist on disk, and what is done when the database is damaged; the only one to name sled |
//! | [`api`] | the admin API's JSON, shared by both of its ends |
//! | [`admin`] | the tracker's end: what each request does |
//! | [`client`] | the commands' end: `allow`, `revoke`, `list`, `status` |
//! | [`config`] | one table of keys, from which reading, errors and the sample come |
//! | [`cli`] | the command line |
//! | [`exit`] | the exit codes and the failure that ends a command |
//! | [`shared`] | what all tasks share: the tracker, the store, the clocks |
//! | [`run`] | builds everything once, spawns the tasks beside the sockets, obeys signals |
//!
//! # The life of an announce
//!
//! [`net::server`] waits until a socket is ready. Over UDP, [`net::udp`] receives up to 32 datagrams with one call, and
//! each with the address that it was sent to. [`tracker::Tracker::look_ahead`] brings what the batch will need into the
//! processor's cache. For each, [`tracker::Tracker::answer_datagram`] parses it with [`wire::udp`] and verifies the
//! connection id. Then comes the sentence that both transports share,
//! `tracker/announce.rs`: who is it (LAN or WAN), may they (the policy, the whitelist, which notes that they came), store
//! them (room is made by eviction if need be), tell them of others (their own side of the gateway first). The outcome is
//! counted in one place. The reply is written into a buffer of the batch, and the batch is sent with one call.
//!
//! Over HTTP a connection has a slot of [`net::http`] with fixed buffers. [`net::connection`] reads into it, and when a
//! head is whole [`tracker::Tracker::answer_request`] parses it, does the same, and writes the response; it is sent at
//! once, and what the client does not take waits in the slot. Where several connections are ready, all are read from and
//! looked ahead at before the first is answered.
//!
//! # The life of a change of the whitelist
//!
//! `nakodo allow` parses its arguments ([`cli`]), asks over the Unix socket ([`client`]), and [`net::admin`] reads the
//! request and hands it to [`admin::answer`]. That holds the lock for changes, asks the table whether there is room,
//! has [`store`] write the entry and sync it on a thread of the blocking pool, puts it in the table, and only then
//! answers. So the disk never knows less than what was acknowledged. After a failure of the disk the database is let go
//! of, and [`shared::Shared::mend_disk`] has a new one written of the table, so that a refused change stays refused. A
//! revocation goes the same way as `allow`, in batches where it is of many entries, and is answered when the peers of
//! the addresses have left the swarms: a walk in bounded steps removes them (`pool/forget.rs`), with a turn of the
//! server after each ([`shared::Turns`]). Entries that are retired share that walk. Announces only touch the table; how
//! long customers have been idle is written in rare batches, by the housekeeping of [`run`].
//!
//! # Where every byte comes from
//!
//! | memory | taken | how much |
//! |---|---|---|
//! | swarms, peers and their index: lines of 64 octets | once, at start | `memory` |
//! | the whitelist | once, at start | `access.capacity` × [`tracker::WHITELIST_ENTRY_OCTETS`] |
//! | UDP batches | once for each socket | [`net::udp::BUFFERS_OCTETS`] |
//! | HTTP buffers | once, at start | `http.connections` × [`net::http::CONNECTION_OCTETS`] |
//! | the admin API | for each request | [`net::admin::REQUEST_OCTETS`], at most 8 connections a listener |
//! | the database | at start, and for a change | its cache of 64 KiB; the list as it is read |
//!
//! Taken is not touched: the system gives a page when it is first written to. `nakodo check` prints the sum.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | the calls of the pool, and its invariants | `pool/mod.rs`, `pool/swarms.rs`, `pool/invariants.rs` |
//! | how a peer is kept in 7 bytes, and a line in 64 | `pool/line.rs`, `columns.rs`, `meta_word.rs`, then `tree.rs`, `index.rs` |
//! | the age of a record, in ticks | `pool/age.rs` |
//! | why an announce seldom waits for memory | `pool/prefetch.rs` |
//! | what it costs, and what the system itself costs | `benches/`; `benches/instructions` for callgrind's count |
//! | what happens when memory is used up | `pool/evict.rs`, `pool/sweep.rs` |
//! | how the peers of a revoked address leave, and why none is missed | `pool/forget.rs` |
//! | who is told of whom | `pool/select.rs`, `horizon.rs` |
//! | the rules that trackers get wrong, by number | `tests/rules.rs`; the code cites them as "rule 17" |
//! | what survives a power cut, and why | `store/database.rs`, `store/snapshots.rs` |
//! | a disk that fails | `store/durable_copy.rs`, `store/tests/failing_disk.rs` |
//! | what systemd is told | `run/supervisor.rs` |
//! | a key of the configuration | `config/keys.rs` |
//! | a counter | `tracker/counters.rs` |
//! | a message that a person reads | beside what it is about, in a `Display` |
//!
//! # Tests
//!
//! | ring | where | what it holds |
//! |---|---|---|
//! | beside the code | `src/**` | one concept, in tables and both directions; the pool against a slow twin |
//! | the core through bytes | `tests/rules.rs`, `random_bytes.rs`, `allocations.rs` | the rules; no panic, no allocation |
//! | simulated clients | `tests/simulated_clients.rs` | days on a bad network, each reply against a model |
//! | the binary | `tests/command_line.rs`, `daemon.rs`, `failing_disk.rs`, `kills.rs` | what it prints, exit codes, signals, `kill -9`, bad disks |
//! | real sockets | `tests/sockets.rs`, `socket_allocations.rs` | slow, greedy and garbled clients; floods; no allocation |
//! | the shape | `tests/layering.rs` | purity, arrows, lengths of functions and files |
//! | real clients | `tests/real-clients` | aria2 and transmission move a file |
//! | boards | `tests/board` | emulated ARM boards, and the plug pulled |
//! | full disks | `tests/full-disk` | a tmpfs and an ext4 that run full |
//! | packages | `tests/debian-package`, `openwrt-package` | install, use, upgrade, remove; systemd is real, procd is played |
//!
//! `cargo test` runs all but the last four, `.ci/run` runs everything, and `cargo test`'s on both ARM targets as well.
//! Speed and memory are measured by `benches/`. What is made for which board, and how, is in `boards/README.md`.

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
pub mod horizon;
pub mod http;
pub mod net;
pub mod pool;
pub mod run;
pub mod shared;
pub mod store;
mod suggest;
#[cfg(test)]
mod testing;
pub mod tracker;
pub mod wire;
