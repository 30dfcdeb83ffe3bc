//! The format of the records in the database.
//!
//! | key | value |
//! |---|---|
//! | family (4 or 6), prefix length in bits, address (4 or 16 bytes) | version 1, then [`Stored`] in postcard; or version 2, then [`Stored`] and the number of the ticket that brought the entry |
//! | 0 | version 1, then [`State`] in postcard |

use core::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access::{Entry, Retire, TicketNumber, User, prefix};
use crate::clock::{Running, UnixSeconds};

/// First byte of every value. A value with another number has another format, and this version leaves it unchanged.
const VERSION: u8 = 1;

/// First byte of the value of an entry that a ticket brought.
const VERSION_WITH_TICKET: u8 = 2;

/// Key of the one record that is not an entry.
pub(super) const STATE_KEY: [u8; 1] = [0];

/// Size in bytes of the longest value: version, name with its length, the longest numbers, and a ticket's number.
const VALUE_OCTETS: usize = 1 + 33 + 6 + 11 + 11 + 10 + 5;

/// A key: family, length and up to 16 bytes of address.
pub(super) type Key = heapless::Vec<u8, 18>;

/// A value.
pub(super) type Value = heapless::Vec<u8, VALUE_OCTETS>;

/// The database's record about itself, written together with every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The running clock in milliseconds.
    pub(super) running: u64,
    /// Number of entries, to detect the loss of some.
    pub(super) entries: u32,
    /// Number of additions and removals of entries, to find out whether the list or its export is older.
    pub(super) changes: u64,
}

/// An entry as postcard writes it. The order and types of the fields are the format.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    user: &'a str,
    retire: StoredRetire,
    until: Option<u64>,
    added: Option<u64>,
    /// Milliseconds of the running clock.
    last_seen: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredRetire {
    Default,
    After(u32),
    Never,
}

/// Return the key of an entry.
pub(super) fn key(prefix: &IpNet) -> Key {
    let prefix = prefix::canonical(prefix);
    let mut key = Key::new();
    // This cannot fail: a key has room for 2 + 16 bytes.
    let _ = match prefix.addr() {
        IpAddr::V4(address) => {
            key.extend_from_slice(&[4, prefix.prefix_len()]).and(key.extend_from_slice(&address.octets()))
        }
        IpAddr::V6(address) => {
            key.extend_from_slice(&[6, prefix.prefix_len()]).and(key.extend_from_slice(&address.octets()))
        }
    };
    key
}

/// Return the prefix of a key; `None` if `key` cannot have made it.
pub(super) fn prefix_of(bytes: &[u8]) -> Option<IpNet> {
    let (&[family, length], octets) = bytes.split_first_chunk::<2>()?;
    let address = match family {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        6 => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    let prefix = IpNet::new(address, length).ok()?;
    (*key(&prefix) == *bytes).then_some(prefix)
}

/// Return the value of an entry.
pub(super) fn value(entry: &Entry) -> Result<Value, postcard::Error> {
    let stored = Stored {
        user: &entry.user,
        retire: match entry.retire {
            Retire::Default => StoredRetire::Default,
            Retire::After(seconds) => StoredRetire::After(seconds),
            Retire::Never => StoredRetire::Never,
        },
        until: entry.until.map(|until| until.0),
        added: entry.added.map(|added| added.0),
        last_seen: entry.last_seen.millis(),
    };
    match entry.ticket {
        None => versioned(VERSION, &stored),
        Some(number) => versioned(VERSION_WITH_TICKET, &(stored, number.0)),
    }
}

/// Return the entry of a key and its value; `None` if they are of another version or incomplete.
pub(super) fn entry(key: &[u8], value: &[u8]) -> Option<Entry> {
    let (stored, ticket): (Stored<'_>, Option<u32>) = match unversioned(VERSION, value) {
        Some(stored) => (stored, None),
        None => unversioned(VERSION_WITH_TICKET, value).map(|(stored, number)| (stored, Some(number)))?,
    };
    Some(Entry {
        prefix: prefix_of(key)?,
        user: User::try_from(stored.user).ok()?,
        retire: match stored.retire {
            StoredRetire::Default => Retire::Default,
            StoredRetire::After(seconds) => Retire::After(seconds),
            StoredRetire::Never => Retire::Never,
        },
        until: stored.until.map(UnixSeconds),
        added: stored.added.map(UnixSeconds),
        last_seen: Running::from_millis(stored.last_seen),
        ticket: ticket.map(TicketNumber),
    })
}

/// Return the value of the state.
pub(super) fn state_value(state: &State) -> Result<Value, postcard::Error> {
    versioned(VERSION, state)
}

/// Return the state in a value; `None` if it is of another version or incomplete.
pub(super) fn state(value: &[u8]) -> Option<State> {
    unversioned(VERSION, value)
}

fn versioned(number: u8, record: &impl Serialize) -> Result<Value, postcard::Error> {
    let mut buffer = [0; VALUE_OCTETS];
    let (version, rest) = buffer.split_at_mut(1);
    version.copy_from_slice(&[number]);
    let octets = 1 + postcard::to_slice(record, rest)?.len();
    let used = buffer.get(..octets).ok_or(postcard::Error::SerializeBufferFull)?;
    Value::from_slice(used).map_err(|_| postcard::Error::SerializeBufferFull)
}

fn unversioned<'a, T: Deserialize<'a>>(number: u8, value: &'a [u8]) -> Option<T> {
    let (&version, rest) = value.split_first()?;
    let (record, rest) = postcard::take_from_bytes(rest).ok()?;
    (version == number && rest.is_empty()).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(prefix: &str, user: &str, retire: Retire) -> Entry {
        Entry {
            user: User::try_from(user).expect("a short name"),
            retire,
            until: Some(UnixSeconds(1_793_491_200)),
            last_seen: Running::from_millis(300),
            ..Entry::new(prefix::parse(prefix).expect(prefix))
        }
    }

    #[test]
    fn the_bytes_of_a_record_do_not_change() {
        let entry = entry_of("192.0.2.0/24", "ann", Retire::After(600));
        assert_eq!(*key(&entry.prefix), [4, 24, 192, 0, 2, 0]);
        let golden = [1, 3, b'a', b'n', b'n', 1, 0xd8, 4, 1, 0x80, 0x82, 0x9a, 0xd7, 6, 0, 0xac, 2];
        assert_eq!(*value(&entry).expect("room"), golden);
        assert_eq!(super::entry(&key(&entry.prefix), &golden), Some(entry));

        let customer = Entry { until: None, ..entry_of("2001:db8:1:2:3::", "", Retire::Never) };
        assert_eq!(*key(&customer.prefix), [6, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(*value(&customer).expect("room"), [1, 0, 2, 0, 0, 0xac, 2]);
        let brought = Entry { ticket: Some(TicketNumber(300)), ..customer.clone() };
        assert_eq!(*value(&brought).expect("room"), [2, 0, 2, 0, 0, 0xac, 2, 0xac, 2]);
        assert_eq!(super::entry(&key(&brought.prefix), &value(&brought).expect("room")), Some(brought));
        let state = State { running: 300, entries: 2, changes: 5 };
        assert_eq!(*state_value(&state).expect("room"), [1, 0xac, 2, 2, 5]);
        assert_eq!(super::state(&[1, 0xac, 2, 2, 5]), Some(state));
    }

    #[test]
    fn the_longest_record_fits() {
        let longest = Entry {
            until: Some(UnixSeconds(u64::MAX)),
            added: Some(UnixSeconds(u64::MAX)),
            last_seen: Running::from_millis(u64::MAX),
            ticket: Some(TicketNumber(u32::MAX)),
            ..entry_of("2001:db8::/48", &"u".repeat(32), Retire::After(u32::MAX))
        };
        let bytes = value(&longest).expect("room");
        assert_eq!(bytes.len(), VALUE_OCTETS);
        assert_eq!(entry(&key(&longest.prefix), &bytes), Some(longest));
    }

    #[test]
    fn rule_09_a_v4_mapped_prefix_has_the_key_of_its_v4() {
        let mapped: IpNet = "::ffff:192.0.2.7/128".parse().expect("a prefix");
        assert_eq!(*key(&mapped), [4, 32, 192, 0, 2, 7]);
    }

    #[test]
    fn a_record_of_another_version_or_cut_short_is_not_read() {
        let whole = entry_of("192.0.2.7", "ann", Retire::Default);
        let (key, value) = (key(&whole.prefix), value(&whole).expect("room"));
        let mut other = value.clone();
        other[0] = 3;
        assert_eq!(entry(&key, &other), None, "another version");
        for length in 0..value.len() {
            assert_eq!(entry(&key, &value[..length]), None, "cut to {length} bytes");
        }
        let longer = [&value[..], &[0]].concat();
        assert_eq!(entry(&key, &longer), None, "with a byte too many");
        let long_name = [&[1, 33][..], &[b'u'; 33], &value[5..]].concat();
        assert_eq!(entry(&key, &long_name), None, "a name that is too long");
        for bad in
            [&[][..], &[4], &[5, 32, 192, 0, 2, 7], &[4, 33, 192, 0, 2, 7], &[4, 24, 192, 0, 2, 7], &[4, 32, 192, 0, 2]]
        {
            assert_eq!(entry(bad, &value), None, "key {bad:?}");
        }
    }
}
