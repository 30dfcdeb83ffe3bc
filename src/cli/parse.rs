//! Parser of the command line.

use core::fmt;
use core::net::IpAddr;
use std::ffi::OsString;
use std::path::PathBuf;

use ipnet::IpNet;
use lexopt::Arg;

use super::commands::{Action, FLAGS, Flag, Name, VERBS, Verb, flag, verb};
use super::{Command, date, help, quote};
use crate::access::{self, UserError, parse_user};
use crate::api::{AddTorrents, Allow, InspectTicket, NewKey, RemoveKey, RemoveTorrents, Revoke, SignTicket, Torrent};
use crate::client::{ImportFile, Request};
use crate::config::{self, Source};
use crate::suggest::nearest;

/// Error in the command line, as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Mistake {}

/// Arguments, separated into options and words.
#[derive(Debug, Default)]
struct Given {
    /// Options with their values; the value is empty if the option takes none.
    flags: Vec<(&'static Flag, OsString)>,
    /// All other arguments; the first is the command.
    words: Vec<String>,
    /// Whether the version is requested.
    version: bool,
}

/// Parse the arguments, which do not include the name of the program.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Mistake> {
    let given = sort(lexopt::Parser::from_args(arguments))?;
    if given.version {
        return Ok(Command::Print(format!("nakodo {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let (verb, operands) = match given.words.split_first() {
        None if given.has(Name::Help) => return Ok(Command::Print(help::overview())),
        None => (&VERBS[0], given.words.as_slice()),
        Some((name, operands)) => (verb(name).ok_or_else(|| unknown_verb(name))?, operands),
    };
    given.belong_to(verb)?;
    if given.has(Name::Help) {
        return Ok(Command::Print(help::of(verb)));
    }
    if verb.operand.is_empty() {
        no_operands(verb, operands)?;
    }
    let source = given.source()?;
    let json = given.has(Name::Json);
    match verb.action {
        Action::Serve => Ok(Command::Serve(source)),
        Action::Check => Ok(Command::Check { source, data: given.has(Name::Data) }),
        Action::Allow => Ok(Command::Ask(source, allow_or_import(&given, operands)?)),
        Action::Revoke => Ok(Command::Ask(source, Request::Revoke(revoke(&given, operands)?))),
        Action::List if given.has(Name::Export) => match json {
            true => Err(Mistake("--export and --json exclude each other".into())),
            false => Ok(Command::Ask(source, Request::Export)),
        },
        Action::List => Ok(Command::Ask(source, Request::List { json })),
        Action::Explain => Ok(Command::Ask(source, Request::Explain { address: address(operands)?, json })),
        Action::Ticket => Ok(Command::Ask(source, ticket(&given, json)?)),
        Action::Key => Ok(Command::Ask(source, key(operands, json)?)),
        Action::Torrents => Ok(Command::Ask(source, torrents(operands, json)?)),
        Action::Page => Ok(Command::Ask(source, Request::PageCode { json })),
        Action::Status if given.has(Name::Watch) => match json {
            true => Err(Mistake("--watch and --json exclude each other".into())),
            false => Ok(Command::Watch(source)),
        },
        Action::Status => Ok(Command::Ask(source, Request::Status { json })),
        Action::Help => help_on(operands),
    }
}

/// Separate options from words.
fn sort(mut parser: lexopt::Parser) -> Result<Given, Mistake> {
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(|error| Mistake(error.to_string()))? {
        let name = match argument {
            Arg::Value(word) => {
                given.words.push(utf8(word, "an argument")?);
                continue;
            }
            Arg::Short('h') => "--help".into(),
            Arg::Short('V') => "--version".into(),
            Arg::Short(letter) => format!("-{letter}"),
            Arg::Long(name) => format!("--{name}"),
        };
        if name == "--version" {
            given.version = true;
            continue;
        }
        let flag = flag(&name).ok_or_else(|| unknown_flag(&name, &given))?;
        let value = if flag.value.is_empty() { OsString::new() } else { parser.value().map_err(|_| no_value(flag))? };
        if !flag.repeatable && given.has(flag.id) {
            return Err(Mistake(format!("{} is given twice", flag.name)));
        }
        given.flags.push((flag, value));
    }
    Ok(given)
}

impl Given {
    fn has(&self, id: Name) -> bool {
        self.flags.iter().any(|(flag, _)| flag.id == id)
    }

    fn all(&self, id: Name) -> Result<Vec<String>, Mistake> {
        let values = self.flags.iter().filter(|(flag, _)| flag.id == id);
        values.map(|(flag, value)| utf8(value.clone(), flag.name)).collect()
    }

    fn one(&self, id: Name) -> Result<Option<String>, Mistake> {
        Ok(self.all(id)?.pop())
    }

    fn number<T: core::str::FromStr>(&self, id: Name) -> Result<Option<T>, Mistake> {
        let Some(text) = self.one(id)? else { return Ok(None) };
        let name = FLAGS.iter().find(|flag| flag.id == id).map_or("", |flag| flag.name);
        text.parse().map(Some).map_err(|_| expected(name, &text, "a whole number"))
    }

    /// Check that `verb` takes all the options.
    fn belong_to(&self, verb: &Verb) -> Result<(), Mistake> {
        let strange = self.flags.iter().find(|(given, _)| verb.flags().all(|flag| flag.id != given.id));
        strange.map_or(Ok(()), |(flag, _)| {
            let (flag, verb) = (flag.name, verb.name);
            Err(Mistake(format!("`nakodo {verb}` takes no {flag}; see `nakodo help {verb}`")))
        })
    }

    fn path(&self, id: Name) -> Option<PathBuf> {
        self.flags.iter().find(|(flag, _)| flag.id == id).map(|(_, value)| PathBuf::from(value))
    }

    fn source(&self) -> Result<Source, Mistake> {
        Ok(Source {
            file: self.path(Name::Config),
            data_dir: self.one(Name::DataDir)?,
            listen: self.all(Name::Listen)?,
            memory: self.one(Name::Memory)?,
        })
    }

    fn user(&self) -> Result<Option<String>, Mistake> {
        let Some(user) = self.one(Name::User)? else { return Ok(None) };
        match parse_user(&user) {
            Err(UserError::Blank | UserError::ControlCharacters) => {
                Err(expected("--user", &user, "a name without control characters"))
            }
            // The tracker knows how long a name it takes.
            Err(UserError::TooLong) | Ok(_) => Ok(Some(user)),
        }
    }
}

fn allow_or_import(given: &Given, operands: &[String]) -> Result<Request, Mistake> {
    let replace = given.has(Name::Replace);
    match given.path(Name::Import) {
        None if replace => Err(Mistake("--replace belongs to --import".into())),
        None => Ok(Request::Allow(allow(given, operands)?)),
        Some(path) => {
            let of_one = [Name::User, Name::RetireAfter, Name::Until, Name::Permanent];
            if !operands.is_empty() || of_one.iter().any(|id| given.has(*id)) {
                return Err(Mistake("--import takes the entries and their terms from its file only".into()));
            }
            Ok(Request::Import(ImportFile { path, replace }))
        }
    }
}

fn torrents(operands: &[String], json: bool) -> Result<Request, Mistake> {
    let words: Vec<&str> = operands.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => Ok(Request::Torrents { json }),
        ["reload"] if !json => Ok(Request::ReloadTorrents),
        ["add", info_hash, name @ ..] if !json => {
            let torrent = Torrent { info_hash: (*info_hash).into(), name: name.join(" ") };
            Ok(Request::AddTorrents(AddTorrents { torrents: vec![torrent] }))
        }
        ["remove", info_hash] if !json => {
            Ok(Request::RemoveTorrents(RemoveTorrents { info_hashes: vec![(*info_hash).into()] }))
        }
        _ => Err(Mistake(
            "`nakodo torrents` takes list, add HASH [NAME], remove HASH or reload; see `nakodo help torrents`".into(),
        )),
    }
}

fn allow(given: &Given, operands: &[String]) -> Result<Allow, Mistake> {
    let [operand] = operands else {
        return Err(Mistake("`nakodo allow` takes one address or prefix, such as 192.0.2.7 or 2001:db8::/64".into()));
    };
    let permanent = given.has(Name::Permanent);
    if permanent && given.has(Name::RetireAfter) {
        return Err(Mistake("--permanent and --retire-after exclude each other".into()));
    }
    let retire_after = given.one(Name::RetireAfter)?.map(|text| config::retire_after(&text)).transpose();
    let retire_after_seconds = retire_after.map_err(|error| Mistake(error.to_string()))?.map(|span| span.as_secs());
    let until_unix = given.one(Name::Until)?.map(|text| until(&text)).transpose()?;
    Ok(Allow { prefix: prefix(operand)?, user: given.user()?, retire_after_seconds, until_unix, permanent })
}

fn revoke(given: &Given, operands: &[String]) -> Result<Revoke, Mistake> {
    match (operands, given.user()?, given.one(Name::Ticket)?) {
        ([operand], None, None) => Ok(Revoke::Prefix(prefix(operand)?)),
        ([], Some(user), None) => Ok(Revoke::User(user)),
        ([], None, Some(ticket)) => Ok(Revoke::Ticket(ticket)),
        _ => Err(Mistake("`nakodo revoke` takes one address or prefix, or else --user USER or --ticket TICKET".into())),
    }
}

fn ticket(given: &Given, json: bool) -> Result<Request, Mistake> {
    let days = given.number(Name::Days)?;
    let addresses = given.number(Name::Addresses)?;
    match (given.user()?, given.one(Name::Inspect)?, given.has(Name::InUse)) {
        (Some(user), None, false) => Ok(Request::SignTicket { ticket: SignTicket { user, days, addresses }, json }),
        (None, Some(ticket), false) if days.is_none() && addresses.is_none() => {
            Ok(Request::InspectTicket { ticket: InspectTicket { ticket }, json })
        }
        (None, None, true) if days.is_none() && addresses.is_none() => Ok(Request::Tickets { json }),
        _ => Err(Mistake("`nakodo ticket` takes --user USER, or else --inspect TICKET or --in-use".into())),
    }
}

fn key(operands: &[String], json: bool) -> Result<Request, Mistake> {
    let words: Vec<&str> = operands.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => Ok(Request::Keys { json }),
        ["new"] if !json => Ok(Request::NewKey(NewKey { public: None })),
        ["add", public] if !json => Ok(Request::NewKey(NewKey { public: Some((*public).into()) })),
        ["remove", key] if !json => Ok(Request::RemoveKey(RemoveKey { key: (*key).into() })),
        _ => Err(Mistake("`nakodo key` takes list, new, add PUBLIC-KEY or remove KEY; see `nakodo help key`".into())),
    }
}

fn address(operands: &[String]) -> Result<IpAddr, Mistake> {
    let [operand] = operands else {
        return Err(Mistake("`nakodo explain` takes one address, such as 192.0.2.7 or 2001:db8::7".into()));
    };
    operand.parse().map_err(|_| expected("`nakodo explain`", operand, "an address such as 192.0.2.7 or 2001:db8::7"))
}

fn help_on(operands: &[String]) -> Result<Command, Mistake> {
    match operands {
        [] => Ok(Command::Print(help::overview())),
        [name] => Ok(Command::Print(help::of(verb(name).ok_or_else(|| unknown_verb(name))?))),
        _ => Err(Mistake("`nakodo help` takes one command".into())),
    }
}

fn no_operands(verb: &Verb, operands: &[String]) -> Result<(), Mistake> {
    operands.first().map_or(Ok(()), |operand| {
        Err(Mistake(format!("`nakodo {}` takes options only; found {}", verb.name, quote(operand))))
    })
}

fn prefix(text: &str) -> Result<IpNet, Mistake> {
    access::prefix::parse(text).map_err(|error| Mistake(error.to_string()))
}

/// Parse an end date, and return it in seconds since 1970. A date without a time includes the whole day.
fn until(text: &str) -> Result<u64, Mistake> {
    date::end_since_1970(text).ok_or_else(|| {
        let time = "a day such as 2027-01-31 (to its end, UTC) or a time such as 2027-01-31T18:00:00Z";
        expected("--until", text, time)
    })
}

fn utf8(value: OsString, subject: &str) -> Result<String, Mistake> {
    value.into_string().map_err(|value| Mistake(format!("{subject} is not UTF-8: {}", quote(&value.to_string_lossy()))))
}

fn expected(flag: &str, found: &str, expected: &str) -> Mistake {
    Mistake(format!("{flag}: found {}, expected {expected}", quote(found)))
}

fn no_value(flag: &Flag) -> Mistake {
    Mistake(format!("{} needs a value: {} {}", flag.name, flag.name, flag.value))
}

fn unknown_verb(name: &str) -> Mistake {
    let hint = match nearest(name, VERBS.iter().map(|verb| verb.name)) {
        Some(near) => format!("did you mean `nakodo {near}`?"),
        None => "see `nakodo help`".into(),
    };
    Mistake(format!("unknown command {}; {hint}", quote(name)))
}

fn unknown_flag(name: &str, given: &Given) -> Mistake {
    let known = FLAGS.iter().map(|flag| flag.name).chain(["--version"]);
    let hint = match (nearest(name, known), given.words.first().and_then(|word| verb(word))) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Some(verb)) => format!("see `nakodo help {}`", verb.name),
        (None, None) => "see `nakodo help`".into(),
    };
    Mistake(format!("unknown option {}; {hint}", quote(name)))
}
