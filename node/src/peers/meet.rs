//! From a meeting to a connection: punching, dialling, letting in.

use super::tls::{Expects, NAME, fingerprint_at};
use super::{Gives, Hub, News, Taker, give};
use crate::transport::Socket;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, Endpoint, Incoming};
use sotto_node_core::peers::plan::{Act, GIVE_UP_AFTER_MS, PUNCH_EVERY_MS, PUNCHES};
use sotto_node_core::peers::{LinkId, Meeting};
use sotto_protocol::peer::WELCOME;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// From a first packet to a link that is known.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Handshakes at a time; each costs a signature.
const HANDSHAKES_MAX: usize = 16;

/// Connections of one meeting that wait to be taken: two of each phase at most.
const CAME_MAX: usize = 4;

/// The meetings that go on, by their links.
#[derive(Default)]
pub(super) struct Meetings(Mutex<HashMap<LinkId, Awaited>>);

struct Awaited {
    fingerprint: [u8; 32],
    tell: mpsc::Sender<Connection>,
}

impl fmt::Debug for Meetings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meetings({})", self.all().len())
    }
}

impl Expects for Meetings {
    fn expects(&self, fingerprint: &[u8; 32]) -> bool {
        self.all().values().any(|awaited| awaited.fingerprint == *fingerprint)
    }
}

impl Meetings {
    fn all(&self) -> MutexGuard<'_, HashMap<LinkId, Awaited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits for a link from whoever shows this certificate.
    fn awaiting(&self, link: LinkId, fingerprint: [u8; 32]) -> Option<mpsc::Sender<Connection>> {
        let all = self.all();
        let awaited = all.get(&link).filter(|awaited| awaited.fingerprint == fingerprint)?;
        Some(awaited.tell.clone())
    }
}

/// A meeting is waited for until this is dropped.
struct Awaiting {
    meetings: Arc<Meetings>,
    link: LinkId,
    came: mpsc::Receiver<Connection>,
}

impl Awaiting {
    fn new(meetings: &Arc<Meetings>, meeting: &Meeting) -> Self {
        let (tell, came) = mpsc::channel(CAME_MAX);
        let awaited = Awaited { fingerprint: meeting.fingerprint, tell };
        meetings.all().insert(meeting.link, awaited);
        Self { meetings: meetings.clone(), link: meeting.link, came }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.meetings.all().remove(&self.link);
    }
}

/// Lets in who is expected, as long as it is polled. While nobody is, nobody gets as much as an answer.
pub(super) async fn let_in(endpoint: Endpoint, meetings: Arc<Meetings>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Some(incoming) = endpoint.accept().await {
        let permit = room.clone().try_acquire_owned();
        let (Ok(permit), false) = (permit, meetings.all().is_empty()) else {
            incoming.ignore();
            continue;
        };
        let meetings = meetings.clone();
        tokio::spawn(async move {
            if timeout(HANDSHAKE, welcome(incoming, &meetings)).await.is_err() {
                tracing::debug!("somebody dialled and said nothing");
            }
            drop(permit);
        });
    }
}

/// Finishes a handshake, and hears which link it is.
async fn welcome(incoming: Incoming, meetings: &Meetings) -> Option<()> {
    let connection = incoming.accept().ok()?.await.ok()?;
    let fingerprint = fingerprint_at(&connection)?;
    let (mut send, mut recv) = connection.accept_bi().await.ok()?;
    let mut link = [0; 16];
    recv.read_exact(&mut link).await.ok()?;
    let Some(tell) = meetings.awaiting(LinkId(link), fingerprint) else {
        connection.close(1_u32.into(), b"no such link");
        return None;
    };
    send.write_all(&[WELCOME]).await.ok()?;
    send.finish().ok()?;
    tell.try_send(connection).ok()
}

/// Dials every address; the first that shows the right certificate and knows the link.
async fn dial(hub: &Hub, socket: &Socket, meeting: &Meeting) -> Option<Connection> {
    let config = match hub.0.identity.as_ref()?.client(meeting.fingerprint) {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(error, "a link cannot be dialled");
            return None;
        }
    };
    let reached = meeting.addresses.iter().filter(|address| socket.reaches(address));
    let dialled = reached.map(|address| socket.endpoint().connect_with(config.clone(), *address, NAME));
    let mut dialled: FuturesUnordered<_> = dialled.filter_map(Result::ok).collect();
    while let Some(result) = dialled.next().await {
        // One at a time: the other side takes the first that greets it.
        match result {
            Ok(connection) => match timeout(HANDSHAKE, greet(&connection, meeting.link)).await {
                Ok(Some(())) => return Some(connection),
                _ => tracing::debug!("a device does not know the link that it named"),
            },
            Err(error) => tracing::debug!(%error, "a device is not reached at one of its addresses"),
        }
    }
    None
}

async fn greet(connection: &Connection, link: LinkId) -> Option<()> {
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    send.write_all(&link.0).await.ok()?;
    send.finish().ok()?;
    let answer = recv.read_to_end(1).await.ok()?;
    (answer == [WELCOME]).then_some(())
}

async fn punch(socket: &Socket, addresses: &[SocketAddr]) {
    for _ in 0..PUNCHES {
        for address in addresses.iter().filter(|address| socket.reaches(address)) {
            socket.punch(*address);
        }
        sleep(Duration::from_millis(PUNCH_EVERY_MS)).await;
    }
}

/// Does what the plan says; a connection that was dialled, or for ever nothing. What was begun goes on beside what follows.
async fn follow_plan(hub: &Hub, socket: &Socket, meeting: &Meeting, began: Instant) -> Connection {
    let steps = meeting.steps.iter().map(|step| async move {
        sleep_until(began + Duration::from_millis(step.after_ms)).await;
        match step.act {
            Act::Punch => {
                punch(socket, &meeting.addresses).await;
                None
            }
            Act::Dial => dial(hub, socket, meeting).await,
        }
    });
    let mut steps: FuturesUnordered<_> = steps.collect();
    while let Some(done) = steps.next().await {
        if let Some(connection) = done {
            return connection;
        }
    }
    std::future::pending().await
}

/// Meets a device that has a file, for who waits for it.
pub(super) async fn take(hub: Hub, socket: Socket, meeting: Meeting, tell: mpsc::Sender<News>) {
    let _ = tell.send(News::Coming).await;
    let began = Instant::now();
    let give_up = began + Duration::from_millis(GIVE_UP_AFTER_MS);
    let mut awaiting = Awaiting::new(&hub.0.meetings, &meeting);
    let connection = tokio::select! {
        Some(connection) = awaiting.came.recv() => Some(connection),
        connection = follow_plan(&hub, &socket, &meeting, began) => Some(connection),
        () = sleep_until(give_up) => None,
    };
    let Meeting { account, device, .. } = meeting;
    let news = match connection {
        Some(connection) => News::Link(Taker::over_quic(account, device, connection)),
        None => News::Failed(device),
    };
    // Who asked may have everything by now.
    let _ = tell.send(news).await;
}

/// Meets a device that wants a file, and gives it what it asks for. Two connections may come of two that dial; the other one
/// uses one of them.
pub(super) async fn give(hub: Hub, socket: Socket, meeting: Meeting, gives: Option<Arc<dyn Gives>>) {
    let began = Instant::now();
    let give_up = began + Duration::from_millis(GIVE_UP_AFTER_MS);
    let mut awaiting = Awaiting::new(&hub.0.meetings, &meeting);
    let giver = give::Giver { conversation: meeting.conversation, gives, hub: hub.clone() };
    let mut links = FuturesUnordered::new();
    {
        let plan = follow_plan(&hub, &socket, &meeting, began);
        let mut plan = std::pin::pin!(plan);
        let mut planned = true;
        loop {
            let connection = tokio::select! {
                Some(connection) = awaiting.came.recv() => connection,
                connection = &mut plan, if planned => connection,
                Some(()) = links.next() => continue,
                () = sleep_until(give_up) => break,
            };
            planned = false;
            links.push(giver.serve(connection));
        }
    }
    drop(awaiting);
    while let Some(()) = links.next().await {}
}
