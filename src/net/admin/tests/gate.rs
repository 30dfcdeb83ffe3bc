//! The gate of the TCP address, and the pages behind it, with real sockets.

use super::*;
use crate::admin::Because;
use crate::http::{HeadStatus, parse_head};
use crate::shared::CODE_LASTS;
use crate::tracker::Networks;

const READ_TOKEN: &str = "fedcba9876543210fedcba9876543210";

/// A request with a `Host`, further header lines, and a body.
fn request(method: &str, path: &str, host: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

fn status(response: &str) -> &str {
    response.get("HTTP/1.1 ".len().."HTTP/1.1 200".len()).unwrap_or_default()
}

impl Served {
    /// Return the `Host` of the page.
    fn host(&self) -> String {
        self.tcp.to_string()
    }

    fn code(&self) -> String {
        self.shared.sessions.issue(self.shared.now()).expect("random numbers").0
    }

    fn get(&self, path: &str, fields: &str) -> String {
        self.send_tcp(request("GET", path, &self.host(), fields, ""))
    }

    /// Show a code, and return the header line with the cookie.
    fn cookie(&self) -> String {
        let response = self.get(&format!("/enter?code={}", self.code()), "");
        assert_eq!(status(&response), "200", "{response}");
        let line = response.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).expect("a cookie");
        assert!(line.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=604800"), "{line}");
        format!("Cookie: other=1; {}\r\n", line.split(';').next().expect("a value"))
    }

    /// Return the header lines that the page sends with a change.
    fn own(&self, cookie: &str) -> String {
        let host = self.host();
        format!("{cookie}Nakodo-Page: 1\r\nContent-Type: application/json\r\nOrigin: http://{host}\r\n")
    }
}

#[test]
fn a_code_opens_the_page_once() {
    let served = Served::new(8);
    let login = served.get("/", "");
    assert!(status(&login) == "401" && login.contains("nakodo page") && !login.contains("Set-Cookie"), "{login}");
    let code = served.code();
    let first = served.get(&format!("/enter?code={code}"), "");
    assert!(status(&first) == "200" && first.contains("Set-Cookie") && first.contains("url=/"), "{first}");
    let stolen = served.get(&format!("/enter?code={code}"), "");
    assert!(status(&stolen) == "401" && !stolen.contains("Set-Cookie"), "{stolen}");
    let served = Served::new(8);
    let cookie = served.cookie();
    assert_eq!(status(&served.get("/v1/status", &cookie)), "200");
    for path in ["/plain", "/metrics", "/v1/history", "/v1/refused", "/v1/whitelist", "/v1/swarms"] {
        assert_eq!(status(&served.get(path, &cookie)), "200", "{path}");
        let stranger = served.get(path, "");
        assert_eq!(status(&stranger), "401", "{path}");
    }
    let plain = served.get("/plain", &cookie);
    assert!(plain.contains("The whitelist is empty") && plain.contains("default-src 'none'"), "{plain}");
    assert_eq!(status(&served.send_tcp(request("POST", "/leave", &served.host(), &served.own(&cookie), ""))), "200");
    assert_eq!(status(&served.get("/v1/status", &cookie)), "401", "the session has ended");
}

#[test]
fn the_document_of_the_page_is_compressed_and_has_a_strict_policy() {
    let served = Served::new(8);
    let cookie = served.cookie();
    let (tcp, request) = (served.tcp, request("GET", "/", &served.host(), &cookie, ""));
    let response = served.run(move || {
        let mut stream = TcpStream::connect(tcp).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it is read");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).expect("it is closed");
        octets
    });
    let end = response.windows(4).position(|octets| octets == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&response[..end]);
    for line in [
        "HTTP/1.1 200 OK",
        "Content-Encoding: gzip",
        "Cache-Control: no-store",
        "X-Frame-Options: DENY",
        "Content-Security-Policy: default-src 'none'; script-src 'sha256-",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(line), "{line} is missing: {head}");
    }
    assert_eq!(&response[end + 4..end + 6], [0x1f, 0x8b]);
}

#[test]
fn names_of_other_sites_are_refused_against_dns_rebinding() {
    let served = Served::new(8);
    let cookie = served.cookie();
    let port = served.tcp.port();
    for (host, is_ours) in [
        (format!("127.0.0.1:{port}"), true),
        (format!("localhost:{port}"), true),
        ("LOCALHOST".into(), true),
        (format!("[::1]:{port}"), true),
        ("[2001:db8::7]".into(), true),
        ("192.168.1.4".into(), true),
        (format!("evil.example:{port}"), false),
        ("127.0.0.1.evil.example".into(), false),
        ("localhost.evil.example".into(), false),
        ("[::1].evil.example".into(), false),
        ("a b".into(), false),
    ] {
        let expected = if is_ours { "200" } else { "403" };
        for path in ["/v1/status", "/plain"] {
            let response = served.send_tcp(request("GET", path, &host, &cookie, ""));
            assert_eq!(status(&response), expected, "{host}: {response}");
        }
        let login = served.send_tcp(request("GET", "/", &host, "", ""));
        assert_eq!(status(&login), if is_ours { "401" } else { "403" }, "{host}: {login}");
    }
    let code = served.code();
    let rebound = served.send_tcp(request("GET", &format!("/enter?code={code}"), "evil.example", "", ""));
    assert!(status(&rebound) == "403" && !rebound.contains("Set-Cookie"), "{rebound}");
    assert_eq!(status(&served.get(&format!("/enter?code={code}"), "")), "200", "the code is unused");
}

#[test]
fn forged_changes_of_other_sites_are_refused() {
    let served = Served::new(8);
    let (cookie, host) = (served.cookie(), served.host());
    let body = r#"{"prefix":"203.0.113.7"}"#;
    let post = |fields: &str| served.send_tcp(request("POST", "/v1/whitelist", &host, fields, body));
    let (own, json) = ("Nakodo-Page: 1\r\n", "Content-Type: application/json\r\n");
    let origin = format!("Origin: http://{host}\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for forged in [
        cookie.clone(),
        format!("{cookie}{form}Origin: https://evil.example\r\n"),
        format!("{cookie}{own}{json}"),
        format!("{cookie}{own}{json}Origin: null\r\n"),
        format!("{cookie}{own}{json}Origin: http://evil.example\r\n"),
        format!("{cookie}{own}{json}Origin: http://{host}.evil.example\r\n"),
        format!("{cookie}{own}{origin}Content-Type: text/plain\r\n"),
        format!("{cookie}{json}{origin}"),
    ] {
        let response = post(&forged);
        assert_eq!(status(&response), "403", "{forged}: {response}");
    }
    let response = post(&format!("{own}{json}{origin}"));
    assert_eq!(status(&response), "401", "without the cookie: {response}");
    assert_eq!(served.whitelist().entries.len(), 0);
    let response = post(&served.own(&cookie));
    assert_eq!(status(&response), "200", "{response}");
    assert_eq!(served.whitelist().entries.len(), 1);
}

#[test]
fn clients_on_the_wan_are_refused_with_every_credential() {
    let served = Served::new(8);
    // A connection of a test comes from the loopback, which is always at home. So ask the gate itself.
    let gate = super::super::gate::Gate::new(&gate(&served.dir.file("token")), served.tcp.port()).expect("a token");
    served.shared.tracker.borrow_mut().set_networks(Networks::local(&["192.168.1.0/24".parse().expect("a prefix")]));
    let requests = [
        request("GET", "/v1/status", &served.host(), &format!("Authorization: Bearer {TOKEN}\r\n"), ""),
        request("GET", "/", &served.host(), "", ""),
        request("GET", "/metrics", &served.host(), "", ""),
    ];
    let heads = requests.each_ref().map(|request| match parse_head(request.as_bytes()) {
        HeadStatus::Complete(head) => head,
        other => unreachable!("{other:?}"),
    });
    let from = |address: &str| SocketAddr::new(address.parse().expect(address), 50_000);
    for head in &heads {
        for address in ["203.0.113.7", "2001:db8::7", "::ffff:203.0.113.7", "192.168.2.1"] {
            let refused = gate.admit(&served.shared, from(address), head).expect_err(address);
            assert_eq!(refused.because, Because::Forbidden, "{address}");
        }
    }
    assert!(gate.admit(&served.shared, from("192.168.1.9"), &heads[0]).is_ok());
}

#[test]
fn requests_that_a_proxy_forwarded_need_a_token() {
    let served = Served::new(8);
    let cookie = served.cookie();
    for header in ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7", "X-Real-IP: 203.0.113.7"] {
        for path in ["/", "/v1/status", "/metrics", "/enter?code=x"] {
            let response = served.get(path, &format!("{cookie}{header}\r\n"));
            assert_eq!(status(&response), "403", "{header} {path}: {response}");
        }
        let with_token = format!("Authorization: Bearer {TOKEN}\r\n{header}\r\n");
        assert_eq!(status(&served.get("/v1/status", &with_token)), "200", "{header}");
    }
}

#[test]
fn a_thousand_wrong_codes_are_refused_and_slow_their_address_down() {
    let served = Served::new(8);
    let code = served.code();
    let (mut wrong, mut too_soon) = (0, 0);
    for number in 0..1000 {
        let response = served.get(&format!("/enter?code=wrong-{number}"), "");
        assert!(!response.contains("Set-Cookie"), "{response}");
        match status(&response) {
            "401" => wrong += 1,
            "429" => {
                assert!(response.contains("Retry-After: "), "{response}");
                too_soon += 1;
            }
            other => unreachable!("{other}"),
        }
    }
    assert!(wrong <= 8 && wrong + too_soon == 1000, "{wrong} were compared");
    let response = served.get(&format!("/enter?code={code}"), "");
    assert_eq!(status(&response), "429", "even the right one has to wait");
    assert_eq!(CODE_LASTS, Duration::from_secs(600));
}

#[test]
fn a_token_that_reads_makes_no_change_and_metrics_may_need_no_token() {
    let dir = TempDir::new();
    let shared = Rc::new(testing::shared(&dir, testing::settings(8)));
    let read_token_file = dir.file("read-token");
    fs::write(&read_token_file, READ_TOKEN).expect("it is writable");
    fs::set_permissions(&read_token_file, Permissions::from_mode(0o600)).expect("it is ours");
    let metrics_from = ["127.0.0.0/8".parse().expect("a prefix")];
    let settings = GateSettings {
        read_token_file: Some(&read_token_file),
        metrics_from: &metrics_from,
        ..GateSettings::default()
    };
    let server = TcpServer::bind(([127, 0, 0, 1], 0).into(), &settings, Limits::default()).expect("a port");
    let tcp = server.local_addr().expect("bound");
    let executor = LocalExecutor::new();
    executor.spawn(server.serve(Rc::clone(&shared))).detach();
    let send = |request: String| {
        let exchange = smol::unblock(move || {
            let mut stream = TcpStream::connect(tcp).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it is read");
            read_all(stream)
        });
        smol::block_on(executor.run(exchange))
    };
    let token = format!("Authorization: Bearer {READ_TOKEN}\r\n");
    let allow = r#"{"prefix":"203.0.113.7"}"#;
    for (method, path, fields, body, expected) in [
        ("GET", "/v1/status", token.as_str(), "", "200"),
        ("GET", "/metrics", token.as_str(), "", "200"),
        ("POST", "/v1/whitelist", token.as_str(), allow, "403"),
        ("DELETE", "/v1/whitelist", token.as_str(), allow, "403"),
        ("POST", "/v1/page-codes", token.as_str(), "", "403"),
        ("GET", "/metrics", "", "", "200"),
        ("GET", "/v1/status", "", "", "401"),
        ("GET", "/metrics", "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n", "", "401"),
    ] {
        let response = send(request(method, path, "scraper", fields, body));
        assert_eq!(status(&response), expected, "{method} {path} {fields}: {response}");
    }
    let metrics = send(request("GET", "/metrics", "scraper", "", ""));
    assert!(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{metrics}");
    assert_eq!(shared.tracker.borrow().whitelisted().len(), 0);
}

#[test]
fn refused_clients_are_listed_until_they_are_allowed_and_counted_in_the_history() {
    let served = Served::new(8);
    assert!(!served.announce("203.0.113.7"));
    assert!(!served.announce("203.0.113.7"));
    let listed = |served: &Served| -> serde_json::Value {
        let response = served.send("GET /v1/refused HTTP/1.1\r\n\r\n");
        serde_json::from_str(response.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
    };
    let refused = listed(&served);
    let client = &refused["refused"][0];
    assert_eq!((client["prefix"].as_str(), client["count"].as_u64()), (Some("203.0.113.7/32"), Some(2)));
    assert_eq!((client["side"].as_str(), client["can_be_allowed"].as_bool()), (Some("WAN"), Some(true)));
    served.ask(Request::Allow(allow("203.0.113.7"))).expect("room");
    assert_eq!(listed(&served)["refused"], serde_json::json!([]));
    let counters = served.shared.tracker.borrow().counters;
    served.shared.history.borrow_mut().add(served.shared.now(), counters.refusals());
    let response = served.send("GET /v1/history HTTP/1.1\r\n\r\n");
    assert!(response.contains(r#"{"name":"refused_not_whitelisted","counts":[2]}"#), "{response}");
}
