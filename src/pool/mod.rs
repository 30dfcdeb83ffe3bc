//! The swarm pool: all swarms and their peers, in memory that is reserved once.
//!
//! The pool is storage only. It does not know the whitelist or the policy: callers pass closures and plain values. The
//! fields of `Pool` and of all types in it are private to this folder; the tracker uses these calls:
//!
//! | call | purpose |
//! |---|---|
//! | `Pool::find` | find a swarm |
//! | `Pool::upsert`, `Pool::remove` | store, refresh or remove a peer |
//! | `Pool::counts`, `Pool::count_completed` | read the counts of a swarm, count a finished download |
//! | `Pool::select`, `Pool::select_all` | choose the peers of a reply |
//! | `Pool::make_room` | evict peers when the memory is used up |
//! | `Pool::sweep`, `Pool::advance_to` | remove dead peers, and keep the time |
//! | `Pool::forget` | remove the peers of addresses, in bounded steps |
//! | `Pool::peers_at` | count the peers of an address, in bounded steps |
//! | `Pool::prefetch` | load the lines that a batch of announces will read into the cache |

mod age;
mod census;
mod chain;
mod columns;
mod counts;
mod cursor;
mod endpoint;
mod evict;
mod family;
mod forget;
mod impossible;
mod index;
mod invariants;
mod line;
mod lines;
mod meta_word;
mod peers_at;
mod prefetch;
mod role;
mod select;
mod swarms;
mod sweep;
mod tree;

pub(crate) use age::{Tick, TickLength};
pub(crate) use chain::Place;
pub use counts::Part;
pub(crate) use endpoint::{address_of, endpoint};
pub(crate) use evict::Evicted;
pub(crate) use family::{Family, V4, V6};
pub use forget::{ForgetStep, Milestone};
pub(crate) use forget::{Leaving, Walk};
pub(crate) use line::{LineIndex, PEERS4_PER_LINE, PEERS6_PER_LINE};
pub use prefetch::{Ahead, LOOK_AHEAD};
pub(crate) use role::Role;
pub(crate) use select::{Asker, SLACK, octets_of};
pub(crate) use swarms::{Pool, Stored, Upserted};
