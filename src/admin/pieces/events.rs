//! The stream of events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, "Parsing an event stream".

use core::time::Duration;
use std::io;

use smol::Timer;
use smol::future::FutureExt as _;

use crate::admin::refused::{Because, Refused};
use crate::shared::{Event, Listening, Numbered, Shared};

/// Time without an event after which a comment is sent, so that both ends notice a lost connection.
const SILENCE: Duration = Duration::from_secs(15);

/// The progress of the stream.
#[derive(Debug)]
pub struct EventStream {
    last: u64,
    is_begun: bool,
    _listening: Listening,
}

impl EventStream {
    /// Begin after the event with the number `after`, or with the next event.
    pub(in crate::admin) fn begin(shared: &Shared, after: Option<u64>) -> Result<Self, Refused> {
        let listening = shared.events.listen().ok_or_else(|| {
            Refused::new(Because::Busy, "as many programs as possible listen to events; close another one first")
        })?;
        // A number of an earlier run may be larger than those of this one.
        let last = after.filter(|after| *after <= shared.events.last()).unwrap_or(shared.events.last());
        Ok(Self { last, is_begun: false, _listening: listening })
    }

    /// Wait for the next event, and write it. The stream has no end.
    pub(super) async fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> io::Result<bool> {
        if !self.is_begun {
            self.is_begun = true;
            piece.extend_from_slice(b": events of nakodo\n\n");
            return Ok(true);
        }
        let event = async { Some(shared.events.after(self.last).await) };
        let silence = async {
            Timer::after(SILENCE).await;
            None
        };
        match event.or(silence).await {
            Some(Numbered { number, event }) => {
                self.last = number;
                let (kind, data) = described(&event);
                piece.extend_from_slice(format!("id: {number}\nevent: {kind}\ndata: {data}\n\n").as_bytes());
            }
            None => piece.extend_from_slice(b":\n\n"),
        }
        Ok(true)
    }
}

/// Return the type and the data of an event, which is a JSON object.
fn described(event: &Event) -> (&'static str, String) {
    match event {
        Event::Allowed { prefix, user, replaced } => {
            ("allow", format!(r#"{{"prefix":"{prefix}","replaced":{replaced},"user":{}}}"#, text(user)))
        }
        Event::Imported { added, changed } => ("import", format!(r#"{{"added":{added},"changed":{changed}}}"#)),
        Event::Revoked { subject, entries } => {
            ("revoke", format!(r#"{{"entries":{entries},"subject":{}}}"#, text(subject)))
        }
        Event::Retired { entries } => ("retire", format!(r#"{{"entries":{entries}}}"#)),
        Event::LoggedIn { prefix, user, replaced } => {
            let replaced = replaced.map_or("null".into(), |prefix| format!(r#""{prefix}""#));
            ("login", format!(r#"{{"prefix":"{prefix}","replaced":{replaced},"user":{}}}"#, text(user)))
        }
        Event::Torrents { added, removed } => ("torrents", format!(r#"{{"added":{added},"removed":{removed}}}"#)),
        Event::Refused(counts) => {
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!(r#""{name}":{count}"#)).collect();
            ("refusals", format!("{{{}}}", counts.join(",")))
        }
    }
}

/// Return a text in JSON.
fn text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::{User, prefix};

    #[test]
    fn each_event_is_an_object_in_json() {
        let prefix = prefix::parse("192.0.2.7").expect("a prefix");
        let user = User::try_from("a \"b\" \\").expect("short");
        let name = "a \"b\" \\";
        for (event, kind, expected) in [
            (
                Event::Allowed { prefix, user: user.clone(), replaced: true },
                "allow",
                json!({"prefix": "192.0.2.7/32", "replaced": true, "user": name}),
            ),
            (Event::Imported { added: 1, changed: 2 }, "import", json!({"added": 1, "changed": 2})),
            (Event::Revoked { subject: name.into(), entries: 3 }, "revoke", json!({"subject": name, "entries": 3})),
            (Event::Retired { entries: 4 }, "retire", json!({"entries": 4})),
            (
                Event::LoggedIn { prefix, user: user.clone(), replaced: None },
                "login",
                json!({"prefix": "192.0.2.7/32", "replaced": null, "user": name}),
            ),
            (
                Event::LoggedIn { prefix, user, replaced: Some(prefix) },
                "login",
                json!({"prefix": "192.0.2.7/32", "replaced": "192.0.2.7/32", "user": name}),
            ),
            (Event::Torrents { added: 5, removed: 6 }, "torrents", json!({"added": 5, "removed": 6})),
            (
                Event::Refused(vec![("refused_torrent", 7), ("tickets_forged", 8)]),
                "refusals",
                json!({"refused_torrent": 7, "tickets_forged": 8}),
            ),
        ] {
            let (found, data) = described(&event);
            assert_eq!(found, kind);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&data).expect(&data), expected);
        }
    }
}
