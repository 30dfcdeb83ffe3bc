//! The real binary on a disk that fails for a while: a limit on the file size makes every write fail, and lifting the
//! limit makes the disk work again.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use common::process::{CONFIG, Daemon, Folder, Ran, wait_for};
use nakodo::api::Outcome;
use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Configuration that treats loopback as a WAN with a whitelist.
const WAN: &str = "data_dir = \"data\"\nlisten = [\"127.0.0.1:0\"]\n[network]\nlan = []\n";

/// Start a tracker that gets an error for a write beyond the limit, and not a fatal signal.
fn start(folder: &Folder) -> Daemon<'_> {
    start_after(folder, "")
}

/// Start such a tracker after a command of the shell.
fn start_after<'f>(folder: &'f Folder, command: &str) -> Daemon<'f> {
    folder.write("nakodo.toml", WAN);
    let script = format!("trap '' XFSZ; {command} exec \"$0\" \"$@\"");
    let tracker = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    // The setting to ignore the signal survives exec.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).arg(tracker.get_program()).args(tracker.get_args());
    command.current_dir(folder.path("")).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    Daemon::start_with(folder, command).unwrap_or_else(|ran: Ran| unreachable!("{ran:?}"))
}

/// Make every write to a file succeed or fail from now on.
fn set_disk(daemon: &Daemon<'_>, works: bool) {
    let pid = Pid::from_raw(daemon.pid());
    let limit = Rlimit { current: if works { None } else { Some(1) }, maximum: None };
    prlimit(pid, Resource::Fsize, limit).expect("the limit of our own child");
}

fn listed_after_a_restart(folder: &Folder) -> Vec<String> {
    let daemon = Daemon::again(folder);
    assert!(!daemon.log().iter().any(|line| line.contains("damaged")), "{:?}", daemon.log());
    daemon.listed()
}

#[test]
fn the_whitelist_is_frozen_only_while_the_disk_fails() {
    let folder = Folder::new("failing");
    let daemon = start(&folder);
    daemon.allow(&["127.0.0.1"]);
    assert_eq!(daemon.status().disk.failing, None);

    set_disk(&daemon, false);
    let first = daemon.command(&["allow", "127.0.0.2"]).failed(74);
    assert!(first.starts_with("the disk failed: ") && first.contains("it is unknown whether"), "{first}");
    for arguments in [["allow", "127.0.0.3"], ["revoke", "127.0.0.1"]] {
        let refused = daemon.command(&arguments).failed(74);
        assert!(refused.starts_with("nothing was changed, because the disk failed: "), "{refused}");
    }
    let status = daemon.status().disk;
    assert!(status.failing.is_some_and(|why| why.contains("File too large")));
    assert_eq!((status.failures, status.rebuilds), (1, 0));
    let shown = daemon.command(&["status"]).well();
    assert!(shown.contains("disk\n") && shown.contains("  failing"), "{shown}");
    assert_eq!(daemon.listed(), ["127.0.0.1/32"], "the list in memory is unchanged too");

    set_disk(&daemon, true);
    daemon.logged("the whitelist has been rewritten");
    let status = daemon.status().disk;
    assert_eq!((status.failing, status.failures, status.rebuilds), (None, 1, 1));
    daemon.allow(&["127.0.0.4"]);
    assert_eq!(daemon.command(&["revoke", "127.0.0.1"]).well(), "removed 1 entry\n");
    daemon.kill();
    assert_eq!(listed_after_a_restart(&folder), ["127.0.0.4/32"]);
}

#[test]
fn the_first_change_after_the_disk_works_again_succeeds() {
    let folder = Folder::new("failing");
    let daemon = start(&folder);
    set_disk(&daemon, false);
    daemon.command(&["allow", "127.0.0.2"]).failed(74);
    set_disk(&daemon, true);
    daemon.allow(&["127.0.0.3"]);
    daemon.kill();
    assert_eq!(listed_after_a_restart(&folder), ["127.0.0.3/32"]);
}

#[test]
fn a_start_on_a_failing_disk_has_the_list_and_opens_the_database_later() {
    let folder = Folder::new("failing");
    let daemon = start(&folder);
    daemon.allow(&["127.0.0.1"]);
    daemon.allow(&["127.0.0.2", "--user", "ann"]);
    daemon.kill();
    let daemon = start_after(&folder, "ulimit -S -f 0;");
    assert_eq!(daemon.listed(), ["127.0.0.1/32", "127.0.0.2/32"]);
    assert!(daemon.log().iter().any(|line| line.contains("started with the 2 entries of the text copy")));
    assert!(daemon.status().disk.failing.is_some());
    let refused = daemon.command(&["allow", "127.0.0.3"]).failed(74);
    assert!(refused.starts_with("nothing was changed, because the disk failed: "), "{refused}");
    set_disk(&daemon, true);
    daemon.logged("the disk takes writes: the whitelist with 2 entries is open");
    assert_eq!(daemon.status().disk.failing, None);
    daemon.allow(&["127.0.0.4"]);
    daemon.kill();
    assert_eq!(listed_after_a_restart(&folder), ["127.0.0.1/32", "127.0.0.2/32", "127.0.0.4/32"]);
}

#[test]
fn a_stop_that_cannot_save_reports_it_and_refused_changes_stay_refused() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let folder = Folder::new("failing");
        let daemon = start(&folder);
        daemon.allow(&["127.0.0.1"]);
        set_disk(&daemon, false);
        daemon.command(&["allow", "127.0.0.2"]).failed(74);
        daemon.command(&["revoke", "127.0.0.1"]).failed(74);
        let (code, _, log) = daemon.stop_by(signal);
        if signal == Signal::SIGTERM {
            assert_eq!(code, Some(74), "{log:?}");
            let last = log.last().expect("a last line");
            assert_eq!(last, "nakodo: stopped, but some data was not saved; see the log");
        }
        // The write failed before its first byte, so the change with the unknown outcome is not stored either.
        assert_eq!(listed_after_a_restart(&folder), ["127.0.0.1/32"]);
    }
}

#[test]
fn a_failed_export_is_reported_and_everything_else_is_saved() {
    let folder = Folder::new("failing");
    let daemon = start(&folder);
    daemon.allow(&["127.0.0.1"]);
    fs::create_dir(folder.path("data/whitelist.export")).expect("a folder in the way");
    let ran_before = wait_for("a second of running", || Some(daemon.status().running_seconds).filter(|&ran| ran > 0));
    let (code, _, log) = daemon.stop();
    assert_eq!(code, Some(74), "{log:?}");
    let errors: Vec<&String> = log.iter().filter(|line| line.contains("ERROR")).collect();
    assert!(matches!(errors[..], [error] if error.contains("whitelist.export")), "{errors:?}");
    let daemon = Daemon::again(&folder);
    assert!(daemon.status().running_seconds >= ran_before, "the running clock was saved");
    assert_eq!(daemon.listed(), ["127.0.0.1/32"]);
}

/// Request a change over the control socket and return the answer.
fn ask(folder: &Folder, body: &str) -> String {
    let mut socket = UnixStream::connect(folder.path("data/nakodo.sock")).expect("the tracker listens");
    let head = format!("POST /v1/whitelist HTTP/1.1\r\nHost: nakodo\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(format!("{head}{body}").as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_refusal_contains_the_outcome_for_programs() {
    let folder = Folder::new("failing");
    let daemon = start(&folder);
    set_disk(&daemon, false);
    for (prefix, outcome) in [("127.0.0.2", Outcome::Unknown), ("127.0.0.3", Outcome::Unchanged)] {
        let answer = ask(&folder, &format!("{{\"prefix\":\"{prefix}\"}}"));
        assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        let refusal: nakodo::api::Problem = serde_json::from_str(body).expect(body);
        assert_eq!(refusal.outcome, Some(outcome));
    }
}
