//! The UDP socket of a QUIC connection to a relay, which links to other devices share: their NATs let in what comes from, and goes to, the
//! one port that the relay sees.

use quinn::{Endpoint, EndpointConfig};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

/// What opens a NAT and means nothing: too short for any packet of QUIC, so it is passed over without an answer.
const PUNCH: [u8; 8] = [0; 8];

/// 20 ms of packets at 200 MB/s, of the system's memory.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// An address to ask the system for its way to, and nothing more (RFC 5737: it is nobody's).
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// A bound socket with QUIC on it.
#[derive(Clone)]
pub struct Socket {
    endpoint: Endpoint,
    raw: Arc<UdpSocket>,
    relay: SocketAddr,
}

impl Socket {
    /// Binds one for a relay.
    pub(crate) fn bind(relay: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match relay {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = socket2::Socket::new(Domain::for_address(any), Type::DGRAM, Some(Protocol::UDP))?;
        if any.is_ipv6()
            && let Err(error) = socket.set_only_v6(false)
        {
            tracing::debug!(%error, "this socket reaches IPv6 only");
        }
        // What a link brings while this process is busy waits here instead of being lost. The system gives as much as it will.
        let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BYTES);
        socket.bind(&any.into())?;
        let socket = UdpSocket::from(socket);
        let raw = Arc::new(socket.try_clone()?);
        let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("there is no runtime"))?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
        Ok(Self { endpoint, raw, relay })
    }

    /// QUIC on it.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends an address what opens the way back from it.
    pub(crate) fn punch(&self, to: SocketAddr) {
        let to = match to {
            SocketAddr::V4(v4) if self.is_ipv6() => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            other => other,
        };
        // There are more of them, and a network that is not there is no news.
        let _ = self.raw.send_to(&PUNCH, to);
    }

    /// Whether an address is of a family that this socket has.
    pub(crate) fn reaches(&self, address: &SocketAddr) -> bool {
        address.is_ipv4() || self.is_ipv6()
    }

    /// Where it is in this machine's own networks: by the way to the relay, and of IPv4 also by the default route (as a browser
    /// tells without having asked anybody, RFC 8828 mode 2).
    pub(crate) fn local_addresses(&self) -> Vec<SocketAddr> {
        let Ok(own) = self.endpoint.local_addr() else { return Vec::new() };
        let mut towards = vec![self.relay];
        if self.is_ipv6() {
            towards.push(ANYWHERE);
        }
        let ips = towards.into_iter().filter_map(way_to);
        ips.map(|ip| SocketAddr::new(ip, own.port())).collect()
    }

    fn is_ipv6(&self) -> bool {
        self.endpoint.local_addr().is_ok_and(|own| own.is_ipv6())
    }
}

/// The address that this machine would send from; nothing is sent.
pub(crate) fn way_to(remote: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let probe = UdpSocket::bind(any).ok()?;
    probe.connect(remote).ok()?;
    probe.local_addr().ok().map(|own| own.ip())
}
