//! Answers about tickets and keys, in the form for people.

use super::show::{printable, table, time};
use crate::api::{Key, Keys, TicketContent, Tickets};

/// Beginning of a link if the address of the tracker is not known.
const UNKNOWN_URL: &str = "http://HOST:PORT";

/// Return the ticket and its links. They begin with `url`.
pub(super) fn signed(signed: &TicketContent, url: Option<&str>) -> String {
    let TicketContent { ticket, user, number, until_unix, addresses, .. } = signed;
    let (ticket, user) = (printable(ticket), printable(user));
    let base = url.unwrap_or(UNKNOWN_URL);
    let mut text = format!(
        "ticket    {ticket}\nnumber    {user}.{}\nuntil     {}, at {addresses} addresses at once\n\
         announce  {base}/{ticket}/announce\nlogin     {base}/login/{ticket}\n",
        printable(number),
        time(*until_unix),
    );
    if url.is_none() {
        text.push_str("HOST:PORT is the address of this tracker for the internet; set tickets.url to it\n");
    }
    text
}

pub(super) fn inspected(inspected: &TicketContent) -> String {
    let TicketContent { refused, user, number, key, signed_unix, until_unix, addresses, .. } = inspected;
    let verdict = refused.as_ref().map_or("yes".into(), |reason| format!("no: {}", printable(reason)));
    let mut text = format!("accepted   {verdict}\n");
    if !user.is_empty() {
        let (key, user, number) = (printable(key), printable(user), printable(number));
        let (signed, until) = (time(*signed_unix), time(*until_unix));
        text.push_str(&format!(
            "user       {user}\nnumber     {user}.{number}\nkey        {key}\nsigned     {signed}\nuntil      {until}\n\
             addresses  {addresses} at once\n"
        ));
    }
    text
}

pub(super) fn tickets(tickets: &Tickets) -> String {
    if tickets.tickets.is_empty() {
        return "no ticket was verified lately\n".into();
    }
    let head = ["TICKET", "REPLACED", "OVER LIMIT"].map(String::from);
    let rows = tickets.tickets.iter().map(|ticket| {
        let name = printable(&format!("{}.{}", ticket.user, ticket.number));
        [name, ticket.replaced.to_string(), ticket.over_limit.to_string()]
    });
    table(&core::iter::once(head).chain(rows).collect::<Vec<_>>())
}

pub(super) fn keys(keys: &Keys) -> String {
    if keys.keys.is_empty() {
        return "there is no key; `nakodo ticket` or `nakodo key new` makes one\n".into();
    }
    let head = ["KEY", "PUBLIC KEY", "ORIGIN", "SIGNS"].map(String::from);
    table(&core::iter::once(head).chain(keys.keys.iter().map(row)).collect::<Vec<_>>())
}

/// Return a key that was made, added or removed.
pub(super) fn key(key: &Key) -> String {
    table(&[row(key)])
}

fn row(key: &Key) -> [String; 4] {
    let signs = if key.signs { "yes" } else { "-" };
    [printable(&key.key), printable(&key.public), printable(&key.origin), signs.into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TicketUse;

    fn content() -> TicketContent {
        TicketContent {
            ticket: "1.a.b".into(),
            refused: None,
            user: "mika".into(),
            number: "gz400".into(),
            key: "M4Oi".into(),
            signed_unix: 1_795_000_000,
            until_unix: 1_800_000_000,
            addresses: 2,
        }
    }

    #[test]
    fn a_ticket_has_its_links() {
        let ticket = content();
        assert_eq!(
            signed(&ticket, Some("http://t.example:6969")),
            "ticket    1.a.b\nnumber    mika.gz400\nuntil     2027-01-15T08:00:00Z, at 2 addresses at once\n\
             announce  http://t.example:6969/1.a.b/announce\nlogin     http://t.example:6969/login/1.a.b\n"
        );
        assert!(signed(&ticket, None).ends_with("for the internet; set tickets.url to it\n"));
    }

    #[test]
    fn an_inspected_ticket_has_its_verdict_and_its_content() {
        let refused = TicketContent { refused: Some("it is\x1b[2J forged".into()), ..TicketContent::default() };
        assert_eq!(inspected(&refused), "accepted   no: it is\u{fffd}[2J forged\n");
        assert_eq!(
            inspected(&content()),
            "accepted   yes\nuser       mika\nnumber     mika.gz400\nkey        M4Oi\nsigned     2026-11-18T11:06:40Z\n\
             until      2027-01-15T08:00:00Z\naddresses  2 at once\n"
        );
    }

    #[test]
    fn keys_and_tickets_are_tables() {
        assert_eq!(tickets(&Tickets::default()), "no ticket was verified lately\n");
        let used = TicketUse { user: "mika".into(), number: "gz400".into(), replaced: 2, over_limit: 20 };
        assert_eq!(
            tickets(&Tickets { tickets: vec![used] }),
            "TICKET      REPLACED  OVER LIMIT\nmika.gz400  2         20\n"
        );
        assert!(keys(&Keys::default()).starts_with("there is no key; "));
        let key = Key { key: "M4Oi".into(), public: "M4Oit3".into(), origin: "own".into(), signs: true };
        assert_eq!(keys(&Keys { keys: vec![key] }), "KEY   PUBLIC KEY  ORIGIN  SIGNS\nM4Oi  M4Oit3      own     yes\n");
    }
}
