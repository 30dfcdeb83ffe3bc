//! Command lines, valid and invalid, and the texts of the help.

use std::ffi::OsString;

use super::*;
use crate::access::prefix;
use crate::api::{AddTorrents, Allow, RemoveTorrents, Revoke, Torrent};
use crate::client::{ImportFile, Request};

fn parsed(line: &str) -> Result<Command, String> {
    parse(line.split_whitespace().map(OsString::from)).map_err(|mistake| mistake.to_string())
}

fn source(change: impl FnOnce(&mut Source)) -> Source {
    let mut source = Source::default();
    change(&mut source);
    source
}

fn allow(text: &str, change: impl FnOnce(&mut Allow)) -> Command {
    let prefix = prefix::parse(text).expect(text);
    let mut allow = Allow { prefix, user: None, retire_after_seconds: None, until_unix: None, permanent: false };
    change(&mut allow);
    Command::Ask(Source::default(), Request::Allow(allow))
}

fn import(path: &str, replace: bool) -> Command {
    Command::Ask(Source::default(), Request::Import(ImportFile { path: path.into(), replace }))
}

fn add_torrent(info_hash: &str, name: &str) -> Command {
    let torrents = vec![Torrent { info_hash: info_hash.into(), name: name.into() }];
    Command::Ask(Source::default(), Request::AddTorrents(AddTorrents { torrents }))
}

fn explain(address: &str, json: bool) -> Command {
    Command::Ask(Source::default(), Request::Explain { address: address.parse().expect(address), json })
}

fn revoke(revoke: Revoke) -> Command {
    Command::Ask(Source::default(), Request::Revoke(revoke))
}

#[test]
fn valid_command_lines_are_parsed() {
    let home = || source(|source| source.file = Some("/home/n.toml".into()));
    let all = source(|source| {
        source.file = Some("f".into());
        source.data_dir = Some("d".into());
        source.listen = vec!["127.0.0.1:0".into(), "[::1]:0".into()];
        source.memory = Some("1MiB".into());
    });
    for (line, command) in [
        ("", Command::Serve(Source::default())),
        ("serve", Command::Serve(Source::default())),
        ("--config /home/n.toml", Command::Serve(home())),
        ("--config=/home/n.toml serve", Command::Serve(home())),
        (
            "serve --config f --data-dir d --listen 127.0.0.1:0 --memory 1MiB --listen [::1]:0",
            Command::Serve(all.clone()),
        ),
        (
            "check --config f --data-dir d --listen 127.0.0.1:0 --memory 1MiB --listen [::1]:0",
            Command::Check { source: all, data: false },
        ),
        ("check --data", Command::Check { source: Source::default(), data: true }),
        ("list", Command::Ask(Source::default(), Request::List { json: false })),
        ("list --export", Command::Ask(Source::default(), Request::Export)),
        ("allow --import f --replace", import("f", true)),
        ("allow --import -", import("-", false)),
        ("torrents list --json", Command::Ask(Source::default(), Request::Torrents { json: true })),
        ("torrents reload", Command::Ask(Source::default(), Request::ReloadTorrents)),
        ("torrents add 00ff Harvest in 1080p", add_torrent("00ff", "Harvest in 1080p")),
        ("torrents add 00ff", add_torrent("00ff", "")),
        (
            "torrents remove 00ff",
            Command::Ask(
                Source::default(),
                Request::RemoveTorrents(RemoveTorrents { info_hashes: vec!["00ff".into()] }),
            ),
        ),
        ("list --json --config /home/n.toml", Command::Ask(home(), Request::List { json: true })),
        ("--config /home/n.toml status", Command::Ask(home(), Request::Status { json: false })),
        #[cfg(feature = "page")]
        ("page", Command::Ask(Source::default(), Request::PageCode { json: false })),
        ("status --watch", Command::Watch(Source::default())),
        ("status --json", Command::Ask(Source::default(), Request::Status { json: true })),
        ("allow 192.0.2.7", allow("192.0.2.7/32", |_| ())),
        ("allow 192.0.2.7/24", allow("192.0.2.0/24", |_| ())),
        ("allow 2001:db8::7", allow("2001:db8::/64", |_| ())),
        ("allow 192.0.2.7 --user mika", allow("192.0.2.7", |allow| allow.user = Some("mika".into()))),
        ("allow --permanent 192.0.2.7", allow("192.0.2.7", |allow| allow.permanent = true)),
        (
            "allow 192.0.2.7 --retire-after 30d",
            allow("192.0.2.7", |allow| allow.retire_after_seconds = Some(30 * 86_400)),
        ),
        // A date includes its day: 1801440000 is 2027-02-01T00:00:00Z.
        ("allow 192.0.2.7 --until 2027-01-31", allow("192.0.2.7", |allow| allow.until_unix = Some(1_801_440_000))),
        (
            "allow 192.0.2.7 --until 2027-01-31T18:00:00Z",
            allow("192.0.2.7", |allow| allow.until_unix = Some(1_801_440_000 - 6 * 3_600)),
        ),
        (
            "allow 192.0.2.7 --until 2027-01-31T18:00:00+02:00",
            allow("192.0.2.7", |allow| allow.until_unix = Some(1_801_440_000 - 8 * 3_600)),
        ),
        // Leap years and other years, and times beyond 31 bits of seconds.
        ("allow 192.0.2.7 --until 1970-01-01", allow("192.0.2.7", |allow| allow.until_unix = Some(86_400))),
        ("allow 192.0.2.7 --until 2028-02-29", allow("192.0.2.7", |allow| allow.until_unix = Some(1_835_481_600))),
        ("allow 192.0.2.7 --until 2038-01-19", allow("192.0.2.7", |allow| allow.until_unix = Some(2_147_558_400))),
        ("allow 192.0.2.7 --until 2100-02-28", allow("192.0.2.7", |allow| allow.until_unix = Some(4_107_542_400))),
        ("allow 192.0.2.7 --until 9999-12-31", allow("192.0.2.7", |allow| allow.until_unix = Some(253_402_300_800))),
        ("revoke 2001:db8::7", revoke(Revoke::Prefix(prefix::parse("2001:db8::/64").expect("a prefix")))),
        ("revoke --user mika", revoke(Revoke::User("mika".into()))),
        ("explain 192.0.2.7", explain("192.0.2.7", false)),
        ("explain 2001:db8::7 --json", explain("2001:db8::7", true)),
        ("--version", Command::Print("nakodo 0.1.0\n".into())),
        ("-V", Command::Print("nakodo 0.1.0\n".into())),
    ] {
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
}

#[test]
fn each_mistake_is_reported_in_one_line() {
    for (line, mistake) in [
        ("serv", "unknown command \"serv\"; did you mean `nakodo serve`?"),
        ("statsu", "unknown command \"statsu\"; did you mean `nakodo status`?"),
        ("frobnicate", "unknown command \"frobnicate\"; see `nakodo help`"),
        ("help frobnicate", "unknown command \"frobnicate\"; see `nakodo help`"),
        ("help list status", "`nakodo help` takes one command"),
        ("--confg f", "unknown option \"--confg\"; did you mean --config?"),
        ("--verison", "unknown option \"--verison\"; did you mean --version?"),
        ("list --xyzzy", "unknown option \"--xyzzy\"; see `nakodo help list`"),
        ("-x", "unknown option \"-x\"; see `nakodo help`"),
        ("list --user mika", "`nakodo list` takes no --user; see `nakodo help list`"),
        ("allow 192.0.2.7 --memory 1MiB", "`nakodo allow` takes no --memory; see `nakodo help allow`"),
        ("--json", "`nakodo serve` takes no --json; see `nakodo help serve`"),
        ("--config", "--config needs a value: --config FILE"),
        ("serve --memory 1MiB --memory 2MiB", "--memory is given twice"),
        ("list --json=yes", "unexpected argument for option '--json': \"yes\""),
        ("serve now", "`nakodo serve` takes options only; found \"now\""),
        ("list --export --json", "--export and --json exclude each other"),
        ("allow 192.0.2.7 --replace", "--replace belongs to --import"),
        ("allow 192.0.2.7 --import f", "--import takes the entries and their terms from its file only"),
        ("allow --user ann --import f", "--import takes the entries and their terms from its file only"),
        (
            "torrents",
            "`nakodo torrents` takes list, add HASH [NAME], remove HASH or reload; see `nakodo help torrents`",
        ),
        (
            "torrents list 192.0.2.7",
            "`nakodo torrents` takes list, add HASH [NAME], remove HASH or reload; see `nakodo help torrents`",
        ),
        (
            "torrents add 00 --json",
            "`nakodo torrents` takes list, add HASH [NAME], remove HASH or reload; see `nakodo help torrents`",
        ),
        ("list 192.0.2.7", "`nakodo list` takes options only; found \"192.0.2.7\""),
        ("allow", "`nakodo allow` takes one address or prefix, such as 192.0.2.7 or 2001:db8::/64"),
        ("allow 192.0.2.7 192.0.2.8", "`nakodo allow` takes one address or prefix, such as 192.0.2.7 or 2001:db8::/64"),
        (
            "allow host.example",
            "`host.example` is not an IPv4 or IPv6 address; write one such as 192.0.2.7 or 2001:db8:1:2::/64 (host names are \
             not looked up)",
        ),
        ("revoke 192.0.2.7/33", "a prefix length of 33 is too long; this address has 32 bits"),
        ("explain", "`nakodo explain` takes one address, such as 192.0.2.7 or 2001:db8::7"),
        (
            "explain 192.0.2.0/24",
            "`nakodo explain`: found \"192.0.2.0/24\", expected an address such as 192.0.2.7 or 2001:db8::7",
        ),
        ("revoke", "`nakodo revoke` takes one address or prefix, or else --user USER or --ticket TICKET"),
        (
            "revoke 192.0.2.7 --user mika",
            "`nakodo revoke` takes one address or prefix, or else --user USER or --ticket TICKET",
        ),
        ("allow 192.0.2.7 --permanent --retire-after 3d", "--permanent and --retire-after exclude each other"),
        (
            "allow 192.0.2.7 --retire-after 30",
            r#"--retire-after: found "30", expected a duration with its unit such as "90s", "30m" or "30d" (from 1s to 3650d)"#,
        ),
        (
            "allow 192.0.2.7 --retire-after 0s",
            r#"--retire-after: found "0s", expected a duration with its unit such as "90s", "30m" or "30d" (from 1s to 3650d)"#,
        ),
        (
            "allow 192.0.2.7 --until tomorrow",
            "--until: found \"tomorrow\", expected a day such as 2027-01-31 (to its end, UTC) or a time such as \
             2027-01-31T18:00:00Z",
        ),
        (
            "allow 192.0.2.7 --until 2027-02-30",
            "--until: found \"2027-02-30\", expected a day such as 2027-01-31 (to its end, UTC) or a time such as \
             2027-01-31T18:00:00Z",
        ),
        (
            "allow 192.0.2.7 --until 2027-01-31T18:00:00",
            "--until: found \"2027-01-31T18:00:00\", expected a day such as 2027-01-31 (to its end, UTC) or a time such as \
             2027-01-31T18:00:00Z",
        ),
        (
            "allow 192.0.2.7 --until 1969-12-30",
            "--until: found \"1969-12-30\", expected a day such as 2027-01-31 (to its end, UTC) or a time such as \
             2027-01-31T18:00:00Z",
        ),
        (
            "allow 192.0.2.7 --until 2027-02-2µT00:00:00Z",
            "--until: found \"2027-02-2µT00:00:00Z\", expected a day such as 2027-01-31 (to its end, UTC) or a time \
             such as 2027-01-31T18:00:00Z",
        ),
    ] {
        assert_eq!(parsed(line), Err(mistake.into()), "{line}");
    }
    let control = ["allow", "192.0.2.7", "--user", "a\u{1b}[2J"].map(OsString::from);
    let mistake = "--user: found \"a\\u{1b}[2J\", expected a name without control characters";
    assert_eq!(parse(control).map_err(|mistake| mistake.to_string()), Err(mistake.into()));
}

#[test]
fn arguments_that_are_not_utf8_are_reported() {
    use std::os::unix::ffi::OsStringExt as _;
    let latin = || OsString::from_vec(b"caf\xe9".to_vec());
    for (arguments, mistake) in [
        (vec![latin()], "an argument is not UTF-8: \"caf\u{fffd}\""),
        (vec!["--user".into(), latin(), "allow".into(), "192.0.2.7".into()], "--user is not UTF-8: \"caf\u{fffd}\""),
    ] {
        assert_eq!(parse(arguments).map_err(|mistake| mistake.to_string()), Err(mistake.into()));
    }
    let file = Source { file: Some(latin().into()), ..Source::default() };
    assert_eq!(parse(["--config".into(), latin()]), Ok(Command::Serve(file)), "a file may have any name");
}

fn printed(line: &str) -> String {
    match parsed(line) {
        Ok(Command::Print(text)) => text,
        other => format!("{line} prints no help: {other:?}"),
    }
}

#[test]
fn help_is_aligned_and_states_defaults() {
    for line in ["help", "--help", "-h", "help serve", "serve --help", "help help", "help allow"] {
        let text = printed(line);
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
    }
    let (overview, serve) = (printed("help"), printed("help serve"));
    assert!(commands::VERBS.iter().all(|verb| overview.contains(verb.summary)));
    assert!(serve.contains("--memory SIZE       memory for all swarms and peers (default: 8 MiB)\n"), "{serve}");
    assert!(serve.contains(crate::config::SYSTEM_FILE), "{serve}");
    for verb in commands::VERBS {
        assert!(verb.flags.iter().all(|id| commands::FLAGS.iter().any(|flag| flag.id == *id)), "{}", verb.name);
    }
}
