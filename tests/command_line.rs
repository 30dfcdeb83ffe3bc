//! The binary from outside: its output and its exit codes.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread;

use common::process::{Folder, Ran};

#[test]
fn a_mistake_prints_one_line_and_exits_with_its_code() {
    let folder = Folder::new("mistakes");
    folder.write("bad.toml", "memori = 3\n");
    let not_running = "nakodo: nakodo is not running: no answer on here/nakodo.sock; start it with `nakodo serve`\n";
    let bad = "nakodo: bad.toml:1: unknown key \"memori\"; did you mean \"memory\"?\n";
    for (arguments, code, line) in [
        (&["serv"][..], 64, "nakodo: unknown command \"serv\"; did you mean `nakodo serve`?\n"),
        (&["list", "--data-dir", "here"], 69, not_running),
        (&["allow", "192.0.2.7", "--data-dir", "here"], 69, not_running),
        (&["check", "--config", "bad.toml"], 78, bad),
        (&["serve", "--config", "bad.toml"], 78, bad),
        (&["list", "--config", "bad.toml"], 78, bad),
    ] {
        let Ran { code: ended, out, err } = folder.run(arguments);
        assert_eq!((ended, out.as_str(), err.as_str()), (Some(code), "", line), "{arguments:?}");
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let folder = Folder::new("good");
    folder.write("good.toml", include_str!("../nakodo.toml"));
    let out = folder.run(&["check", "--config", "good.toml", "--memory", "1 MiB"]).well();
    assert!(out.starts_with("configuration OK\n") && out.ends_with("\nconfiguration from good.toml\n"), "{out}");
}

#[test]
fn a_closed_output_pipe_is_not_an_error() {
    let folder = Folder::new("pipe");
    let listener = UnixListener::bind(folder.path("nakodo.sock")).expect("a socket");
    let tracker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        let body = format!("[\n{}1]", "1,\n".repeat(1 << 20));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    let mut child = folder
        .command(&["list", "--json", "--data-dir", "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut line = String::new();
    // Dropping the reader closes the pipe after one line.
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let output = child.wait_with_output().expect("the process ends");
    tracker.join().expect("the tracker stays alive");
    assert_eq!((line.as_str(), output.status.code()), ("[\n", Some(0)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
