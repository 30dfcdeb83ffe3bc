//! Admission to the TCP address of the admin API and of the page. The first test that fails refuses a request:
//!
//! | test | against |
//! |---|---|
//! | the client is on the LAN | the internet |
//! | a bearer token is right; one that only reads makes no change | strangers; a scraper that is taken over |
//! | without a token, no proxy has forwarded the request | clients outside that a proxy makes local |
//! | without a token, the `Host` is one of ours | DNS rebinding: a name of another site with our address |
//! | without a token, the cookie has a session of this address | strangers; a stolen cookie |
//! | a change with a cookie has our header, JSON, and our origin | forged requests of other sites |
//!
//! The metrics need no token from the prefixes of `admin.metrics_from`. A stranger at home may see the login page and show
//! a code.

use core::net::{IpAddr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use super::token::{BearerToken, TokenError};
use crate::admin::{Because, Refused};
use crate::api::METRICS;
use crate::http::{Head, Method};
#[cfg(feature = "page")]
use crate::page;
use crate::shared::Shared;
use crate::tracker::Horizon;

/// Header that the page sends with each change. Another site cannot send it without permission, which we never give.
#[cfg(feature = "page")]
const OWN_HEADER: &str = "Nakodo-Page";

/// Requirements of the TCP address.
#[derive(Debug)]
pub(super) struct Gate {
    /// The token for everything.
    full: Option<BearerToken>,
    /// The token that only reads.
    reading: Option<BearerToken>,
    /// Clients that need no token for the metrics.
    metrics_from: Vec<IpNet>,
    /// Names of this host, besides its addresses, in lower case.
    #[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page uses it"))]
    names: Vec<String>,
    /// The port of the socket, for the name of the cookie: browsers send cookies to all ports of a host.
    #[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page uses it"))]
    port: u16,
}

/// The configuration of the TCP address.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateSettings<'a> {
    /// File with the token for everything.
    pub token_file: Option<&'a Path>,
    /// File with the token that only reads.
    pub read_token_file: Option<&'a Path>,
    /// Clients that need no token for the metrics.
    pub metrics_from: &'a [IpNet],
    /// Further names of this host.
    pub names: &'a [String],
}

/// A client that was admitted.
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page uses it"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// A program, with a token or at the control socket.
    Program,
    /// A browser with a session, which has this token.
    Session(String),
    /// A browser without one, at a path that is open to everybody at home.
    Stranger,
}

impl Gate {
    /// Read the tokens.
    ///
    /// # Errors
    /// When a token is unusable.
    pub(super) fn new(settings: &GateSettings<'_>, port: u16) -> Result<Self, TokenError> {
        let read = |file: Option<&Path>| file.map(BearerToken::read).transpose();
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase();
        let mut names = vec!["localhost".into()];
        if !own.is_empty() {
            names.extend([format!("{own}.local"), own]);
        }
        names.extend(settings.names.iter().map(|name| name.to_ascii_lowercase()));
        Ok(Self {
            full: read(settings.token_file)?,
            reading: read(settings.read_token_file)?,
            metrics_from: settings.metrics_from.to_vec(),
            names,
            port,
        })
    }

    /// Return whether no request could be admitted.
    pub(super) fn is_shut(&self) -> bool {
        self.full.is_none() && self.reading.is_none() && self.metrics_from.is_empty() && !cfg!(feature = "page")
    }

    /// Admit the request with this head of the client at `from`, or refuse it with the reason.
    pub(super) fn admit(&self, shared: &Shared, from: SocketAddr, head: &Head<'_>) -> Result<Visitor, Refused> {
        let address = from.ip().to_canonical();
        let is_home = address.is_loopback() || shared.tracker.borrow().admission_at(address).0 == Horizon::Lan;
        if !is_home {
            return Err(refuse(Because::Forbidden, "this address serves local clients only"));
        }
        if head.authorization.is_some() {
            return self.admit_token(head);
        }
        if head.is_forwarded {
            let reason = "a proxy forwarded this request, which hides whether its client is local; send a bearer token, or open \
                          the page by a tunnel of SSH";
            return Err(refuse(Because::Forbidden, reason));
        }
        if head.path == METRICS.as_bytes() && self.metrics_from.iter().any(|prefix| prefix.contains(&address)) {
            return Ok(Visitor::Program);
        }
        self.admit_browser(shared, address, head)
    }

    fn admit_token(&self, head: &Head<'_>) -> Result<Visitor, Refused> {
        let has = |token: &Option<BearerToken>| token.as_ref().is_some_and(|token| token.is_in(head.authorization));
        match (has(&self.full), has(&self.reading)) {
            (true, _) => Ok(Visitor::Program),
            (false, true) if head.method == Method::Get => Ok(Visitor::Program),
            (false, true) => Err(refuse(Because::Forbidden, "this token only reads; send the one in admin.token_file")),
            (false, false) => Err(needs_token()),
        }
    }

    #[cfg(not(feature = "page"))]
    fn admit_browser(&self, _: &Shared, _: IpAddr, _: &Head<'_>) -> Result<Visitor, Refused> {
        Err(needs_token())
    }

    #[cfg(feature = "page")]
    fn admit_browser(&self, shared: &Shared, address: IpAddr, head: &Head<'_>) -> Result<Visitor, Refused> {
        let Some(host) = head.host().filter(|host| self.is_ours(host)) else {
            let is_browser = page::is_page(head.path) || head.header("cookie").is_some();
            let reason =
                "the host in the URL is not a name of this tracker; use its address, or add the name to admin.names";
            return Err(if is_browser { refuse(Because::Forbidden, reason) } else { needs_token() });
        };
        let session = self.cookie(head).filter(|token| shared.sessions.admit(token, address, shared.now()));
        match session {
            Some(token) if head.method == Method::Get => Ok(Visitor::Session(token.into())),
            Some(token) => of_our_page(head, host).map(|()| Visitor::Session(token.into())),
            None if head.method == Method::Get && page::is_page(head.path) => Ok(Visitor::Stranger),
            None => Err(needs_token()),
        }
    }

    /// Return the token of our cookie.
    #[cfg(feature = "page")]
    fn cookie<'a>(&self, head: &Head<'a>) -> Option<&'a str> {
        let cookies = core::str::from_utf8(head.header("cookie")?).ok()?;
        let name = page::cookie_name(self.port);
        cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(&name)?.strip_prefix('='))
    }

    /// Return whether a `Host` is an address, or a name of this host.
    #[cfg(feature = "page")]
    fn is_ours(&self, host: &str) -> bool {
        let is_address = host.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok();
        let name = host.split_once(':').map_or(host, |(name, _)| name).trim_end_matches('.').to_ascii_lowercase();
        is_address || is_bracketed(host) || self.names.contains(&name)
    }

    /// Return the port of the socket.
    #[cfg(feature = "page")]
    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

/// Return whether a `Host` is an IPv6 address in brackets, without a port.
#[cfg(feature = "page")]
fn is_bracketed(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok())
}

/// Check that a change comes from our page.
#[cfg(feature = "page")]
fn of_our_page(head: &Head<'_>, host: &str) -> Result<(), Refused> {
    let is_json = head.header("content-type").is_some_and(|value| value.trim_ascii().starts_with(b"application/json"));
    let origin = head.header("origin").and_then(|value| core::str::from_utf8(value).ok()).unwrap_or_default();
    let host_of_origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let is_ours = head.header(OWN_HEADER).is_some() && is_json && host_of_origin == Some(host);
    let reason = "a change with a cookie must come from the page itself; programs send a bearer token";
    is_ours.then_some(()).ok_or_else(|| refuse(Because::Forbidden, reason))
}

fn refuse(because: Because, reason: &str) -> Refused {
    Refused::new(because, reason)
}

fn needs_token() -> Refused {
    refuse(
        Because::NotAuthorized,
        "the token is wrong or missing; send `Authorization: Bearer` and the token in admin.token_file",
    )
}
