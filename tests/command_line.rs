//! The binary from outside: what it prints, and with which code it exits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{fs, thread};

/// A directory of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nakodo-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn nakodo(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nakodo"));
    command.args(arguments).current_dir(&folder.0);
    command
}

fn run(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = nakodo(folder, arguments).output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&stdout).into(), String::from_utf8_lossy(&stderr).into())
}

#[test]
fn mistakes_have_their_codes_and_one_line() {
    let folder = Folder::new("mistakes");
    fs::write(folder.0.join("bad.toml"), "memori = 3\n").expect("the folder is writable");
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
        assert_eq!(run(&folder, arguments), (Some(code), String::new(), line.into()), "{arguments:?}");
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let folder = Folder::new("good");
    fs::write(folder.0.join("good.toml"), nakodo::config::sample()).expect("the folder is writable");
    let (code, out, err) = run(&folder, &["check", "--config", "good.toml", "--memory", "1 MiB"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("configuration OK\n") && out.ends_with("\nconfiguration from good.toml\n"), "{out}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = Folder::new("pipe");
    let listener = UnixListener::bind(folder.0.join("nakodo.sock")).expect("a socket can be made");
    let tracker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        let body = format!("[\n{}1]", "1,\n".repeat(1 << 20));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    let mut child = nakodo(&folder, &["list", "--json", "--data-dir", "."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    // The reader is dropped, and the pipe closed, after one line.
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let output = child.wait_with_output().expect("it ends");
    tracker.join().expect("the tracker stays alive");
    assert_eq!((line.as_str(), output.status.code()), ("[\n", Some(0)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
