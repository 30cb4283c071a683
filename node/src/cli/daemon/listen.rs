//! Sockets on loopback, and the connections that come in on them.

use super::super::exit::{Exit, Failed};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// HTTP connections at once; further ones wait in the system's queue. WebSockets are counted for themselves.
const CONNECTIONS_MAX: usize = 128;

/// Who has not sent the head of a request by then loses the connection: a place is not held by silence.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head: a path with a name of 64 KiB would be none.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Attempts to find one free port on both addresses.
const ATTEMPTS: u32 = 16;

/// What the daemon listens on: one port, on one or both loopback addresses.
pub(super) struct Listeners {
    pub(super) port: u16,
    sockets: Vec<TcpListener>,
    address: IpAddr,
}

impl Listeners {
    /// The address as it stands in a URL.
    pub(super) fn host(&self) -> String {
        match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }
}

/// Binds the port on 127.0.0.1 and, where this machine has it, on ::1: a program that says `localhost` may take
/// either, and must not meet a stranger on the other. Port 0 is any free one.
pub(super) async fn bind(address: Option<IpAddr>, port: u16) -> Result<Listeners, Failed> {
    if let Some(address) = address {
        if !address.is_loopback() {
            return Err(Failed::usage(format!(
                "{address} is not a loopback address: whoever reaches the daemon speaks for you, unencrypted, so it \
                 listens on 127.0.0.1 and ::1 only; from another machine use a tunnel (ssh -L)"
            )));
        }
        let socket =
            TcpListener::bind((address, port)).await.map_err(|error| taken(address, port, &error))?;
        let port = local_port(&socket)?;
        return Ok(Listeners { port, sockets: vec![socket], address });
    }
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let mut attempt = 1;
    loop {
        let first = TcpListener::bind((v4, port)).await.map_err(|error| taken(v4, port, &error))?;
        let chosen = local_port(&first)?;
        match TcpListener::bind(SocketAddr::new(v6, chosen)).await {
            Ok(second) => return Ok(Listeners { port: chosen, sockets: vec![first, second], address: v4 }),
            // Somebody else has the number on the other address: another number.
            Err(error) if error.kind() == ErrorKind::AddrInUse && port == 0 && attempt < ATTEMPTS => {
                attempt += 1
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken(v6, chosen, &error)),
            Err(error) => {
                tracing::debug!(%error, "this machine has no ::1");
                return Ok(Listeners { port: chosen, sockets: vec![first], address: v4 });
            }
        }
    }
}

fn local_port(socket: &TcpListener) -> Result<u16, Failed> {
    let address = socket.local_addr().map_err(|error| Failed::internal(error.to_string()))?;
    Ok(address.port())
}

fn taken(address: IpAddr, port: u16, error: &std::io::Error) -> Failed {
    let what = match error.kind() {
        ErrorKind::AddrInUse => "another program has it, perhaps a daemon of another profile".to_owned(),
        _ => error.to_string(),
    };
    let sentence = format!(
        "port {port} on {address} cannot be used: {what}; name another with --port, or --port 0 for any"
    );
    Failed::new(Exit::Usage, "port_taken", sentence)
}

/// Serves until told to close; then lets what is under way end.
pub(super) async fn serve(listeners: Listeners, router: Router, closing: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = listeners
        .sockets
        .into_iter()
        .map(|socket| tokio::spawn(accept(socket, router.clone(), slots.clone(), closing.clone())));
    for task in accepting.collect::<Vec<_>>() {
        let _ = task.await;
    }
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Waits until the daemon ends.
pub(super) async fn closed(closing: &mut watch::Receiver<bool>) {
    // If nobody can say so any more, it has ended too.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn accept(
    socket: TcpListener,
    router: Router,
    slots: Arc<Semaphore>,
    mut closing: watch::Receiver<bool>,
) {
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = closed(&mut closing) => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, closing) = (router.clone(), closing.clone());
                tokio::spawn(async move {
                    connection(stream, router, closing).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others have to end first.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut closing: watch::Receiver<bool>) {
    // Small messages are worth nothing if they wait for company.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_addresses_are_bound() {
        for address in ["0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1"] {
            let Err(refused) = bind(Some(address.parse().expect("an address")), 0).await else {
                panic!("{address} was bound")
            };
            assert_eq!(refused.exit, Exit::Usage, "{address}");
        }
        bind(Some("127.0.0.1".parse().expect("an address")), 0).await.expect("loopback");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_the_way_out() {
        let held = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = local_port(&held).expect("bound");
        let Err(refused) = bind(None, port).await else { panic!("it was bound twice") };
        assert_eq!(refused.code, "port_taken");
        assert!(refused.sentence.contains("--port"), "{}", refused.sentence);
    }
}
