//! A client on a connection of its own, whatever carries it: how it is served, and when it ends.

use super::Lending;
use super::client::{Back, Client, SharedClient, lock};
use crate::web::told;
use sotto_protocol::ids::SessionId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often it is looked whether the client still has a reason to be here.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Packets that wait for a client's connection: a data channel sends a window of 1 MiB in one burst. More are dropped, as datagrams are.
const WAITING_MAX: usize = 1_024;

/// Packets that are written at once.
const WRITTEN_AT_ONCE: usize = 32;

/// What a client that takes nothing may hold up its connection.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// A connection that was made.
pub(super) struct Arrived {
    pub(super) lending: Arc<Lending>,
    /// The word of the metrics.
    pub(super) transport: &'static str,
    pub(super) remote: SocketAddr,
    pub(super) listen: SocketAddr,
    /// The sign-in that it ends with, where one was shown already.
    pub(super) session: Option<SessionId>,
    /// Turns true when the relay ends.
    pub(super) stop: watch::Receiver<bool>,
}

/// What comes from a client.
pub(super) trait Reads: Send {
    /// Waits until there is something to hand on; `false` at the end. Nothing is lost if this is dropped while it waits.
    fn wait(&mut self) -> impl Future<Output = bool> + Send;

    /// Hands on what there is; `false` if it is no TURN.
    fn hand_on(&mut self, client: &SharedClient) -> bool;
}

/// What goes to a client.
pub(super) trait Writes: Send + 'static {
    /// Writes these packets and empties the list; `false` if that is no longer possible.
    fn write(&mut self, packets: &mut Vec<Vec<u8>>) -> impl Future<Output = bool> + Send;

    /// Says goodbye. The other side may be gone already.
    fn end(&mut self) -> impl Future<Output = ()> + Send;
}

/// Serves a client until it leaves, has no reason to be here any more, or the relay stops.
pub(super) async fn serve(arrived: Arrived, mut reads: impl Reads, writes: impl Writes) {
    let Arrived { lending, transport, remote, listen, session, mut stop } = arrived;
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let client = Client::new(lending.clone(), Back::Connection(sender), transport, remote, listen);
    let mut writer = tokio::spawn(write(writes, waiting));
    let mut look = tokio::time::interval(LOOK_EVERY);
    let may_stay = || session.is_none_or(|session| lending.ledger.stands(session));
    loop {
        tokio::select! {
            () = told(&mut stop) => break,
            _ = &mut writer => return,
            _ = look.tick() => if !may_stay() || !lock(&client).tick() {
                break;
            },
            more = reads.wait() => if !more || !reads.hand_on(&client) {
                break;
            },
        }
    }
    // With the client its sender goes; what it has said is still written.
    drop(client);
    let _ = writer.await;
}

/// Writes what is said to a client until nobody can say anything any more, or it takes nothing.
async fn write(mut writes: impl Writes, mut waiting: mpsc::Receiver<Vec<u8>>) {
    let mut packets = Vec::with_capacity(WRITTEN_AT_ONCE);
    while waiting.recv_many(&mut packets, WRITTEN_AT_ONCE).await > 0 {
        if !matches!(tokio::time::timeout(WRITE_PATIENCE, writes.write(&mut packets)).await, Ok(true)) {
            return;
        }
    }
    // Whoever takes nothing is not waited for with the last word either.
    let _ = tokio::time::timeout(WRITE_PATIENCE, writes.end()).await;
}
