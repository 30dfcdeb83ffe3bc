//! The history, the clients that were refused, and the codes of the page.

#[cfg(feature = "page")]
use super::refused::{Because, Refused};
use crate::access::prefix;
#[cfg(feature = "page")]
use crate::api::PageCode;
use crate::api::{History, Refusals, RefusedClient, Scale, Series};
use crate::history;
#[cfg(feature = "page")]
use crate::shared::CODE_LASTS;
use crate::shared::Shared;
use crate::tracker::{self, Admission};

/// Number of series that are always in the answer.
const ALWAYS: usize = 2;

/// Return the last hour and day.
pub(super) fn history(shared: &Shared) -> History {
    let history = shared.history.borrow();
    History { hour: scale(&history.hour, history.names()), day: scale(&history.day, history.names()) }
}

fn scale<const STEPS: usize>(scale: &history::Scale<STEPS>, names: &[&'static str]) -> Scale {
    let all = names.iter().enumerate().map(|(number, name)| Series { name, counts: scale.counts(number).collect() });
    let is_kept = |(number, series): &(usize, Series)| *number < ALWAYS || series.counts.iter().any(|count| *count > 0);
    let series = all.enumerate().filter(is_kept).map(|(_, series)| series).collect();
    Scale { step_seconds: scale.step().as_secs(), series }
}

/// Return the clients that were refused lately, the latest first, without those that have become admitted.
pub(super) fn refused(shared: &Shared) -> Refusals {
    let (tracker, now) = (shared.tracker.borrow(), shared.now());
    let is_admitted = |client: &&tracker::RefusedClient| match tracker.admission_at(client.address).1 {
        Admission::Open => true,
        Admission::Whitelist => tracker.whitelisted().covers(client.address),
        Admission::Closed => false,
    };
    let is_past = |client: &&tracker::RefusedClient| client.reason.is_about_the_address() && is_admitted(client);
    let mut clients: Vec<&tracker::RefusedClient> = tracker.refused().filter(|client| !is_past(client)).collect();
    clients.sort_by_key(|client| core::cmp::Reverse(client.last));
    let client = |client: &tracker::RefusedClient| RefusedClient {
        address: client.address.to_string(),
        prefix: prefix::of_client(client.address).to_string(),
        side: tracker.admission_at(client.address).0.name(),
        reason: client.reason.reason(),
        can_be_allowed: client.reason.is_about_the_address(),
        count: client.count,
        seconds_ago: now.since(client.last).as_secs(),
    };
    Refusals { refused: clients.into_iter().map(client).collect() }
}

/// Issue a code for the page.
///
/// # Errors
/// When the system has no random numbers.
#[cfg(feature = "page")]
pub(super) fn page_code(shared: &Shared) -> Result<PageCode, Refused> {
    let code = shared.sessions.issue(shared.now()).map_err(|error| {
        Refused::new(Because::Failed, format!("the system has no random numbers for the code: {error}"))
    })?;
    let links = shared.page_urls.borrow().iter().map(|url| format!("{url}/enter?code={}", code.0)).collect();
    Ok(PageCode { code: code.0, valid_seconds: CODE_LASTS.as_secs(), links })
}
