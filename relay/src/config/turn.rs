//! What an operator chooses about STUN and TURN: where they listen, which addresses they lend, to whom, how much.

use super::{ConfigError, Values, count, parse};
use sotto_relay_core::turn::addresses::Allowed;
use sotto_relay_core::turn::quota::Limits;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnConfig {
    /// UDP and TCP.
    pub listen: SocketAddr,
    /// TLS; `None` for none.
    pub tls: Option<SocketAddr>,
    /// This machine's addresses that relayed traffic uses, at most one of each family; none for what `listen` says.
    pub relay: Vec<IpAddr>,
    /// What the world sees them as, where they are others.
    pub external: Vec<IpAddr>,
    /// The ports that are lent.
    pub ports: RangeInclusive<u16>,
    /// Peers that may be reached beside the public Internet.
    pub peers: Allowed,
    /// How long credentials are good.
    pub lifetime: Duration,
    /// Allocations in all.
    pub allocations_max: usize,
    /// What one account may use.
    pub limits: Limits,
}

impl TurnConfig {
    pub(super) fn from_values(values: &Values) -> Result<Option<Self>, ConfigError> {
        let listen = values.read("turn.listen", address_or_off)?;
        let tls = values.read("turn.tls", address_or_off)?;
        let others = Others::from_values(values)?;
        let Some(listen) = listen else {
            if tls.is_some() {
                return Err(ConfigError::Together(
                    "`turn.tls` is set and `turn.listen` is off: TURN over TLS is an addition to UDP and TCP, so set `turn.listen` too",
                ));
            }
            return Ok(None);
        };
        let Others { relay, external, ports, peers, lifetime, allocations_max, limits } = others;
        Ok(Some(Self { listen, tls, relay, external, ports, peers, lifetime, allocations_max, limits }))
    }
}

/// What is checked whether or not it is used.
struct Others {
    relay: Vec<IpAddr>,
    external: Vec<IpAddr>,
    ports: RangeInclusive<u16>,
    peers: Allowed,
    lifetime: Duration,
    allocations_max: usize,
    limits: Limits,
}

impl Others {
    fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let bytes = |name| values.read(name, parse::size);
        Ok(Self {
            relay: values.read("turn.relay_address", addresses)?,
            external: values.read("turn.external_address", addresses)?,
            ports: values.read("turn.ports", ports)?,
            peers: values.read("turn.peers", |text| text.parse().ok())?,
            lifetime: values
                .read("turn.credentials", |text| parse::span(text).filter(|span| LIFETIMES.contains(span)))?,
            allocations_max: values.read("turn.allocations", count)?,
            limits: Limits {
                allocations: values.read("turn.allocations_per_account", |text| text.parse().ok())?,
                bytes_per_second: bytes("turn.bytes_per_second")?,
                bytes_per_day: bytes("turn.bytes_per_day")?,
            },
        })
    }
}

/// Shorter ones are over before a call is; longer ones are no short-lived ones.
const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

fn address_or_off(text: &str) -> Option<Option<SocketAddr>> {
    if text == "off" { Some(None) } else { text.parse().ok().map(Some) }
}

/// At most one address of each family, with a comma between them.
fn addresses(text: &str) -> Option<Vec<IpAddr>> {
    let listed = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let listed: Vec<IpAddr> = listed.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let of_v4 = listed.iter().filter(|address| address.is_ipv4()).count();
    let is_good = of_v4 <= 1 && listed.len() - of_v4 <= 1;
    (is_good && !listed.iter().any(IpAddr::is_unspecified)).then_some(listed)
}

/// `49152-65535`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first >= 1024 && first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn read(settings: &[(&str, &str)]) -> Result<Option<TurnConfig>, ConfigError> {
        let mut values = Values::default();
        for (name, value) in settings {
            values.add(name, (*value).to_owned(), Source::Flag)?;
        }
        TurnConfig::from_values(&values)
    }

    #[test]
    fn by_default_turn_is_reached_from_this_machine_only_and_reaches_the_public_internet_only() {
        let turn = read(&[]).unwrap().unwrap();
        assert!(turn.listen.ip().is_loopback());
        assert_eq!((turn.tls, turn.peers), (None, Allowed::default()));
        assert!(turn.limits.allocations > 0 && turn.limits.bytes_per_second > 0);
        assert_eq!(read(&[("turn.listen", "off")]).unwrap(), None);
    }

    #[test]
    fn addresses_are_one_of_each_family_and_ports_are_a_range() {
        let turn = read(&[
            ("turn.relay_address", "192.0.2.1, 2001:db8::1"),
            ("turn.ports", "50000-50099"),
            ("turn.peers", "private"),
        ]);
        let turn = turn.unwrap().unwrap();
        assert_eq!(turn.relay.len(), 2);
        assert_eq!(turn.ports, 50_000..=50_099);
        for (name, bad) in [
            ("turn.relay_address", "192.0.2.1,192.0.2.2"),
            ("turn.relay_address", "0.0.0.0"),
            ("turn.external_address", "turn.example.org"),
            ("turn.ports", "50000"),
            ("turn.ports", "50001-50000"),
            ("turn.ports", "80-90"),
            ("turn.peers", "everybody"),
            ("turn.credentials", "0s"),
            ("turn.credentials", "30d"),
            ("turn.listen", "3478"),
            ("turn.bytes_per_day", "much"),
        ] {
            let error = read(&[(name, bad)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name} {bad}: {error}");
        }
        let error = read(&[("turn.listen", "off"), ("turn.tls", "[::]:5349")]).unwrap_err().to_string();
        assert!(error.contains("turn.tls"), "{error}");
    }
}
