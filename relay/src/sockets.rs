//! Binding: UDP and TCP on one port, IPv6 and IPv4 at once.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {}", explain(source))]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub protocol: &'static str,
    /// The operating system's words.
    pub source: io::Error,
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port; stop it, or choose another port (--listen, --http)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not use this port; choose one above 1023, or give the program the right to it"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        _ => error.to_string(),
    }
}

/// Space for datagrams that wait while the process does something else: about 3,000 packets.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Connections that wait to be accepted.
const TCP_BACKLOG: i32 = 1024;

/// Binds UDP and TCP on the same port. Port 0 takes any port that is free for both.
///
/// # Errors
/// If the address cannot be listened on.
pub fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), ListenError> {
    // With port 0 the first pick may be taken for the other protocol; a few tries find one that is free for both.
    let mut tries = if address.port() == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let udp = bind_udp(address)?;
        let port =
            udp.local_addr().map_err(|source| ListenError { address, protocol: "UDP", source })?.port();
        let mut same = address;
        same.set_port(port);
        match bind_tcp(same) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if tries > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

fn bind_udp(address: SocketAddr) -> Result<UdpSocket, ListenError> {
    let socket = bind(address, Type::DGRAM, Protocol::UDP).map_err(|source| ListenError {
        address,
        protocol: "UDP",
        source,
    })?;
    // The kernel may allow less; then bursts lose packets sooner and QUIC sends them again.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
    Ok(socket.into())
}

/// Binds TCP.
///
/// # Errors
/// If the address cannot be listened on.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listen = || {
        let socket = bind(address, Type::STREAM, Protocol::TCP)?;
        socket.listen(TCP_BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| ListenError { address, protocol: "TCP", source })
}

fn bind(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    match open(address, kind, protocol) {
        // A machine without IPv6: the wildcard means IPv4 there.
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), kind, protocol)
        }
        other => other,
    }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    if kind == Type::STREAM {
        // A restart must not wait for the last connections of the one before to be forgotten.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_share_a_port_and_a_taken_port_says_what_to_do() {
        let (udp, tcp) = bind_both("[::]:0".parse().unwrap()).unwrap();
        assert_eq!(udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port());
        let error = bind_both(tcp.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("another program has this port"), "{error}");
    }
}
