//! The commands against a stand-in for the tracker.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use super::*;
use crate::access::prefix;

/// Return the path of a socket for one test.
fn socket_path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nakodo-client-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// Read one request, head and body.
fn read_request(stream: &mut UnixStream) -> String {
    let mut request = Vec::new();
    let mut octet = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut octet).is_ok() {
        request.push(octet[0]);
    }
    let head = String::from_utf8(request).expect("requests are ASCII");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).expect("the whole body");
    head + &String::from_utf8(body).expect("JSON is UTF-8")
}

/// Send `request` to a tracker that answers with `parts`, in one write each. Return the answer and the request as it
/// arrived.
fn ask_one(name: &str, request: &Request, parts: Vec<Vec<u8>>) -> (Result<String, Failure>, String) {
    let path = socket_path(name);
    let listener = UnixListener::bind(&path).expect("a socket can be made");
    let tracker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        let request = read_request(&mut stream);
        // The client may close before all parts are sent.
        let _ = parts.iter().try_for_each(|part| stream.write_all(part));
        request
    });
    let answer = ask(&path, request, None);
    let asked = tracker.join().expect("the tracker stays alive");
    fs::remove_file(&path).expect("the socket is there");
    (answer, asked)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

const LIST: Request = Request::List { json: false };

#[test]
fn requests_on_the_wire() {
    let prefix = prefix::parse("192.0.2.7").expect("a prefix");
    let allow = Allow {
        prefix,
        user: Some("mika \"m\"".into()),
        retire_after_seconds: Some(60),
        until_unix: None,
        permanent: false,
    };
    let allowed = http("200 OK", r#"{"prefix":"192.0.2.7/32","replaced":false}"#);
    let (answer, asked) = ask_one("allow", &Request::Allow(allow), vec![allowed]);
    assert_eq!(answer, Ok("allowed 192.0.2.7/32\n".into()));
    let body = r#"{"prefix":"192.0.2.7/32","user":"mika \"m\"","retire_after_seconds":60,"permanent":false}"#;
    let head = format!(
        "POST /v1/whitelist HTTP/1.1\r\nHost: nakodo\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(asked, head + body);

    let revoke = Request::Revoke(Revoke::User("mika".into()));
    let (answer, asked) = ask_one("revoke", &revoke, vec![http("200 OK", r#"{"removed":2}"#)]);
    assert_eq!(answer, Ok("removed 2 entries\n".into()));
    assert!(asked.starts_with("DELETE /v1/whitelist HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"user\":\"mika\"}"));
}

#[test]
fn the_whitelist_in_the_form_for_people() {
    let body = r#"{"entries":[
        {"prefix":"192.0.2.7/32","user":"mika","idle_seconds":10939,"retire_after_seconds":2592000,"until_unix":1801440000,"added_unix":1793491200},
        {"prefix":"2001:db8::/64","user":null,"idle_seconds":0,"retire_after_seconds":null,"until_unix":null,"added_unix":null},
        {"prefix":"198.51.100.0/24","user":"søren\u001b[2J","idle_seconds":70,"retire_after_seconds":60,"until_unix":18446744073709551615,"news":1}
    ]}"#;
    let (answer, asked) = ask_one("list", &LIST, vec![http("200 OK", body)]);
    assert!(asked.starts_with("GET /v1/whitelist HTTP/1.1\r\n"));
    let table = "\
PREFIX           USER       IDLE    RETIRES IN  UNTIL
192.0.2.7/32     mika       3h 2m   29d 20h     2027-02-01T00:00:00Z
2001:db8::/64    -          0s      never       -
198.51.100.0/24  søren\u{fffd}[2J  1m 10s  now         after the year 9999
";
    assert_eq!(answer, Ok(table.into()));
    let (answer, _) = ask_one("empty", &LIST, vec![http("200 OK", r#"{"entries":[]}"#)]);
    assert_eq!(answer, Ok("the whitelist is empty\n".into()));
}

#[test]
fn the_status_in_the_form_for_people() {
    let body = r#"{"version":"0.1.0","uptime_seconds":3720,"running_seconds":90000,
        "memory":{"budget_octets":8388608,"lines":131072,"lines_in_use":12,"swarms":3,"peers":10,"seeders":4,"leechers":6},
        "whitelist":{"entries":2,"capacity":1024},"torrents":{"mode":"only","entries":3,"capacity":10000},"flash":{"octets_written":12345},
        "disk":{"failing":"no\u001broom","failures":2,"rebuilds":1},
        "counters":{"announces_udp":7,"udp_bad_connection_id":0,"udp_malformed":1,"odd":5}}"#;
    let (answer, _) = ask_one("status", &Request::Status { json: false }, vec![http("200 OK", body)]);
    let text = "\
nakodo
  version            0.1.0
  up for             1h 2m
  in all its runs    1d 1h
memory
  budget             8.0 MiB
  lines in use       12 of 131072
  swarms             3
  peers              10
  seeders            4
  leechers           6
whitelist
  entries            2 of 1024
torrents
  served             only
  on the list        3 of 10000
flash
  written            12.0 KiB
disk
  failures           2
  rebuilds           1
  failing            no\u{fffd}room
announces
  udp                7
counters
  odd                5
udp
  bad connection id  0
  malformed          1
";
    assert_eq!(answer, Ok(text.into()));
}

#[test]
fn json_goes_through_unchanged() {
    for body in ["{ \"odd\" : [ 1 ] }", "[]\n"] {
        for (name, request) in [("j1", Request::List { json: true }), ("j2", Request::Status { json: true })] {
            let (answer, _) = ask_one(name, &request, vec![http("200 OK", body)]);
            assert_eq!(answer, Ok(format!("{}\n", body.trim_end())));
        }
    }
}

#[test]
fn json_that_was_cut_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let body = r#"{"entries":[{"prefix":"192.0.2.7/32","idle_seconds":10939}]}"#;
    for (name, json) in [("c1", true), ("c2", false)] {
        let ask = |octets: usize| ask_one(name, &Request::List { json }, vec![head.into(), body[..octets].into()]).0;
        assert!(ask(body.len()).is_ok_and(|answer| answer.contains("192.0.2.7/32")));
        for octets in (0..body.len()).step_by(7) {
            let message = "the tracker's answer ends too early; ask again";
            assert_eq!(ask(octets), Err(Failure::new(exit::IOERR, message)), "{octets}");
        }
        assert!(ask_one(name, &Request::List { json }, vec![http("200 OK", "<html>")]).0.is_err());
    }
}

#[test]
fn an_answer_may_come_in_pieces() {
    let whole = http("200 OK", r#"{"entries":[]}"#);
    let pieces = whole.iter().map(|octet| vec![*octet]).collect();
    assert_eq!(ask_one("pieces", &LIST, pieces).0, Ok("the whitelist is empty\n".into()));
}

#[test]
fn refusals_have_their_messages_and_exit_codes() {
    for (status, body, code, message) in [
        ("400 Bad Request", r#"{"detail":"no such field"}"#, exit::DATAERR, "no such field"),
        ("404 Not Found", r#"{"detail":"no user is called mika"}"#, exit::DATAERR, "no user is called mika"),
        ("401 Unauthorized", r#"{"detail":"wrong token"}"#, exit::NOPERM, "wrong token"),
        ("507 Insufficient Storage", r#"{"detail":"the whitelist is full"}"#, exit::NOPERM, "the whitelist is full"),
        ("500 Oops", r#"{"detail":"a\nb"}"#, exit::SOFTWARE, "a\u{fffd}b"),
        ("507 Insufficient Storage", r#"{"detail":"no room","outcome":"unchanged"}"#, exit::IOERR, "no room"),
        ("503 Busy", "<html>", exit::SOFTWARE, "the tracker answered with HTTP status 503"),
        ("304 Not Modified", "", exit::SOFTWARE, "the tracker answered with HTTP status 304"),
    ] {
        let (answer, _) = ask_one("refusal", &LIST, vec![http(status, body)]);
        assert_eq!(answer, Err(Failure::new(code, message)), "{status}");
    }
}

#[test]
fn invalid_answers_are_failures() {
    let no_http = "the tracker's answer is not a complete HTTP response";
    let cut = http("200 OK", r#"{"entries":[]}"#);
    for (parts, message) in [
        (vec![], no_http),
        (vec![b"SSH-2.0-dropbear\r\n".to_vec()], no_http),
        (vec![vec![0; 100_000]], no_http),
        (vec![cut[..20].to_vec()], no_http),
        (vec![cut[..cut.len() - 1].to_vec()], no_http),
        (vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()], "the tracker's answer ends too early; ask again"),
        (vec![b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec()], no_http),
        (vec![b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff".to_vec()], no_http),
        (vec![vec![b'x'; 1 << 20]; 33], "lost the connection to the tracker: its answer has more than 32 MiB"),
        (
            vec![http("200 OK", "[]")],
            "cannot read the tracker's answer: it is no JSON object; check that it has the same version as this command",
        ),
        (
            vec![http("200 OK", "{}")],
            "cannot read the tracker's answer: it has no `entries`; check that it has the same version as this command",
        ),
    ] {
        let (answer, _) = ask_one("none", &LIST, parts);
        assert_eq!(answer, Err(Failure::new(exit::IOERR, message)));
    }
}

#[test]
fn a_missing_tracker_is_reported() {
    let path = socket_path("absent");
    let message = format!("nakodo is not running: no answer on {}; start it with `nakodo serve`", path.display());
    let not_running = Err(Failure::new(exit::UNAVAILABLE, message));
    assert_eq!(ask(&path, &LIST, None), not_running);
    // After a power cut, the socket file of the tracker is still there.
    drop(UnixListener::bind(&path).expect("a socket can be made"));
    assert_eq!(ask(&path, &LIST, None), not_running);
    fs::remove_file(&path).expect("it was left behind");
}

#[test]
fn a_socket_without_permission_is_reported() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let failure = exchange::unreachable(Path::new("/s"), &error);
    let message = "permission denied on /s; run this as root or as the user that runs nakodo";
    assert_eq!(failure, Failure::new(exit::NOPERM, message));
}
