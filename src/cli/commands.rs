//! Tables of commands and options: names, values and descriptions.

/// Identity of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Listen,
    Memory,
    User,
    RetireAfter,
    Until,
    Permanent,
    Import,
    Replace,
    Export,
    Days,
    Addresses,
    Inspect,
    InUse,
    Ticket,
    Watch,
    Json,
    Data,
    Config,
    DataDir,
    Help,
}

/// Option of a command.
#[derive(Debug)]
pub(super) struct Flag {
    /// Identity.
    pub(super) id: Name,
    /// Name, including the dashes.
    pub(super) name: &'static str,
    /// Placeholder for its value; empty if it takes no value.
    pub(super) value: &'static str,
    /// Whether it may be repeated.
    pub(super) repeatable: bool,
    /// Description.
    pub(super) meaning: &'static str,
    /// Key of the configuration that it overrides and that provides its default, if any.
    pub(super) replaces: Option<&'static str>,
}

/// All options. An option has the same meaning in all commands that take it.
pub(super) const FLAGS: &[Flag] = &[
    Flag {
        id: Name::Listen,
        name: "--listen",
        value: "ADDR:PORT",
        repeatable: true,
        meaning: "listen on this address instead of the configured ones; may be repeated",
        replaces: None,
    },
    Flag {
        id: Name::Memory,
        name: "--memory",
        value: "SIZE",
        repeatable: false,
        meaning: "memory for all swarms and peers",
        replaces: Some("memory"),
    },
    Flag {
        id: Name::User,
        name: "--user",
        value: "USER",
        repeatable: false,
        meaning: "name of the user",
        replaces: None,
    },
    Flag {
        id: Name::RetireAfter,
        name: "--retire-after",
        value: "TIME",
        repeatable: false,
        meaning: "remove the entry after this time without an announce",
        replaces: Some("access.retire_after"),
    },
    Flag {
        id: Name::Until,
        name: "--until",
        value: "TIME",
        repeatable: false,
        meaning: "end date of the entry: 2027-01-31 (end of day, UTC) or 2027-01-31T18:00:00Z",
        replaces: None,
    },
    Flag {
        id: Name::Permanent,
        name: "--permanent",
        value: "",
        repeatable: false,
        meaning: "never remove the entry for being idle",
        replaces: None,
    },
    Flag {
        id: Name::Import,
        name: "--import",
        value: "FILE",
        repeatable: false,
        meaning: "add the entries of this file instead, all or none; - is the standard input",
        replaces: None,
    },
    Flag {
        id: Name::Replace,
        name: "--replace",
        value: "",
        repeatable: false,
        meaning: "replace entries of other users with the same prefixes",
        replaces: None,
    },
    Flag {
        id: Name::Export,
        name: "--export",
        value: "",
        repeatable: false,
        meaning: "print the list as text for `allow --import`, without the entries of tickets",
        replaces: None,
    },
    Flag {
        id: Name::Days,
        name: "--days",
        value: "DAYS",
        repeatable: false,
        meaning: "time for which the ticket is valid (default: 365)",
        replaces: None,
    },
    Flag {
        id: Name::Addresses,
        name: "--addresses",
        value: "NUMBER",
        repeatable: false,
        meaning: "number of addresses that the ticket admits at once (default: 2)",
        replaces: None,
    },
    Flag {
        id: Name::Inspect,
        name: "--inspect",
        value: "TICKET",
        repeatable: false,
        meaning: "explain a ticket instead",
        replaces: None,
    },
    Flag {
        id: Name::InUse,
        name: "--in-use",
        value: "",
        repeatable: false,
        meaning: "print the tickets that were verified lately instead, and how often each changed its address",
        replaces: None,
    },
    Flag {
        id: Name::Ticket,
        name: "--ticket",
        value: "TICKET",
        repeatable: false,
        meaning: "a ticket, or USER.NUMBER of one",
        replaces: None,
    },
    Flag {
        id: Name::Watch,
        name: "--watch",
        value: "",
        repeatable: false,
        meaning: "print it every two seconds, with the rates of the counters",
        replaces: None,
    },
    Flag {
        id: Name::Json,
        name: "--json",
        value: "",
        repeatable: false,
        meaning: "print the JSON of the tracker unchanged",
        replaces: None,
    },
    Flag {
        id: Name::Data,
        name: "--data",
        value: "",
        repeatable: false,
        meaning: "also check both copies of the whitelist, without changing them",
        replaces: None,
    },
    Flag {
        id: Name::Config,
        name: "--config",
        value: "FILE",
        repeatable: false,
        meaning: "configuration file (default: /etc/nakodo/nakodo.toml, if it exists)",
        replaces: None,
    },
    Flag {
        id: Name::DataDir,
        name: "--data-dir",
        value: "DIR",
        repeatable: false,
        meaning: "data directory (default: /var/lib/nakodo if writable, else nakodo-data)",
        replaces: None,
    },
    Flag { id: Name::Help, name: "--help", value: "", repeatable: true, meaning: "print this help", replaces: None },
];

/// Identity of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Serve,
    Check,
    Allow,
    Revoke,
    List,
    Explain,
    Ticket,
    Key,
    Torrents,
    #[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page uses it"))]
    Page,
    Status,
    Help,
}

/// Command.
#[derive(Debug)]
pub(super) struct Verb {
    /// Identity.
    pub(super) action: Action,
    /// Name.
    pub(super) name: &'static str,
    /// Operands, besides options.
    pub(super) operand: &'static str,
    /// Description in one line.
    pub(super) summary: &'static str,
    /// Further details.
    pub(super) details: &'static str,
    /// Its options, without the common ones.
    pub(super) flags: &'static [Name],
}

impl Verb {
    /// Return its options, including the common ones.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        let takes = |flag: &&Flag| self.flags.contains(&flag.id) || COMMON.contains(&flag.id);
        FLAGS.iter().filter(takes)
    }
}

/// Options of all commands.
const COMMON: &[Name] = &[Name::Config, Name::DataDir, Name::Help];

/// All commands; the first is the default.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        action: Action::Serve,
        name: "serve",
        operand: "",
        summary: "run the tracker (the default command)",
        details: "SIGHUP reloads the configuration, SIGTERM stops the tracker.",
        flags: &[Name::Listen, Name::Memory],
    },
    Verb {
        action: Action::Check,
        name: "check",
        operand: "",
        summary: "read the configuration and print the resulting settings",
        details: "Exits with code 78 and a message of one line if the configuration is wrong, and with code 65 if \
                  --data finds damage.",
        flags: &[Name::Listen, Name::Memory, Name::Data],
    },
    Verb {
        action: Action::Allow,
        name: "allow",
        operand: "ADDR[/LEN]|--import FILE",
        summary: "add an address, a prefix or a file of them",
        details: "Returns when the entry is on disk. A bare IPv6 address means its /64.\n\
                  An existing entry is replaced. An import that replaces an entry of another user needs --replace.",
        flags: &[Name::User, Name::RetireAfter, Name::Until, Name::Permanent, Name::Import, Name::Replace],
    },
    Verb {
        action: Action::Revoke,
        name: "revoke",
        operand: "ADDR[/LEN]|--user U|--ticket T",
        summary: "remove an entry, a ticket, or all of a user",
        details: "Returns when the change is on disk. The peers of these addresses leave the swarms at once.\n\
                  With a user, the tickets that were signed until now are refused; later ones are accepted.",
        flags: &[Name::User, Name::Ticket],
    },
    Verb {
        action: Action::List,
        name: "list",
        operand: "",
        summary: "print the whitelist with idle times",
        details: "Idle time counts only while the tracker is running.",
        flags: &[Name::Json, Name::Export],
    },
    Verb {
        action: Action::Explain,
        name: "explain",
        operand: "ADDR",
        summary: "explain the side and the admission of an address",
        details: "Prints its side and the reason, the rule or the entry that decides, and the number of its peers.",
        flags: &[Name::Json],
    },
    Verb {
        action: Action::Ticket,
        name: "ticket",
        operand: "",
        summary: "sign a ticket, with which a client logs its address in",
        details: "Needs --user, with letters, digits, `-` and `_`. Prints the ticket, an announce URL and a login link.",
        flags: &[Name::User, Name::Days, Name::Addresses, Name::Inspect, Name::InUse, Name::Json],
    },
    Verb {
        action: Action::Key,
        name: "key",
        operand: "list|new|add PUBLIC|remove KEY",
        summary: "manage the keys that sign tickets",
        details: "The tracker signs with its newest own key; the first ticket makes one. Tickets of all keys are accepted.\n\
                  `add` takes the public key of another signer. `remove` refuses all tickets of a key.",
        flags: &[Name::Json],
    },
    Verb {
        action: Action::Torrents,
        name: "torrents",
        operand: "list|add HASH [NAME]|…",
        summary: "manage the list of torrents",
        details: "Takes list, add HASH [NAME], remove HASH or reload. torrents.mode decides the list's effect. A change is in the file of the list when the command returns.\n\
                  The peers of a torrent that is no longer served leave at once.",
        flags: &[Name::Json],
    },
    #[cfg(feature = "page")]
    Verb {
        action: Action::Page,
        name: "page",
        operand: "",
        summary: "print a link that opens the page in a browser",
        details: "The link has a code, which is valid once and for ten minutes. On a desktop the browser opens it.\n\
                  The page is at admin.listen, for local clients only.",
        flags: &[Name::Json],
    },
    Verb {
        action: Action::Status,
        name: "status",
        operand: "",
        summary: "print capacity, peers, flash wear and counters",
        details: "",
        flags: &[Name::Json, Name::Watch],
    },
    Verb {
        action: Action::Help,
        name: "help",
        operand: "[COMMAND]",
        summary: "print the options of a command",
        details: "",
        flags: &[],
    },
];

/// Return the command with this name.
pub(super) fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// Return the option with this name, which includes the dashes.
pub(super) fn flag(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}
