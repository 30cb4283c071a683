//! Which addresses a device tells, and which of those that it is told it sends anything to.
//!
//! Whoever is in a conversation can name addresses that others then send a few packets to. So none is tried that is no device's
//! (multicast, nobody's), none that only a machine itself or its cable has (loopback, link-local, which is also where clouds keep their
//! secrets), and no port of a well-known service.

use super::ADDRESSES_MAX;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Ports below are of services; NATs keep out of them too (RFC 4787 section 4.2.2).
const PORT_MIN: u16 = 1_024;

/// What is told of this device: where it is in its own networks, and what the relay sees of it.
///
/// Loopback is told only where the relay itself is reached over it.
#[must_use]
pub fn to_tell(local: &[SocketAddr], observed: Option<SocketAddr>) -> Vec<SocketAddr> {
    let observed = observed.map(canonical);
    let loopback = observed.is_some_and(|address| address.ip().is_loopback());
    let all = observed.into_iter().chain(local.iter().copied().map(canonical));
    sound(all, loopback)
}

/// Of what another device tells of itself, what may be tried. Loopback is, if this device is there itself.
pub(super) fn to_try(theirs: &[SocketAddr], ours: &[SocketAddr]) -> Vec<SocketAddr> {
    let loopback = ours.iter().any(|address| address.ip().is_loopback());
    let ours: Vec<_> = ours.iter().copied().map(canonical).collect();
    let others = theirs.iter().copied().map(canonical).filter(|address| !ours.contains(address));
    sound(others, loopback)
}

/// Whether a candidate of ICE, as a device wrote it down, may be tried. Browsers name themselves in their own network by a random name
/// that only that network can look up; an empty line says that there are no more.
pub(super) fn may_try(candidate: &str) -> bool {
    if candidate.is_empty() {
        return true;
    }
    let mut words = candidate.split(' ').skip(4);
    let (Some(host), Some(Ok(port))) = (words.next(), words.next().map(str::parse::<u16>)) else {
        return false;
    };
    if let Some(name) = host.strip_suffix(".local") {
        return port >= PORT_MIN && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    }
    host.parse().is_ok_and(|ip| may_be_a_device(canonical(SocketAddr::new(ip, port)), false))
}

fn sound(all: impl Iterator<Item = SocketAddr>, loopback: bool) -> Vec<SocketAddr> {
    let mut kept = Vec::new();
    for address in all {
        if kept.len() < ADDRESSES_MAX && may_be_a_device(address, loopback) && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

/// An address of IPv4 within IPv6 is one of IPv4; scopes and flow labels mean nothing to another machine.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn may_be_a_device(address: SocketAddr, loopback: bool) -> bool {
    let ip = address.ip();
    let here = match ip {
        IpAddr::V4(ip) => {
            let [first, ..] = ip.octets();
            !ip.is_link_local() && first > 0 && first < 240
        }
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !hides_another(ip),
    };
    address.port() >= PORT_MIN
        && here
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && (loopback || !ip.is_loopback())
}

/// NAT64, 6to4, Teredo and the oldest form of all have an address of IPv4 inside, which would be none of those that are looked at here.
const fn hides_another(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] => true,
        [0, 0, 0, 0, 0, 0, high, _] => high != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_device_tells_where_the_relay_sees_it_first_and_each_address_once() {
        let local =
            all(&["192.168.1.5:50000", "[::ffff:192.0.2.7]:50000", "[fd00::5]:50000", "[fe80::1]:50000"]);
        let observed = Some("192.0.2.7:50000".parse().unwrap());
        let told = all(&["192.0.2.7:50000", "192.168.1.5:50000", "[fd00::5]:50000"]);
        assert_eq!(to_tell(&local, observed), told);
        assert!(to_tell(&all(&["127.0.0.1:50000"]), observed).len() == 1, "nobody else's loopback is ours");
        let here = all(&["127.0.0.1:50000"]);
        assert_eq!(to_tell(&here, Some(here[0])), here, "a relay on this machine is reached over it");
    }

    #[test]
    fn nothing_is_sent_to_what_is_no_device_of_a_member() {
        let hostile = all(&[
            "127.0.0.1:50000",
            "[::1]:50000",
            "[::ffff:127.0.0.1]:50000",
            "0.0.0.0:50000",
            "0.1.2.3:50000",
            "[::]:50000",
            "224.0.0.251:5353",
            "[ff02::1]:50000",
            "255.255.255.255:50000",
            "240.0.0.1:50000",
            "169.254.169.254:50000",
            "[fe80::1]:50000",
            "[64:ff9b::7f00:1]:50000",
            "[2002:7f00:1::]:50000",
            "[2001::1]:50000",
            "[::7f00:1]:50000",
            "192.0.2.1:53",
            "192.0.2.1:0",
        ]);
        assert_eq!(to_try(&hostile, &all(&["192.0.2.9:50000"])), []);
        let own = all(&["192.0.2.9:50000"]);
        assert_eq!(to_try(&own, &own), [], "nor to itself");
        let here = all(&["127.0.0.1:40000"]);
        assert_eq!(to_try(&hostile, &here), all(&["127.0.0.1:50000", "[::1]:50000"]));
    }

    #[test]
    fn of_candidates_those_are_tried_that_may_be_of_a_device() {
        let line = |host: &str, port: u16| format!("candidate:1 1 udp 2122260223 {host} {port} typ host");
        for host in ["192.0.2.1", "2001:db8::1", "0d9f1a1e-7a3c-4b6e-9d5c-1f2e3d4c5b6a.local"] {
            assert!(may_try(&line(host, 50_000)), "{host}");
            assert!(!may_try(&line(host, 53)), "{host}");
        }
        for host in
            ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "example.org", "a.b.local"]
        {
            assert!(!may_try(&line(host, 50_000)), "{host}");
        }
        assert!(may_try(""));
        assert!(!may_try("candidate:1 1 udp 1 192.0.2.1"));
        assert!(!may_try("candidate:1  1 udp 1 192.0.2.1 50000 typ host"));
    }

    proptest! {
        #[test]
        fn however_many_are_named_few_are_tried(
            theirs in proptest::collection::vec(any::<SocketAddr>(), 0..40),
            ours in proptest::collection::vec(any::<SocketAddr>(), 0..4),
        ) {
            let tried = to_try(&theirs, &ours);
            prop_assert!(tried.len() <= ADDRESSES_MAX);
            let again = to_try(&tried, &ours);
            prop_assert_eq!(again, tried);
        }
    }
}
