//! Which peers may be reached through the relay: addresses of the public Internet, and what the operator adds.
//!
//! Everything that IANA's registries of special-purpose addresses keep from the public Internet is refused, and so is each
//! form of IPv6 that carries an IPv4 address inside: who writes 127.0.0.1 as `::ffff:127.0.0.1` or `64:ff9b::7f00:1` gets no
//! further. What the registries do not name is refused in IPv6 and allowed in IPv4, whose public space is all given out.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::RangeInclusive;
use core::str::FromStr;

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as 10.0.0.0/8 or fd00::/8")]
pub struct BadNetwork;

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(segments: [u16; 8], bits: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = segments;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
    }

    /// Whether an address is in it. An IPv4 address inside an IPv6 one is in no network of IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = text.split_once('/').ok_or(BadNetwork)?;
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let bits: u32 = bits.parse().map_err(|_| BadNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most {
            return Err(BadNetwork);
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// What is refused, by the name under which an operator may allow it.
const REFUSED: &[(&str, Network)] = &[
    ("unspecified", Network::v4(0, 0, 0, 0, 8)),
    ("private", Network::v4(10, 0, 0, 0, 8)),
    ("shared", Network::v4(100, 64, 0, 0, 10)),
    ("loopback", Network::v4(127, 0, 0, 0, 8)),
    ("link_local", Network::v4(169, 254, 0, 0, 16)),
    ("private", Network::v4(172, 16, 0, 0, 12)),
    ("protocol", Network::v4(192, 0, 0, 0, 24)),
    ("documentation", Network::v4(192, 0, 2, 0, 24)),
    ("6to4", Network::v4(192, 88, 99, 0, 24)),
    ("private", Network::v4(192, 168, 0, 0, 16)),
    ("benchmark", Network::v4(198, 18, 0, 0, 15)),
    ("documentation", Network::v4(198, 51, 100, 0, 24)),
    ("documentation", Network::v4(203, 0, 113, 0, 24)),
    ("multicast", Network::v4(224, 0, 0, 0, 4)),
    // With 255.255.255.255, the broadcast.
    ("reserved", Network::v4(240, 0, 0, 0, 4)),
    ("loopback", Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)),
    ("unspecified", Network::v6([0; 8], 128)),
    // IPv4 inside: compatible, mapped, translated; by NAT64; in 6to4 and Teredo addresses.
    ("mapped", Network::v6([0; 8], 96)),
    ("mapped", Network::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96)),
    ("mapped", Network::v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96)),
    ("nat64", Network::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96)),
    ("nat64", Network::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48)),
    ("6to4", Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16)),
    ("teredo", Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32)),
    // Benchmarks, ORCHID and the other parts of 2001::/23 that are not routed.
    ("protocol", Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23)),
    ("documentation", Network::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32)),
    ("documentation", Network::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20)),
    ("unique_local", Network::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7)),
    ("link_local", Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)),
    ("multicast", Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)),
];

/// The only part of IPv6 that is given out for the public Internet.
const GLOBAL_IPV6: Network = Network::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Networks that an operator may name at most.
const ALLOWED_MAX: usize = 64;

/// The peers that an operator allows beside the public Internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Network>);

impl FromStr for Allowed {
    type Err = BadNetwork;

    /// Names of refused ranges and networks, separated by commas; nothing for none.
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let mut allowed = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let named = REFUSED.iter().filter(|(name, _)| *name == part).map(|(_, network)| *network);
            let before = allowed.len();
            allowed.extend(named);
            if allowed.len() == before {
                allowed.push(part.parse()?);
            }
        }
        if allowed.len() > ALLOWED_MAX {
            return Err(BadNetwork);
        }
        Ok(Self(allowed))
    }
}

/// A peer that nobody reaches through the relay, by the name of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the relay reaches no peers in this range: {0}")]
pub struct PeerRefused(pub &'static str);

/// Who may be a peer.
#[derive(Debug, Clone)]
pub struct PeerPolicy {
    allowed: Allowed,
    own: Vec<IpAddr>,
    ports: RangeInclusive<u16>,
}

impl PeerPolicy {
    /// For a relay that is reached at `own` and lends addresses there with these `ports`.
    #[must_use]
    pub const fn new(allowed: Allowed, own: Vec<IpAddr>, ports: RangeInclusive<u16>) -> Self {
        Self { allowed, own, ports }
    }

    /// Whether anything may be sent to an address, whatever the port.
    ///
    /// # Errors
    /// If its range is refused.
    pub fn check_address(&self, address: IpAddr) -> Result<(), PeerRefused> {
        if self.allowed.0.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        if let Some((name, _)) = REFUSED.iter().find(|(_, network)| network.contains(address)) {
            return Err(PeerRefused(name));
        }
        if address.is_ipv6() && !GLOBAL_IPV6.contains(address) {
            return Err(PeerRefused("reserved"));
        }
        Ok(())
    }

    /// Whether anything may be sent to an address and port. At the relay's own address only what it lends may be reached
    /// (by another device that borrows too), and none of the services beside it.
    ///
    /// # Errors
    /// If the range, or the port of the relay's own, is refused.
    pub fn check(&self, peer: SocketAddr) -> Result<(), PeerRefused> {
        self.check_address(peer.ip())?;
        let is_named = self.allowed.0.iter().any(|network| network.contains(peer.ip()));
        if !is_named && self.own.contains(&peer.ip()) && !self.ports.contains(&peer.port()) {
            return Err(PeerRefused("own"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &str) -> PeerPolicy {
        let own = vec!["198.41.0.4".parse().unwrap()];
        PeerPolicy::new(allowed.parse().unwrap(), own, 50_000..=50_099)
    }

    /// Every form under which somebody may try to reach what stands beside the relay.
    const INSIDE: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    #[test]
    fn no_form_of_an_inside_address_is_reached_by_default() {
        let policy = policy("");
        for text in INSIDE {
            let address: IpAddr = text.parse().unwrap();
            assert!(policy.check_address(address).is_err(), "{text}");
            assert!(policy.check(SocketAddr::new(address, 50_000)).is_err(), "{text}");
        }
    }

    #[test]
    fn the_public_internet_is_reached_and_of_the_relay_itself_only_what_it_lends() {
        let policy = policy("");
        for text in ["8.8.8.8:53", "172.32.0.1:1", "100.128.0.1:1", "[2606:4700::1]:443", "[2a00::1]:1"] {
            assert_eq!(policy.check(text.parse().unwrap()), Ok(()), "{text}");
        }
        assert_eq!(policy.check("198.41.0.4:50099".parse().unwrap()), Ok(()));
        assert_eq!(policy.check("198.41.0.4:4433".parse().unwrap()), Err(PeerRefused("own")));
        assert_eq!(policy.check_address("198.41.0.4".parse().unwrap()), Ok(()), "the port comes later");
    }

    #[test]
    fn an_operator_allows_what_he_names_and_nothing_beside() {
        let policy = policy("127.0.0.0/8, unique_local,10.1.0.0/16");
        for text in ["127.0.0.1", "127.9.9.9", "fd00::1", "10.1.255.255"] {
            assert_eq!(policy.check_address(text.parse().unwrap()), Ok(()), "{text}");
        }
        for text in ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.2.0.1", "::1", "192.168.0.1"] {
            assert!(policy.check_address(text.parse().unwrap()).is_err(), "{text}");
        }
        for bad in ["localhost", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "private;loopback"] {
            assert_eq!(bad.parse::<Allowed>(), Err(BadNetwork), "{bad}");
        }
        let many = vec!["10.0.0.0/8"; ALLOWED_MAX + 1].join(",");
        assert_eq!(many.parse::<Allowed>(), Err(BadNetwork));
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn a_network_of_no_bits_is_everything_of_its_family() {
        let everything: Network = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("255.1.2.3".parse().unwrap()));
        assert!(!everything.contains("::".parse().unwrap()));
        let one: Network = "::1/128".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
    }
}
