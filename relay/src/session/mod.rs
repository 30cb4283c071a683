//! One connection of one device, from its first frame to its end, whatever carries it.
//!
//! [`handshake`] holds the states before the connection is ready as pure values, [`mod@route`] says where each
//! later frame goes; here they are driven over a [`transport`]. A ready connection is one task: a read loop
//! that hands frames to the engine in the groups they arrived in, and a write loop that drains the session's
//! outbound queue. Nothing is allocated while nothing happens: thousands of devices are silent most of the time.

pub mod handshake;
pub mod registry;
pub mod route;
pub mod transport;

use crate::engine::{Closed, Outbound, SessionHandle};
use crate::gate::{Entrant, Gate};
use crate::metrics;
use bytes::{Bytes, BytesMut};
use handshake::{AwaitHello, Challenged, Refusal};
use registry::{CloseReason, Orders, Presence, Registry};
use route::{Route, route};
use sotto_protocol::body::connection::{ChannelBinding, Goodbye, Pong, Ready};
use sotto_protocol::body::push::KeyPackagesLow;
use sotto_protocol::body::{Extensions, kind_name};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Frame};
use sotto_protocol::ids::{RequestId, UnixMillis};
use sotto_protocol::limits::{FRAME_BODY_BEFORE_AUTH_BYTES_MAX, FRAME_BODY_BYTES_MAX};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use transport::{FrameReader, FrameWriter, Link, Lost};

/// How long a receiver may take to accept the last frames of a connection that the relay ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all sessions share.
pub struct Sessions {
    /// Tokens, devices, key packages.
    pub gate: Gate,
    /// The log.
    pub engine: crate::engine::Engine,
    /// Who is connected.
    pub registry: Registry,
    /// The time now.
    pub clock: fn() -> UnixMillis,
    /// How long a connection may take to prove who it is.
    pub authentication_timeout: Duration,
    /// The counters that a busy connection touches, looked up once.
    pub counters: Counters,
}

/// Handles of the counters of the hot path.
#[derive(Debug)]
pub struct Counters {
    frames_received: ::metrics::Counter,
    bytes_received: ::metrics::Counter,
    bytes_sent: ::metrics::Counter,
    connections: ::metrics::Gauge,
}

impl Counters {
    /// Looks them up in the recorder of this process.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames_received: ::metrics::counter!(metrics::FRAMES_RECEIVED),
            bytes_received: ::metrics::counter!(metrics::BYTES_RECEIVED),
            bytes_sent: ::metrics::counter!(metrics::BYTES_SENT),
            connections: ::metrics::gauge!(metrics::CONNECTIONS),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The device closed it.
    Left,
    /// The transport failed, or nothing came for too long.
    Lost,
    /// It was not let in, or sent bytes that are no frames.
    Refused(&'static str),
    /// The relay ended it.
    Closed(CloseReason),
    /// The engine takes nothing any more.
    EngineGone,
}

/// A connection that has proved who it is.
struct Ticket {
    entrant: Entrant,
    challenged: Challenged,
    ready: Bytes,
}

/// Drives one connection to its end.
pub async fn serve<R: FrameReader, W: FrameWriter>(sessions: Arc<Sessions>, mut link: Link<R, W>) -> End {
    let mut buffer = BytesMut::new();
    // Boxed: what only the handshake needs is given back before the connection falls silent.
    let admitted = Box::pin(tokio::time::timeout(
        sessions.authentication_timeout,
        admit(&sessions, &mut link, &mut buffer),
    ))
    .await;
    let ticket = match admitted {
        Ok(Ok(ticket)) => ticket,
        Ok(Err(NotAdmitted::Gone(end))) => return end,
        Ok(Err(NotAdmitted::Refused(refusal))) => return turn_away(link.writer, &refusal).await,
        Err(_) => {
            let text = "no proof of identity came in time";
            let refusal = Refusal::new(RequestId::PUSH, ErrorCode::Unexpected, text, "timeout");
            return turn_away(link.writer, &refusal).await;
        }
    };
    let Ticket { entrant, challenged, ready } = ticket;
    tracing::Span::current().record("account", tracing::field::display(entrant.account));
    tracing::Span::current().record("device", tracing::field::display(entrant.device));
    ::metrics::counter!(metrics::CONNECTIONS_OPENED, "transport" => link.transport).increment(1);
    sessions.counters.connections.increment(1.0);
    tracing::debug!("ready");

    let presence = sessions.registry.enter(entrant.account, entrant.device, entrant.session);
    if !sessions.gate.stands(&entrant).await {
        sessions.registry.revoke(entrant.account, entrant.session);
    }
    let (handle, outbound) = sessions.engine.attach(entrant.account, entrant.device);
    handle.reply(ready);
    let orders = presence.orders.clone();
    let connection = Connection {
        sessions: &sessions,
        entrant,
        challenged,
        binding: link.binding,
        remote: link.remote,
        presence: &presence,
        handle,
    };
    let end = run(connection, &mut link.reader, &mut link.writer, outbound, buffer, orders).await;
    drop(presence);
    sessions.counters.connections.decrement(1.0);
    if let End::Refused(reason) = end {
        ::metrics::counter!(metrics::CONNECTIONS_REFUSED, "reason" => reason).increment(1);
    }
    tracing::debug!(?end, "ended");
    end
}

/// Both loops in one task, until one of them ends.
async fn run<R: FrameReader, W: FrameWriter>(
    connection: Connection<'_>,
    reader: &mut R,
    writer: &mut W,
    outbound: Outbound,
    buffer: BytesMut,
    mut orders: watch::Receiver<Orders>,
) -> End {
    let sessions = connection.sessions;
    let write = write_loop(writer, outbound, orders.clone(), &sessions.counters.bytes_sent);
    tokio::pin!(write);
    let end = {
        let read = connection.read_loop(reader, buffer);
        tokio::pin!(read);
        tokio::select! {
            end = &mut read => end,
            end = &mut write => return end,
            // A receiver that takes nothing cannot delay its own end.
            reason = overdue(&mut orders) => return End::Closed(reason),
        }
    };
    // The read loop ended first. What is queued for the device (an error that says why) still goes out: the
    // queue ends when the last handle is gone.
    if let End::Refused(_) = end {
        drop(connection);
        let _ = tokio::time::timeout(FAREWELL, write).await;
    }
    end
}

/// Resolves some time after the connection was told to close.
async fn overdue(orders: &mut watch::Receiver<Orders>) -> CloseReason {
    // The sender goes away only when a newer connection of the device took its place.
    let told = orders.wait_for(|orders| orders.close.is_some()).await.ok().and_then(|orders| orders.close);
    tokio::time::sleep(FAREWELL).await;
    told.unwrap_or(CloseReason::Replaced)
}

async fn write_loop<W: FrameWriter>(
    writer: &mut W,
    mut outbound: Outbound,
    mut orders: watch::Receiver<Orders>,
    bytes_sent: &::metrics::Counter,
) -> End {
    let mut chunks = Vec::new();
    loop {
        // Only waiting is cut short, never a write: half a frame would make the goodbye unreadable.
        let closing = tokio::select! {
            biased;
            order = next_order(&mut orders) => {
                chunks.push(order.frame());
                order.closing()
            }
            received = outbound.recv(&mut chunks) => match received {
                Ok(()) => None,
                Err(Closed) => {
                    writer.finish().await;
                    return End::EngineGone;
                }
            },
        };
        bytes_sent.increment(chunks.iter().map(|chunk| chunk.len() as u64).sum());
        if writer.write(&mut chunks).await.is_err() {
            return End::Lost;
        }
        if let Some(reason) = closing {
            writer.finish().await;
            return End::Closed(reason);
        }
        if chunks.capacity() > IDLE_CHUNKS {
            chunks = Vec::new();
        }
    }
}

/// One order, to carry out now.
enum Order {
    Close(CloseReason),
    KeyPackagesLow(u32),
}

async fn next_order(orders: &mut watch::Receiver<Orders>) -> Order {
    loop {
        if orders.changed().await.is_err() {
            // The sender goes away only when a newer connection of the device took its place.
            return Order::Close(CloseReason::Replaced);
        }
        let now = *orders.borrow_and_update();
        match (now.close, now.key_packages_left) {
            (Some(reason), _) => return Order::Close(reason),
            (None, Some(left)) => return Order::KeyPackagesLow(left),
            (None, None) => {}
        }
    }
}

impl Order {
    const fn closing(&self) -> Option<CloseReason> {
        match self {
            Self::Close(reason) => Some(*reason),
            Self::KeyPackagesLow(_) => None,
        }
    }

    fn frame(&self) -> Bytes {
        let extensions = Extensions::default();
        match self {
            Self::Close(reason) => {
                let (text, reconnect_after_ms) = (reason.text().to_owned(), reason.reconnect_after_ms());
                frame::encode(RequestId::PUSH, &Goodbye { reason: text, reconnect_after_ms, extensions })
            }
            Self::KeyPackagesLow(count) => {
                frame::encode(RequestId::PUSH, &KeyPackagesLow { count: *count, extensions })
            }
        }
    }
}

/// Room for chunks that a silent connection keeps.
const IDLE_CHUNKS: usize = 8;

enum NotAdmitted {
    Gone(End),
    Refused(Refusal),
}

impl From<Lost> for NotAdmitted {
    fn from(lost: Lost) -> Self {
        tracing::debug!(%lost, "before it was ready");
        Self::Gone(End::Lost)
    }
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn admit<R: FrameReader, W: FrameWriter>(
    sessions: &Sessions,
    link: &mut Link<R, W>,
    buffer: &mut BytesMut,
) -> Result<Ticket, NotAdmitted> {
    sessions.gate.count(link.remote.ip())?;
    let hello = first_frame(&mut link.reader, buffer).await?;
    let (state, answer) = AwaitHello.handle(&hello, rand::random())?;
    link.writer.write(&mut vec![answer]).await?;
    let proof = first_frame(&mut link.reader, buffer).await?;
    let (claim, challenged) = state.handle(&proof, &link.binding)?;
    let entrant = sessions.gate.admit(&claim).await?;
    let ready = ready(sessions, &entrant, claim.id, link.remote);
    Ok(Ticket { entrant, challenged, ready })
}

fn ready(sessions: &Sessions, entrant: &Entrant, id: RequestId, remote: SocketAddr) -> Bytes {
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    let body = Ready {
        account: entrant.account,
        time: (sessions.clock)(),
        observed_address: remote.to_string(),
        extensions: Extensions::default(),
    };
    frame::encode(id, &body)
}

/// Reads until one frame of the size that strangers may send is there.
async fn first_frame(reader: &mut impl FrameReader, buffer: &mut BytesMut) -> Result<Frame, NotAdmitted> {
    loop {
        match Frame::take(buffer, FRAME_BODY_BEFORE_AUTH_BYTES_MAX) {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(error) => return Err(Refusal::not_frames(&error).into()),
        }
        if !reader.read(buffer).await? {
            return Err(NotAdmitted::Gone(End::Left));
        }
    }
}

async fn turn_away(mut writer: impl FrameWriter, refusal: &Refusal) -> End {
    ::metrics::counter!(metrics::CONNECTIONS_REFUSED, "reason" => refusal.reason).increment(1);
    tracing::debug!(reason = refusal.reason, error = %refusal.error, "refused");
    let told = async {
        if writer.write(&mut vec![refusal.encode()]).await.is_ok() {
            writer.finish().await;
        }
    };
    // A stranger that does not read its refusal is not waited for.
    let _ = tokio::time::timeout(FAREWELL, told).await;
    End::Refused(refusal.reason)
}

/// A ready connection, seen from its read loop.
struct Connection<'a> {
    sessions: &'a Sessions,
    entrant: Entrant,
    challenged: Challenged,
    binding: ChannelBinding,
    remote: SocketAddr,
    presence: &'a Presence,
    handle: SessionHandle,
}

impl Connection<'_> {
    async fn read_loop(&self, reader: &mut impl FrameReader, mut buffer: BytesMut) -> End {
        loop {
            if let Err(end) = self.take_frames(&mut buffer).await {
                return end;
            }
            if buffer.is_empty() {
                // A silent connection holds no buffer.
                buffer = BytesMut::new();
            }
            match reader.read(&mut buffer).await {
                Ok(true) => {}
                Ok(false) => return End::Left,
                Err(lost) => {
                    tracing::debug!(%lost);
                    return End::Lost;
                }
            }
        }
    }

    /// Handles every whole frame in the buffer, those for the engine in groups.
    async fn take_frames(&self, buffer: &mut BytesMut) -> Result<(), End> {
        let before = buffer.len();
        let mut group = Vec::new();
        let mut count = 0;
        let taken = loop {
            let frame = match Frame::take(buffer, FRAME_BODY_BYTES_MAX) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            count += 1;
            tracing::trace!(
                kind = kind_name(frame.header.kind),
                id = frame.header.id.0,
                bytes = frame.header.length
            );
            if self.presence.closing().is_some() {
                // Told to close: nothing more is taken from this device.
                return std::future::pending().await;
            }
            match route(&frame.header) {
                Route::Engine => group.push(frame),
                other => {
                    // In the order of the requests: what came before goes first.
                    self.submit(&mut group).await?;
                    // Boxed: rare, and as large as all that the directory does.
                    Box::pin(self.answer(&frame, other)).await?;
                }
            }
        };
        self.submit(&mut group).await?;
        self.sessions.counters.frames_received.increment(count);
        self.sessions.counters.bytes_received.increment((before - buffer.len()) as u64);
        taken.map_err(|error| {
            let refusal = Refusal::not_frames(&error);
            tracing::info!(%error, "closing: the device sent bytes that are no frames");
            self.handle.reply(refusal.encode());
            End::Refused(refusal.reason)
        })
    }

    async fn submit(&self, group: &mut Vec<Frame>) -> Result<(), End> {
        if group.is_empty() {
            return Ok(());
        }
        self.handle.submit(std::mem::take(group)).await.map_err(|Closed| End::EngineGone)
    }

    async fn answer(&self, frame: &Frame, how: Route) -> Result<(), End> {
        let id = frame.header.id;
        let answer = match how {
            Route::Ping => frame::encode(id, &Pong::default()),
            Route::Directory => self.sessions.gate.directory(&self.entrant, frame).await,
            Route::Authenticate => self.authenticate_again(frame).await?,
            Route::Unsupported if id == RequestId::PUSH => return Ok(()),
            Route::Unsupported => {
                let (kind, version) = (frame.header.kind.0, frame.header.version);
                let text =
                    format!("this relay does not know frames of kind {kind:#06x} in version {version}");
                frame::encode(id, &WireError::new(ErrorCode::Unsupported, text))
            }
            Route::Unexpected | Route::Engine => {
                let text = format!("a device does not send {} now", kind_name(frame.header.kind));
                frame::encode(id, &WireError::new(ErrorCode::Unexpected, text))
            }
        };
        self.handle.reply(answer);
        Ok(())
    }

    /// A fresh token, so that the connection outlives the sign-in it was opened with.
    async fn authenticate_again(&self, frame: &Frame) -> Result<Bytes, End> {
        let claim = match self.challenged.claim(frame, &self.binding) {
            Ok(claim) => claim,
            Err(refusal) => return Ok(refusal.encode()),
        };
        match self.sessions.gate.admit(&claim).await {
            Ok(entrant)
                if (entrant.account, entrant.device) == (self.entrant.account, self.entrant.device) =>
            {
                self.presence.renew(entrant.session);
                if !self.sessions.gate.stands(&entrant).await {
                    self.sessions.registry.revoke(entrant.account, entrant.session);
                }
                Ok(ready(self.sessions, &entrant, claim.id, self.remote))
            }
            Ok(_) => {
                let text = "a connection belongs to one account and device; open another for this one";
                Ok(frame::encode(claim.id, &WireError::new(ErrorCode::Unexpected, text)))
            }
            Err(refusal) => Ok(refusal.encode()),
        }
    }
}
