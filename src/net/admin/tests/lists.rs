//! Imports, pages of lists, the list of torrents, swarms and events.

use super::*;
use crate::api::{Imported, Known, Problem, Swarms, TorrentPage, TorrentsChanged, Users};
use crate::shared::{Event, TorrentSettings};
use crate::torrents::TorrentMode;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: n\r\n\r\n")
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: n\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Return the JSON of a response.
#[track_caller]
fn json<T: for<'b> serde::Deserialize<'b>>(response: &str) -> T {
    let body = response.split_once("\r\n\r\n").expect(response).1;
    serde_json::from_str(body).expect(response)
}

fn import(entries: &str) -> String {
    request("POST", "/v1/whitelist/import", &format!("{{\"entries\":[{entries}]}}"))
}

fn prefixes(list: &Whitelist) -> Vec<String> {
    list.entries.iter().map(|entry| entry.prefix.to_string()).collect()
}

#[test]
fn an_import_is_on_the_disk_as_a_whole() {
    let served = Served::new(8);
    served.ask(of_user("203.0.113.1", "mika")).expect("room");
    served.ask(of_user("203.0.113.2", "mika")).expect("room");
    let four = r#"{"prefix":"203.0.113.1","user":"mika"},{"prefix":"203.0.113.2","user":"mika","permanent":true},
        {"prefix":"203.0.113.3","user":"ann"},{"prefix":"203.0.113.3/32","user":"ann"},{"prefix":"2001:db8::7"}"#;
    let imported: Imported = json(&served.send(import(four)));
    let changed = Known { prefix: prefix::parse("203.0.113.2").expect("a prefix"), user: Some("mika".into()) };
    assert_eq!(imported, Imported { added: 2, changed: 1, unchanged: 1, replaced: vec![changed] });
    assert!(served.announce("2001:db8::99") && served.announce("203.0.113.3"));
    let again: Imported = json(&served.send(import(four)));
    assert_eq!(again, Imported { unchanged: 4, ..Imported::default() });
    let entries = served.reopened();
    let listed: Vec<_> = entries.iter().map(|entry| (entry.prefix.to_string(), entry.user.to_string())).collect();
    let expected =
        [("203.0.113.1/32", "mika"), ("203.0.113.2/32", "mika"), ("203.0.113.3/32", "ann"), ("2001:db8::/64", "")];
    assert_eq!(listed, expected.map(|(prefix, user)| (prefix.to_owned(), user.to_owned())));
    assert_eq!(entries[1].retire, Retire::Never);
}

#[test]
fn a_refused_import_changes_nothing() {
    let served = Served::new(3);
    served.ask(of_user("203.0.113.1", "mika")).expect("room");
    let good = r#"{"prefix":"203.0.113.8"},"#;
    for (entries, status, reason) in [
        (
            r#"{"prefix":"203.0.113.9","user":" "}"#,
            "400 Bad Request",
            "entry 2 of the request, 203.0.113.9/32: `user` is blank",
        ),
        (
            r#"{"prefix":"203.0.113.8","user":"x"}"#,
            "400 Bad Request",
            "two entries of the request have the prefix 203.0.113.8/32",
        ),
        (
            r#"{"prefix":"203.0.113.9","usr":"x"}"#,
            "400 Bad Request",
            "not valid for /v1/whitelist/import: unknown field",
        ),
        (r#"{"prefix":"203.0.113.1","user":"ann"}"#, "409 Conflict", "belong to other users; nothing was changed"),
        (
            r#"{"prefix":"203.0.113.9"},{"prefix":"203.0.113.10"}"#,
            "507 Insufficient Storage",
            "3 of the entries are new, and the whitelist has room for 2",
        ),
    ] {
        let response = served.send(import(&format!("{good}{entries}")));
        refused(&response, status, reason);
        assert_eq!(prefixes(&served.whitelist()), ["203.0.113.1/32"]);
    }
    let conflict = r#"{"prefix":"203.0.113.1","user":"ann"}"#;
    let problem: Problem = json(&served.send(import(conflict)));
    assert_eq!(problem.conflicts[0].user.as_deref(), Some("mika"));
    served.shared.store.break_disk();
    refused(&served.send(import(good.trim_end_matches(','))), "507 Insufficient Storage", "nothing was changed");
    let replace = format!(r#"{{"entries":[{conflict}],"replace":true}}"#);
    let imported: Imported = json(&served.send(request("POST", "/v1/whitelist/import", &replace)));
    assert_eq!((imported.changed, imported.replaced.len()), (1, 1));
    assert_eq!(served.reopened()[0].user, "ann");
}

#[test]
fn ten_thousand_entries_come_in_one_request() {
    let served = Served::new(10_000);
    let entry = |number: u32| {
        let [_, _, a, b] = number.to_be_bytes();
        format!(r#"{{"prefix":"10.1.{a}.{b}","user":"customer-{number}","retire_after_seconds":2592000}}"#)
    };
    let entries: Vec<String> = (0..10_000).map(entry).collect();
    let before = served.shared.store.octets_written();
    let started = std::time::Instant::now();
    let imported: Imported = json(&served.send(import(&entries.join(","))));
    let (seconds, octets) = (started.elapsed().as_secs_f64(), served.shared.store.octets_written() - before);
    println!("10,000 entries: {seconds:.2} s, {octets} bytes written");
    assert_eq!(imported, Imported { added: 10_000, ..Imported::default() });
    let too_many = import(&(0..10_001).map(entry).collect::<Vec<_>>().join(","));
    refused(&served.send(too_many), "400 Bad Request", "has 10001 entries and may have 10000");
    let long = format!("POST /v1/whitelist/import HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 4 << 20);
    refused(&served.send(long), "413 Content Too Large", "may have 3145728 bytes");
    assert_eq!(served.reopened().len(), 10_000);
}

#[test]
fn one_long_request_arrives_at_a_time() {
    let served = Served::new(8);
    let long = import(&format!(r#"{{"prefix":"203.0.113.1"}}{}"#, " ".repeat(10_000)));
    let (socket, start, rest) = (served.socket.clone(), long[..5_000].to_owned(), long[5_000..].to_owned());
    let (busy, done) = served.run(move || {
        let mut first = UnixStream::connect(&socket).expect("it listens");
        first.write_all(start.as_bytes()).expect("it is read");
        std::thread::sleep(Duration::from_millis(50));
        let mut second = UnixStream::connect(&socket).expect("it listens");
        second.write_all(long.as_bytes()).expect("it is read");
        let busy = read_all(second);
        first.write_all(rest.as_bytes()).expect("it is read");
        (busy, read_all(first))
    });
    refused(&busy, "503 Service Unavailable", "another long request is being received");
    assert_eq!(json::<Imported>(&done).added, 1);
}

#[test]
fn lists_have_filters_and_pages() {
    let served = Served::new(200);
    fill(&served, 100);
    served.ask(of_user("203.0.113.1", "customer 7")).expect("room");
    served.ask(of_user("203.0.113.2", "customer 7")).expect("room");
    let list = |query: &str| -> Whitelist { json(&served.send(get(&format!("/v1/whitelist?{query}")))) };
    assert_eq!(prefixes(&list("user=customer%207")), ["10.0.0.7/32", "203.0.113.1/32", "203.0.113.2/32"]);
    assert_eq!(prefixes(&list("within=203.0.113.0/24&limit=2")).len(), 2);
    assert_eq!(list("within=203.0.113.0%2F24&limit=2").next, None, "there are no more");
    assert_eq!(list("user=nobody"), Whitelist::default());
    let (mut pages, mut found, mut query) = (0, Vec::new(), "limit=30".to_owned());
    loop {
        let page = list(&query);
        pages += 1;
        found.extend(prefixes(&page));
        match page.next {
            Some(next) => query = format!("limit=30&after={next}"),
            None => break,
        }
    }
    assert_eq!((pages, found.len()), (4, 102));
    assert_eq!(found, prefixes(&list("")));

    let users: Users = json(&served.send(get("/v1/users?limit=3&after=customer%206")));
    let summary: Vec<_> = users.users.iter().map(|user| (user.user.as_str(), user.entries)).collect();
    assert_eq!(summary, [("customer 60", 1), ("customer 61", 1), ("customer 62", 1)]);
    assert_eq!(users.next.as_deref(), Some("customer 62"));
    let users: Users = json(&served.send(get("/v1/users?after=customer%2069")));
    assert_eq!((users.users.len(), users.users[0].user.as_str(), users.users[0].entries), (33, "customer 7", 3));
    assert_eq!(users.next, None);

    for (query, reason) in [
        ("limit=0", "\\\"0\\\" is no value of the parameter `limit`"),
        ("limit=10001", "is no value of the parameter `limit`"),
        ("after=x", "is no value of the parameter `after`"),
        ("usr=x", "unknown parameter \\\"usr\\\"; the parameters here are: user, within, after, limit"),
        ("user=a&user=b", "the parameter `user` is given twice"),
        ("user=%zz", "bad percent sign"),
    ] {
        refused(&served.send(get(&format!("/v1/whitelist?{query}"))), "400 Bad Request", reason);
    }
    refused(&served.send(get("/v1/status?x=1")), "400 Bad Request", "the parameters here are: none");
}

#[test]
fn each_path_takes_its_methods_and_no_other() {
    let served = Served::new(8);
    for path in ["/v1/explain/", "/v1/swarms/", "/v1/explain/a/b", "/v1", "/v1/whitelist/"] {
        refused(&served.send(get(path)), "404 Not Found", "unknown path");
    }
    for (path, methods) in [
        ("/v1/users", "GET"),
        ("/v1/explain/192.0.2.1", "GET"),
        ("/v1/whitelist/import", "POST"),
        ("/v1/keys", "GET, POST, DELETE"),
        ("/v1/torrents", "GET, POST, DELETE"),
        ("/v1/torrents/reload", "POST"),
        ("/v1/swarms/00", "GET"),
        ("/v1/events", "GET"),
    ] {
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD"] {
            if !methods.contains(method) {
                let response = served.send(request(method, path, "{}"));
                let head = format!("HTTP/1.1 405 Method Not Allowed\r\nAllow: {methods}\r\n");
                assert!(response.starts_with(&head), "{method} {path}: {response}");
            }
        }
    }
}

fn with_torrents(served: &Served, mode: TorrentMode) {
    let settings = TorrentSettings { mode, file: served.dir.file("torrents"), capacity: 3 };
    served.shared.torrents.begin(&mut served.shared.tracker.borrow_mut(), settings);
}

#[test]
fn the_list_of_torrents_decides_which_swarms_are_there() {
    let served = Served::new(8);
    assert!(served.announce("192.168.1.7"));
    with_torrents(&served, TorrentMode::Only);
    let torrents = |method: &str, body: &str| served.send(request(method, "/v1/torrents", body));
    let hash = InfoHash([7; 20]);
    let own = format!(r#"{{"torrents":[{{"info_hash":"{hash}","name":"Seven"}}]}}"#);
    assert!(!served.announce("192.168.1.7"), "the list is missing");
    assert_eq!(json::<TorrentPage>(&served.send(get("/v1/torrents"))).torrents, []);
    let added: TorrentsChanged = json(&torrents("POST", &own));
    assert_eq!(added, TorrentsChanged { added: 1, torrents: 1, ..TorrentsChanged::default() });
    assert!(served.announce("192.168.1.7") && served.announce("192.168.1.8"));
    let page: TorrentPage = json(&served.send(get("/v1/torrents")));
    assert_eq!((page.mode.as_str(), page.capacity, page.torrents.len()), ("only", 3, 1));
    assert_eq!((page.torrents[0].info_hash.clone(), page.torrents[0].name.as_str()), (hash.to_string(), "Seven"));
    let status: Status = json(&served.send(get("/v1/status")));
    assert_eq!((status.torrents.mode.as_str(), status.torrents.entries, status.warnings.len()), ("only", 1, 0));

    let removed: TorrentsChanged = json(&torrents("DELETE", &format!(r#"{{"info_hashes":["{hash}"]}}"#)));
    assert_eq!(removed, TorrentsChanged { removed: 1, ..TorrentsChanged::default() });
    assert_eq!(served.peers(), 0, "its peers have left");
    assert!(!served.announce("192.168.1.7"));
    for (method, body, status, reason) in [
        ("POST", r#"{"torrents":[{"info_hash":"07"}]}"#, "400 Bad Request", "send 40 or 64 hexadecimal digits"),
        ("DELETE", r#"{"info_hashes":["x"]}"#, "400 Bad Request", "is no info-hash"),
        ("DELETE", &format!(r#"{{"info_hashes":["{hash}"]}}"#), "404 Not Found", "none of these torrents"),
        ("POST", &own.replace("Seven", "a\\u0007b"), "400 Bad Request", "cannot be a name"),
    ] {
        refused(&torrents(method, body), status, reason);
    }
    let names = |from: u8, to: u8| {
        let torrent = |octet| format!(r#"{{"info_hash":"{}"}}"#, InfoHash([octet; 20]));
        format!(r#"{{"torrents":[{}]}}"#, (from..to).map(torrent).collect::<Vec<_>>().join(","))
    };
    refused(&torrents("POST", &names(1, 5)), "507 Insufficient Storage", "would have more than 3 torrents");
    assert_eq!(json::<TorrentsChanged>(&torrents("POST", &names(1, 4))).torrents, 3);
}

#[test]
fn a_list_that_a_person_changed_is_read_again_unless_it_is_wrong() {
    let served = Served::new(8);
    let file = served.dir.file("torrents");
    let reload = || served.send(request("POST", "/v1/torrents/reload", ""));
    fs::write(&file, format!("{} Seven\n", InfoHash([7; 20]))).expect("written");
    with_torrents(&served, TorrentMode::Only);
    assert!(served.announce("192.168.1.7"));
    fs::write(&file, "# nothing\nhttp://torrent.example\n").expect("written");
    refused(&reload(), "409 Conflict", "torrents:2: its first word has 22 characters");
    refused(&served.send(get("/v1/torrents")), "409 Conflict", "torrents:2: ");
    assert!(served.announce("192.168.1.7"), "the previous list stays in effect");
    fs::write(&file, format!("{}\n", InfoHash([8; 20]))).expect("written");
    assert_eq!(json::<TorrentsChanged>(&reload()).torrents, 1);
    assert_eq!((served.peers(), served.announce("192.168.1.7")), (0, false));
    let long: String = (0..3_u8).map(|octet| format!("{} {}\n", InfoHash([octet; 20]), "n".repeat(200))).collect();
    fs::write(&file, long.repeat(40)).expect("written");
    let page: TorrentPage = json(&served.send(get("/v1/torrents")));
    assert_eq!(page.torrents.len(), 120, "in several pieces");
}

#[test]
fn swarms_have_their_counts_and_pages() {
    let served = Served::new(8);
    for octet in 0..40 {
        for port in 1..=u16::from(octet) {
            let (info_hash, left) = (InfoHash([octet; 20]), u64::from(port % 2));
            let announce = Announce { info_hash, port, left, event: crate::wire::Event::Started, num_want: None };
            let from = [192, 168, 1, 7].into();
            let mut tracker = served.shared.tracker.borrow_mut();
            tracker.announce(served.shared.now(), from, Transport::Http, &announce).expect("the LAN is open");
        }
    }
    let swarms = |query: &str| -> Swarms { json(&served.send(get(&format!("/v1/swarms{query}")))) };
    let all = swarms("");
    assert_eq!((all.swarms.len(), all.next), (39, None));
    let (mut found, mut query) = (Vec::new(), "?limit=7".to_owned());
    loop {
        let page = swarms(&query);
        found.extend(page.swarms);
        match page.next {
            Some(next) => query = format!("?limit=7&after={next}"),
            None => break,
        }
    }
    assert_eq!(found, all.swarms);
    let one = swarms(&format!("/{}", InfoHash([9; 20]))).swarms;
    assert_eq!((one.len(), one[0].side.as_str(), one[0].seeders, one[0].leechers), (1, "LAN", 4, 5));
    assert_eq!(swarms(&format!("/{}", InfoHash([77; 20]))).swarms, []);
    refused(&served.send(get("/v1/swarms/zz")), "400 Bad Request", "is no info-hash");
}

#[test]
fn events_come_as_they_happen() {
    let served = Served::new(8);
    served.ask(of_user("203.0.113.1", "mika")).expect("room");
    let socket = served.socket.clone();
    let lines = served.run(move || {
        let listen = |query: &str| {
            let mut stream = UnixStream::connect(&socket).expect("it listens");
            stream.write_all(get(&format!("/v1/events{query}")).as_bytes()).expect("it is read");
            stream
        };
        let until = |stream: &mut UnixStream, end: &str| {
            let mut text = String::new();
            let mut octet = [0];
            while !text.ends_with(end) {
                stream.read_exact(&mut octet).expect("an event");
                text.push(octet[0].into());
            }
            text
        };
        let mut late = listen("?after=0");
        let early =
            until(&mut late, "\ndata: {\"prefix\":\"203.0.113.1/32\",\"replaced\":false,\"user\":\"mika\"}\n\n");
        client::ask(&socket, &of_user("203.0.113.2", "ann"), None).expect("room");
        client::ask(&socket, &Request::Revoke(Revoke::User("mika".into())), None).expect("an entry");
        early + &until(&mut late, "event: revoke\ndata: {\"entries\":1,\"subject\":\"user \\\"mika\\\"\"}\n\n")
    });
    assert!(lines.contains("\r\nContent-Type: text/event-stream\r\n"), "{lines}");
    assert!(lines.contains("id: 1\nevent: allow\n") && lines.contains("id: 2\nevent: allow\n"), "{lines}");
    assert!(lines.contains("id: 3\nevent: revoke\n"), "{lines}");
    let _listeners: Vec<_> = (0..4).map(|_| served.shared.events.listen()).collect();
    refused(&served.send(get("/v1/events")), "503 Service Unavailable", "listen to events");
    refused(&served.send(get("/v1/events?after=x")), "400 Bad Request", "no value of the parameter `after`");
    served.shared.events.send(Event::Retired { entries: 1 });
}

#[test]
fn a_ticket_takes_no_place_of_an_import() {
    use crate::access::{ShownBy, TicketNumber};
    let served = Served::new(200);
    let entries: Vec<String> = (1..=200).map(|number| format!(r#"{{"prefix":"203.0.113.{number}"}}"#)).collect();
    let request = crate::admin::Request {
        method: crate::http::Method::Post,
        path: b"/v1/whitelist/import".to_vec(),
        query: Vec::new(),
        body: format!("{{\"entries\":[{}]}}", entries.join(",")).into_bytes(),
    };
    let brought =
        Entry { ticket: Some(TicketNumber(1)), ..Entry::new(prefix::parse("198.51.100.1").expect("a prefix")) };
    let shared = &served.shared;
    let ticket = async {
        while shared.tracker.borrow().whitelisted().len() == 0 {
            smol::future::yield_now().await;
        }
        shared.tracker.borrow_mut().whitelist().put_unsaved(brought, ShownBy::Announce)
    };
    let (imported, taken) = smol::block_on(smol::future::zip(crate::admin::answer(shared, request), ticket));
    assert!(imported.is_ok() && taken.is_err(), "{imported:?} {taken:?}");
    assert_eq!(shared.tracker.borrow().whitelisted().len(), 200);
}

#[test]
fn an_earlier_address_of_a_revoked_user_is_not_on_the_disk() {
    use crate::access::TicketNumber;
    let served = Served::new(8);
    assert!(served.send(request("POST", "/v1/keys", "{}")).starts_with("HTTP/1.1 200"));
    let user = User::try_from("mika").expect("short");
    let prefix = prefix::parse("203.0.113.1").expect("a prefix");
    let entry = Entry { user, ticket: Some(TicketNumber(1)), retire: Retire::Never, ..Entry::new(prefix) };
    smol::block_on(served.shared.store.put(vec![entry.clone()])).expect("on the disk");
    {
        let mut tracker = served.shared.tracker.borrow_mut();
        tracker.whitelist().put(entry).expect("room");
        let departing = tracker.whitelist().departing(&prefix).expect("listed");
        tracker.revoke(&[prefix]);
        tracker.whitelist().depart(&departing);
    }
    let response = served.send(with_body("DELETE", r#"{"user":"mika"}"#));
    assert!(response.contains(r#"{"removed":0,"tickets_revoked":true"#), "{response}");
    assert_eq!(served.reopened(), []);
}
