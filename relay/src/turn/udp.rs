//! UDP: one socket for all clients, told apart by where they send from.

use super::Lending;
use super::client::{Back, Client, SharedClient, drain, lock};
use super::messages::{self, is_channel_data};
use crate::admission::{Admission, Permit};
use crate::web::told;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use turn_server_proto::stun::types::message::{BINDING, Message, MessageClass};

/// How often it is looked who is gone.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Addresses at a time that asked for something and have shown no right to it. Each takes about a kilobyte; who floods us
/// from invented ones pushes out the oldest, and who has credentials needs two round trips.
const STRANGERS_MAX: usize = 8_192;

/// Of these from one address: an office whose people all start at once.
const STRANGERS_PER_ADDRESS_MAX: usize = 256;

struct Clients {
    socket: Arc<UdpSocket>,
    listen: SocketAddr,
    lending: Arc<Lending>,
    known: HashMap<SocketAddr, Known>,
    /// Who came first goes first.
    strangers: VecDeque<SocketAddr>,
    admission: Admission,
}

struct Known {
    client: SharedClient,
    /// As long as it has shown no right to anything.
    stranger: Option<Permit>,
}

/// Serves until `stop` turns true. What was lent ends with it.
pub(super) async fn serve(socket: UdpSocket, lending: Arc<Lending>, mut stop: watch::Receiver<bool>) {
    let Ok(listen) = socket.local_addr() else { return };
    let admission = Admission::new(STRANGERS_MAX, STRANGERS_PER_ADDRESS_MAX);
    let socket = Arc::new(socket);
    let mut clients = Clients {
        socket: socket.clone(),
        listen,
        lending,
        known: HashMap::new(),
        strangers: VecDeque::new(),
        admission,
    };
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = told(&mut stop) => return,
            _ = sweep.tick() => clients.sweep(),
            ready = socket.readable() => match ready {
                Ok(()) => drain(&socket, |data, from| clients.take(data, from)),
                Err(error) => {
                    tracing::error!(%error, "TURN over UDP ended");
                    return;
                }
            },
        }
    }
}

impl Clients {
    fn take(&mut self, data: &[u8], from: SocketAddr) {
        if let Some(known) = self.known.get(&from) {
            lock(&known.client).client_sent(data);
            return;
        }
        if is_channel_data(data) {
            return;
        }
        let Ok(message) = Message::from_bytes(data) else { return };
        if message.class() != MessageClass::Request {
            return;
        }
        if message.method() == BINDING {
            // Nothing is kept of who only asks where he is.
            let seen = SocketAddr::new(from.ip().to_canonical(), from.port());
            let _ = self.socket.try_send_to(&messages::binding(&message, seen), from);
            self.lending.counters.bindings.increment(1);
            return;
        }
        if let Some(client) = self.welcome(from) {
            lock(&client).client_sent(data);
        }
    }

    /// Makes room for somebody new, if his address has not had its share.
    fn welcome(&mut self, from: SocketAddr) -> Option<SharedClient> {
        while self.strangers.len() >= STRANGERS_MAX {
            let oldest = self.strangers.pop_front()?;
            if self.known.get(&oldest).is_some_and(|known| !lock(&known.client).borrows()) {
                self.known.remove(&oldest);
            }
        }
        let stranger = self.admission.admit(from.ip())?;
        let back = Back::Datagrams { socket: self.socket.clone(), to: from };
        let client = Client::new(self.lending.clone(), back, "udp", from, self.listen);
        self.known.insert(from, Known { client: client.clone(), stranger: Some(stranger) });
        self.strangers.push_back(from);
        Some(client)
    }

    fn sweep(&mut self) {
        self.known.retain(|_, known| {
            let mut client = lock(&known.client);
            if client.borrows() {
                known.stranger = None;
            }
            client.tick()
        });
        let is_stranger =
            |from: &SocketAddr| self.known.get(from).is_some_and(|known| known.stranger.is_some());
        self.strangers.retain(is_stranger);
        self.lending.ledger.sweep((self.lending.clock)());
    }
}
