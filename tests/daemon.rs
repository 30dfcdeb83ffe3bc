//! The real binary from outside: its signals, its commands and its disk.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::iter;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::process::{CONFIG, Daemon, Ends, Folder, PATIENCE, Ran, is_there, wait_for};
use common::sockets::{HttpClient, UdpClient, announce_http};
use common::{Announce, Refused, http, info_hash};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

/// Files of an installed nakodo, which the tests must not touch.
const INSTALLED: [&str; 2] = ["/etc/nakodo/nakodo.toml", "/var/lib/nakodo"];

/// Configuration that treats loopback as a WAN with a whitelist.
const WAN: &str = "listen = [\"127.0.0.1:0\"]\n[network]\nlan = []\n";

/// Time limit for a stop, before procd kills the tracker. A stop writes to a disk that other programs use too, so the
/// faster of two stops counts.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

fn leecher() -> Announce {
    Announce::leecher(1, 6881)
}

/// Check that both transports refuse an announce.
fn assert_refused(tracker: SocketAddr) {
    let reason = "this address is not on the tracker's whitelist";
    let refused = |retry_in| Refused { reason: reason.into(), retry_in };
    assert_eq!(announce_http(tracker, &leecher()), Err(refused(Some(30))));
    assert_eq!(UdpClient::new("127.0.0.1", tracker).announce(&leecher()), Err(refused(None)));
}

fn assert_admitted(tracker: SocketAddr) {
    announce_http(tracker, &leecher()).expect("admitted over HTTP");
    UdpClient::new("127.0.0.1", tracker).announce(&leecher()).expect("admitted over UDP");
}

#[test]
fn without_options_it_starts_and_prints_announce_urls() {
    let folder = Folder::new("bare");
    let installed = INSTALLED.iter().any(|path| is_there(Path::new(path)));
    folder.write("empty.toml", "");
    let bare: &[&str] = if installed { &["--config", "empty.toml", "--data-dir", "nakodo-data"] } else { &[] };
    let daemon = Daemon::start(&folder, bare).or_else(|ran| {
        // The port is in use: check the error message, and start on another port.
        assert!(ran.failed(71).contains(":6969 (TCP): the port is in use, perhaps by another nakodo; stop that one"));
        Daemon::start(&folder, &[bare, &["--listen", "0.0.0.0:0", "--listen", "[::]:0"]].concat())
    });
    let daemon = daemon.unwrap_or_else(|ran: Ran| unreachable!("{ran:?}"));
    assert!(daemon.printed().starts_with("nakodo 0.1.0 is running: LAN open, WAN whitelist. Announce URLs:\n"));
    assert!(daemon.urls.iter().any(|url| url.starts_with("http://")), "{:?}", daemon.urls);
    assert!(daemon.urls.iter().any(|url| url.starts_with("udp://")), "{:?}", daemon.urls);
    for url in &daemon.urls {
        let tracker = Daemon::address_in(url);
        let any = if tracker.is_ipv4() { "0.0.0.0" } else { "::" };
        // The host itself may have a WAN address, for which an announce is refused. Both answers are correct.
        let answer = if url.starts_with("udp://") {
            UdpClient::new(any, tracker).announce(&leecher())
        } else {
            announce_http(tracker, &leecher())
        };
        assert!(answer.is_ok() || answer.is_err_and(|refused| refused.reason.contains("whitelist")), "{url}");
    }
    assert!(is_there(&folder.path("nakodo-data/nakodo.sock")), "the data is in the working directory");
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_whitelist_change_survives_a_power_cut() {
    let folder = Folder::new("whitelist");
    let daemon = Daemon::configured(&folder, WAN);
    assert_refused(daemon.address());
    assert_eq!(daemon.command(&["allow", "127.0.0.1", "--user", "mika"]).well(), "allowed 127.0.0.1/32\n");
    assert_eq!(daemon.command(&["allow", "127.0.0.2", "--permanent"]).well(), "allowed 127.0.0.2/32\n");
    assert_admitted(daemon.address());

    daemon.kill();
    assert!(folder.run(&["list", CONFIG[0], CONFIG[1]]).failed(69).starts_with("nakodo is not running: no answer on "));
    let daemon = Daemon::again(&folder);
    assert_eq!(daemon.listed(), ["127.0.0.1/32", "127.0.0.2/32"]);
    assert_admitted(daemon.address());
    let mut other = UdpClient::new("127.0.0.2", daemon.address());
    assert_eq!(other.scrape(1), Ok((0, 0, 1)));

    assert_eq!(daemon.command(&["revoke", "127.0.0.1"]).well(), "removed 1 entry\n");
    assert_eq!(other.scrape(1), Ok((0, 0, 0)), "the peer leaves with its address");
    assert_refused(daemon.address());
    assert_eq!(daemon.listed(), ["127.0.0.2/32"]);
    assert_eq!(daemon.counter("peers_revoked"), 1);
    let unknown = daemon.command(&["revoke", "127.0.0.1"]).failed(65);
    assert!(unknown.starts_with("127.0.0.1/32 is not on the whitelist; `nakodo list` shows its entries"), "{unknown}");

    daemon.kill();
    let daemon = Daemon::again(&folder);
    assert_eq!(daemon.listed(), ["127.0.0.2/32"], "a revoked address stays revoked");
    assert_refused(daemon.address());
}

#[test]
fn commands_print_the_whitelist_and_the_status() {
    let folder = Folder::new("commands");
    let daemon = Daemon::configured(&folder, &format!("{WAN}[access]\ncapacity = 2\n"));
    assert_eq!(daemon.command(&["list"]).well(), "the whitelist is empty\n");
    daemon.allow(&["127.0.0.1", "--user", "mika", "--retire-after", "7d"]);
    daemon.allow(&["2001:db8::7", "--permanent", "--until", "2100-01-31"]);
    let full = daemon.command(&["allow", "127.0.0.3"]).failed(77);
    assert!(full.starts_with("the whitelist is full: it has room for 2 entries"), "{full}");

    announce_http(daemon.address(), &leecher()).expect("admitted");
    let table = daemon.command(&["list"]).well();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PREFIX", "USER", "IDLE", "RETIRES", "IN", "UNTIL"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1].last()), ("127.0.0.1/32", "mika", Some(&"-")));
    assert_eq!(rows[2], ["2001:db8::/64", "-", rows[2][2], "never", "2100-02-01T00:00:00Z"]);

    let json = daemon.command(&["list", "--json"]).well();
    let list: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let first = &list["entries"][0];
    assert_eq!((first["prefix"].as_str(), first["user"].as_str()), (Some("127.0.0.1/32"), Some("mika")));
    assert_eq!(first["retire_after_seconds"].as_u64(), Some(7 * 86_400));
    assert!(first["idle_seconds"].is_u64() && first["until_unix"].is_null(), "{json}");
    assert!(
        list["entries"][1]["retire_after_seconds"].is_null() && list["entries"][1]["until_unix"].is_u64(),
        "{json}"
    );

    let json = daemon.command(&["status", "--json"]).well();
    let status: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for (field, value) in [
        ("/version", Some(env!("CARGO_PKG_VERSION").into())),
        ("/memory/budget_octets", Some((8_u64 << 20).into())),
        ("/memory/peers", Some(1.into())),
        ("/memory/leechers", Some(1.into())),
        ("/memory/swarms", Some(1.into())),
        ("/whitelist/entries", Some(2.into())),
        ("/whitelist/capacity", Some(2.into())),
        ("/counters/announces_http", Some(1.into())),
        ("/counters/peers_added", Some(1.into())),
        ("/uptime_seconds", None),
        ("/running_seconds", None),
        ("/flash/octets_written", None),
    ] {
        let found: Option<&serde_json::Value> = status.pointer(field);
        assert!(found.is_some() && (value.is_none() || found == value.as_ref()), "{field}: {json}");
    }
    assert!(daemon.status().flash.octets_written > 0, "two entries are on the disk");
    assert!(daemon.command(&["status"]).well().starts_with("nakodo\n  version "));

    assert_eq!(daemon.command(&["revoke", "--user", "mika"]).well(), "removed 1 entry\n");
    assert_eq!(daemon.listed(), ["2001:db8::/64"]);
    assert!(daemon.command(&["allow"]).failed(64).contains("takes one address or prefix"));
    assert!(daemon.command(&["allow", "127.0.0.256"]).failed(64).contains("127.0.0.256"));
}

#[test]
fn an_address_is_explained_and_a_revocation_names_the_entry_that_still_admits_it() {
    let folder = Folder::new("explain");
    let daemon = Daemon::configured(&folder, WAN);
    let refused = daemon.command(&["explain", "127.0.0.1"]).well();
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines[0], "address   127.0.0.1");
    assert_eq!(lines[1], "side      WAN: it is in no local network");
    assert_eq!(
        lines[2],
        "admitted  no: access.wan admits only addresses on the whitelist, and no entry covers this one"
    );
    assert_eq!(lines[3], "peers     0");

    daemon.allow(&["127.0.0.1", "--user", "mika"]);
    daemon.allow(&["127.0.0.0/8", "--user", "cable"]);
    assert_admitted(daemon.address());
    let admitted = daemon.command(&["explain", "127.0.0.1"]).well();
    assert!(admitted.contains("\nadmitted  yes: the entry 127.0.0.1/32 of the whitelist admits it\n"), "{admitted}");
    assert!(admitted.contains("\nentry     127.0.0.1/32, user mika, idle for "), "{admitted}");
    assert!(admitted.contains("\npeers     1\n"), "{admitted}");
    let json = daemon.command(&["explain", "127.9.9.9", "--json"]).well();
    let explanation: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(explanation["admitted"].as_bool(), Some(true), "{json}");
    assert_eq!(explanation["entry"]["prefix"].as_str(), Some("127.0.0.0/8"), "{json}");
    let at_home = daemon.command(&["explain", "192.168.7.7"]).well();
    assert!(at_home.contains("\nside      "), "{at_home}");

    let effect = "127.0.0.1/32 is still admitted by the entry 127.0.0.0/8 of user \"cable\"\n";
    assert_eq!(daemon.command(&["revoke", "--user", "mika"]).well(), format!("removed 1 entry\n{effect}"));
    daemon.logged("127.0.0.1/32 is revoked, and still admitted by the entry 127.0.0.0/8 of user \"cable\"");
    assert_admitted(daemon.address());
    daemon.allow(&["127.0.0.1"]);
    assert_eq!(daemon.command(&["revoke", "127.0.0.1"]).well(), format!("removed 1 entry\n{effect}"));
    assert_eq!(daemon.command(&["revoke", "127.0.0.0/8"]).well(), "removed 1 entry\n");
    assert_refused(daemon.address());
}

#[test]
fn rule_25_the_proxy_protocol_names_the_client_of_a_connection() {
    let folder = Folder::new("proxy-protocol");
    let network = "listen = [\"127.0.0.1:0\"]\n[network]\nproxies = [\"127.0.0.1\"]\nproxy_protocol = true\n";
    let daemon = Daemon::configured(&folder, network);
    let target = http::announce_target(&leecher());
    let head = |header: &str| format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{header}\r\n");
    // The response to a header and a request that arrive in two pieces; empty if the connection was closed.
    let answer = |proxy_header: &[u8], request: &str, split: usize| {
        let mut stream = TcpStream::connect(daemon.address()).expect("it listens");
        let bytes = [proxy_header, request.as_bytes()].concat();
        let (first, second) = bytes.split_at(split.min(bytes.len()));
        stream.set_nodelay(true).expect("an option");
        stream.write_all(first).expect("sent");
        std::thread::sleep(Duration::from_millis(20));
        let _ = stream.write_all(second);
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        String::from_utf8_lossy(&response).into_owned()
    };
    let v1 = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 55556 6969\r\n").into_bytes();
    let v2_start = b"\r\n\r\n\0\r\nQUIT\n";
    let v2 = |client: [u8; 4]| [v2_start, &[0x21, 0x11, 0, 12][..], &client, &[10, 0, 0, 1, 9, 9, 9, 9]].concat();
    for split in [1, 30, 60, 10_000] {
        for (home, stranger) in [(v1("192.168.1.5"), v1("203.0.113.7")), (v2([192, 168, 1, 5]), v2([203, 0, 113, 7]))] {
            assert!(answer(&home, &head(""), split).contains("5:peers"), "at home, {split}");
            assert!(answer(&stranger, &head(""), split).contains("whitelist"), "a stranger, {split}");
            let forged = head("X-Forwarded-For: 192.168.1.5\r\n");
            assert!(answer(&stranger, &forged, split).contains("whitelist"), "a header changes nothing");
        }
    }
    let local = [v2_start, &[0x20, 0, 0, 0][..]].concat();
    for health_check in [b"PROXY UNKNOWN\r\n".to_vec(), local] {
        assert!(answer(&health_check, "OPTIONS / HTTP/1.0\r\n\r\n", 5).starts_with("HTTP/1.1 204 "));
        assert!(answer(&health_check, &head(""), 5).contains("must send the address of the client"));
    }
    assert_eq!(daemon.counter("http_bad_proxy_header"), 0);
    assert_eq!(answer(b"", &head(""), 9), "", "a connection without the header is closed");
    assert_eq!(daemon.counter("http_bad_proxy_header"), 1);
}

#[test]
fn an_idle_entry_is_retired_and_its_peers_leave_the_swarms() {
    let folder = Folder::new("retire");
    let daemon = Daemon::configured(&folder, &format!("{WAN}[access]\nretire_after = \"3s\"\n"));
    daemon.allow(&["127.0.0.2", "--permanent"]);
    let mut other = UdpClient::new("127.0.0.2", daemon.address());
    wait_for("an announce before retirement", || {
        daemon.allow(&["127.0.0.1", "--user", "mika"]);
        announce_http(daemon.address(), &leecher()).ok()
    });
    wait_for("retirement", || (daemon.listed() == ["127.0.0.2/32"]).then_some(()));
    daemon.logged("127.0.0.1/32 (mika) is retired from the whitelist");
    wait_for("the peer that leaves", || (other.scrape(1) == Ok((0, 0, 0))).then_some(()));
    assert_eq!(daemon.counter("peers_revoked"), 1, "the peer left with its address");
    assert_refused(daemon.address());

    // The longer default would keep the entry, so its absence shows that it was removed from the disk.
    assert_eq!(daemon.stop().0, Some(0));
    let daemon = Daemon::configured(&folder, WAN);
    assert_eq!(daemon.listed(), ["127.0.0.2/32"]);
    assert_refused(daemon.address());
}

#[test]
fn entries_that_retire_together_are_removed_in_batches() {
    const ENDING: u32 = 300;
    let folder = Folder::new("together");
    let config = |retire_after: &str| {
        let capacity = ENDING + 2;
        format!("data_dir = \"data\"\n{WAN}[access]\ncapacity = {capacity}\nretire_after = \"{retire_after}\"\n")
    };
    folder.write("nakodo.toml", config("1h"));
    let daemon = Daemon::again(&folder);
    daemon.allow(&["127.0.0.1"]);
    daemon.allow(&["127.0.0.2", "--permanent"]);
    for number in 0..ENDING {
        let body = format!("{{\"prefix\":\"10.0.{}.{}\",\"user\":\"mika\"}}", number / 256, number % 256);
        let length = body.len();
        let request = format!("POST /v1/whitelist HTTP/1.1\r\nHost: nakodo\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = UnixStream::connect(folder.path("data/nakodo.sock")).expect("the tracker listens");
        stream.write_all(request.as_bytes()).expect("the tracker reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the tracker answers");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_admitted(daemon.address());

    folder.write("nakodo.toml", config("1s"));
    daemon.signal(Signal::SIGHUP);
    wait_for("retirement", || (daemon.listed() == ["127.0.0.2/32"]).then_some(()));
    let other = &mut UdpClient::new("127.0.0.2", daemon.address());
    wait_for("the peer that leaves", || (other.scrape(1) == Ok((0, 0, 0))).then_some(()));
    let lines = daemon.log().into_iter().filter(|line| line.contains("retired from the whitelist")).collect::<Vec<_>>();
    assert!(lines.len() < ENDING as usize / 8, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(" more are retired from the whitelist")), "{lines:?}");
    assert_refused(daemon.address());

    daemon.kill();
    folder.write("nakodo.toml", config("1h"));
    let daemon = Daemon::again(&folder);
    assert_eq!(daemon.listed(), ["127.0.0.2/32"], "the entries are removed from the disk");
}

#[test]
fn a_stop_saves_and_removes_the_control_socket() {
    let mut fastest = Duration::MAX;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = Folder::new("stop");
        let daemon = Daemon::configured(&folder, WAN);
        daemon.allow(&["127.0.0.1"]);
        let idle = || Some(daemon.whitelist().entries.first()?.idle_seconds).filter(|&idle| idle >= 3);
        let idle_before = wait_for("an idle customer", idle);
        assert_admitted(daemon.address());
        let announced = Instant::now();
        let open = HttpClient::connect(daemon.address());
        let (code, took, log) = daemon.stop_by(signal);
        assert_eq!(code, Some(0), "{log:?}");
        fastest = fastest.min(took);
        assert!(!is_there(&folder.path("data/nakodo.sock")));
        drop(open);

        let daemon = Daemon::again(&folder);
        let idle = daemon.whitelist().entries[0].idle_seconds;
        let most = announced.elapsed().as_secs() + 1;
        assert!(idle <= most, "idle for {idle} s, {idle_before} s before the announce {most} s ago");
        assert!(daemon.status().running_seconds >= idle_before, "the running clock continues");
    }
    assert!(fastest < STOPS_WITHIN, "the faster stop took {fastest:?}");
}

#[test]
fn other_users_cannot_read_the_data() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private");
    let daemon = Daemon::configured(&folder, WAN);
    daemon.allow(&["192.0.2.7", "--user", "mika"]);
    let mut folders = vec![folder.path("data")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let metadata = entry.metadata().expect("metadata");
            assert_eq!(metadata.permissions().mode() & 0o007, 0, "{}", entry.path().display());
            files += 1;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(files > 3, "{files} files and folders");
}

#[test]
fn a_reload_applies_changes_and_reports_keys_that_need_a_restart() {
    let folder = Folder::new("reload");
    let config = |listen: &str, interval: &str| {
        format!(
            "data_dir = \"data\"\nlisten = [\"{listen}\"]\n[announce]\ninterval = \"{interval}\"\npeer_timeout = \"3h\"\n"
        )
    };
    folder.write("nakodo.toml", config("127.0.0.1:0", "30m"));
    let daemon = Daemon::again(&folder);
    let mut kept = HttpClient::connect(daemon.address());
    let mut interval = || kept.announce(&leecher()).expect("the LAN is open").interval;
    assert!((1800..=1980).contains(&interval()));

    folder.write("nakodo.toml", config("127.0.0.1:6", "1h"));
    daemon.signal(Signal::SIGHUP);
    daemon.logged("the configuration was read again");
    assert!((3600..=3960).contains(&interval()), "the kept connection gets the new interval");
    daemon.logged("listen has changed: restart nakodo to apply it");

    for bad in ["interval = \"soon\"\n", "[announce]\nintervall = \"1h\"\n", "[announce"] {
        let before = daemon.log();
        folder.write("nakodo.toml", bad);
        daemon.signal(Signal::SIGHUP);
        let more = wait_for("a line", || Some(daemon.log()[before.len()..].to_vec()).filter(|more| !more.is_empty()));
        assert_eq!(more.len(), 1, "{more:?}");
        assert!(more[0].contains("nakodo.toml:") && more[0].contains("ERROR"), "{more:?}");
        assert!(more[0].ends_with("; the previous configuration stays in effect"), "{more:?}");
        assert!((3600..=3960).contains(&interval()));
    }
    fs::remove_file(folder.path("nakodo.toml")).expect("the file exists");
    daemon.signal(Signal::SIGHUP);
    daemon.logged("no such file");
    assert!((3600..=3960).contains(&interval()));

    folder.write("nakodo.toml", config("127.0.0.1:0", "30m"));
    daemon.signal(Signal::SIGHUP);
    wait_for("the first interval", || (1800..=1980).contains(&interval()).then_some(()));
}

#[test]
fn an_unread_log_does_not_stop_the_tracker_and_its_loss_is_reported() {
    let folder = Folder::new("unread-log");
    folder.write("nakodo.toml", "data_dir = \"data\"\nlisten = [\"127.0.0.1:0\"]\n");
    let mut command = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary can be run");
    let mut daemon = Ends(child);
    let mut log = daemon.0.stderr.take().expect("a pipe");
    fcntl(&log, FcntlArg::F_SETPIPE_SZ(4096)).expect("a small pipe");
    wait_for("the control socket", || is_there(&folder.path("data/nakodo.sock")).then_some(()));
    // Each writes a line of 60 bytes.
    let allow = || folder.run(&["allow", "203.0.113.7", CONFIG[0], CONFIG[1]]).well();
    for _ in 0..120 {
        allow();
    }
    let (mut octets, mut end) = (vec![0; 64 << 10], 0);
    let lost = wait_for("the report of the loss", || {
        // The pipe has a line at least, so that the read does not wait.
        allow();
        end += log.read(&mut octets[end..]).expect("it is open");
        let text = String::from_utf8_lossy(&octets[..end]);
        let line = text.lines().find(|line| line.contains("lines of the log were lost"))?;
        line.split(' ').find_map(|word| word.parse::<u64>().ok())
    });
    assert!(lost > 20, "{lost} lines");
}

#[test]
fn with_few_open_files_slow_connections_leave_room_for_the_commands() {
    let folder = Folder::new("open-files");
    folder.write("nakodo.toml", "data_dir = \"data\"\nlisten = [\"127.0.0.1:0\"]\n[network]\nlan = []\n");
    let serve = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    let mut limited = Command::new("sh");
    limited.current_dir(serve.get_current_dir().expect("the folder")).args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]);
    limited.arg(serve.get_program()).args(serve.get_args());
    let daemon = Daemon::start_with(&folder, limited).unwrap_or_else(|ran| unreachable!("{ran:?}"));
    daemon.logged("the system permits 64 open files, so there are 16 HTTP connections and not the 128");
    assert_eq!(daemon.status().http_connections.capacity, 16);
    let slow: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(daemon.address()).expect("the kernel accepts it");
            stream.write_all(b"GET /announce").expect("it is open");
            stream
        })
        .collect();
    daemon.allow(&["203.0.113.7"]);
    assert_eq!(daemon.command(&["revoke", "203.0.113.7"]).well(), "removed 1 entry\n");
    drop(slow);
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn the_supervisor_is_notified_of_start_watchdog_reload_and_stop() {
    let folder = Folder::new("supervisor");
    folder.write("nakodo.toml", "data_dir = \"data\"\nlisten = [\"127.0.0.1:0\"]\n");
    let supervisor = UnixDatagram::bind(folder.path("notify")).expect("the folder is writable");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    command.env("NOTIFY_SOCKET", folder.path("notify")).env("WATCHDOG_USEC", "200000");
    let mut daemon = Daemon::start_with(&folder, command).unwrap_or_else(|ran| unreachable!("{ran:?}"));
    let hear = || {
        let mut message = [0; 256];
        let octets = supervisor.recv(&mut message).expect("a notification");
        String::from_utf8_lossy(&message[..octets]).into_owned()
    };
    let next = |other_than: &str| iter::repeat_with(hear).find(|message| message != other_than).unwrap_or_default();

    assert_eq!(next("WATCHDOG=1\n"), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1\n", "the watchdog messages continue");
    }
    daemon.signal(Signal::SIGHUP);
    let reloading = next("WATCHDOG=1\n");
    let since_boot = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading).trim_end();
    assert!(since_boot.parse::<u64>().is_ok_and(|microseconds| microseconds > 0), "{reloading}");
    assert_eq!(next("WATCHDOG=1\n"), "READY=1\n");
    daemon.logged("the configuration was read again");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(next("WATCHDOG=1\n"), "STOPPING=1\n");
    wait_for("the end of the tracker", || daemon.has_ended().then_some(()));

    // The tracker runs even if the watchdog is for another process and the supervisor is gone.
    drop(supervisor);
    fs::remove_file(folder.path("notify")).expect("the socket file exists");
    let mut command = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    command.env("NOTIFY_SOCKET", folder.path("notify")).env("WATCHDOG_USEC", "soon").env("WATCHDOG_PID", "1");
    let daemon = Daemon::start_with(&folder, command).unwrap_or_else(|ran| unreachable!("{ran:?}"));
    daemon.logged("cannot notify the supervisor at NOTIFY_SOCKET: ");
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_port_in_use_is_reported_in_one_line() {
    let folder = Folder::new("port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // Outside of the range from which connections of other tests get their ports: its TCP port must stay free.
    let mut random = fastrand::Rng::new();
    let udp = wait_for("a port that is free for both", || {
        let address = SocketAddr::from(([127, 0, 0, 1], random.u16(10_000..30_000)));
        TcpListener::bind(address).ok().and_then(|_tcp| UdpSocket::bind(address).ok())
    });
    for (protocol, taken) in [("TCP", tcp.local_addr()), ("UDP", udp.local_addr())] {
        let listen = taken.expect("bound").to_string();
        let line = folder.run(&["--config", "/dev/null", "--data-dir", "data", "--listen", &listen]).failed(71);
        let start = format!("cannot listen on {listen} ({protocol}): the port is in use");
        assert!(line.starts_with(&start) && line.contains("--listen"), "{line}");
        assert!(!is_there(&folder.path("data")), "the disk is untouched");
    }
}

#[test]
#[cfg(feature = "page")]
fn the_page_is_left_out_if_its_default_port_is_taken_and_any_other_port_is_an_error() {
    let taken = wait_for("the default port", || TcpListener::bind("127.0.0.1:6970").ok());
    let folder = Folder::new("page-port");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    daemon.logged("cannot listen on 127.0.0.1:6970 (TCP): the port is in use, perhaps by another nakodo");
    daemon.logged("continuing without the page; set admin.listen to another port, or to \"off\"");
    assert!(daemon.command(&["page"]).well().starts_with("the page has no address: set admin.listen"));
    daemon.stop();
    drop(taken);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    folder.write("nakodo.toml", format!("listen = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"{address}\"\n"));
    let line = folder.run(&CONFIG).failed(71);
    assert!(line.starts_with(&format!("cannot listen on {address} (TCP): the port is in use")), "{line}");
    assert!(line.contains("`admin.listen`"), "{line}");
    drop(taken);
    let daemon = Daemon::again(&folder);
    let links = daemon.command(&["page"]).well();
    assert!(links.starts_with(&format!("http://{address}/enter?code=")), "{links}");
    daemon.stop();
}

#[test]
fn an_unusable_data_directory_is_reported_in_one_line() {
    let folder = Folder::new("no-data");
    folder.write("file", "");
    for place in ["file", "file/below", "/dev/null/below", "/proc/nakodo"] {
        let arguments = ["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data-dir", place];
        let line = folder.run(&arguments).failed(74);
        assert!(line.contains(place) && line.contains("data directory"), "{line}");
    }
    assert_eq!(fs::read(folder.path("file")).expect("the file exists"), b"");
}

#[test]
fn a_second_tracker_refuses_a_data_directory_or_socket_in_use() {
    let folder = Folder::new("second");
    let daemon = Daemon::configured(&folder, WAN);
    daemon.allow(&["127.0.0.1"]);
    let second = folder.run(&["--config", "nakodo.toml", "--listen", "127.0.0.1:0"]);
    let line = second.failed(74);
    assert_eq!(line, "another nakodo is running on data; stop it, or name another directory with --data-dir");
    assert_eq!(daemon.listed(), ["127.0.0.1/32"], "the first tracker's socket still exists");
    assert_admitted(daemon.address());

    // Another data directory, but the same control socket.
    folder.write(
        "other.toml",
        "data_dir = \"other\"
[admin]
socket = \"data/nakodo.sock\"
",
    );
    let line = folder.run(&["--config", "other.toml", "--listen", "127.0.0.1:0"]).failed(71);
    assert!(line.starts_with("another nakodo is listening on the control socket data/nakodo.sock"), "{line}");
    assert_eq!(daemon.listed(), ["127.0.0.1/32"]);
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_bad_configuration_is_reported_in_one_line() {
    let folder = Folder::new("bad");
    for (text, line) in [
        ("memory = 8\n", "nakodo.toml:1: memory: found the integer 8, expected a size with its unit such as "),
        ("[anounce]\n", "nakodo.toml:1: unknown section \"anounce\"; did you mean [announce]?"),
        (
            "[announce]\nintervall = \"1h\"\n",
            "nakodo.toml:2: unknown key \"announce.intervall\"; did you mean \"announce.interval\"?",
        ),
        ("listen = [\n", "nakodo.toml:"),
        ("[announce]\nmin_interval = \"2h\"\n", "nakodo.toml:2: announce.min_interval: 2h is more than "),
    ] {
        folder.write("nakodo.toml", text);
        for command in ["serve", "check", "list"] {
            let told = folder.run(&[command, "--config", "nakodo.toml"]).failed(78);
            assert!(told.starts_with(line), "{told}");
        }
    }
    assert!(!is_there(&folder.path("nakodo-data")), "the disk is untouched");
}

#[test]
fn a_damaged_database_is_moved_aside_and_the_list_is_restored_from_its_export() {
    for garbage in [vec![0xa5; 200_000], vec![0; 64], b"not a database\n".to_vec()] {
        let folder = Folder::new("damage");
        let daemon = Daemon::configured(&folder, WAN);
        daemon.allow(&["127.0.0.1", "--user", "mika"]);
        assert_eq!(daemon.stop().0, Some(0));
        folder.write("data/whitelist/db", &garbage);
        let daemon = Daemon::again(&folder);
        let told = daemon.logged("the database of the whitelist was damaged");
        assert!(told.contains("ERROR") && told.contains("data/whitelist.broken-"), "{told}");
        let names = fs::read_dir(folder.path("data")).expect("the folder exists");
        let aside = names.filter_map(Result::ok).find(|name| name.file_name().to_string_lossy().contains(".broken-"));
        assert!(aside.is_some(), "the damaged database is kept for inspection");
        assert_eq!(daemon.listed(), ["127.0.0.1/32"]);
        assert_admitted(daemon.address());
        daemon.allow(&["127.0.0.2"]);
        daemon.kill();
        let daemon = Daemon::again(&folder);
        assert_eq!(daemon.listed(), ["127.0.0.1/32", "127.0.0.2/32"]);
        assert!(!daemon.log().iter().any(|line| line.contains("ERROR")), "{:?}", daemon.log());
    }
}

/// The test uses a missing IPv6 address instead of a kernel without IPv6: both make the bind fail in the same way.
#[test]
fn a_removed_data_directory_and_control_socket_are_made_anew() {
    let folder = Folder::new("removed");
    let daemon = Daemon::configured(&folder, WAN);
    daemon.allow(&["127.0.0.1"]);
    daemon.allow(&["127.0.0.2"]);
    fs::remove_dir_all(folder.path("data")).expect("the data directory");
    assert!(daemon.command(&["list"]).failed(69).contains("nakodo is not running"), "its socket is gone");
    wait_for("the control socket", || (daemon.command(&["list"]).code == Some(0)).then_some(()));
    assert_eq!(daemon.listed(), ["127.0.0.1/32", "127.0.0.2/32"]);
    daemon.allow(&["127.0.0.3"]);
    daemon.logged("was removed; it is there again");

    fs::remove_dir_all(folder.path("data/whitelist")).expect("the database");
    let answer = daemon.command(&["allow", "127.0.0.4"]);
    let is_listed = daemon.listed().iter().any(|prefix| prefix == "127.0.0.4/32");
    assert_eq!(answer.code == Some(0), is_listed, "{answer:?}");
    wait_for("a new database", || (daemon.command(&["allow", "127.0.0.5"]).code == Some(0)).then_some(()));
    let listed = daemon.listed();
    daemon.kill();
    let daemon = Daemon::again(&folder);
    assert_eq!(daemon.listed(), listed, "all of them are on the disk");
    assert_admitted(daemon.address());
}

#[test]
fn a_missing_ipv6_address_does_not_stop_the_tracker() {
    let folder = Folder::new("v4-only");
    let missing = "[2001:db8::6969]:0";
    let arguments = ["--config", "/dev/null", "--data-dir", "data", "--listen", "127.0.0.1:0", "--listen", missing];
    let daemon = Daemon::start(&folder, &arguments).unwrap_or_else(|ran| unreachable!("{ran:?}"));
    let told = daemon.logged("continuing without it");
    assert!(told.contains("WARN") && told.contains("[2001:db8::6969]"), "{told}");
    assert_eq!(daemon.urls.len(), 2);
    announce_http(daemon.address(), &leecher()).expect("IPv4 is served");
    drop(daemon);
    let line = folder.run(&["--config", "/dev/null", "--data-dir", "data", "--listen", missing]).failed(71);
    assert!(line.starts_with("cannot listen on [2001:db8::6969]:0"), "{line}");
}

#[test]
fn the_web_page_is_served_beside_announces() {
    let folder = Folder::new("page");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    let mut client = HttpClient::connect(daemon.address());
    let page = client.ask(&http::get("/"));
    assert!(page.status == 200 && String::from_utf8_lossy(&page.body).contains("nakodo"));
    assert_eq!(client.ask(&http::get("/nothing")).status, 404);
    assert_eq!(client.ask(&http::scrape(&[info_hash(7)])).scraped(&info_hash(7)), (0, 0, 0));
}
