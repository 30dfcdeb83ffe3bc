//! The commands and their options: what they are called, what they take, and what they mean.

/// An option.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its name, dashes and all.
    pub(super) name: &'static str,
    /// What its value stands for; empty if it takes none.
    pub(super) value: &'static str,
    /// Whether it may be given more than once.
    pub(super) repeatable: bool,
    /// What it means.
    pub(super) meaning: &'static str,
    /// The key of the configuration whose value it replaces, if any.
    pub(super) replaces: Option<&'static str>,
}

/// Every option. One name means the same to all commands that take it.
pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "--listen",
        value: "ADDR:PORT",
        repeatable: true,
        meaning: "listen here, instead of where the configuration says; may be repeated",
        replaces: None,
    },
    Flag {
        name: "--memory",
        value: "SIZE",
        repeatable: false,
        meaning: "for all swarms and peers",
        replaces: Some("memory"),
    },
    Flag { name: "--user", value: "USER", repeatable: false, meaning: "who it is", replaces: None },
    Flag {
        name: "--retire-after",
        value: "TIME",
        repeatable: false,
        meaning: "remove it after so long without an announce",
        replaces: Some("access.retire_after"),
    },
    Flag {
        name: "--until",
        value: "TIME",
        repeatable: false,
        meaning: "remove it then: 2027-01-31 (after that day, UTC) or 2027-01-31T18:00:00Z",
        replaces: None,
    },
    Flag {
        name: "--permanent",
        value: "",
        repeatable: false,
        meaning: "do not remove it for want of announces",
        replaces: None,
    },
    Flag { name: "--json", value: "", repeatable: false, meaning: "print the tracker's JSON as it is", replaces: None },
    Flag {
        name: "--config",
        value: "FILE",
        repeatable: false,
        meaning: "the configuration (default: /etc/nakodo/nakodo.toml, where there is one)",
        replaces: None,
    },
    Flag {
        name: "--data-dir",
        value: "DIR",
        repeatable: false,
        meaning: "the data directory (default: /var/lib/nakodo if writable, else nakodo-data)",
        replaces: None,
    },
    Flag { name: "--help", value: "", repeatable: true, meaning: "print this", replaces: None },
];

/// A command.
#[derive(Debug)]
pub(super) struct Verb {
    /// Its name.
    pub(super) name: &'static str,
    /// What it takes besides options.
    pub(super) operand: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// What else there is to know.
    pub(super) details: &'static str,
    /// Its options, without those that all commands take.
    pub(super) flags: &'static [&'static str],
}

impl Verb {
    /// Its options.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        let takes = |flag: &&Flag| self.flags.contains(&flag.name) || COMMON.contains(&flag.name);
        FLAGS.iter().filter(takes)
    }
}

/// The options that all commands take.
const COMMON: &[&str] = &["--config", "--data-dir", "--help"];

/// Every command; the first is meant when none is named.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "serve",
        operand: "",
        summary: "run the tracker; the same as no command at all",
        details: "SIGHUP reads the configuration again, SIGTERM stops.",
        flags: &["--listen", "--memory"],
    },
    Verb {
        name: "check",
        operand: "",
        summary: "read the configuration and print what it comes to",
        details: "Exits with 78 and one line if there is a mistake in it.",
        flags: &["--listen", "--memory"],
    },
    Verb {
        name: "allow",
        operand: "ADDR[/LEN]",
        summary: "add an address or a prefix to the whitelist",
        details: "Returns when it is on disk. A bare IPv6 address stands for its /64.\n\
                  An entry that is there already is replaced.",
        flags: &["--user", "--retire-after", "--until", "--permanent"],
    },
    Verb {
        name: "revoke",
        operand: "ADDR[/LEN] | --user USER",
        summary: "remove an entry, or all entries of a user",
        details: "Returns when it is on disk; the peers of these addresses leave the swarms at once.",
        flags: &["--user"],
    },
    Verb {
        name: "list",
        operand: "",
        summary: "print the whitelist with idle times",
        details: "Idle time counts only while the tracker is running.",
        flags: &["--json"],
    },
    Verb {
        name: "status",
        operand: "",
        summary: "print capacity, peers, flash wear and counters",
        details: "",
        flags: &["--json"],
    },
    Verb { name: "help", operand: "[COMMAND]", summary: "print what a command takes", details: "", flags: &[] },
];

/// The command called `name`.
pub(super) fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// The option called `name`, dashes and all.
pub(super) fn flag(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}
