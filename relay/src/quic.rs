//! The QUIC endpoint: one UDP socket, one connection per device, one bidirectional stream on each, opened by
//! the device, that carries the frames. Browsers come to the same port by HTTP/3 ([`crate::webtransport`]).
//!
//! Everything that a stranger could make grow has a limit here: streams, windows, handshakes at a time,
//! connections. A device that is silent costs two small tasks and no buffers.

use crate::admission::{Admission, Permit};
use crate::folder::{DataFolder, FolderError};
use crate::session::transport::{FrameReader, FrameWriter, Link, Lost};
use crate::session::{Sessions, serve};
use crate::tls::{Identity, TlsError};
use crate::web;
use crate::webtransport::certificate::ShortLived;
use crate::webtransport::{self, ALPN_H3};
use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::HandshakeData;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use sotto_protocol::body::connection::{ChannelBinding, EXPORTER_LABEL};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument;
use zeroize::Zeroizing;

/// What one stream may have in flight to the relay. 1 MiB keeps 10 MB/s going at 100 ms; a device uploads a
/// tree of 4 MiB at most.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// What all streams of one connection may: there is one.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES;

/// What may wait, unacknowledged, on the way to one device.
const SEND_WINDOW_BYTES: u64 = 1024 * 1024;

/// The control stream. Blobs will have their own.
const STREAMS_MAX: u32 = 1;

/// Handshakes at a time from which strangers must prove their address first (RFC 9000 section 8.1.2): each
/// costs a signature.
const HANDSHAKES_UNPROVED_MAX: usize = 256;

/// Handshakes at a time above which newcomers are dropped; they try again by themselves.
const HANDSHAKES_MAX: usize = 4096;

/// Chunks taken from a stream at a time; each is at most a packet.
const CHUNKS_PER_READ: usize = 16;

/// Stateless resets are at most so many apart. After a restart each device of the last run is told by one that its
/// connection is gone; at 5,000 a second all of a large relay's are told as soon as they speak. A reset is smaller
/// than the packet that it answers, so a stranger gains nothing by asking for them.
const RESET_INTERVAL: Duration = Duration::from_micros(200);

/// The secret by which devices know a reset as this relay's own (RFC 9000 section 10.3), and by which a relay
/// knows connection ids that it gave out before it was restarted. With a new one at each start a device would learn of
/// a restart only by silence.
#[derive(Clone)]
pub struct ResetKey(Zeroizing<[u8; 32]>);

/// The file in the data folder that holds it.
const RESET_KEY_FILE: &str = "quic-reset.key";

impl ResetKey {
    /// The key of a data folder, drawn at its first start.
    ///
    /// # Errors
    /// If the file is damaged or cannot be written.
    pub fn load(folder: &DataFolder) -> Result<Self, FolderError> {
        Ok(Self(Zeroizing::new(folder.secret(RESET_KEY_FILE, rand::random)?)))
    }

    fn endpoint_config(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &*self.0)));
        // Another use of the same secret gets a key of its own.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), b"sotto connection ids");
        let key = derived.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        config
            .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)))
            .min_reset_interval(RESET_INTERVAL);
        config
    }
}

/// Application error codes that a connection is closed with.
pub mod close_code {
    use quinn::VarInt;

    /// In good order.
    pub const DONE: VarInt = VarInt::from_u32(0);
    /// Refused; the last frame says why.
    pub const REFUSED: VarInt = VarInt::from_u32(1);
    /// The relay has too many connections.
    pub const TOO_MANY: VarInt = VarInt::from_u32(2);
}

/// Makes the endpoint on a bound socket.
///
/// # Errors
/// If the certificate cannot be used, or the socket cannot be handed to the runtime.
pub fn endpoint(
    socket: UdpSocket,
    identity: &Identity,
    browsers: Arc<ShortLived>,
    reset_key: &ResetKey,
    idle: Duration,
) -> Result<Endpoint, QuicError> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(identity.for_quic(browsers)?));
    config.transport_config(Arc::new(transport(idle)?));
    config.max_incoming(HANDSHAKES_MAX);
    // Bytes that a stranger may send before its handshake is looked at: one flight, post-quantum key share included.
    config.incoming_buffer_size(16 * 1024);
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(reset_key.endpoint_config(), Some(config), socket, runtime).map_err(QuicError::Socket)
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuicError {
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system refuses the socket.
    #[error("cannot use the UDP socket: {0}")]
    Socket(std::io::Error),
    /// The idle time is out of range.
    #[error("the idle time is out of range")]
    Idle,
}

fn transport(idle: Duration) -> Result<TransportConfig, QuicError> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        // Before the handshake nobody knows who is a browser. What is sent there counts to the connection's window.
        .max_concurrent_uni_streams(VarInt::from_u32(webtransport::ONE_WAY_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(webtransport::DATAGRAM_BYTES))
        .max_idle_timeout(Some(idle.try_into().map_err(|_| QuicError::Idle)?))
        // The shorter one of both sides' idle times counts, and nodes ask for much less than the relay (see
        // SILENCE_MS_MAX) and keep the connection alive. For a client that does not, half of the idle time keeps a
        // silent connection, and the NAT in front of it, open.
        .keep_alive_interval(Some(idle / 2))
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    Ok(config)
}

/// Accepts until `stop` turns true, or the endpoint is closed.
pub async fn accept(
    endpoint: Endpoint,
    sessions: Arc<Sessions>,
    admission: Admission,
    mut stop: watch::Receiver<bool>,
) {
    let handshakes = Arc::new(AtomicUsize::new(0));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = web::told(&mut stop) => None,
        };
        let Some(incoming) = incoming else {
            return;
        };
        let busy = handshakes.load(Ordering::Relaxed);
        if busy >= HANDSHAKES_MAX {
            incoming.ignore();
        } else if busy >= HANDSHAKES_UNPROVED_MAX
            && incoming.may_retry()
            && !incoming.remote_address_validated()
        {
            // An error means that it was proved already.
            let _ = incoming.retry();
        } else if let Some(permit) = admission.admit(incoming.remote_address().ip()) {
            let handshake = Handshake::begin(&handshakes);
            let span = tracing::info_span!(
                "connection",
                trace = %crate::trace_id(),
                transport = tracing::field::Empty,
                remote = %incoming.remote_address(),
                account = tracing::field::Empty,
                device = tracing::field::Empty,
            );
            tokio::spawn(connection(incoming, sessions.clone(), permit, handshake).instrument(span));
        } else {
            metrics::counter!(crate::metrics::CONNECTIONS_REFUSED, "reason" => "limit").increment(1);
            incoming.refuse();
        }
    }
}

/// Counts one handshake while it lasts.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn begin(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(incoming: Incoming, sessions: Arc<Sessions>, permit: Permit, handshake: Handshake) {
    let opened =
        Box::pin(tokio::time::timeout(sessions.authentication_timeout, open(incoming, handshake))).await;
    match opened {
        Ok(Ok(Opened::Device(connection, link))) => {
            let code = match serve(sessions, link).await {
                crate::session::End::Refused(_) => close_code::REFUSED,
                _ => close_code::DONE,
            };
            connection.close(code, b"");
        }
        Ok(Ok(Opened::Browser(session, link))) => {
            serve(sessions, *link).await;
            session.close().await;
        }
        Ok(Err(error)) => {
            metrics::counter!(crate::metrics::CONNECTIONS_REFUSED, "reason" => "handshake").increment(1);
            tracing::debug!(%error, "no connection");
        }
        Err(_) => {
            metrics::counter!(crate::metrics::CONNECTIONS_REFUSED, "reason" => "timeout").increment(1);
            tracing::debug!("the handshake or the first stream did not come in time");
        }
    }
    drop(permit);
}

/// A connection with the stream that carries its frames.
enum Opened {
    Device(Connection, Link<QuicReader, QuicWriter>),
    Browser(Box<webtransport::Session>, Box<Link<webtransport::BrowserReader, QuicWriter>>),
}

/// Finishes the handshake and waits for the stream that the device opens.
async fn open(incoming: Incoming, handshake: Handshake) -> Result<Opened, Lost> {
    let lost = |error: quinn::ConnectionError| Lost(error.to_string());
    let connection = incoming.accept().map_err(lost)?.await.map_err(lost)?;
    drop(handshake);
    if is_browser(&connection) {
        tracing::Span::current().record("transport", "webtransport");
        let (session, link) = webtransport::open(&connection).await?;
        return Ok(Opened::Browser(Box::new(session), Box::new(link)));
    }
    tracing::Span::current().record("transport", "quic");
    let (send, recv) = connection.accept_bi().await.map_err(lost)?;
    let mut exported = [0; 32];
    connection
        .export_keying_material(&mut exported, EXPORTER_LABEL, b"")
        .map_err(|_| Lost("TLS gives no exporter".to_owned()))?;
    let remote = connection.remote_address();
    let link = Link {
        reader: QuicReader(recv),
        writer: QuicWriter(send),
        binding: ChannelBinding::TlsExporter(exported),
        remote,
        transport: "quic",
    };
    Ok(Opened::Device(connection, link))
}

/// Whether HTTP/3 was agreed on.
fn is_browser(connection: &Connection) -> bool {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    data.and_then(|data| data.protocol).is_some_and(|protocol| protocol == ALPN_H3)
}

/// Frames from one stream of QUIC.
pub(crate) struct QuicReader(pub(crate) RecvStream);

impl FrameReader for QuicReader {
    async fn read(&mut self, into: &mut BytesMut) -> Result<bool, Lost> {
        // Chunks are parts of received packets. They are copied together, so that a packet's memory is given
        // back at once and frames are slices of one buffer.
        let mut chunks = [const { Bytes::new() }; CHUNKS_PER_READ];
        let count = self.0.read_chunks(&mut chunks).await.map_err(|error| Lost(error.to_string()))?;
        let Some(chunks) = count.and_then(|count| chunks.get(..count)) else {
            return Ok(false);
        };
        into.reserve(chunks.iter().map(Bytes::len).sum());
        for chunk in chunks {
            into.extend_from_slice(chunk);
        }
        Ok(true)
    }
}

/// Frames into one stream of QUIC.
pub(crate) struct QuicWriter(pub(crate) SendStream);

impl FrameWriter for QuicWriter {
    async fn write(&mut self, chunks: &mut Vec<Bytes>) -> Result<(), Lost> {
        self.0.write_all_chunks(chunks).await.map_err(|error| Lost(error.to_string()))?;
        chunks.clear();
        Ok(())
    }

    async fn finish(&mut self) {
        if self.0.finish().is_ok() {
            // Whatever it says, the stream is over; the caller bounds the wait.
            let _ = tokio::time::timeout(Duration::from_millis(500), self.0.stopped()).await;
        }
    }
}
