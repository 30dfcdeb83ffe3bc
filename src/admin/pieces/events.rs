//! The stream of events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, "Parsing an event stream".

use core::time::Duration;
use std::io;

use serde_json::{Value, json};
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

/// Return the type and the data of an event.
fn described(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Allowed { prefix, user, replaced } => {
            ("allow", json!({"prefix": prefix.to_string(), "user": user.as_str(), "replaced": replaced}))
        }
        Event::Imported { added, changed } => ("import", json!({"added": added, "changed": changed})),
        Event::Revoked { subject, entries } => ("revoke", json!({"subject": subject, "entries": entries})),
        Event::Retired { entries } => ("retire", json!({"entries": entries})),
        Event::LoggedIn { prefix, user, replaced } => {
            let replaced = replaced.map(|prefix| prefix.to_string());
            ("login", json!({"prefix": prefix.to_string(), "user": user.as_str(), "replaced": replaced}))
        }
        Event::Torrents { added, removed } => ("torrents", json!({"added": added, "removed": removed})),
        Event::Refused(counts) => {
            let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), Value::from(*count)));
            ("refusals", Value::Object(counts.collect()))
        }
    }
}
