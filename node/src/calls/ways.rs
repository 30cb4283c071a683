//! By which ways a device may be found: what the relay lends, from which of its own addresses it looks, and what it tells of them.

use crate::transport::way_to;
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use webrtc::peer_connection::RTCIceServer;

/// Addresses to ask the system for its way to, and nothing more: they are nobody's (RFC 5737, RFC 3849).
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Servers that are looked at, of however many are named.
const SERVERS_MAX: usize = 8;

/// The answer of `GET /api/v1/ice`.
#[derive(Deserialize)]
pub(super) struct Lent {
    ice_servers: Vec<Server>,
}

/// One server, or several with the same credentials. It has no `Debug`: of these.
#[derive(Deserialize)]
struct Server {
    urls: Vec<String>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    credential: String,
}

impl Lent {
    /// What can be used of it: STUN, and TURN over UDP.
    pub(super) fn usable(&self) -> Vec<RTCIceServer> {
        let servers = self.ice_servers.iter().take(SERVERS_MAX).map(|server| RTCIceServer {
            urls: server
                .urls
                .iter()
                .filter(|url| place_of(url).is_some())
                .take(SERVERS_MAX)
                .cloned()
                .collect(),
            username: server.username.clone(),
            credential: server.credential.clone(),
        });
        servers.filter(|server| !server.urls.is_empty()).collect()
    }
}

/// Where a server is, by its URL (RFC 7064, RFC 7065); `None` for one that is not reached over UDP.
fn place_of(url: &str) -> Option<(&str, u16)> {
    const PORT: u16 = 3478;
    let (scheme, rest) = url.split_once(':')?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let over_udp = match scheme {
        "stun" => true,
        "turn" => matches!(query, "" | "transport=udp"),
        _ => false,
    };
    if !over_udp {
        return None;
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(literal) => {
            let (host, port) = literal.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(PORT), str::parse).ok()?;
    (!host.is_empty()).then_some((host, port))
}

/// From where this device looks: the addresses from which it reaches the servers and, unless it hides, from which it would reach anybody
/// (as a browser does that was not allowed more, RFC 8828, mode 2). They are looked up each time that sockets are bound.
#[derive(Clone)]
pub(crate) struct Ways {
    led: Arc<Mutex<Led>>,
    hides: bool,
}

#[derive(Default)]
struct Led {
    towards: Vec<SocketAddr>,
    /// Whether the relay, or a server, is on this machine.
    is_near: bool,
}

impl Ways {
    pub(crate) fn new(hides: bool) -> Self {
        Self { led: Arc::default(), hides }
    }

    /// There are these servers from now on, and the relay; and the near end of a tunnel to it.
    pub(crate) async fn lead(
        &self,
        servers: &[RTCIceServer],
        relay: (&str, u16),
        tunnel: Option<SocketAddr>,
    ) {
        let places = servers.iter().flat_map(|server| &server.urls).filter_map(|url| place_of(url));
        let mut towards = Vec::new();
        for (host, port) in places.chain([relay]) {
            match tokio::net::lookup_host((host, port)).await {
                Ok(addresses) => towards.extend(addresses),
                Err(error) => tracing::debug!(%error, "the address of a server is not known"),
            }
        }
        let is_near = towards.iter().any(|address| address.ip().is_loopback());
        towards.extend(tunnel);
        *self.led() = Led { towards, is_near };
    }

    /// Whether the other one is told of this address: not of the one that leads into a tunnel, where nobody finds this device.
    pub(crate) fn may_tell(&self, own: &str) -> bool {
        self.led().is_near || !own.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    fn led(&self) -> MutexGuard<'_, Led> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ToSocketAddrs for Ways {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let mut towards = self.led().towards.clone();
        if !self.hides {
            towards.extend(ANYWHERE);
        }
        let mut own: Vec<SocketAddr> =
            towards.into_iter().filter_map(way_to).map(|ip| SocketAddr::new(ip, 0)).collect();
        own.sort_unstable();
        own.dedup();
        Ok(own.into_iter())
    }
}

/// A description without the addresses in it: these go out by themselves, as they are found.
pub(super) fn without_candidates(sdp: &str) -> String {
    let is_way = |line: &str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    sdp.split_inclusive('\n').filter(|line| !is_way(line)).collect()
}

/// A candidate without the device's own address, which stands in one that leads over a server (RFC 8839, section 5.1).
pub(super) fn without_origin(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for place in 0..words.len() {
        let hidden = match words.get(place).copied() {
            Some("raddr") => "0.0.0.0",
            Some("rport") => "0",
            _ => continue,
        };
        if let Some(word) = words.get_mut(place + 1) {
            *word = hidden;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_lent_only_what_is_reached_over_udp_is_used() {
        for (url, place) in [
            ("stun:relay.example:3478", Some(("relay.example", 3478))),
            ("turn:relay.example:5000?transport=udp", Some(("relay.example", 5000))),
            ("turn:[2001:db8::7]:5000", Some(("2001:db8::7", 5000))),
            ("stun:[2001:db8::7]", Some(("2001:db8::7", 3478))),
            ("turn:127.0.0.1", Some(("127.0.0.1", 3478))),
            ("turn:relay.example:5000?transport=tcp", None),
            ("turns:relay.example:5349?transport=tcp", None),
            ("turn:relay.example:port", None),
            ("turn::5000", None),
            ("stun", None),
            ("", None),
        ] {
            assert_eq!(place_of(url), place, "{url}");
        }
        let json = r#"{"ice_servers":[{"urls":["stun:a:1","turn:a:1?transport=tcp"],"username":"u","credential":"c"},
            {"urls":["turns:a:2"]}],"ttl_seconds":5}"#;
        let lent: Lent = serde_json::from_str(json).expect("an answer");
        let usable = lent.usable();
        assert_eq!(usable.len(), 1);
        assert_eq!(usable.first().map(|server| server.urls.clone()), Some(vec!["stun:a:1".to_owned()]));
    }

    #[tokio::test]
    async fn a_device_looks_from_where_it_reaches_the_servers_and_who_hides_from_nowhere_else() {
        let ways = Ways::new(true);
        assert_eq!(ways.to_socket_addrs().expect("addresses").count(), 0);
        ways.lead(&[], ("127.0.0.1", 3478), None).await;
        let own: Vec<_> = ways.to_socket_addrs().expect("addresses").collect();
        assert_eq!(own, [SocketAddr::from(([127, 0, 0, 1], 0))]);
        assert!(ways.may_tell("127.0.0.1"), "the relay is on this machine");
        ways.lead(&[], ("192.0.2.7", 3478), Some(SocketAddr::from(([127, 0, 0, 1], 9)))).await;
        let own: Vec<_> = ways.to_socket_addrs().expect("addresses").collect();
        assert!(own.contains(&SocketAddr::from(([127, 0, 0, 1], 0))), "{own:?}");
        assert!(!ways.may_tell("127.0.0.1") && ways.may_tell("192.0.2.9") && ways.may_tell("a.local"));
    }

    #[test]
    fn nothing_of_the_own_address_stays_in_what_is_told_of_a_relayed_way() {
        let line = "candidate:1 1 udp 16777215 203.0.113.5 49152 typ relay raddr 192.168.1.20 rport 54321";
        let hidden = "candidate:1 1 udp 16777215 203.0.113.5 49152 typ relay raddr 0.0.0.0 rport 0";
        assert_eq!(without_origin(line), hidden);
        assert_eq!(without_origin("candidate:1 raddr"), "candidate:1 raddr");
        let sdp = "v=0\r\nm=audio\r\na=candidate:1 1 udp 1 192.168.1.20 5 typ host\r\na=end-of-candidates\r\na=mid:0\r\n";
        assert_eq!(without_candidates(sdp), "v=0\r\nm=audio\r\na=mid:0\r\n");
    }
}
