//! Types of values: how each is parsed, printed, and described in an error message.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use ipnet::IpNet;
use log::LevelFilter;
use toml::Spanned;
use toml::de::DeValue;

use super::Config;
use super::units::{parse_duration, parse_octets, show_duration, show_octets};
use crate::access::{Admission, prefix};
use crate::http::ForwardingHeader;
use crate::ticket::PublicKey;
use crate::torrents::TorrentMode;

/// TOML value with its position in the file.
pub(super) type Value<'v> = Spanned<DeValue<'v>>;

/// Access to the field of [`Config`] that holds a value.
pub(super) type Field<T> = fn(&mut Config) -> &mut T;

/// Type of a value, with its limits and its field. A value with an `example` is not set by default.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Size in bytes.
    Octets { field: Field<u64>, from: u64, to: u64 },
    /// Duration in whole seconds.
    Duration { field: Field<Duration>, from: Duration, to: Duration },
    /// Whole number.
    Count { field: Field<u32>, from: u32, to: u32 },
    /// Rule of admission.
    Admission { field: Field<Admission>, allowed: &'static [Admission] },
    /// Effect of the list of torrents.
    TorrentMode { field: Field<TorrentMode> },
    /// Log level.
    Level { field: Field<LevelFilter> },
    /// List of one to `most` addresses with ports.
    Addresses { field: Field<Vec<SocketAddr>>, most: usize },
    /// List of networks; an address without a prefix length is one host.
    Prefixes { field: Field<Vec<IpNet>> },
    /// Address with a port, or "off".
    AddressOrOff { field: Field<Option<SocketAddr>>, example: &'static str },
    /// List of host names.
    HostNames { field: Field<Vec<String>> },
    /// IPv4 address.
    V4 { field: Field<Option<Ipv4Addr>>, example: &'static str },
    /// IPv6 address.
    V6 { field: Field<Option<Ipv6Addr>>, example: &'static str },
    /// Names of network interfaces, as a list; or a single one.
    Interfaces { field: Field<Vec<String>>, example: &'static str },
    /// Header in which a proxy names its client.
    Header { field: Field<ForwardingHeader> },
    /// On or off.
    Switch { field: Field<bool> },
    /// List of at most `most` public keys of signers.
    PublicKeys { field: Field<Vec<PublicKey>>, most: usize },
    /// Printable ASCII text of at most `most` characters.
    Text { field: Field<Option<String>>, most: usize, example: &'static str },
    /// Beginning of a URL: the scheme, a host, and perhaps a port and a path.
    Url { field: Field<Option<String>>, example: &'static str },
    /// Path of a file or a directory.
    Path { field: Field<Option<PathBuf>>, example: &'static str },
}

/// Maximum length of an interface name, in bytes (IFNAMSIZ without its NUL).
const MOST_INTERFACE_OCTETS: usize = 15;

/// Length of the shortest prefix of a network, by family: those of the largest private networks, 10.0.0.0/8 and
/// fc00::/7. A shorter one, such as 0.0.0.0/0, would trust a part of the internet.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 7;

/// Value of an address that is not used.
const OFF: &str = "off";

impl Kind {
    /// Parse `value` into its field, or return the invalid part of it.
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
            Kind::Admission { field, allowed } => {
                put(field(config), text.and_then(|text| allowed.iter().copied().find(|rule| rule.name() == text)))
            }
            Kind::TorrentMode { field } => {
                put(field(config), text.and_then(|text| TorrentMode::ALL.into_iter().find(|mode| mode.name() == text)))
            }
            Kind::Level { field } => put(field(config), text.and_then(level)),
            Kind::Addresses { field, most } => {
                let addresses = each(value, |text| text.parse().ok())?;
                put(field(config), Some(addresses).filter(|addresses| (1..=most).contains(&addresses.len())))
            }
            Kind::Prefixes { field } => {
                let networks = each(value, |text| prefix::parse_hosts(text).ok().filter(is_a_network))?;
                put(field(config), Some(networks))
            }
            Kind::AddressOrOff { field, .. } => put(field(config), text.and_then(address_or_off)),
            Kind::HostNames { field } => put(field(config), Some(each(value, host_name)?)),
            Kind::V4 { field, .. } => put_some(field(config), text.and_then(|text| text.parse().ok())),
            Kind::V6 { field, .. } => put_some(field(config), text.and_then(|text| text.parse().ok())),
            Kind::Interfaces { field, .. } => {
                let name = |text: &str| Some(text).filter(|name| is_interface_name(name)).map(String::from);
                let names = match text {
                    Some(text) => vec![name(text).ok_or(value)?],
                    None => each(value, name)?,
                };
                put(field(config), Some(names))
            }
            Kind::Header { field } => put(field(config), text.and_then(ForwardingHeader::of)),
            Kind::Switch { field } => put(field(config), value.get_ref().as_bool()),
            Kind::PublicKeys { field, most } => {
                let keys = each(value, |text| PublicKey::parse(text).ok())?;
                put(field(config), Some(keys).filter(|keys| keys.len() <= most))
            }
            Kind::Text { field, most, .. } => {
                let is_text = |text: &&str| {
                    (1..=most).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
                };
                put_some(field(config), text.filter(is_text).map(String::from))
            }
            Kind::Url { field, .. } => put_some(field(config), text.and_then(url)),
            Kind::Path { field, .. } => put_some(field(config), text.filter(|path| is_path(path)).map(PathBuf::from)),
        };
        done.ok_or(value)
    }

    /// Return the value of the field as TOML; `None` if it is not set.
    pub(super) fn show(&self, config: &Config) -> Option<String> {
        // `Field` returns a mutable reference, so use a copy. Configurations are small and rarely printed.
        let config = &mut config.clone();
        match *self {
            Kind::Octets { field, .. } => Some(string(&show_octets(*field(config)))),
            Kind::Duration { field, .. } => Some(string(&show_duration(*field(config)))),
            Kind::Count { field, .. } => Some(field(config).to_string()),
            Kind::Admission { field, .. } => Some(string(field(config).name())),
            Kind::TorrentMode { field } => Some(string(field(config).name())),
            Kind::Level { field } => Some(string(&level_name(*field(config)))),
            Kind::Addresses { field, .. } => Some(list(field(config))),
            Kind::Prefixes { field } => Some(list(field(config))),
            Kind::AddressOrOff { field, .. } => {
                Some(string(&field(config).map_or(OFF.into(), |address| address.to_string())))
            }
            Kind::HostNames { field } => Some(list(field(config))),
            Kind::V4 { field, .. } => field(config).map(|address| string(&address.to_string())),
            Kind::V6 { field, .. } => field(config).map(|address| string(&address.to_string())),
            Kind::Interfaces { field, .. } => match field(config).as_slice() {
                [] => None,
                [name] => Some(string(name)),
                names => Some(list(names)),
            },
            Kind::Header { field } => Some(string(field(config).name())),
            Kind::Switch { field } => Some(field(config).to_string()),
            Kind::PublicKeys { field, .. } => Some(list(field(config))),
            Kind::Text { field, .. } | Kind::Url { field, .. } => field(config).as_deref().map(string),
            Kind::Path { field, .. } => field(config).as_ref().map(|path| string(&path.to_string_lossy())),
        }
    }

    /// Describe the values that are valid, for an error message "expected …".
    pub(super) fn expected(&self) -> String {
        match self {
            Kind::Octets { .. } => format!(r#"a size with its unit such as "8 MiB" ({})"#, self.limits()),
            Kind::Duration { .. } => {
                format!(r#"a duration with its unit such as "90s", "30m" or "30d" ({})"#, self.limits())
            }
            Kind::Count { .. } => format!("a whole number {}", self.limits()),
            Kind::Admission { .. }
            | Kind::TorrentMode { .. }
            | Kind::Level { .. }
            | Kind::Header { .. }
            | Kind::Switch { .. } => self.limits(),
            Kind::Addresses { .. } => {
                format!(r#"a list of {} such as ["0.0.0.0:6969", "[::]:6969"]"#, self.limits())
            }
            Kind::Prefixes { .. } => {
                format!(r#"a list of address prefixes such as ["192.168.0.0/16", "fc00::/7"], {}"#, self.limits())
            }
            Kind::AddressOrOff { example, .. } => format!("an address with its port such as {example:?}, or {OFF:?}"),
            Kind::HostNames { .. } => r#"a list of host names such as ["tracker.lan"]"#.into(),
            Kind::V4 { example, .. } => format!("an IPv4 address such as {example:?}"),
            Kind::V6 { example, .. } => format!("an IPv6 address such as {example:?}"),
            Kind::Interfaces { example, .. } => {
                format!("the name of a network interface such as {example:?}, or a list of names")
            }
            Kind::PublicKeys { .. } => format!("a list of public keys of 43 characters each, {}", self.limits()),
            Kind::Text { example, .. } => format!("a text of {} such as {example:?}", self.limits()),
            Kind::Url { example, .. } => format!("a URL such as {example:?}"),
            Kind::Path { example, .. } => format!("a path such as {example:?}"),
        }
    }

    /// Describe the limits or the choices of the type; empty if it has none.
    pub(super) fn limits(&self) -> String {
        match *self {
            Kind::Octets { from, to, .. } => format!("from {} to {}", show_octets(from), show_octets(to)),
            Kind::Duration { from, to, .. } => format!("from {} to {}", show_duration(from), show_duration(to)),
            Kind::Count { from, to, .. } => format!("from {from} to {to}"),
            Kind::Admission { allowed, .. } => either(allowed.iter().map(|rule| rule.name().into()).collect()),
            Kind::TorrentMode { .. } => either(TorrentMode::ALL.map(|mode| mode.name().into()).to_vec()),
            Kind::Level { .. } => either(LevelFilter::iter().map(level_name).collect()),
            Kind::Addresses { most, .. } => format!("1 to {most} addresses with their ports"),
            Kind::Prefixes { .. } => {
                format!("none of them shorter than /{SHORTEST_V4} (IPv4) or /{SHORTEST_V6} (IPv6)")
            }
            Kind::Header { .. } => either(ForwardingHeader::ALL.map(|header| header.name().into()).to_vec()),
            Kind::Switch { .. } => "true or false".into(),
            Kind::PublicKeys { most, .. } => format!("at most {most}"),
            Kind::Text { most, .. } => format!("1 to {most} printable ASCII characters without spaces"),
            _ => String::new(),
        }
    }

    /// Return the example of a value without a default; empty for all others.
    #[cfg(test)]
    pub(super) fn example(&self) -> &'static str {
        match *self {
            Kind::V4 { example, .. }
            | Kind::V6 { example, .. }
            | Kind::Interfaces { example, .. }
            | Kind::Text { example, .. }
            | Kind::Url { example, .. }
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

/// Parse each string of a list, or return the first invalid value.
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

fn is_a_network(prefix: &IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => net.prefix_len() >= SHORTEST_V4,
        IpNet::V6(net) => net.prefix_len() >= SHORTEST_V6,
    }
}

fn is_interface_name(name: &str) -> bool {
    (1..=MOST_INTERFACE_OCTETS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// Return a URL without the slash at its end.
fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let is_plain = rest.bytes().all(|octet| octet.is_ascii_graphic() && !b"?#<>\"".contains(&octet));
    (is_plain && !rest.is_empty()).then(|| text.trim_end_matches('/').to_owned())
}

fn address_or_off(text: &str) -> Option<Option<SocketAddr>> {
    if text == OFF { Some(None) } else { text.parse().ok().map(Some) }
}

fn host_name(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    ((1..=253).contains(&text.len()) && is_plain).then(|| text.into())
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0')
}

/// Join words as a choice: `"a", "b" or "c"`.
fn either(words: Vec<String>) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Return `values` as a TOML list of strings.
fn list<T: ToString>(values: &[T]) -> String {
    let strings: Vec<String> = values.iter().map(|value| string(&value.to_string())).collect();
    format!("[{}]", strings.join(", "))
}

/// Return `text` as a TOML string.
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
