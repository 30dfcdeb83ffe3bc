//! Tickets over HTTP: announces and scrapes with a ticket in their path, and the page that logs a browser's address in.

use core::fmt::{self, Write};
use core::net::IpAddr;

use super::tickets::{Accepted, Unserved};
use super::{Caller, Hidden, TicketRefusal, Tracker};
use crate::access::{ShownBy, prefix};
use crate::clock::Running;
use crate::http::{Head, Method, Status};
use crate::ticket::{self, Ticket};
use crate::wire::http::{self, Failure, RetryIn, Ticketed};
use crate::wire::{AnnounceReply, Full, Transport};

/// Number of minutes after which a client may show a ticket again that was refused for a passing reason.
const RETRY_MINUTES: u32 = 2;

/// Beginning of the page, up to the content of its body. It has no script, and loads nothing.
const BEGINNING: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<meta name=\"color-scheme\" content=\"light dark\"><title>Tracker login</title>\
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}\
code{overflow-wrap:anywhere}</style></head><body>\n";
const END: &str = "</body></html>\n";

impl Tracker {
    /// Answer a request with a ticket in its path, of the client that sent it.
    pub(super) fn answer_ticketed(
        &mut self,
        now: Running,
        client: Result<Caller, Hidden>,
        ticketed: Ticketed<'_>,
        head: &Head<'_>,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let keep_alive = head.keep_alive;
        let caller = match client {
            Ok(caller) => caller,
            Err(hidden) => return self.refuse_forwarded(hidden, keep_alive, out),
        };
        match ticketed {
            Ticketed::Announce(text) => self.answer_announce_with_ticket(now, &caller, text, head, out),
            Ticketed::Scrape(text) => match self.show_ticket(now, &caller, text, ShownBy::Announce) {
                Ok(_) => self.answer_http_scrape(now, &caller, head.query, keep_alive, out),
                Err(refusal) => self.emit_ticket_refusal(out, refusal, keep_alive),
            },
            // Programs that preview links send HEAD: their address is not that of the user.
            Ticketed::Login(_) if head.method == Method::Head => {
                http::emit_page(out, Status::Ok, keep_alive, |_| Ok(()))
            }
            Ticketed::Login(text) => {
                let shown = self.show_ticket(now, &caller, text, ShownBy::Login);
                self.emit_login_page(out, &caller, text, shown, head)
            }
        }
    }

    fn answer_announce_with_ticket(
        &mut self,
        now: Running,
        caller: &Caller,
        text: &[u8],
        head: &Head<'_>,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let announce = match http::parse_announce(head.query) {
            Ok(announce) => announce,
            Err(error) => return self.bad_parameters(error.reason(), head.keep_alive, out),
        };
        let emit = |reply: &AnnounceReply<'_>| http::emit_announce(out, reply, head.keep_alive);
        match self.announce_with_ticket(now, caller, Transport::Http, &announce, text, emit) {
            Ok(written) => written,
            Err(Unserved::Announce(refusal)) => self.emit_refusal(out, refusal, head.keep_alive),
            Err(Unserved::Ticket(refusal)) => self.emit_ticket_refusal(out, refusal, head.keep_alive),
        }
    }

    /// Write a refusal, with the time after which the client may retry (rule 30).
    fn emit_ticket_refusal(&self, out: &mut [u8], refusal: TicketRefusal, keep_alive: bool) -> Result<usize, Full> {
        let minutes = if refusal.is_temporary() { RETRY_MINUTES } else { self.pace.retry_in_minutes };
        let failure = Failure {
            reason: refusal.reason().as_bytes(),
            retry_in: RetryIn::Minutes(minutes),
            interval_seconds: minutes * 60,
        };
        http::emit_failure(out, &failure, keep_alive)
    }

    fn emit_login_page(
        &self,
        out: &mut [u8],
        caller: &Caller,
        text: &[u8],
        shown: Result<Accepted, TicketRefusal>,
        head: &Head<'_>,
    ) -> Result<usize, Full> {
        let status = if shown.is_ok() { Status::Ok } else { Status::Forbidden };
        let ticket = ticket::parse(text).and_then(|parsed| parsed.ticket()).ok();
        http::emit_page(out, status, head.keep_alive, |page| {
            page.write_str(BEGINNING)?;
            match (shown, &ticket) {
                (Ok(accepted), Some(ticket)) => self.write_success(page, accepted, caller, ticket, text, head)?,
                // On a side where all clients are admitted, the ticket was not read.
                (Ok(_), None) => write!(
                    page,
                    "<h1>No login needed</h1><p>Your address {} may use this tracker without a ticket.</p>",
                    caller.address
                )?,
                (Err(refusal), _) => write!(
                    page,
                    "<h1>Not logged in</h1><p>{}.</p><p>Your address is {}.</p>",
                    Capitalized(refusal.reason()),
                    caller.address
                )?,
            }
            page.write_str(END)
        })
    }

    fn write_success(
        &self,
        page: &mut dyn Write,
        accepted: Accepted,
        caller: &Caller,
        ticket: &Ticket,
        text: &[u8],
        head: &Head<'_>,
    ) -> fmt::Result {
        let address = Client(caller.address);
        match accepted {
            Accepted::NotNeeded => {
                write!(page, "<h1>No login needed</h1><p>{address} may use this tracker without a ticket.</p>")?;
            }
            Accepted::Known | Accepted::Added | Accepted::Moved => {
                let (user, until) = (&ticket.user, ticket.until);
                write!(page, "<h1>Logged in</h1><p>{address} may use this tracker now. The ticket is for {user}, ")?;
                write!(page, "until {until}.</p>")?;
            }
        }
        let host = head.host().filter(|host| is_harmless(host)).unwrap_or("HOST:PORT");
        // A ticket that was parsed is ASCII without characters of HTML.
        let text = str::from_utf8(text).unwrap_or_default();
        write!(
            page,
            "<p>Announce URL for your BitTorrent client, with which it stays logged in when your address changes:</p>\
             <p><code>http://{host}/{text}/announce</code></p><p>The URL is personal: keep it to yourself.</p>"
        )
    }
}

/// The addresses of a client: its IPv4 address, or the /64 of its IPv6 address.
struct Client(IpAddr);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match prefix::of_client(self.0) {
            ipnet::IpNet::V4(net) => write!(f, "Your address {}", net.addr()),
            ipnet::IpNet::V6(net) => write!(f, "Your network {net}"),
        }
    }
}

/// A sentence that begins with a capital letter.
struct Capitalized(&'static str);

impl fmt::Display for Capitalized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        rest.next().map_or(Ok(()), |first| f.write_char(first.to_ascii_uppercase()))?;
        f.write_str(rest.as_str())
    }
}

/// Return whether a `Host` header has no characters of HTML.
fn is_harmless(host: &str) -> bool {
    host.len() <= 128 && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-:[]".contains(&octet))
}
