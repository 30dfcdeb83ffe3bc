//! Admission by ticket: a client shows a ticket, and its address gets on the whitelist.
//!
//! Tests come in the order of their cost, so that a forged ticket costs little: its form, its key, its end, its
//! revocation, the table of verified tickets, and the signature last, within a budget. The announce of an address that
//! is on the whitelist needs none of them.

mod budget;
mod verified;

use core::net::IpAddr;

use heapless::Deque;
use ipnet::IpNet;

use super::{Admission, Caller, Horizon, Refusal, RefusedFor, Tracker};
use crate::access::{Entry, Retire, ShownBy, User, prefix};
use crate::clock::{Running, UnixSeconds};
use crate::hash_key::HashKey;
use crate::ticket::{self, Fault, Parsed, PublicKey, Revocations, Ticket};
use crate::wire::{Announce, AnnounceReply, Transport};
use budget::Budget;
use verified::{Verified, VerifiedTickets};

/// Time by which the clock of a signer may be ahead.
const CLOCK_ERROR_SECONDS: u64 = 86_400;

/// Rules for tickets, apart from the whitelist.
#[derive(Clone, Debug, Default)]
pub struct TicketRules {
    /// The keys whose tickets are accepted.
    pub keys: Vec<PublicKey>,
    /// The audience for which tickets must be signed.
    pub audience: String,
    /// Tickets that are not accepted although they are signed.
    pub revocations: Revocations,
}

/// Reason to refuse a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRefusal {
    /// Its text is longer than that of a ticket.
    TooLong,
    /// Its end is missing.
    CutShort,
    /// Its characters were escaped.
    Escaped,
    /// Letters have the wrong case.
    WrongCase,
    /// Its text has another form.
    Malformed,
    /// It has ended.
    Expired,
    /// It was signed in the future.
    NotYetValid,
    /// Its key is not known.
    UnknownKey,
    /// It is revoked.
    Revoked,
    /// Its signature is wrong.
    Forged,
    /// It is in use at as many addresses as it allows, and one of them was replaced a short time ago.
    OverLimit,
    /// Too many tickets are being verified.
    TryLater,
    /// The whitelist is full.
    WhitelistFull,
    /// No client on this side is admitted.
    WrongSide,
}

impl TicketRefusal {
    /// Return the text that the user reads.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "the ticket is too long: copy the announce URL again, without other text",
            Self::CutShort => "the end of the ticket is missing: copy the whole announce URL",
            Self::Escaped => "the ticket has percent signs: copy the announce URL as it was given",
            Self::WrongCase => "the ticket has wrong upper or lower case: copy it as it was given",
            Self::Malformed => "this is not a ticket: copy the whole announce URL again",
            Self::Expired => "the ticket has expired: ask for a new one",
            Self::NotYetValid => "the ticket is not valid yet: its date is in the future",
            Self::UnknownKey => "the ticket is signed with a key that this tracker does not know: ask for a new one",
            Self::Revoked => "the ticket is revoked: ask for a new one",
            Self::Forged => "the signature of the ticket is wrong: copy the whole announce URL again",
            Self::OverLimit => "the ticket is in use at too many addresses: try again in a few minutes",
            Self::TryLater => "too many tickets are being checked: try again in a minute",
            Self::WhitelistFull => "the tracker's whitelist is full: its operator must make room",
            Self::WrongSide => "this tracker serves its local network only: a ticket does not change that",
        }
    }

    /// Return whether the client may succeed with the same ticket a little later.
    pub(super) const fn is_temporary(self) -> bool {
        matches!(self, Self::OverLimit | Self::TryLater | Self::WhitelistFull | Self::NotYetValid)
    }
}

impl From<Fault> for TicketRefusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLong => Self::TooLong,
            Fault::CutShort => Self::CutShort,
            Fault::Escaped => Self::Escaped,
            Fault::WrongCase => Self::WrongCase,
            Fault::Malformed => Self::Malformed,
        }
    }
}

/// An address that a ticket brought to the whitelist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its prefix.
    pub prefix: IpNet,
    /// The user of the ticket.
    pub user: User,
    /// The address of the user that it replaced.
    pub replaced: Option<IpNet>,
}

/// Number of logins that are kept until they are taken. Of more, the oldest are dropped.
const LOGINS: usize = 16;

/// The rules, the table and the budget of tickets.
#[derive(Debug)]
pub(super) struct Tickets {
    rules: TicketRules,
    verified: VerifiedTickets,
    budget: Budget,
    logins: Deque<Login, LOGINS>,
}

/// Reason to refuse an announce that shows a ticket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unserved {
    Announce(Refusal),
    Ticket(TicketRefusal),
}

/// Effect of a ticket that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// All clients on this side are admitted; the ticket was not read.
    NotNeeded,
    /// The address was on the whitelist already.
    Known,
    /// The address is on the whitelist now.
    Added,
    /// The address is on the whitelist now, in place of another.
    Moved,
}

impl Tickets {
    pub(super) fn new(key: HashKey) -> Self {
        Self {
            rules: TicketRules::default(),
            verified: VerifiedTickets::new(key),
            budget: Budget::new(key),
            logins: Deque::new(),
        }
    }

    /// Check everything that costs no arithmetic, except the address.
    fn check(&self, ticket: &Ticket, wall: Option<UnixSeconds>) -> Result<&PublicKey, TicketRefusal> {
        let Some(key) = self.rules.keys.iter().find(|key| key.id() == ticket.key) else {
            let differs_in_case = self.rules.keys.iter().any(|key| key.id().differs_in_case(ticket.key));
            return Err(if differs_in_case { TicketRefusal::WrongCase } else { TicketRefusal::UnknownKey });
        };
        if ticket.is_too_long() {
            return Err(TicketRefusal::Malformed);
        }
        if wall.is_some_and(|wall| wall >= ticket.until) {
            return Err(TicketRefusal::Expired);
        }
        if wall.is_some_and(|wall| wall.0 + CLOCK_ERROR_SECONDS < ticket.number.time().0) {
            return Err(TicketRefusal::NotYetValid);
        }
        if self.rules.revocations.concern(ticket) { Err(TicketRefusal::Revoked) } else { Ok(key) }
    }

    /// Return the verified ticket with this text. Verify it if that was not done lately.
    fn verify(
        &mut self,
        text: &[u8],
        parsed: &Parsed<'_>,
        ticket: &Ticket,
        wall: Option<UnixSeconds>,
        address: IpAddr,
        now: Running,
    ) -> Result<&mut Verified, TicketRefusal> {
        let key = *self.check(ticket, wall)?;
        let signature = parsed.signature()?;
        let hash = self.verified.hash(text);
        if self.verified.get(hash, now).is_none() {
            if !self.budget.take(address, now) {
                return Err(TicketRefusal::TryLater);
            }
            if !key.has_signed(&self.rules.audience, parsed.unsigned, &signature) {
                self.budget.failed(address, now);
                return Err(parsed.wrong_signature().map_or(TicketRefusal::Forged, TicketRefusal::from));
            }
            self.verified.add(hash, ticket, now);
        }
        self.verified.get(hash, now).ok_or(TicketRefusal::TryLater)
    }
}

impl Tracker {
    /// Replace the rules of tickets. Each ticket is verified again at its next use.
    pub fn set_ticket_rules(&mut self, rules: TicketRules) {
        self.tickets.rules = rules;
        self.tickets.verified.clear();
    }

    /// Return the rules of tickets.
    pub const fn ticket_rules(&self) -> &TicketRules {
        &self.tickets.rules
    }

    /// Return the tickets that were shown lately.
    pub fn tickets(&self) -> impl Iterator<Item = &Verified> {
        self.tickets.verified.iter()
    }

    /// Judge a ticket without the address of a client, and without a change.
    ///
    /// # Errors
    /// The reason why it would be refused.
    pub fn judge_ticket(&self, text: &[u8]) -> Result<Ticket, (Option<Ticket>, TicketRefusal)> {
        let parsed = ticket::parse(text).map_err(|fault| (None, fault.into()))?;
        let ticket = parsed.ticket().map_err(|fault| (None, fault.into()))?;
        let judged = self.tickets.check(&ticket, self.whitelist.wall()).and_then(|key| {
            let is_signed = key.has_signed(&self.tickets.rules.audience, parsed.unsigned, &parsed.signature()?);
            if is_signed { Ok(()) } else { Err(TicketRefusal::Forged) }
        });
        match judged {
            Ok(()) => Ok(ticket),
            Err(refusal) => Err((Some(ticket), refusal)),
        }
    }

    /// Answer an announce that shows a ticket, and pass the reply to `emit`. An address that is admitted already needs no
    /// ticket.
    ///
    /// # Errors
    /// The refusal of the announce or of the ticket.
    pub(super) fn announce_with_ticket<R>(
        &mut self,
        now: Running,
        caller: &Caller,
        transport: Transport,
        announce: &Announce,
        text: &[u8],
        emit: impl FnOnce(&AnnounceReply<'_>) -> R,
    ) -> Result<R, Unserved> {
        let before = self.counters;
        match self.announce_from(now, caller, transport, announce) {
            Ok(reply) => {
                let emitted = emit(&reply);
                self.counters.tickets_known += 1;
                return Ok(emitted);
            }
            Err(Refusal::NotWhitelisted { .. } | Refusal::WanClosed) => self.counters = before,
            Err(refusal) => return Err(Unserved::Announce(refusal)),
        }
        self.show_ticket(now, caller, text, ShownBy::Announce).map_err(Unserved::Ticket)?;
        self.announce_from(now, caller, transport, announce).map(|reply| emit(&reply)).map_err(Unserved::Announce)
    }

    /// Admit a client by the ticket that it shows: its address gets on the whitelist.
    ///
    /// # Errors
    /// When the ticket does not admit it. An address that is on the whitelist already stays there.
    pub(super) fn show_ticket(
        &mut self,
        now: Running,
        caller: &Caller,
        text: &[u8],
        shown_by: ShownBy,
    ) -> Result<Accepted, TicketRefusal> {
        let shown = self.admit_by_ticket(now, caller, text, shown_by);
        self.counters.ticket(shown);
        match shown {
            // An announce was refused before its ticket was read.
            Err(refusal) if shown_by == ShownBy::Announce => {
                self.refused.correct(caller.address, RefusedFor::Ticket(refusal));
            }
            Err(refusal) => self.refused.note(caller.address, RefusedFor::Ticket(refusal), now),
            Ok(_) => self.refused.forget(caller.address),
        }
        shown
    }

    fn admit_by_ticket(
        &mut self,
        now: Running,
        caller: &Caller,
        text: &[u8],
        shown_by: ShownBy,
    ) -> Result<Accepted, TicketRefusal> {
        match if caller.horizon == Horizon::Lan { self.policy.lan } else { self.policy.wan } {
            Admission::Open => return Ok(Accepted::NotNeeded),
            Admission::Closed => return Err(TicketRefusal::WrongSide),
            Admission::Whitelist => {}
        }
        let parsed = ticket::parse(text)?;
        // Whatever admits the address already, the ticket is not needed, unless it does so for longer.
        match self.whitelist.covering_entry(caller.address) {
            Some(entry) if !is_renewed(entry, &parsed) => Ok(Accepted::Known),
            _ => self.bring_by_ticket(now, caller.address, text, &parsed, shown_by),
        }
    }

    /// Put an address on the whitelist by a ticket that is not known there.
    fn bring_by_ticket(
        &mut self,
        now: Running,
        address: IpAddr,
        text: &[u8],
        parsed: &Parsed<'_>,
        shown_by: ShownBy,
    ) -> Result<Accepted, TicketRefusal> {
        let ticket = &parsed.ticket()?;
        let Self { tickets, whitelist, policy, .. } = self;
        // Below, the whole list is read. While it is full, a ticket that adds nothing could make the tracker do so again
        // and again.
        if whitelist.is_full() && !tickets.budget.take(address, now) {
            return Err(TicketRefusal::TryLater);
        }
        let verified = tickets.verify(text, parsed, ticket, whitelist.wall(), address, now)?;
        let entry = entry_of(ticket, address, now, whitelist.wall());
        if whitelist.get(&entry.prefix).is_some_and(|there| there.ticket.is_none() || there.user == entry.user) {
            // The place of an entry that has ended or become idle, or of an earlier ticket of this user.
            return self.bring(entry, None, shown_by).map(|()| Accepted::Added);
        }
        if verified.settled_until > now {
            verified.over_limit = verified.over_limit.saturating_add(1);
            return Err(TicketRefusal::OverLimit);
        }
        let brought = whitelist.brought_for(&entry.user);
        let leaving = brought.stalest.filter(|_| brought.entries >= usize::from(ticket.addresses));
        let Some(leaving) = leaving else {
            return self.bring(entry, None, shown_by).map(|()| Accepted::Added);
        };
        if !whitelist.can_depart() {
            return Err(TicketRefusal::TryLater);
        }
        verified.settled_until = now.after(policy.min_interval);
        verified.replaced = verified.replaced.saturating_add(1);
        self.replace_brought(&leaving);
        self.bring(entry, Some(leaving), shown_by).map(|()| Accepted::Moved)
    }

    fn bring(&mut self, entry: Entry, replaced: Option<IpNet>, shown_by: ShownBy) -> Result<(), TicketRefusal> {
        let login = Login { prefix: entry.prefix, user: entry.user.clone(), replaced };
        self.whitelist.put_unsaved(entry, shown_by).map_err(|_| TicketRefusal::WhitelistFull)?;
        if self.tickets.logins.is_full() {
            self.tickets.logins.pop_front();
        }
        // There is room now.
        let _ = self.tickets.logins.push_back(login);
        Ok(())
    }

    /// Take the oldest login that was not taken yet.
    pub fn take_login(&mut self) -> Option<Login> {
        self.tickets.logins.pop_front()
    }

    /// Remove an entry that a ticket brought, in favour of another address of the same user. Its peers leave soon.
    fn replace_brought(&mut self, prefix: &IpNet) {
        let Some(departing) = self.whitelist.departing(prefix) else { return };
        self.revoke(core::slice::from_ref(prefix));
        self.whitelist.depart(&departing);
    }
}

/// Return whether `ticket` renews the ticket that brought `entry`: it is of the same user, and ends later.
fn is_renewed(entry: &Entry, ticket: &Parsed<'_>) -> bool {
    entry.ticket.is_some() && entry.until < Some(ticket.until) && entry.user.as_bytes() == ticket.user
}

/// Return the entry that `ticket` brings for a client at `address`: this address, or its /64.
fn entry_of(ticket: &Ticket, address: IpAddr, now: Running, wall: Option<UnixSeconds>) -> Entry {
    Entry {
        prefix: prefix::of_client(address),
        user: ticket.user.clone(),
        retire: Retire::Default,
        until: Some(ticket.until),
        added: wall,
        last_seen: now,
        ticket: Some(ticket.number),
    }
}

#[cfg(test)]
mod tests;
