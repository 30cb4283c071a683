//! One client: its TURN server, its rights, and the sockets that are lent to it.
//!
//! ```text
//!   client ==UDP, TCP, TLS, WebSocket==> client_sent -- gate -- TurnServer --> relayed socket ==UDP==> peer
//!   client <============================ tell_client <---------- TurnServer <-- peer_sent <====UDP===== peer
//! ```
//!
//! Each client has a server of its own, so that no packet is looked up among those of others, and a user is forgotten with
//! his client. The server sees datagrams, however they came: what TCP carries is cut into messages before.

use super::Lending;
use super::gate::{Gate, REALM, Verdict};
use super::lent;
use super::messages::{self, is_channel_data};
use sotto_protocol::ids::UnixMillis;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use turn_server_proto::api::{
    DelayedMessageOrChannelSend, SocketAllocateError, TcpConnectError, TurnServerApi as _, TurnServerPollRet,
};
use turn_server_proto::server::TurnServer;
use turn_server_proto::stun::agent::Transmit;
use turn_server_proto::stun::types::TransportType;
use turn_server_proto::stun::types::message::{BINDING, Message, MessageClass, TransactionId};
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::prelude::DelayedTransmitBuild as _;
use turn_server_proto::types::transmit::TransmitBuild;

/// Who has no allocation for so long is forgotten.
const PATIENCE_MS: u64 = 30_000;

/// Requests that are answered to somebody who has shown no right to anything: what an address whose name is borrowed may be
/// sent for each port.
const ANSWERS_MAX: u8 = 32;

/// Packets that are read from one socket before others get their turn.
pub(super) const BATCH: usize = 64;

/// The largest datagram there is.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A datagram in a channel has a header.
const HEADER_BYTES: usize = 4;

thread_local! {
    /// Where a thread puts the packet that it works on. What is lent has no buffer of its own.
    static PACKET: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_BYTES_MAX]);
    static ANSWER: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_BYTES_MAX + HEADER_BYTES]);
}

/// Reads packets that are there, one batch at most.
pub(super) fn drain(socket: &UdpSocket, mut each: impl FnMut(&[u8], SocketAddr)) {
    PACKET.with_borrow_mut(|packet| {
        for _ in 0..BATCH {
            match socket.try_recv_from(packet) {
                Ok((length, from)) => each(packet.get(..length).unwrap_or_default(), from),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // Some earlier packet did not arrive: it is the kernel's way to pass on ICMP.
                Err(_) => {}
            }
        }
    });
}

/// The way back to a client.
pub(super) enum Back {
    Datagrams { socket: Arc<UdpSocket>, to: SocketAddr },
    Connection(mpsc::Sender<Vec<u8>>),
}

/// See the module.
pub(super) struct Client {
    me: Weak<Mutex<Self>>,
    lending: Arc<Lending>,
    back: Back,
    transport: &'static str,
    remote: SocketAddr,
    listen: SocketAddr,
    server: TurnServer,
    gate: Gate,
    lent: Vec<LentSocket>,
    /// Since when nothing is lent.
    idle_since: UnixMillis,
    answers: u8,
    /// The request that is being answered, and the last one with its answer, for who asks again.
    asking: Option<TransactionId>,
    answered: Option<(TransactionId, Vec<u8>)>,
}

struct LentSocket {
    seen_as: SocketAddr,
    socket: Arc<UdpSocket>,
    _reader: AbortOnDropHandle<()>,
}

/// A client as those share it who bring its packets.
pub(super) type SharedClient = Arc<Mutex<Client>>;

/// Waits for whoever else brings a packet of the same client.
pub(super) fn lock(client: &Mutex<Client>) -> MutexGuard<'_, Client> {
    client.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Somebody who was not seen before. `transport` is the word of the metrics.
    pub(super) fn new(
        lending: Arc<Lending>,
        back: Back,
        transport: &'static str,
        remote: SocketAddr,
        listen: SocketAddr,
    ) -> SharedClient {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Arc::new_cyclic(|me| {
            Mutex::new(Self {
                me: me.clone(),
                back,
                transport,
                remote,
                listen,
                server: TurnServer::new(TransportType::Udp, listen, REALM.to_owned()),
                gate: Gate::default(),
                lent: Vec::new(),
                idle_since: (lending.clock)(),
                answers: 0,
                asking: None,
                answered: None,
                lending,
            })
        })
    }

    /// Whether something is lent to it.
    pub(super) const fn borrows(&self) -> bool {
        !self.lent.is_empty()
    }

    /// One message, or the data of a channel, by the client.
    pub(super) fn client_sent(&mut self, data: &[u8]) {
        let now = (self.lending.clock)();
        if is_channel_data(data) {
            self.feed(data, now);
            return;
        }
        let Ok(message) = Message::from_bytes(data) else { return };
        match message.class() {
            MessageClass::Request if message.method() == BINDING => {
                let answer = messages::binding(&message, self.remote);
                self.tell_client(&answer);
            }
            MessageClass::Request => self.request(data, &message, now),
            MessageClass::Indication => self.feed(data, now),
            MessageClass::Success | MessageClass::Error => {}
        }
    }

    fn request(&mut self, data: &[u8], message: &Message<'_>, now: UnixMillis) {
        let id = message.transaction_id();
        if let Some((_, answer)) = self.answered.as_ref().filter(|(answered, _)| *answered == id) {
            // The answer was lost.
            let answer = answer.clone();
            self.tell_client(&answer);
            return;
        }
        if !self.borrows() {
            self.answers = self.answers.saturating_add(1);
            if self.answers > ANSWERS_MAX {
                return;
            }
        }
        self.asking = Some(id);
        let lending = self.lending.clone();
        match self.gate.judge(message, &lending, now) {
            Verdict::Pass => self.feed(data, now),
            Verdict::PassAs { username, password } => {
                self.server.add_user(username, password);
                self.feed(data, now);
            }
            Verdict::Refuse(answer) => self.tell_client(&answer),
            Verdict::Ignore => {}
        }
        self.work(now);
        self.asking = None;
    }

    /// What time brings; whether the client is to be kept.
    pub(super) fn tick(&mut self) -> bool {
        let now = (self.lending.clock)();
        if self.borrows() && !self.gate.stands(&self.lending) {
            // Signed out in between.
            return false;
        }
        self.work(now);
        self.borrows() || now.0.saturating_sub(self.idle_since.0) < PATIENCE_MS
    }

    /// Hands data of the client to the server, and on where it says.
    fn feed(&mut self, data: &[u8], now: UnixMillis) {
        let arrived = Transmit::new(data, TransportType::Udp, self.remote, self.listen);
        if let Some(leaves) = self.server.recv(arrived, self.lending.instant()) {
            self.send(leaves, now);
        }
    }

    /// A packet by a peer.
    fn peer_sent(&mut self, data: &[u8], seen_as: SocketAddr, peer: SocketAddr, now: UnixMillis) {
        let arrived = Transmit::new(data, TransportType::Udp, peer, seen_as);
        let Some(leaves) = self.server.recv(arrived, self.lending.instant()) else { return };
        let Some(meter) = self.gate.meter() else { return };
        if meter.take(data.len(), now).is_err() {
            self.lending.counters.over_quota.increment(1);
            return;
        }
        self.lending.counters.to_clients.count(data.len());
        self.send(leaves, now);
    }

    /// Carries out what the server wants to be sent.
    fn send(&mut self, leaves: TransmitBuild<DelayedMessageOrChannelSend<&[u8]>>, now: UnixMillis) {
        let (from, to) = (leaves.from, leaves.to);
        match leaves.data {
            DelayedMessageOrChannelSend::Range(data, range) => {
                self.deliver(data.get(range).unwrap_or_default(), from, to, now);
            }
            DelayedMessageOrChannelSend::Owned(data) => self.deliver(&data, from, to, now),
            // Written into a buffer it would be an indication to a server.
            DelayedMessageOrChannelSend::Message(message) => self.deliver(&message.build(), from, to, now),
            DelayedMessageOrChannelSend::Channel(channel) => ANSWER.with_borrow_mut(|answer| {
                if channel.len() <= answer.len() {
                    let length = channel.write_into(answer);
                    self.deliver(answer.get(..length).unwrap_or_default(), from, to, now);
                }
            }),
        }
    }

    fn deliver(&mut self, data: &[u8], from: SocketAddr, to: SocketAddr, now: UnixMillis) {
        match self.lent.iter().find(|lent| lent.seen_as == from) {
            Some(lent) => self.tell_peer(&lent.socket, data, to, now),
            None => self.tell_client(data),
        }
    }

    /// The one place from which anything goes out to a peer. Whatever was said before, the policy holds here.
    fn tell_peer(&self, socket: &UdpSocket, data: &[u8], peer: SocketAddr, now: UnixMillis) {
        let counters = &self.lending.counters;
        if self.lending.policy.check(peer).is_err() {
            counters.refused_peer.increment(1);
            return;
        }
        let Some(meter) = self.gate.meter() else { return };
        if meter.take(data.len(), now).is_err() {
            counters.over_quota.increment(1);
            return;
        }
        match socket.try_send_to(data, peer) {
            Ok(_) => counters.to_peers.count(data.len()),
            // No room in the kernel, or no way there: packets get lost.
            Err(_) => counters.full.increment(1),
        }
    }

    fn tell_client(&mut self, data: &[u8]) {
        if let Some(id) = self.asking.take() {
            self.answered = Some((id, data.to_vec()));
        }
        let sent = match &self.back {
            Back::Datagrams { socket, to } => socket.try_send_to(data, *to).is_ok(),
            Back::Connection(sender) => sender.try_send(data.to_vec()).is_ok(),
        };
        if !sent {
            self.lending.counters.full.increment(1);
        }
    }

    /// Does what the server asks for: sockets to be opened and closed, answers to be sent.
    fn work(&mut self, now: UnixMillis) {
        loop {
            let instant = self.lending.instant();
            match self.server.poll(instant) {
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let socket = self.lend(family);
                    self.server.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        socket,
                        instant,
                    );
                    if socket.is_err() {
                        // With its last answer the server keeps no client, whatever came before.
                        self.lent.clear();
                    }
                }
                TurnServerPollRet::SocketClose { listen_addr, .. } => {
                    self.lent.retain(|lent| lent.seen_as != listen_addr);
                }
                TurnServerPollRet::TcpConnect { relayed_addr, peer_addr, listen_addr, client_addr } => {
                    let refused = Err(TcpConnectError::Forbidden);
                    self.server.tcp_connected(
                        relayed_addr,
                        peer_addr,
                        listen_addr,
                        client_addr,
                        refused,
                        instant,
                    );
                }
                TurnServerPollRet::TcpClose { .. } => {}
                TurnServerPollRet::WaitUntil(_) => break,
            }
        }
        while let Some(answer) = self.server.poll_transmit(self.lending.instant()) {
            self.tell_client(&answer.data);
        }
        if self.lent.is_empty() && self.gate.grant.take().is_some() {
            self.idle_since = now;
        }
    }

    fn lend(&mut self, family: AddressFamily) -> Result<SocketAddr, SocketAllocateError> {
        let lent = self.lending.lent_for(family).ok_or(SocketAllocateError::AddressFamilyNotSupported)?;
        if self.gate.grant.is_none() {
            return Err(SocketAllocateError::InsufficientCapacity);
        }
        let (socket, port) =
            lent::open(lent.local, &self.lending.ports, self.gate.even_port).map_err(|error| {
                tracing::warn!(%error, address = %lent.local, "no port to lend");
                SocketAllocateError::InsufficientCapacity
            })?;
        let (socket, seen_as) = (Arc::new(socket), SocketAddr::new(lent.seen_as, port));
        let reader = tokio::spawn(read(self.me.clone(), socket.clone(), seen_as));
        self.lent.push(LentSocket { seen_as, socket, _reader: AbortOnDropHandle::new(reader) });
        self.answers = 0;
        metrics::counter!(crate::metrics::TURN_ALLOCATED, "transport" => self.transport).increment(1);
        tracing::debug!(transport = self.transport, %seen_as, "an address is lent");
        Ok(seen_as)
    }
}

/// Brings what peers send to one lent address.
async fn read(client: Weak<Mutex<Client>>, socket: Arc<UdpSocket>, seen_as: SocketAddr) {
    while socket.readable().await.is_ok() {
        let Some(client) = client.upgrade() else { return };
        let mut client = lock(&client);
        let now = (client.lending.clock)();
        drain(&socket, |data, peer| client.peer_sent(data, seen_as, peer, now));
    }
}
