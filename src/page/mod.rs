//! The page for people: one document that shows the tracker and changes its whitelist, by the admin API.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the document; without a session, the login page |
//! | `/enter?code=CODE` | a session in exchange for a one-time code of `nakodo page` |
//! | `/plain` | the state of the tracker, for browsers without scripts |
//! | `/leave` | the end of the session |
//!
//! `page.html`, `page.css` and `page.js` become one compressed document when nakodo is built (`build.rs`). It loads nothing
//! from elsewhere, and its policy permits no other script and no other style.

mod login;
mod plain;

use core::net::IpAddr;
use std::borrow::Cow;

use crate::admin::{Because, Parameters, Refused};
use crate::http::{Method, Status};
use crate::shared::{Entered, SESSION_LASTS, Shared};

/// The document, compressed with gzip. Every browser takes that, and RFC 9110 permits it without `Accept-Encoding`.
const DOCUMENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));

/// The policy of the document.
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy"));

/// The policy of the pages without scripts.
const PLAIN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; \
                            base-uri 'none'; frame-ancestors 'none'";

/// An answer for a browser.
#[derive(Debug)]
pub struct Document {
    /// Its status.
    pub status: Status,
    /// Its headers besides its length, a line each.
    pub headers: String,
    /// Its body.
    pub body: Cow<'static, [u8]>,
}

/// A browser, and its request.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'a [u8],
    /// The query.
    pub query: &'a [u8],
    /// The address of the browser.
    pub from: IpAddr,
    /// The token of its session, if it has one.
    pub session: Option<&'a str>,
    /// Whether it is admitted.
    pub is_admitted: bool,
    /// The port of the tracker.
    pub port: u16,
}

/// Return whether a path is one of the page.
pub fn is_page(path: &[u8]) -> bool {
    matches!(path, b"/" | b"/enter" | b"/plain" | b"/leave")
}

/// Return the name of the cookie. Browsers send a cookie to all ports of a host, so the name has the port.
pub fn cookie_name(port: u16) -> String {
    format!("nakodo-{port}")
}

/// Answer a visit.
///
/// # Errors
/// When the method does not belong to the path, or the system has no random numbers.
pub async fn answer(shared: &Shared, visit: &Visit<'_>) -> Result<Document, Refused> {
    match (visit.path, visit.method) {
        (b"/enter", Method::Get) => enter(shared, visit).await,
        (b"/" | b"/plain", Method::Get) if !visit.is_admitted => {
            Ok(html(Status::Unauthorized, login::page(login::Why::NoSession)))
        }
        (b"/", Method::Get) => Ok(Document {
            status: Status::Ok,
            headers: headers(&format!("Content-Encoding: gzip\r\nContent-Security-Policy: {POLICY}\r\n")),
            body: Cow::Borrowed(DOCUMENT),
        }),
        (b"/plain", Method::Get) => Ok(html(Status::Ok, plain::page(shared))),
        (b"/leave", Method::Post) => {
            shared.sessions.leave(visit.session.unwrap_or_default());
            save_sessions(shared).await;
            let cookie = format!("Set-Cookie: {}=; Path=/; Max-Age=0\r\n", cookie_name(visit.port));
            Ok(Document { status: Status::Ok, headers: headers(&cookie), body: Cow::Borrowed(b"") })
        }
        (path, _) => {
            let allowed = if path == b"/leave" { "POST" } else { "GET" };
            Err(Refused::new(Because::Method(allowed), format!("this path takes only {allowed}")))
        }
    }
}

/// Exchange a code for a session.
async fn enter(shared: &Shared, visit: &Visit<'_>) -> Result<Document, Refused> {
    let parameters = Parameters::parse(visit.query, &["code"])?;
    let code = parameters.text("code").unwrap_or_default();
    if code.is_empty() {
        return Ok(html(Status::Unauthorized, login::page(login::Why::NoSession)));
    }
    let entered = shared.sessions.enter(code, visit.from, shared.now()).map_err(|error| {
        Refused::new(Because::Failed, format!("the system has no random numbers for a session: {error}"))
    })?;
    match entered {
        Entered::Session(token) => {
            log::info!("the page was opened from {}", visit.from);
            save_sessions(shared).await;
            let cookie = format!(
                "Set-Cookie: {}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}\r\n",
                cookie_name(visit.port),
                SESSION_LASTS.as_secs()
            );
            // A redirect from another program's link would not send the new cookie, because it is strict.
            let mut document = html(Status::Ok, login::entered());
            document.headers.push_str(&cookie);
            Ok(document)
        }
        Entered::Wrong => {
            log::debug!("a wrong code for the page from {}", visit.from);
            Ok(html(Status::Unauthorized, login::page(login::Why::WrongCode)))
        }
        Entered::TooSoon(wait) => {
            let mut document = html(Status::TooManyRequests, login::page(login::Why::TooSoon(wait)));
            document.headers.push_str(&format!("Retry-After: {}\r\n", wait.as_secs() + 1));
            Ok(document)
        }
    }
}

async fn save_sessions(shared: &Shared) {
    if let Err(error) = shared.store.save_sessions(shared.sessions.to_save()).await {
        log::warn!("{error}; the sessions of the page end with this run");
    }
}

fn html(status: Status, body: String) -> Document {
    let headers = headers(&format!("Content-Security-Policy: {PLAIN_POLICY}\r\n"));
    Document { status, headers, body: Cow::Owned(body.into_bytes()) }
}

fn headers(further: &str) -> String {
    format!(
        "Content-Type: text/html; charset=utf-8\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         {further}"
    )
}

/// Return text without characters that have a meaning in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_small_and_its_policy_permits_only_its_own_script_and_style() {
        assert!(DOCUMENT.len() <= 40 << 10, "{} bytes", DOCUMENT.len());
        assert_eq!(&DOCUMENT[..2], [0x1f, 0x8b], "gzip");
        assert!(
            POLICY.starts_with("default-src 'none'; script-src 'sha256-") && !POLICY.contains("unsafe"),
            "{POLICY}"
        );
        println!("the page has {} bytes, compressed", DOCUMENT.len());
    }

    #[test]
    fn text_of_others_becomes_no_html() {
        assert_eq!(escape("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
