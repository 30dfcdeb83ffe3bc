//! Address prefixes as people write them.

use core::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// How much of an IPv6 address names a customer: they choose the rest themselves, and change it daily (RFC 8981).
pub const CUSTOMER_V6_LENGTH: u8 = 64;

/// Read the prefix that a host or a network of hosts has: a bare address is that host alone.
pub fn parse_hosts(text: &str) -> Option<IpNet> {
    parse(text, 128)
}

/// Read the prefix that a customer has: a bare IPv4 address is that address alone, a bare IPv6 address its /64.
pub fn parse_customer(text: &str) -> Option<IpNet> {
    parse(text, CUSTOMER_V6_LENGTH)
}

/// Read "192.0.2.7" or "192.0.2.0/24". Bits beyond the length are dropped.
fn parse(text: &str, bare_v6_length: u8) -> Option<IpNet> {
    let net = match text.split_once('/') {
        Some(_) => text.parse().ok()?,
        None => with_length(text.parse().ok()?, bare_v6_length)?,
    };
    Some(unmapped(net).trunc())
}

fn with_length(address: IpAddr, v6_length: u8) -> Option<IpNet> {
    let address = address.to_canonical();
    let length = if address.is_ipv4() { 32 } else { v6_length };
    IpNet::new(address, length).ok()
}

/// An IPv4 prefix that was written inside IPv6 (::ffff:192.0.2.0/120) as what it is: it is the IPv4 address that we see.
fn unmapped(net: IpNet) -> IpNet {
    let as_v4 = |v6: ipnet::Ipv6Net| {
        let length = v6.prefix_len().checked_sub(96)?;
        Ipv4Net::new(v6.addr().to_ipv4_mapped()?, length).ok()
    };
    match net {
        IpNet::V6(v6) => as_v4(v6).map_or(net, IpNet::V4),
        IpNet::V4(_) => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_and_hosts() {
        for (text, customer, hosts) in [
            ("192.0.2.7", "192.0.2.7/32", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24", "192.0.2.0/24"),
            ("2001:db8::7", "2001:db8::/64", "2001:db8::7/128"),
            ("2001:db8::7/128", "2001:db8::7/128", "2001:db8::7/128"),
            ("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.7/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24", "192.0.2.0/24"),
            ("::/0", "::/0", "::/0"),
        ] {
            assert_eq!(parse_customer(text).map(|net| net.to_string()).as_deref(), Some(customer));
            assert_eq!(parse_hosts(text).map(|net| net.to_string()).as_deref(), Some(hosts));
        }
    }

    #[test]
    fn what_is_no_prefix() {
        for text in ["", "/24", "192.0.2.7/33", "192.0.2/24", "host.example", "fe80::1%eth0", "1.2.3.4/", "::/129"] {
            assert_eq!(parse_customer(text), None, "{text:?}");
        }
    }
}
