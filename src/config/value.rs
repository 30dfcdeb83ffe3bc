//! The kinds of value that keys have: how each is read, shown, and told to the person who got it wrong.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use ipnet::IpNet;
use log::LevelFilter;
use toml::Spanned;
use toml::de::DeValue;

use super::units::{parse_duration, parse_octets, show_duration, show_octets};
use super::{Config, Policy};
use crate::access::prefix;

/// A TOML value and where in the file it stands.
pub(super) type Value<'v> = Spanned<DeValue<'v>>;

/// Where a key's value is kept.
pub(super) type Field<T> = fn(&mut Config) -> &mut T;

/// What a key's value may be, and where it is kept. Those with an `example` are absent by default.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A size.
    Octets { field: Field<u64>, from: u64, to: u64 },
    /// A time span in whole seconds.
    Duration { field: Field<Duration>, from: Duration, to: Duration },
    /// A whole number.
    Count { field: Field<u32>, from: u32, to: u32 },
    /// Who may announce.
    Policy { field: Field<Policy>, allowed: &'static [Policy] },
    /// What is worth a line in the log.
    Level { field: Field<LevelFilter> },
    /// One to `most` addresses with their ports.
    Addresses { field: Field<Vec<SocketAddr>>, most: usize },
    /// Networks; a bare address is one host.
    Prefixes { field: Field<Vec<IpNet>> },
    /// An address with its port.
    Address { field: Field<Option<SocketAddr>>, example: &'static str },
    /// An IPv4 address.
    V4 { field: Field<Option<Ipv4Addr>>, example: &'static str },
    /// An IPv6 address.
    V6 { field: Field<Option<Ipv6Addr>>, example: &'static str },
    /// A network interface.
    Interface { field: Field<Option<String>>, example: &'static str },
    /// A file or a directory.
    Path { field: Field<Option<PathBuf>>, example: &'static str },
}

/// Interface names have at most this many octets (IFNAMSIZ, less its NUL).
const MOST_INTERFACE_OCTETS: usize = 15;

impl Kind {
    /// Read `value` into its field, or return the part of it that is wrong.
    pub(super) fn read<'v>(&self, value: &'v Value<'v>, config: &mut Config) -> Result<(), &'v Value<'v>> {
        let text = value.get_ref().as_str();
        let done = match *self {
            Kind::Octets { field, from, to } => {
                put(field(config), text.and_then(parse_octets).filter(|octets| (from..=to).contains(octets)))
            }
            Kind::Duration { field, from, to } => {
                put(field(config), text.and_then(parse_duration).filter(|span| (from..=to).contains(span)))
            }
            Kind::Count { field, from, to } => {
                put(field(config), integer(value).filter(|count| (from..=to).contains(count)))
            }
            Kind::Policy { field, allowed } => {
                put(field(config), text.and_then(|text| allowed.iter().copied().find(|policy| policy.name() == text)))
            }
            Kind::Level { field } => put(field(config), text.and_then(level)),
            Kind::Addresses { field, most } => {
                let addresses = each(value, |text| text.parse().ok())?;
                put(field(config), Some(addresses).filter(|addresses| (1..=most).contains(&addresses.len())))
            }
            Kind::Prefixes { field } => put(field(config), Some(each(value, |text| prefix::parse_hosts(text).ok())?)),
            Kind::Address { field, .. } => put_some(field(config), text.and_then(|text| text.parse().ok())),
            Kind::V4 { field, .. } => put_some(field(config), text.and_then(|text| text.parse().ok())),
            Kind::V6 { field, .. } => put_some(field(config), text.and_then(|text| text.parse().ok())),
            Kind::Interface { field, .. } => {
                put_some(field(config), text.filter(|name| is_interface_name(name)).map(String::from))
            }
            Kind::Path { field, .. } => put_some(field(config), text.filter(|path| is_path(path)).map(PathBuf::from)),
        };
        done.ok_or(value)
    }

    /// The field's value as TOML; `None` when it is absent.
    pub(super) fn show(&self, config: &Config) -> Option<String> {
        // A field is found for writing, so we look it up in a copy: configurations are small, and shown seldom.
        let config = &mut config.clone();
        match *self {
            Kind::Octets { field, .. } => Some(string(&show_octets(*field(config)))),
            Kind::Duration { field, .. } => Some(string(&show_duration(*field(config)))),
            Kind::Count { field, .. } => Some(field(config).to_string()),
            Kind::Policy { field, .. } => Some(string(field(config).name())),
            Kind::Level { field } => Some(string(&level_name(*field(config)))),
            Kind::Addresses { field, .. } => Some(list(field(config))),
            Kind::Prefixes { field } => Some(list(field(config))),
            Kind::Address { field, .. } => field(config).map(|address| string(&address.to_string())),
            Kind::V4 { field, .. } => field(config).map(|address| string(&address.to_string())),
            Kind::V6 { field, .. } => field(config).map(|address| string(&address.to_string())),
            Kind::Interface { field, .. } => field(config).as_deref().map(string),
            Kind::Path { field, .. } => field(config).as_ref().map(|path| string(&path.to_string_lossy())),
        }
    }

    /// What a key of this kind takes, as in "expected …".
    pub(super) fn expected(&self) -> String {
        match self {
            Kind::Octets { .. } => format!(r#"a size with its unit such as "8 MiB" ({})"#, self.limits()),
            Kind::Duration { .. } => {
                format!(r#"a duration with its unit such as "90s", "30m" or "30d" ({})"#, self.limits())
            }
            Kind::Count { .. } => format!("a whole number {}", self.limits()),
            Kind::Policy { .. } | Kind::Level { .. } => self.limits(),
            Kind::Addresses { .. } => {
                format!(r#"a list of {} such as ["0.0.0.0:6969", "[::]:6969"]"#, self.limits())
            }
            Kind::Prefixes { .. } => r#"a list of address prefixes such as ["192.168.0.0/16", "fc00::/7"]"#.into(),
            Kind::Address { example, .. } => format!("an address with its port such as {example:?}"),
            Kind::V4 { example, .. } => format!("an IPv4 address such as {example:?}"),
            Kind::V6 { example, .. } => format!("an IPv6 address such as {example:?}"),
            Kind::Interface { example, .. } => format!("the name of a network interface such as {example:?}"),
            Kind::Path { example, .. } => format!("a path such as {example:?}"),
        }
    }

    /// The values allowed, where the kind leaves a choice.
    pub(super) fn limits(&self) -> String {
        match *self {
            Kind::Octets { from, to, .. } => format!("from {} to {}", show_octets(from), show_octets(to)),
            Kind::Duration { from, to, .. } => format!("from {} to {}", show_duration(from), show_duration(to)),
            Kind::Count { from, to, .. } => format!("from {from} to {to}"),
            Kind::Policy { allowed, .. } => either(allowed.iter().map(|policy| policy.name().into()).collect()),
            Kind::Level { .. } => either(LevelFilter::iter().map(level_name).collect()),
            Kind::Addresses { most, .. } => format!("1 to {most} addresses with their ports"),
            _ => String::new(),
        }
    }

    /// A value to show where there is none by default.
    pub(super) fn example(&self) -> &'static str {
        match *self {
            Kind::Address { example, .. }
            | Kind::V4 { example, .. }
            | Kind::V6 { example, .. }
            | Kind::Interface { example, .. }
            | Kind::Path { example, .. } => example,
            _ => "",
        }
    }
}

fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn put_some<T>(field: &mut Option<T>, value: Option<T>) -> Option<()> {
    *field = Some(value?);
    Some(())
}

fn integer(value: &Value<'_>) -> Option<u32> {
    let integer = value.get_ref().as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Read each string of a list, or return the first value that is wrong.
fn each<'v, T>(value: &'v Value<'v>, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, &'v Value<'v>> {
    let values = value.get_ref().as_array().ok_or(value)?;
    values.iter().map(|value| value.get_ref().as_str().and_then(&read).ok_or(value)).collect()
}

fn level(text: &str) -> Option<LevelFilter> {
    LevelFilter::iter().find(|level| level_name(*level) == text)
}

fn level_name(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}

fn is_interface_name(name: &str) -> bool {
    (1..=MOST_INTERFACE_OCTETS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0')
}

/// `"a", "b" or "c"`.
fn either(words: Vec<String>) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A TOML list of strings.
fn list<T: ToString>(values: &[T]) -> String {
    let strings: Vec<String> = values.iter().map(|value| string(&value.to_string())).collect();
    format!("[{}]", strings.join(", "))
}

/// A TOML string.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
