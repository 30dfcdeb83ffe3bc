//! Tickets with the real binary: logins over restarts and kills, revocations, keys, damage.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;

use common::process::{Daemon, Folder};
use common::{Announce, http};

/// Configuration that treats loopback as a WAN with a whitelist.
const WAN: &str = "listen = [\"127.0.0.1:0\"]\n[network]\nlan = []\n";

/// Send a request, and return the response.
fn get(tracker: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(tracker).expect("a connection");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {tracker}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a response");
    String::from_utf8_lossy(&response).into_owned()
}

/// Announce with a ticket, or without one, and return the reason of a refusal.
fn announce(daemon: &Daemon<'_>, ticket: Option<&str>) -> Option<String> {
    let target = http::announce_target(&Announce::leecher(1, 6881));
    let target = ticket.map_or(target.clone(), |ticket| format!("/{ticket}{target}"));
    let response = get(daemon.address(), &target);
    assert!(response.contains("8:interval"), "{response}");
    let (_, reason) = response.split_once("14:failure reason")?;
    let (length, reason) = reason.split_once(':')?;
    Some(reason[..length.parse().ok()?].to_owned())
}

/// Sign a ticket, and return it.
fn sign(daemon: &Daemon<'_>, user: &str) -> String {
    let printed = daemon.command(&["ticket", "--user", user, "--days", "30"]).well();
    let line = printed.lines().next().expect("a line");
    line.strip_prefix("ticket    ").expect("a ticket").to_owned()
}

#[test]
fn a_login_lasts_over_a_restart_and_a_ticket_heals_a_kill() {
    let folder = Folder::new("tickets");
    let daemon = Daemon::configured(&folder, WAN);
    let ticket = sign(&daemon, "mika");
    assert!(announce(&daemon, None).is_some_and(|reason| reason.contains("whitelist")));
    let page = get(daemon.address(), &format!("/login/{ticket}"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<h1>Logged in</h1>"), "{page}");
    assert_eq!(announce(&daemon, None), None);
    assert!(daemon.command(&["list"]).well().contains("mika"));
    assert_eq!(daemon.stop().0, Some(0));
    let daemon = Daemon::configured(&folder, WAN);
    assert_eq!(announce(&daemon, None), None, "it was saved at the stop");

    // An address that was brought since the last save is lost in a power cut, and its ticket brings it again.
    assert_eq!(daemon.command(&["revoke", "127.0.0.1"]).well(), "removed 1 entry\n");
    assert_eq!(announce(&daemon, Some(&ticket)), None);
    daemon.kill();
    let daemon = Daemon::configured(&folder, WAN);
    assert!(announce(&daemon, None).is_some());
    assert_eq!(announce(&daemon, Some(&ticket)), None);
    let written = fs::read_to_string(folder.path("data/whitelist.journal")).expect("text");
    assert!(!written.contains(&ticket), "no ticket is on the disk");
}

#[test]
fn a_revoked_ticket_stays_revoked() {
    let folder = Folder::new("revoked-tickets");
    let daemon = Daemon::configured(&folder, WAN);
    let (first, second) = (sign(&daemon, "mika"), sign(&daemon, "ann"));
    assert_eq!(announce(&daemon, Some(&first)), None);
    let revoked = daemon.command(&["revoke", "--ticket", &first]).well();
    assert_eq!(revoked, "removed 1 entry\nthe tickets are refused from now on\n");
    daemon.kill();
    let daemon = Daemon::configured(&folder, WAN);
    assert!(announce(&daemon, Some(&first)).is_some_and(|reason| reason.contains("revoked")));
    assert_eq!(announce(&daemon, Some(&second)), None);
    let revoked = daemon.command(&["revoke", "--user", "ann"]).well();
    assert_eq!(revoked, "removed 1 entry\nthe tickets are refused from now on\n");
    assert!(announce(&daemon, Some(&second)).is_some_and(|reason| reason.contains("revoked")));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let later = sign(&daemon, "ann");
    assert_eq!(announce(&daemon, Some(&later)), None, "a ticket that was signed later is accepted");
    let inspected = daemon.command(&["ticket", "--inspect", &second]).well();
    assert!(inspected.starts_with("accepted   no: the ticket is revoked"), "{inspected}");
}

#[test]
fn keys_are_secret_and_can_be_rotated() {
    let folder = Folder::new("ticket-keys");
    let daemon = Daemon::configured(&folder, WAN);
    let old = sign(&daemon, "mika");
    for file in ["data/tickets", "data/tickets.copy"] {
        assert_eq!(fs::metadata(folder.path(file)).expect("a file").mode() & 0o777, 0o600);
    }
    assert!(daemon.command(&["key", "new"]).well().ends_with("own  yes\n"));
    let new = sign(&daemon, "ann");
    let key = |ticket: &str| ticket.split('.').nth(1).expect("a key").to_owned();
    assert_ne!(key(&old), key(&new));
    assert_eq!(announce(&daemon, Some(&old)), None, "tickets of the old key are accepted");
    daemon.command(&["revoke", "127.0.0.1"]).well();
    assert!(daemon.command(&["key", "remove", &key(&old)]).well().starts_with("removed "));
    assert!(announce(&daemon, Some(&old)).is_some_and(|reason| reason.contains("does not know")));
    assert_eq!(announce(&daemon, Some(&new)), None);
    let missing = daemon.command(&["key", "remove", &key(&old)]).failed(65);
    assert!(missing.contains("there is no key"), "{missing}");

    // One of the two files is enough.
    daemon.kill();
    fs::write(folder.path("data/tickets"), "garbage").expect("written");
    let checked = folder.run(&["check", "--data", "--config", "nakodo.toml"]);
    assert_eq!(checked.code, Some(65), "{checked:?}");
    assert!(checked.out.contains("one of the two files of ticket keys was damaged"), "{checked:?}");
    let daemon = Daemon::configured(&folder, WAN);
    assert_eq!(announce(&daemon, Some(&new)), None);
    assert!(daemon.command(&["status"]).well().contains("files of ticket keys was damaged"));
    assert_eq!(folder.run(&["check", "--data", "--config", "nakodo.toml"]).code, Some(0), "it was restored");
}

#[test]
fn a_mistake_with_a_ticket_is_one_line() {
    let folder = Folder::new("ticket-mistakes");
    let daemon = Daemon::configured(&folder, WAN);
    for (arguments, code, text) in [
        (&["ticket"][..], 64, "`nakodo ticket` takes --user USER"),
        (&["ticket", "--user", "mika", "--days", "many"], 64, "--days: found \"many\", expected a whole number"),
        (&["ticket", "--user", "mika", "--days", "5000"], 65, "`days` is 5000 and may be from 1 to 1100"),
        (&["ticket", "--user", "mika", "--addresses", "10"], 65, "`addresses` is 10 and may be from 1 to 9"),
        (&["ticket", "--user", "a b"], 65, "use 1 to 32 letters, digits, `-` and `_`"),
        (&["key"], 64, "`nakodo key` takes list, new, add PUBLIC-KEY or remove KEY"),
        (&["key", "add", "nonsense"], 65, "is no public key"),
        (&["revoke", "--ticket", "nonsense"], 65, "that is neither a ticket nor USER.NUMBER"),
    ] {
        let failed = daemon.command(arguments).failed(code);
        assert!(failed.contains(text), "{arguments:?}: {failed}");
    }
}
