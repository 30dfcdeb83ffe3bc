//! The explanation of an address: its side, its admission, the entry that covers it, its peers.

use core::net::IpAddr;

use ipnet::IpNet;

use super::nonsense;
use super::pieces::entry;
use super::refused::Refused;
use crate::api::{Explanation, StillAdmitted};
use crate::config::quote;
use crate::shared::Shared;
use crate::tracker::{Admission, Horizon};

/// Number of lines of the pool that one step of a count visits.
const LINES_A_STEP: usize = 1024;

/// Explain the admission of the address in `text`.
pub(super) async fn explain(shared: &Shared, text: &str) -> Result<Explanation, Refused> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| nonsense(format!("{} is no address; send one such as 203.0.113.7 or 2001:db8::7", quote(text))))?;
    let address = address.to_canonical();
    let peers = peers_at(shared, address).await;
    let tracker = shared.tracker.borrow();
    let (horizon, admission) = tracker.admission_at(address);
    let covering = tracker.whitelisted().containing(&IpNet::from(address));
    let (admitted, reason) = match (admission, covering) {
        (Admission::Open, _) => (true, format!("access.{} admits all clients", key(horizon))),
        (Admission::Closed, _) => (false, format!("access.{} admits no clients", key(horizon))),
        (Admission::Whitelist, Some(covering)) => {
            (true, format!("the entry {} of the whitelist admits it", covering.prefix))
        }
        (Admission::Whitelist, None) => (
            false,
            format!("access.{} admits only addresses on the whitelist, and no entry covers this one", key(horizon)),
        ),
    };
    Ok(Explanation {
        address: address.to_string(),
        side: horizon.name().into(),
        side_reason: shared.sides.borrow().explain(address),
        admitted,
        reason,
        entry: covering.map(|covering| entry(tracker.whitelisted(), covering, shared.now())),
        peers: peers as u64,
        is_proxy: tracker.is_proxy(address),
    })
}

/// Return by what a removed prefix is admitted nevertheless, if it is.
pub(super) fn still_admitted(shared: &Shared, prefix: IpNet) -> Option<StillAdmitted> {
    let tracker = shared.tracker.borrow();
    let (horizon, admission) = tracker.admission_at(prefix.addr());
    let by = match admission {
        Admission::Open => format!("access.{} = \"open\", on its side", key(horizon)),
        Admission::Closed => return None,
        Admission::Whitelist => {
            let covering = tracker.whitelisted().containing(&prefix)?;
            let user =
                if covering.user.is_empty() { String::new() } else { format!(" of user {}", quote(&covering.user)) };
            format!("the entry {}{user}", covering.prefix)
        }
    };
    Some(StillAdmitted { prefix, by })
}

async fn peers_at(shared: &Shared, address: IpAddr) -> usize {
    let (mut peers, mut line) = (0, 0);
    while line < shared.tracker.borrow().lines_touched() {
        peers += shared.tracker.borrow().peers_at(address, line..line + LINES_A_STEP, shared.now());
        line += LINES_A_STEP;
        shared.turns.next().await;
    }
    peers
}

/// Return the key of the rule of a side, in the section `access`.
const fn key(horizon: Horizon) -> &'static str {
    match horizon {
        Horizon::Lan => "lan",
        Horizon::Wan => "wan",
    }
}
