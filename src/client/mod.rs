//! The commands' side of the admin API: one request over the Unix socket, one answer.

mod exchange;
mod fields;
mod import;
mod show;
mod show_tickets;
mod watch;

use core::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::api::{self, AddTorrents, Allow, InspectTicket, NewKey, RemoveKey, RemoveTorrents, Revoke, SignTicket};
use crate::exit::{self, Failure};
use exchange::{Answer, exchange};
use fields::{Fields, unreadable};
pub use import::ImportFile;
pub use watch::watch;

/// A request of a command to the running tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Add an entry to the whitelist.
    Allow(Allow),
    /// Add many entries.
    Import(ImportFile),
    /// Print the whitelist as text for an import.
    Export,
    /// Show the list of torrents.
    Torrents {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
    /// Add torrents to the list.
    AddTorrents(AddTorrents),
    /// Remove torrents from the list.
    RemoveTorrents(RemoveTorrents),
    /// Read the list of torrents again.
    ReloadTorrents,
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
    /// Issue a code for the page.
    PageCode {
        /// Whether to print the tracker's JSON.
        json: bool,
    },
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
            | Self::Torrents { json }
            | Self::PageCode { json }
            | Self::Status { json } => *json,
            _ => false,
        }
    }
}

/// Send a request to the tracker that listens on `socket`, and return its answer, ready to print. Links to the tracker
/// begin with `url`, if it is known.
pub fn ask(socket: &Path, request: &Request, url: Option<&str>) -> Result<String, Failure> {
    let explain;
    let (method, path, body) = match request {
        Request::Allow(allow) => ("POST", api::WHITELIST, json(allow)?),
        Request::Import(file) => ("POST", api::IMPORT, json(&file.read()?)?),
        Request::Export => ("GET", api::WHITELIST, String::new()),
        Request::Torrents { .. } => ("GET", api::TORRENTS, String::new()),
        Request::AddTorrents(torrents) => ("POST", api::TORRENTS, json(torrents)?),
        Request::RemoveTorrents(torrents) => ("DELETE", api::TORRENTS, json(torrents)?),
        Request::ReloadTorrents => ("POST", api::RELOAD_TORRENTS, String::new()),
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
        Request::PageCode { .. } => ("POST", api::PAGE_CODES, String::new()),
        Request::Status { .. } => ("GET", api::STATUS, String::new()),
    };
    let answer = exchange(socket, method, path, &body)?;
    match answer.status {
        200..=299 => show_answer(request, answer.body, url),
        _ => Err(refused(&answer)),
    }
}

fn show_answer(request: &Request, body: String, url: Option<&str>) -> Result<String, Failure> {
    let answer: Value = serde_json::from_str(&body).map_err(|error| {
        if error.is_eof() {
            Failure::new(exit::IOERR, "the tracker's answer ends too early; ask again")
        } else {
            unreadable(&error.to_string())
        }
    })?;
    if request.is_json() {
        return Ok(with_newline(body));
    }
    let fields = Fields::of(&answer)?;
    match request {
        Request::Allow(_) => Ok(show::allowed(fields)),
        Request::Import(_) => show::imported(fields),
        Request::Revoke(_) => show::revoked(fields),
        Request::Explain { .. } => Ok(show::explanation(fields)),
        Request::List { .. } => show::whitelist(fields),
        Request::Export => show::exported(fields),
        Request::SignTicket { .. } => Ok(show_tickets::signed(fields, url)),
        Request::InspectTicket { .. } => Ok(show_tickets::inspected(fields)),
        Request::Tickets { .. } => show_tickets::tickets(fields),
        Request::Keys { .. } => show_tickets::keys(fields),
        Request::NewKey(_) => Ok(format!("made or added {}", show_tickets::key(fields))),
        Request::RemoveKey(_) => Ok(format!("removed {}", show_tickets::key(fields))),
        Request::Torrents { .. } => show::torrents(fields),
        Request::AddTorrents(_) | Request::RemoveTorrents(_) | Request::ReloadTorrents => {
            Ok(show::torrents_changed(fields))
        }
        Request::PageCode { .. } => Ok(show::page_code(fields)),
        Request::Status { .. } => Ok(show::status(fields)),
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

/// Return the failure of the command for a status other than success.
fn refused(answer: &Answer) -> Failure {
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let fields = Fields::of(&problem).ok();
    let code = match answer.status {
        _ if fields.is_some_and(|fields| fields.some_text("outcome").is_some()) => exit::IOERR,
        401 | 403 | 507 => exit::NOPERM,
        400..=499 => exit::DATAERR,
        _ => exit::SOFTWARE,
    };
    let why = fields.and_then(|fields| Some(fields.some_text("detail")? + &show::conflicts(fields)));
    Failure::new(code, why.unwrap_or_else(|| format!("the tracker answered with HTTP status {}", answer.status)))
}

#[cfg(test)]
mod tests;
