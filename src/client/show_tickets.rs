//! Answers about tickets and keys, in the form for people.

use super::fields::Fields;
use super::show::{table, time};
use crate::exit::Failure;

/// Beginning of a link if the address of the tracker is not known.
const UNKNOWN_URL: &str = "http://HOST:PORT";

/// Return the ticket and its links. They begin with `url`.
pub(super) fn signed(signed: Fields<'_>, url: Option<&str>) -> String {
    let [ticket, user, number] = ["ticket", "user", "number"].map(|name| signed.text(name));
    let base = url.unwrap_or(UNKNOWN_URL);
    let mut text = format!(
        "ticket    {ticket}\nnumber    {user}.{number}\nuntil     {}, at {} addresses at once\n\
         announce  {base}/{ticket}/announce\nlogin     {base}/login/{ticket}\n",
        time(signed.number("until_unix")),
        signed.number("addresses"),
    );
    if url.is_none() {
        text.push_str("HOST:PORT is the address of this tracker for the internet; set tickets.url to it\n");
    }
    text
}

pub(super) fn inspected(inspected: Fields<'_>) -> String {
    let verdict = inspected.some_text("refused").map_or("yes".into(), |reason| format!("no: {reason}"));
    let mut text = format!("accepted   {verdict}\n");
    let [user, number, key] = ["user", "number", "key"].map(|name| inspected.text(name));
    if !user.is_empty() {
        let [signed, until] = ["signed_unix", "until_unix"].map(|name| time(inspected.number(name)));
        let addresses = inspected.number("addresses");
        text.push_str(&format!(
            "user       {user}\nnumber     {user}.{number}\nkey        {key}\nsigned     {signed}\nuntil      {until}\n\
             addresses  {addresses} at once\n"
        ));
    }
    text
}

pub(super) fn tickets(tickets: Fields<'_>) -> Result<String, Failure> {
    let head = ["TICKET", "REPLACED", "OVER LIMIT"].map(String::from);
    let row = |ticket: Fields<'_>| {
        let name = format!("{}.{}", ticket.text("user"), ticket.text("number"));
        [name, ticket.number("replaced").to_string(), ticket.number("over_limit").to_string()]
    };
    let rows: Vec<_> = core::iter::once(head).chain(tickets.list("tickets")?.map(row)).collect();
    Ok(if rows.len() == 1 { "no ticket was verified lately\n".into() } else { table(&rows) })
}

pub(super) fn keys(keys: Fields<'_>) -> Result<String, Failure> {
    let head = ["KEY", "PUBLIC KEY", "ORIGIN", "SIGNS"].map(String::from);
    let rows: Vec<_> = core::iter::once(head).chain(keys.list("keys")?.map(row)).collect();
    let none = "there is no key; `nakodo ticket` or `nakodo key new` makes one\n";
    Ok(if rows.len() == 1 { none.into() } else { table(&rows) })
}

/// Return a key that was made, added or removed.
pub(super) fn key(key: Fields<'_>) -> String {
    table(&[row(key)])
}

fn row(key: Fields<'_>) -> [String; 4] {
    let signs = if key.is("signs") { "yes" } else { "-" };
    [key.text("key"), key.text("public"), key.text("origin"), signs.into()]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::{Key, Keys, TicketContent, TicketUse, Tickets};

    fn json(answer: &impl serde::Serialize) -> Value {
        serde_json::to_value(answer).expect("JSON")
    }

    fn fields(json: &Value) -> Fields<'_> {
        Fields::of(json).expect("an object")
    }

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
        let ticket = json(&content());
        assert_eq!(
            signed(fields(&ticket), Some("http://t.example:6969")),
            "ticket    1.a.b\nnumber    mika.gz400\nuntil     2027-01-15T08:00:00Z, at 2 addresses at once\n\
             announce  http://t.example:6969/1.a.b/announce\nlogin     http://t.example:6969/login/1.a.b\n"
        );
        assert!(signed(fields(&ticket), None).ends_with("for the internet; set tickets.url to it\n"));
    }

    #[test]
    fn an_inspected_ticket_has_its_verdict_and_its_content() {
        let refused = TicketContent { refused: Some("it is\x1b[2J forged".into()), ..TicketContent::default() };
        assert_eq!(inspected(fields(&json(&refused))), "accepted   no: it is\u{fffd}[2J forged\n");
        assert_eq!(
            inspected(fields(&json(&content()))),
            "accepted   yes\nuser       mika\nnumber     mika.gz400\nkey        M4Oi\nsigned     2026-11-18T11:06:40Z\n\
             until      2027-01-15T08:00:00Z\naddresses  2 at once\n"
        );
    }

    #[test]
    fn keys_and_tickets_are_tables() {
        let list = |answer: &Tickets| tickets(fields(&json(answer)));
        assert_eq!(list(&Tickets::default()), Ok("no ticket was verified lately\n".into()));
        let used = TicketUse { user: "mika".into(), number: "gz400".into(), replaced: 2, over_limit: 20 };
        assert_eq!(
            list(&Tickets { tickets: vec![used] }),
            Ok("TICKET      REPLACED  OVER LIMIT\nmika.gz400  2         20\n".into())
        );
        let list = |answer: &Keys| keys(fields(&json(answer))).expect("keys");
        assert!(list(&Keys::default()).starts_with("there is no key; "));
        let key = Key { key: "M4Oi".into(), public: "M4Oit3".into(), origin: "own".into(), signs: true };
        assert_eq!(list(&Keys { keys: vec![key] }), "KEY   PUBLIC KEY  ORIGIN  SIGNS\nM4Oi  M4Oit3      own     yes\n");
    }
}
