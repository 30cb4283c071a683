//! The addresses that are lent: one UDP socket for each allocation, on a random port of the range.

use crate::config::TurnConfig;
use rand::RngExt as _;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use tokio::net::UdpSocket;

/// Ports that are tried for one allocation. With half of the range taken, one in four thousand millions finds none.
const TRIES: usize = 32;

/// Space for packets that wait: a quarter of a second at 4 MiB a second.
const BUFFER_BYTES: usize = 1024 * 1024;

/// An address of this machine, and how the world sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) local: IpAddr,
    pub(super) seen_as: IpAddr,
}

/// What the configuration says is lent: at most one address of each family.
pub(super) fn addresses(config: &TurnConfig) -> Vec<Lent> {
    let of_listen = || match config.listen.ip() {
        ip if ip.is_unspecified() => routed(),
        ip => vec![ip],
    };
    let local = if config.relay.is_empty() { of_listen() } else { config.relay.clone() };
    let seen_as = |local: IpAddr| {
        let outside = config.external.iter().find(|outside| outside.is_ipv4() == local.is_ipv4());
        outside.copied().unwrap_or(local)
    };
    local.into_iter().map(|local| Lent { local, seen_as: seen_as(local) }).collect()
}

/// The addresses that this machine would send from to the public Internet. Nothing is sent to find out.
fn routed() -> Vec<IpAddr> {
    // Any address out there leads through the same routes: those of two root name servers.
    let probes = [
        (IpAddr::from(Ipv4Addr::UNSPECIFIED), "198.41.0.4:53"),
        (IpAddr::from(Ipv6Addr::UNSPECIFIED), "[2001:503:ba3e::2:30]:53"),
    ];
    let from = |(any, probe): (IpAddr, &str)| -> Option<IpAddr> {
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect(probe).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    probes.into_iter().filter_map(from).filter(|ip| !ip.is_unspecified()).collect()
}

/// A socket on some port of the range, or some even one.
pub(super) fn open(
    local: IpAddr,
    ports: &RangeInclusive<u16>,
    is_even: bool,
) -> io::Result<(UdpSocket, u16)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let port = rand::rng().random_range(ports.clone());
        if is_even && !port.is_multiple_of(2) {
            continue;
        }
        match bind(SocketAddr::new(local, port)) {
            Ok(socket) => return Ok((socket, port)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // An allocation of IPv6 reaches no IPv4 under another name.
        socket.set_only_v6(true)?;
    }
    // The kernel may allow less; then bursts lose packets sooner.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_lent_is_what_listens_unless_the_operator_says_otherwise() {
        let mut turn = Config::in_folder("unused").turn.unwrap();
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(addresses(&turn), [Lent { local: loopback, seen_as: loopback }]);
        turn.relay = vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
        turn.external = vec!["198.41.0.4".parse().unwrap()];
        let [v4, v6] = addresses(&turn).try_into().unwrap();
        assert_eq!((v4.local, v4.seen_as), (turn.relay[0], turn.external[0]));
        assert_eq!((v6.local, v6.seen_as), (turn.relay[1], turn.relay[1]));
    }

    #[tokio::test]
    async fn ports_come_from_the_range_and_end_with_it_and_are_even_where_that_is_asked_for() {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (first, port) = open(Ipv4Addr::LOCALHOST.into(), &(free..=free), false).unwrap();
        assert_eq!((port, first.local_addr().unwrap().port()), (free, free));
        let error = open(Ipv4Addr::LOCALHOST.into(), &(free..=free), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        for _ in 0..20 {
            let (_socket, port) = open(Ipv4Addr::LOCALHOST.into(), &(49_152..=65_535), true).unwrap();
            assert!(port.is_multiple_of(2));
        }
    }
}
