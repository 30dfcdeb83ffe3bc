//! Configurations, valid and invalid, and the documents that the table of keys makes.

mod sample;

use std::fs;
use std::path::Path;

use super::*;
use sample::sample;

/// Parse an invalid text, and return its error message of one line.
fn parsed(text: &str) -> Config {
    Config::parse("nakodo.toml", text).expect(text)
}

fn error(text: &str) -> String {
    let line = Config::parse("nakodo.toml", text).expect_err(text).to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn the_shipped_sample_states_every_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("nakodo.toml");
    if std::env::var_os("NAKODO_WRITE_SAMPLE").is_some() {
        fs::write(&path, sample()).expect("the sample can be written");
    }
    let shipped = fs::read_to_string(&path).expect("nakodo.toml is shipped");
    assert!(shipped == sample(), "nakodo.toml is out of date: NAKODO_WRITE_SAMPLE=1 cargo test --lib config");
    assert_eq!(Config::parse("nakodo.toml", &shipped), Ok(Config::default()));
    for key in keys::KEYS {
        let leaf = format!("{} = ", key.leaf());
        assert!(shipped.lines().any(|line| line.trim_start_matches("# ").starts_with(&leaf)), "{}", key.name);
    }
}

/// Return the table of keys as docs/configuration.md has it.
fn table() -> String {
    let defaults = Config::default();
    let mut table = String::from("| key | default | allowed | meaning |\n|---|---|---|---|\n");
    let mut explained = "";
    for key in keys::KEYS {
        let meaning = match key.meaning {
            [] => format!("See `{explained}`."),
            lines => lines.join(" "),
        };
        if !key.meaning.is_empty() {
            explained = key.name;
        }
        let default = key.kind.show(&defaults).map_or("not set".into(), |default| format!("`{default}`"));
        let star = if key.at_start_only { " *" } else { "" };
        let (name, limits) = (key.name, key.kind.limits());
        table.push_str(&format!("| `{name}`{star} | {default} | {limits} | {meaning} |\n"));
    }
    table
}

#[test]
fn the_documents_name_every_key_with_its_default() {
    const BEGIN: &str = "<!-- begin: keys -->\n\n";
    const END: &str = "\n<!-- end: keys -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = fs::read_to_string(&path).expect("docs/configuration.md is shipped");
    let (before, rest) = document.split_once(BEGIN).expect(BEGIN);
    let (found, after) = rest.split_once(END).expect(END);
    if std::env::var_os("NAKODO_WRITE_SAMPLE").is_some() {
        return fs::write(&path, [before, BEGIN, &table(), END, after].concat()).expect("the document can be written");
    }
    assert!(found == table(), "docs/configuration.md is out of date: NAKODO_WRITE_SAMPLE=1 cargo test --lib config");
}

#[test]
fn the_sample_s_examples_can_be_set() {
    let text: String = sample()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = \"") => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = Config::parse("nakodo.toml", &text).expect("the examples are good");
    for key in keys::KEYS {
        let example = key.kind.example();
        assert!(example.is_empty() || key.kind.show(&config) == Some(format!("{example:?}")), "{}", key.name);
    }
}

#[test]
fn every_shipped_configuration_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("boards")];
    let mut files = vec![root.join("nakodo.toml")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "toml" => files.push(path),
                _ => {}
            }
        }
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("it can be read");
        assert_eq!(Config::parse(&file.display().to_string(), &text).err(), None);
    }
}

#[test]
fn a_printed_configuration_parses_back() {
    let text = r#"
        listen = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:7000"]
        data_dir = "/srv/a \"quoted\\\" \u0007 data dir"
        memory = "1000000 B"
        announce.interval = "90s"
        announce.min_interval = "1s"
        announce = { max_peers = 0xc8 }
        "#;
    assert_eq!(error(text), "nakodo.toml:7: not valid TOML: duplicate key");
    let text = text.replace("announce = { max_peers = 0xc8 }", "announce.max_peers = 0xc8");
    let config = Config::parse("nakodo.toml", &text).expect("it is good");
    assert_eq!(config.announce.interval, seconds(90));
    assert_eq!(config.announce.max_peers, 200);
    assert_eq!(config.memory_octets, 1_000_000);
    assert_eq!(Config::parse("again", &config.resolved()), Ok(config));
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "\n", "# nothing\r\n", "\u{feff}", "[announce]\n[admin]\n"] {
        assert_eq!(Config::parse("nakodo.toml", text), Ok(Config::default()), "{text:?}");
    }
}

#[test]
fn an_invalid_value_is_reported_with_the_valid_ones() {
    for (text, line) in [
        (
            "\n\n[announce]\n\n\n\ninterval = \"30 parsecs\"",
            r#"nakodo.toml:7: announce.interval: found "30 parsecs", expected a duration with its unit such as "90s", "30m" or "30d" (from 1s to 1d)"#,
        ),
        (
            "memory = 8",
            r#"nakodo.toml:1: memory: found the integer 8, expected a size with its unit such as "8 MiB" (from 256 KiB to 1 GiB)"#,
        ),
        (
            r#"memory = "8""#,
            r#"nakodo.toml:1: memory: found "8", expected a size with its unit such as "8 MiB" (from 256 KiB to 1 GiB)"#,
        ),
        (
            r#"memory = "2 GiB""#,
            r#"nakodo.toml:1: memory: found "2 GiB", expected a size with its unit such as "8 MiB" (from 256 KiB to 1 GiB)"#,
        ),
        (
            "[announce]\nmax_peers = 201",
            "nakodo.toml:2: announce.max_peers: found the integer 201, expected a whole number from 1 to 200",
        ),
        (
            "[announce]\nmax_peers = -1",
            "nakodo.toml:2: announce.max_peers: found the integer -1, expected a whole number from 1 to 200",
        ),
        (
            "[announce]\nmax_peers = 50.0",
            "nakodo.toml:2: announce.max_peers: found the number 50.0, expected a whole number from 1 to 200",
        ),
        (
            "access.capacity = 99999999999999999999999999",
            "nakodo.toml:1: access.capacity: found the integer 99999999999999999999999999, expected a whole number from 1 to 65536",
        ),
        ("[access]\nlan = \"closed\"", r#"nakodo.toml:2: access.lan: found "closed", expected "open" or "whitelist""#),
        ("[access]\nwan = true", r#"nakodo.toml:2: access.wan: found true, expected "whitelist", "open" or "closed""#),
        (
            "[log]\nlevel = \"INFO\"",
            r#"nakodo.toml:2: log.level: found "INFO", expected "off", "error", "warn", "info", "debug" or "trace""#,
        ),
        (
            "listen = []",
            r#"nakodo.toml:1: listen: found an empty list, expected a list of 1 to 8 addresses with their ports such as ["0.0.0.0:6969", "[::]:6969"]"#,
        ),
        (
            "listen = [\n  \"0.0.0.0:6969\",\n  \"localhost:6969\",\n]",
            r#"nakodo.toml:3: listen: found "localhost:6969", expected a list of 1 to 8 addresses with their ports such as ["0.0.0.0:6969", "[::]:6969"]"#,
        ),
        (
            "listen = [\"1.1.1.1:1\",\"1.1.1.1:2\",\"1.1.1.1:3\",\"1.1.1.1:4\",\"1.1.1.1:5\",\"1.1.1.1:6\",\"1.1.1.1:7\",\"1.1.1.1:8\",\"1.1.1.1:9\"]",
            r#"nakodo.toml:1: listen: found a list of 9, expected a list of 1 to 8 addresses with their ports such as ["0.0.0.0:6969", "[::]:6969"]"#,
        ),
        (
            "[network]\nlan = [\"192.168.0.0/33\"]",
            r#"nakodo.toml:2: network.lan: found "192.168.0.0/33", expected a list of address prefixes such as ["192.168.0.0/16", "fc00::/7"], none of them shorter than /8 (IPv4) or /7 (IPv6)"#,
        ),
        (
            "[network]\nexternal_v4 = \"2001:db8::7\"",
            r#"nakodo.toml:2: network.external_v4: found "2001:db8::7", expected an IPv4 address such as "203.0.113.7""#,
        ),
        (
            "[network]\nexternal_v6 = 2027-01-31",
            r#"nakodo.toml:2: network.external_v6: found the date 2027-01-31, expected an IPv6 address such as "2001:db8::7""#,
        ),
        (
            "[network]\ninterface = \"a name that is too long\"",
            r#"nakodo.toml:2: network.interface: found "a name that is too long", expected the name of a network interface such as "wan", or a list of names"#,
        ),
        (
            "[admin]\nlisten = \"127.0.0.1\"",
            r#"nakodo.toml:2: admin.listen: found "127.0.0.1", expected an address with its port such as "192.168.1.4:6970", or "off""#,
        ),
        ("data_dir = \"\"", r#"nakodo.toml:1: data_dir: found "", expected a path such as "/var/lib/nakodo""#),
        (
            "[memory]\nsize = 3",
            r#"nakodo.toml:1: memory: found a table, expected a size with its unit such as "8 MiB" (from 256 KiB to 1 GiB)"#,
        ),
    ] {
        assert_eq!(error(text), line);
    }
}

#[test]
fn an_unknown_key_is_reported_with_the_nearest_known_one() {
    for (text, line) in [
        ("\n\nmemori = \"8 MiB\"", r#"nakodo.toml:3: unknown key "memori"; did you mean "memory"?"#),
        ("interval = \"30m\"", r#"nakodo.toml:1: unknown key "interval"; did you mean "announce.interval"?"#),
        (
            "[announce]\nintervall = 3",
            r#"nakodo.toml:2: unknown key "announce.intervall"; did you mean "announce.interval"?"#,
        ),
        ("[admin]\nlistn = 3", r#"nakodo.toml:2: unknown key "admin.listn"; did you mean "admin.listen"?"#),
        ("data-dir = 3", r#"nakodo.toml:1: unknown key "data-dir"; did you mean "data_dir"?"#),
        ("colour = 3", r#"nakodo.toml:1: unknown key "colour"; the keys here are listen, data_dir, memory"#),
        (
            "[http]\ncolour = 3",
            r#"nakodo.toml:2: unknown key "http.colour"; the keys here are connections, head_timeout, idle_timeout"#,
        ),
        (
            "[http.tls]\nkey = 3",
            r#"nakodo.toml:1: unknown key "http.tls"; the keys here are connections, head_timeout, idle_timeout"#,
        ),
        ("[anounce]\ninterval = \"30m\"", r#"nakodo.toml:1: unknown section "anounce"; did you mean [announce]?"#),
        (
            "[tls]\nkey = 3",
            r#"nakodo.toml:1: unknown section "tls"; the sections are announce, access, tickets, torrents, network, http, admin, log"#,
        ),
        (
            "\"a\\nb\\u001b\" = 3",
            r#"nakodo.toml:1: unknown key "a\nb\u{1b}"; the keys here are listen, data_dir, memory"#,
        ),
        ("announce = 5", "nakodo.toml:1: announce: found the integer 5, expected a section [announce]"),
        ("[[announce]]\n", "nakodo.toml:1: announce: found a list of 1, expected a section [announce]"),
        // The first error in the file is reported, independent of the order of the sections in the table.
        (
            "[http]\nx = 1\n[access]\ny = 2",
            r#"nakodo.toml:2: unknown key "http.x"; the keys here are connections, head_timeout, idle_timeout"#,
        ),
    ] {
        assert_eq!(error(text), line);
    }
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    for (text, line) in [
        ("memory = \"8 MiB\"\nmemory = \"8 MiB\"", "nakodo.toml:2: not valid TOML: duplicate key"),
        ("[http]\n[log]\n[http]", "nakodo.toml:3: not valid TOML: duplicate key"),
        ("listen", "nakodo.toml:1: not valid TOML: key with no value, expected `=`"),
        ("\nmemory = 8 MiB", "nakodo.toml:2: not valid TOML: string values must be quoted, expected literal string"),
        ("\nmemory = ", "nakodo.toml:2: not valid TOML: string values must be quoted, expected literal string"),
        ("\n\n[http", "nakodo.toml:3: not valid TOML: unclosed table, expected `]`"),
    ] {
        assert_eq!(error(text), line);
    }
}

#[test]
fn a_conflict_between_keys_names_both() {
    let long = "x".repeat(110);
    for (text, line) in [
        (
            "[announce]\nmin_interval = \"31m\"",
            "nakodo.toml:2: announce.min_interval: 31m is more than announce.interval (30m)",
        ),
        (
            "[announce]\ninterval = \"1m\"",
            "nakodo.toml:2: announce.min_interval: 5m is more than announce.interval (1m)",
        ),
        (
            "[announce]\ninterval = \"40m\"",
            "nakodo.toml:2: announce.peer_timeout: 45m is less than 1.2 times announce.interval (40m), so peers would be forgotten before their next announce; set it to at least 48m",
        ),
        (
            "[announce]\npeer_timeout = \"35m 59s\"",
            "nakodo.toml:2: announce.peer_timeout: 35m 59s is less than 1.2 times announce.interval (30m), so peers would be forgotten before their next announce; set it to at least 36m",
        ),
        (
            "[announce]\nmax_peers = 20",
            "nakodo.toml:2: announce.default_peers: 50 is more than announce.max_peers (20)",
        ),
        (
            "[network]\nexternal_v4 = \"192.168.1.7\"",
            "nakodo.toml:2: network.external_v4: 192.168.1.7 is inside network.lan (192.168.0.0/16), so it cannot be reached from outside",
        ),
        (
            "[network]\nexternal_v6 = \"fd00::7\"",
            "nakodo.toml:2: network.external_v6: fd00::7 is inside network.lan (fc00::/7), so it cannot be reached from outside",
        ),
        (
            "[admin]\ntoken_file = \"t\"\nread_token_file = \"t\"",
            "nakodo.toml:3: admin.read_token_file: t is the file of admin.token_file too, so its token would do more than read",
        ),
        ("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]", "nakodo.toml:1: listen: 127.0.0.1:1 is listed twice"),
        (
            "[admin]\ntoken_file = \"t\"\nlisten = \"[::]:6969\"",
            "nakodo.toml:3: admin.listen: [::]:6969 is already used by listen",
        ),
        (
            &format!("admin.socket = \"{long}\""),
            "nakodo.toml:1: admin.socket: the path of the socket would have 110 bytes; the maximum is 107",
        ),
        (
            &format!("data_dir = \"{long}\""),
            "nakodo.toml:1: data_dir: the path of the socket would have 122 bytes; the maximum is 107; set admin.socket to a shorter path",
        ),
    ] {
        assert_eq!(error(text), line);
    }
    let short_socket = format!("data_dir = \"{long}\"\nadmin.socket = \"s\"");
    assert_eq!(Config::parse("nakodo.toml", &short_socket).err(), None);
    let quick = "[announce]\ninterval = \"1s\"\nmin_interval = \"1s\"\npeer_timeout = \"2s\"";
    assert_eq!(Config::parse("nakodo.toml", quick).err(), None);
}

#[test]
fn a_prefix_that_contains_a_part_of_the_internet_is_a_mistake() {
    for key in ["lan", "proxies"] {
        for prefix in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "2000::/3", "11.0.0.0/7"] {
            let line = error(&format!("[network]\n{key} = [\"127.0.0.1\", \"{prefix}\"]"));
            let expected = "expected a list of address prefixes such as [\"192.168.0.0/16\", \"fc00::/7\"], none of them \
                            shorter than /8 (IPv4) or /7 (IPv6)";
            assert_eq!(line, format!("nakodo.toml:2: network.{key}: found \"{prefix}\", {expected}"));
        }
    }
    let parsed = parsed("[network]\nlan = [\"10.0.0.0/8\", \"fc00::/7\"]");
    assert_eq!(parsed.network.lan.len(), 2);
}

#[test]
fn one_interface_or_a_list_of_them_can_be_named() {
    for (value, expected) in [("\"wan\"", &["wan"][..]), ("[\"wan0\", \"lte0\"]", &["wan0", "lte0"]), ("[]", &[])] {
        let parsed = parsed(&format!("[network]\ninterface = {value}\nlan_interfaces = {value}"));
        assert_eq!(parsed.network.interface, expected);
        assert_eq!(parsed.network.lan_interfaces, expected);
    }
}

#[test]
fn a_timeout_below_the_interval_of_libtorrent_is_a_warning() {
    let warnings = |timeout: &str| {
        parsed(&format!("[announce]\ninterval = \"10s\"\nmin_interval = \"5s\"\npeer_timeout = \"{timeout}\""))
            .warnings()
    };
    assert_eq!(
        warnings("60s"),
        ["announce.peer_timeout: 1m is short: libtorrent announces over UDP at most once a minute, so its peers are \
          forgotten in between; set it to at least 1m 10s"]
    );
    assert!(warnings("70s").is_empty() && Config::default().warnings().is_empty());
}

#[test]
fn garbage_in_any_key_is_an_error_that_names_it() {
    for key in keys::KEYS {
        for garbage in
            ["\"\"", "\"\\u0000\"", "-7", "1e99", "true", "{}", "{ x = 1 }", "[[]]", "[7]", "1979-05-27", "nan"]
        {
            // `true` is the value of a switch.
            let garbage = if garbage == "true" && key.kind.limits() == "true or false" { "\"true\"" } else { garbage };
            let text = format!("# first\n{} = {garbage}", key.name);
            let line = error(&text);
            assert!(line.starts_with(&format!("nakodo.toml:2: {}: found ", key.name)), "{line}");
        }
        for broken in ["", "\"", "[", "{", "\u{0}", "'''"] {
            let line = error(&format!("# first\n{} = {broken}", key.name));
            assert!(line.starts_with("nakodo.toml:2: not valid TOML: "), "{line}");
        }
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let sample = sample();
    let mut seed = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let mut bytes = sample.clone().into_bytes();
        for _ in 0..seed.usize(1..8) {
            let at = seed.usize(..bytes.len());
            match seed.u8(..3) {
                0 => bytes[at] = seed.u8(..),
                1 => drop(bytes.drain(at + 1..bytes.len().min(at + 1 + seed.usize(..40)))),
                _ => bytes.truncate(at + 1),
            }
        }
        if let Err(line) = Config::parse("nakodo.toml", &String::from_utf8_lossy(&bytes)) {
            let line = line.to_string();
            assert!(line.starts_with("nakodo.toml:") && !line.contains('\n') && line.len() < 500, "{line}");
        }
    }
}

#[test]
fn keys_that_need_a_restart_are_reported() {
    let old = Config::default();
    let mut new = old.clone();
    new.announce.interval = minutes(20);
    new.access.lan = Admission::Whitelist;
    new.network.external_v4 = Some(Ipv4Addr::new(203, 0, 113, 7));
    new.log.level = LevelFilter::Debug;
    assert_eq!(old.changed_at_start_only(&new), Vec::<&str>::new());
    new.memory_octets = mib(16);
    new.listen.pop();
    new.network.lan.pop();
    new.announce.peer_timeout = minutes(60);
    new.data_dir = Some("elsewhere".into());
    new.admin.token_file = Some("token".into());
    let stuck = ["listen", "data_dir", "memory", "announce.peer_timeout", "admin.token_file"];
    assert_eq!(old.changed_at_start_only(&new), stuck);
    assert_eq!(new.changed_at_start_only(&old), stuck);
}

#[test]
fn the_keys_of_a_section_are_adjacent() {
    let sections: Vec<&str> = core::iter::once("").chain(keys::SECTIONS.iter().map(|(name, _)| *name)).collect();
    let rank = |key: &keys::Key| sections.iter().position(|section| *section == key.section());
    assert!(keys::KEYS.iter().all(|key| rank(key).is_some()));
    assert!(keys::KEYS.is_sorted_by_key(rank), "the keys of a section are adjacent");
}
