//! The commands' side of the admin API: one request over the Unix socket, one answer.

mod exchange;
mod show;
mod show_tickets;

use core::net::IpAddr;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::api::{
    self, Allow, Allowed, Explanation, InspectTicket, Key, Keys, NewKey, Refusal, RemoveKey, Revoke, Revoked,
    SignTicket, Status, TicketContent, Tickets, Whitelist,
};
use crate::exit::{self, Failure};
use exchange::{Answer, exchange};

/// A request of a command to the running tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Add an entry to the whitelist.
    Allow(Allow),
    /// Remove entries from the whitelist.
    Revoke(Revoke),
    /// Show the whitelist.
    List {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Explain the admission of an address.
    Explain {
        /// The address.
        address: IpAddr,
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Sign a ticket.
    SignTicket {
        /// Its content.
        ticket: SignTicket,
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Explain a ticket.
    InspectTicket {
        /// The ticket.
        ticket: InspectTicket,
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Show the tickets that were verified lately.
    Tickets {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Show the keys of tickets.
    Keys {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Make or add a key.
    NewKey(NewKey),
    /// Remove a key.
    RemoveKey(RemoveKey),
    /// Show the state of the tracker.
    Status {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
}

impl Request {
    /// Return whether the answer is the tracker's JSON.
    const fn is_json(&self) -> bool {
        match self {
            Self::List { json }
            | Self::Explain { json, .. }
            | Self::SignTicket { json, .. }
            | Self::InspectTicket { json, .. }
            | Self::Tickets { json }
            | Self::Keys { json }
            | Self::Status { json } => *json,
            Self::Allow(_) | Self::Revoke(_) | Self::NewKey(_) | Self::RemoveKey(_) => false,
        }
    }
}

/// Send a request to the tracker that listens on `socket`, and return its answer, ready to print. Links to the tracker
/// begin with `url`, if it is known.
pub fn ask(socket: &Path, request: &Request, url: Option<&str>) -> Result<String, Failure> {
    let explain;
    let (method, path, body) = match request {
        Request::Allow(allow) => ("POST", api::WHITELIST, json(allow)?),
        Request::Revoke(revoke) => ("DELETE", api::WHITELIST, json(revoke)?),
        Request::List { .. } => ("GET", api::WHITELIST, String::new()),
        Request::Explain { address, .. } => {
            explain = format!("{}{address}", api::EXPLAIN);
            ("GET", explain.as_str(), String::new())
        }
        Request::SignTicket { ticket, .. } => ("POST", api::TICKETS, json(ticket)?),
        Request::InspectTicket { ticket, .. } => ("POST", api::INSPECT, json(ticket)?),
        Request::Tickets { .. } => ("GET", api::TICKETS, String::new()),
        Request::Keys { .. } => ("GET", api::KEYS, String::new()),
        Request::NewKey(key) => ("POST", api::KEYS, json(key)?),
        Request::RemoveKey(key) => ("DELETE", api::KEYS, json(key)?),
        Request::Status { .. } => ("GET", api::STATUS, String::new()),
    };
    let answer = exchange(socket, method, path, &body)?;
    match answer.status {
        200..=299 => show_answer(request, answer.body, url),
        _ => Err(refused(&answer)),
    }
}

fn show_answer(request: &Request, body: String, url: Option<&str>) -> Result<String, Failure> {
    if request.is_json() {
        read::<IgnoredAny>(&body)?;
        return Ok(with_newline(body));
    }
    match request {
        Request::Allow(_) => Ok(show::allowed(&read::<Allowed>(&body)?)),
        Request::Revoke(_) => Ok(show::revoked(&read::<Revoked>(&body)?)),
        Request::Explain { .. } => Ok(show::explanation(&read::<Explanation>(&body)?)),
        Request::List { .. } => Ok(show::whitelist(&read::<Whitelist>(&body)?)),
        Request::SignTicket { .. } => Ok(show_tickets::signed(&read::<TicketContent>(&body)?, url)),
        Request::InspectTicket { .. } => Ok(show_tickets::inspected(&read::<TicketContent>(&body)?)),
        Request::Tickets { .. } => Ok(show_tickets::tickets(&read::<Tickets>(&body)?)),
        Request::Keys { .. } => Ok(show_tickets::keys(&read::<Keys>(&body)?)),
        Request::NewKey(_) => Ok(format!("made or added {}", show_tickets::key(&read::<Key>(&body)?))),
        Request::RemoveKey(_) => Ok(format!("removed {}", show_tickets::key(&read::<Key>(&body)?))),
        Request::Status { .. } => Ok(show::status(&read::<Status>(&body)?)),
    }
}

fn with_newline(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn json(request: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(request).map_err(|error| Failure::new(exit::SOFTWARE, error.to_string()))
}

fn read<'b, T: Deserialize<'b>>(body: &'b str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|error| {
        let message = if error.is_eof() {
            "the tracker's answer ends too early; ask again".into()
        } else {
            format!("cannot read the tracker's answer: {error}; check that it has the same version as this command")
        };
        Failure::new(exit::IOERR, message)
    })
}

/// Return the failure of the command for a status other than success.
fn refused(answer: &Answer) -> Failure {
    let refusal = serde_json::from_str::<Refusal>(&answer.body).ok();
    let code = match answer.status {
        _ if refusal.as_ref().is_some_and(|refusal| refusal.outcome.is_some()) => exit::IOERR,
        401 | 403 | 507 => exit::NOPERM,
        400..=499 => exit::DATAERR,
        _ => exit::SOFTWARE,
    };
    let why = refusal.map(|refusal| show::printable(&refusal.error));
    Failure::new(code, why.unwrap_or_else(|| format!("the tracker answered with HTTP status {}", answer.status)))
}

#[cfg(test)]
mod tests;
