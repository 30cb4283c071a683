//! STUN and TURN: the relay lends its address to devices that nobody reaches directly.
//!
//! The protocol is `turn-server-proto`'s; what it leaves open is decided by [`sotto_relay_core::turn`] and carried out here.
//! Read in this order: `gate` (who is let through, and to whom), `client` (one client with its server and its sockets),
//! `udp`, and `connection` with `stream` and `routed` (how clients come), `ledger` (who borrows now), `lent` (the sockets).

mod client;
mod connection;
mod gate;
mod ledger;
mod lent;
mod messages;
mod routed;
mod stream;
mod udp;

use crate::admission::Admission;
use crate::clock;
use crate::config::TurnConfig;
use crate::metrics::{TURN_BINDINGS, TURN_BYTES, TURN_DROPPED, TURN_PACKETS};
use crate::sockets::{ListenError, bind_both, bind_tcp};
use connection::Arrived;
use ledger::Ledger;
use lent::Lent;
use metrics::Counter;
use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};
use sotto_protocol::invite::RelayAddress;
use sotto_relay_core::turn::addresses::PeerPolicy;
use sotto_relay_core::turn::credentials::{Holder, Secret};
use sotto_signaling::gateway::GatewayConnection;
use sotto_signaling::hooks::{IceServer, NotRouted, ServeRouted};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use turn_server_proto::stun::Instant as ServerInstant;
use turn_server_proto::types::AddressFamily;
use zeroize::Zeroizing;

/// Why nothing can be lent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system.
    #[error("cannot start TURN: {0}")]
    System(#[from] std::io::Error),
    /// No address leads anywhere.
    #[error(
        "`turn.listen` is every address of this machine, and none of them leads to the Internet: say in `turn.relay_address` which one relayed traffic uses, or set `turn.listen` to off"
    )]
    NoAddress,
}

/// What all clients share.
struct Lending {
    secret: Secret,
    policy: PeerPolicy,
    ledger: Arc<Ledger>,
    lent: Vec<Lent>,
    ports: RangeInclusive<u16>,
    clock: fn() -> UnixMillis,
    /// Time as the servers count it.
    started: Instant,
    /// Whether the relay has started and does not drain.
    is_ready: Arc<AtomicBool>,
    counters: Counters,
}

impl Lending {
    fn lent_for(&self, family: AddressFamily) -> Option<Lent> {
        self.lent.iter().copied().find(|lent| lent.local.is_ipv4() == (family == AddressFamily::IPV4))
    }

    fn has(&self, family: AddressFamily) -> bool {
        self.lent_for(family).is_some()
    }

    /// Nothing new while the relay ends: what is lent serves as long as the relay does.
    fn takes_new(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    fn instant(&self) -> ServerInstant {
        let passed = i64::try_from(self.started.elapsed().as_nanos());
        ServerInstant::from_nanos(passed.unwrap_or(i64::MAX))
    }
}

/// What is counted packet by packet.
struct Counters {
    to_peers: Traffic,
    to_clients: Traffic,
    bindings: Counter,
    over_quota: Counter,
    refused_peer: Counter,
    full: Counter,
}

struct Traffic {
    packets: Counter,
    bytes: Counter,
}

impl Traffic {
    fn to(direction: &'static str) -> Self {
        Self {
            packets: metrics::counter!(TURN_PACKETS, "to" => direction),
            bytes: metrics::counter!(TURN_BYTES, "to" => direction),
        }
    }

    fn count(&self, bytes: usize) {
        self.packets.increment(1);
        self.bytes.increment(bytes as u64);
    }
}

impl Counters {
    fn new() -> Self {
        let dropped = |reason: &'static str| metrics::counter!(TURN_DROPPED, "reason" => reason);
        Self {
            to_peers: Traffic::to("peers"),
            to_clients: Traffic::to("clients"),
            bindings: metrics::counter!(TURN_BINDINGS),
            over_quota: dropped("quota"),
            refused_peer: dropped("peer"),
            full: dropped("full"),
        }
    }
}

/// What the rest of the relay has of it: credentials for those who are signed in.
pub struct Turn {
    lending: Arc<Lending>,
    host: String,
    listen: SocketAddr,
    tls: Option<SocketAddr>,
    lifetime: Duration,
    stop: watch::Receiver<bool>,
}

/// Sockets that are bound and not served yet.
pub struct Listeners {
    lending: Arc<Lending>,
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    tls: Option<std::net::TcpListener>,
    stop: watch::Receiver<bool>,
}

impl Turn {
    /// Binds what the configuration says. `reached_at` is where links lead to; `stop` turns true when the relay ends.
    ///
    /// # Errors
    /// If an address cannot be listened on, or there is none to lend.
    pub fn bind(
        config: &TurnConfig,
        reached_at: &RelayAddress,
        is_ready: Arc<AtomicBool>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, Listeners), TurnError> {
        let lent = lent::addresses(config);
        if lent.is_empty() {
            return Err(TurnError::NoAddress);
        }
        let own = lent.iter().flat_map(|lent| [lent.local, lent.seen_as]).collect();
        let policy = PeerPolicy::new(config.peers.clone(), own, config.ports.clone());
        if !config.listen.ip().is_loopback() {
            for Lent { seen_as, .. } in &lent {
                if let Err(refused) = policy.check_address(*seen_as) {
                    tracing::warn!(
                        address = %seen_as,
                        range = refused.0,
                        "the address that TURN lends is none of the public Internet; behind a router set `turn.external_address`"
                    );
                }
            }
        }
        let (udp, tcp) = bind_both(config.listen)?;
        let tls = config.tls.map(bind_tcp).transpose()?;
        let ip = config.listen.ip();
        let turn = Self {
            host: if ip.is_loopback() { ip.to_string() } else { reached_at.host.clone() },
            listen: udp.local_addr()?,
            tls: tls.as_ref().map(std::net::TcpListener::local_addr).transpose()?,
            lifetime: config.lifetime,
            stop: stop.clone(),
            lending: Arc::new(Lending {
                secret: Secret::new(Zeroizing::new(rand::random())),
                policy,
                ledger: Ledger::new(config.limits, config.allocations_max),
                lent,
                ports: config.ports.clone(),
                clock: clock::now,
                started: Instant::now(),
                is_ready,
                counters: Counters::new(),
            }),
        };
        let listeners = Listeners { lending: turn.lending.clone(), udp, tcp, tls, stop };
        Ok((turn, listeners))
    }

    /// UDP and TCP.
    #[must_use]
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// TLS.
    #[must_use]
    pub const fn tls(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// Credentials for a sign-in; `None` for somebody elsewhere while only this machine reaches what listens.
    #[must_use]
    pub fn ice(&self, account: AccountId, session: SessionId, from: IpAddr) -> Option<IceServer> {
        let is_near = self.listen.ip().is_loopback();
        if is_near && !from.to_canonical().is_loopback() {
            return None;
        }
        let expires = ((self.lending.clock)().0 / 1000).saturating_add(self.lifetime.as_secs());
        let holder = Holder { account, session, expires };
        self.lending.ledger.note(&holder);
        metrics::counter!(crate::metrics::TURN_CREDENTIALS).increment(1);
        let given = self.lending.secret.issue(&holder);
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = self.listen.port();
        let mut urls = vec![
            format!("stun:{host}:{port}"),
            format!("turn:{host}:{port}?transport=udp"),
            format!("turn:{host}:{port}?transport=tcp"),
        ];
        urls.extend(self.tls.map(|tls| format!("turns:{host}:{}?transport=tcp", tls.port())));
        Some(IceServer {
            urls,
            username: given.username,
            credential: given.password,
            lifetime: self.lifetime,
        })
    }

    /// A stream for TURN on a WebSocket of a sign-in that was given credentials.
    ///
    /// # Errors
    /// If it was given none, or has enough streams.
    pub fn route(&self, account: AccountId, session: SessionId) -> Result<ServeRouted, NotRouted> {
        if !self.lending.ledger.stands(session) {
            return Err(NotRouted::NoCredentials);
        }
        let right = self.lending.ledger.admit(account).map_err(|_| NotRouted::TooMany)?;
        let (lending, listen, stop) = (self.lending.clone(), self.listen, self.stop.clone());
        Ok(Box::new(move |connection: GatewayConnection| {
            let (remote, session) = (connection.peer, Some(session));
            let arrived = Arrived { lending, transport: "websocket", remote, listen, session, stop };
            Box::pin(async move {
                routed::serve(arrived, connection).await;
                drop(right);
            })
        }))
    }

    /// Takes back what a sign-in was given: it ended.
    pub fn revoke(&self, session: SessionId) {
        self.lending.ledger.revoke(session);
    }
}

impl Listeners {
    /// Serves until the relay ends.
    ///
    /// # Errors
    /// If the runtime does not take a socket.
    pub fn spawn(
        self,
        tasks: &mut JoinSet<()>,
        tls: TlsAcceptor,
        admission: &Admission,
    ) -> std::io::Result<()> {
        let Self { lending, udp, tcp, tls: over_tls, stop } = self;
        let udp = tokio::net::UdpSocket::from_std(udp)?;
        tasks.spawn(udp::serve(udp, lending.clone(), stop.clone()));
        let streams = [Some((tcp, None)), over_tls.map(|listener| (listener, Some(tls)))];
        for (listener, tls) in streams.into_iter().flatten() {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(stream::serve(listener, tls, lending.clone(), admission.clone(), stop.clone()));
        }
        Ok(())
    }
}
