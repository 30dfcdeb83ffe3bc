//! The checker of the invariants that [`super::swarms`] lists. For tests: it walks the whole pool and allocates.

use std::collections::BTreeSet;

use super::census::Census;
use super::chain;
use super::family::{Family, V4, V6};
use super::line::{Counted, FORK_CHILDREN, Forked, Inline, Line, LineIndex, Swarm};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::horizon::Horizon;

/// The lines and peers that a walk over the whole pool has found.
struct Seen {
    lines: BTreeSet<usize>,
    peers: usize,
    census: Census,
}

impl Seen {
    fn peer<F: Family>(&mut self, horizon: Horizon, role: Role) {
        self.peers += 1;
        self.census.change::<F>(horizon, None, Some(role));
    }

    fn line(&mut self, line: LineIndex) -> Result<(), String> {
        if self.lines.insert(line.get()) { Ok(()) } else { Err(format!("{line:?} is in use twice")) }
    }
}

impl Pool {
    /// Check every invariant. The error describes the first violation.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.lines.check()?;
        let mut seen = Seen { lines: BTreeSet::new(), peers: 0, census: Census::default() };
        let swarms = self.index.check(&self.lines)?;
        self.index.bucket_lines(&self.lines).try_for_each(|line| seen.line(line))?;
        for &swarm in &swarms {
            seen.line(swarm)?;
            self.check_swarm(swarm, &mut seen)?;
        }
        if seen.lines.len() != self.lines.in_use() {
            return Err(format!("{} lines reached, {} in use", seen.lines.len(), self.lines.in_use()));
        }
        if seen.census != self.peers {
            return Err(format!("{:?} reached, {:?} counted", seen.census, self.peers));
        }
        let on_lan = |swarm: &&LineIndex| tree::swarm_at(&self.lines, **swarm).map(|s| s.horizon) == Some(Horizon::Lan);
        if swarms.iter().filter(on_lan).count() != self.lan_swarms {
            return Err(format!("{} LAN swarms counted", self.lan_swarms));
        }
        Ok(())
    }

    fn check_swarm(&self, line: LineIndex, seen: &mut Seen) -> Result<(), String> {
        let Some(swarm) = tree::swarm_at(&self.lines, line) else { return Err(format!("{line:?} is no swarm")) };
        let mut roles = Counted::default();
        self.check_family::<V4>(line, swarm, seen, &mut roles)?;
        self.check_family::<V6>(line, swarm, seen, &mut roles)?;
        let forked = swarm.roots.iter().any(|root| matches!(self.lines.get(*root), Some(Line::Fork(_))));
        match &swarm.inline {
            Inline::Forked(Forked { counted, .. }) if !forked => {
                Err(format!("{line:?} counts {counted:?} without fork"))
            }
            Inline::Forked(Forked { counted, .. }) if *counted != roles => {
                Err(format!("{line:?} counts {counted:?}, has {roles:?}"))
            }
            Inline::Peers4(_) | Inline::Peers6(_) if forked => Err(format!("{line:?} has a fork and no counts")),
            _ => Ok(()),
        }
    }

    fn check_family<F: Family>(
        &self,
        line: LineIndex,
        swarm: &Swarm,
        seen: &mut Seen,
        roles: &mut Counted,
    ) -> Result<(), String> {
        let mut endpoints = BTreeSet::new();
        for peer in F::inline(swarm).into_iter().flat_map(|peers| peers.iter()) {
            seen.peer::<F>(swarm.horizon, peer.role());
            roles.add(peer.role());
            endpoints.insert(peer.endpoint);
        }
        let own = endpoints.len();
        if own != F::inline(swarm).map_or(0, |peers| peers.len()) {
            return Err(format!("{line:?} has a peer twice in its own line"));
        }
        let before = seen.peers;
        self.check_below::<F>(line, swarm.roots[F::ROOT], line, seen, &mut |endpoint, role| {
            roles.add(role);
            endpoints.insert(endpoint);
        })?;
        if endpoints.len() != own + seen.peers - before {
            return Err(format!("{line:?} has a peer twice"));
        }
        Ok(())
    }

    fn check_below<F: Family>(
        &self,
        swarm: LineIndex,
        child: LineIndex,
        parent: LineIndex,
        seen: &mut Seen,
        each: &mut impl FnMut(F::Endpoint, Role),
    ) -> Result<(), String> {
        if child.is_none() {
            return Ok(());
        }
        let Line::Fork(fork) = &self.lines[child] else { return self.check_leaf::<F>(swarm, child, seen, each) };
        seen.line(child)?;
        if fork.parent != parent {
            return Err(format!("{child:?} does not know its parent"));
        }
        let mut first = 0;
        while first < FORK_CHILDREN {
            let head = fork.children[first];
            let shared = fork.children[first..].iter().take_while(|other| **other == head && !head.is_none()).count();
            let shared = shared.max(1);
            if !shared.is_power_of_two() || !first.is_multiple_of(shared) {
                return Err(format!("{child:?}: {shared} children from {first} on are one chain"));
            }
            self.check_below::<F>(swarm, head, child, seen, each)?;
            first += shared;
        }
        Ok(())
    }

    fn check_leaf<F: Family>(
        &self,
        swarm: LineIndex,
        head: LineIndex,
        seen: &mut Seen,
        each: &mut impl FnMut(F::Endpoint, Role),
    ) -> Result<(), String> {
        let mut last = head;
        let horizon = tree::swarm_at(&self.lines, swarm).map_or(Horizon::Wan, |own| own.horizon);
        for (line, peers) in chain::walk::<F>(&self.lines, head, swarm) {
            seen.line(line)?;
            if peers.len() == 0 || (line != head && peers.len() != F::CAPACITY) {
                return Err(format!("{line:?} of the chain {head:?} holds {}", peers.len()));
            }
            for peer in peers.iter() {
                seen.peer::<F>(horizon, peer.role());
                each(peer.endpoint, peer.role());
                let leaf = tree::leaf::<F>(&self.lines, self.key, swarm, &peer.endpoint);
                if leaf.head != head {
                    return Err(format!("{:?} stands in {head:?}, its leaf is {:?}", peer.endpoint, leaf.head));
                }
            }
            last = line;
        }
        match F::items(&self.lines[last]) {
            Some((_, end)) if end == swarm => Ok(()),
            other => Err(format!("the chain {head:?} ends with {:?}", other.map(|(_, end)| end))),
        }
    }
}
