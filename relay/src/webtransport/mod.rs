//! Browsers on the relay's UDP port: WebTransport over HTTP/3, of which the relay speaks just enough for one session.
//!
//! ```text
//! browser                                     relay
//!   control, QPACK: one-way streams  <----->  control (SETTINGS)
//!   stream 0: CONNECT /api/v1/wt      ----->  200               its end is the end of the session
//!   stream 4: 0x41, session id, then frames <-----> frames      as on the one stream of a node
//! ```
//! No page is served here and no other request answered. A browser shows its scripts no TLS exporter, so a proof is bound by the
//! relay's nonce alone, as over a WebSocket.

pub mod certificate;

use crate::quic::{QuicReader, QuicWriter};
use crate::session::transport::{FrameReader, Link, Lost};
use crate::tls::Identity;
use bytes::BytesMut;
use certificate::ShortLived;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_signaling::gateway::WEBTRANSPORT_PATH;
use sotto_signaling::hooks::WebTransport;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use web_transport_proto::{ConnectRequest, ConnectResponse, Frame, Settings, VarInt as Number};

/// ALPN of HTTP/3.
pub const ALPN_H3: &[u8] = b"h3";

/// One-way streams of a browser: control, QPACK's two, and one that means nothing, as some browsers send.
pub(crate) const ONE_WAY_STREAMS_MAX: u32 = 4;

/// The request that opens the session, and the session's one stream.
const TWO_WAY_STREAMS_MAX: u32 = 2;

/// HTTP/3 wants datagrams to be possible. Nobody reads them here: those that come push each other out.
pub(crate) const DATAGRAM_BYTES: usize = 4 * 1024;

/// `H3_NO_ERROR` (RFC 9114 section 8.1).
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// How long a browser may take to learn that its session is over.
const FAREWELL: Duration = Duration::from_millis(300);

/// How browsers find and trust the relay's UDP port.
#[derive(Debug, Clone)]
pub struct Door {
    /// As browsers reach it.
    pub port: u16,
    /// What everybody else is shown.
    pub identity: Arc<Identity>,
    /// What browsers are shown where no authority vouches for that.
    pub certificates: Arc<ShortLived>,
}

impl Door {
    /// What a browser has to know.
    #[must_use]
    pub fn described(&self) -> WebTransport {
        let is_trusted = self.identity.is_trusted();
        let certificate_hashes = if is_trusted { Vec::new() } else { self.certificates.hashes() };
        WebTransport { port: self.port, certificate_hashes }
    }
}

/// A session, apart from the stream that carries its frames. It ends when this is dropped.
pub(crate) struct Session {
    connection: Connection,
    /// Closing it would be an error of the connection.
    _control: SendStream,
    request: SendStream,
    /// Read what nobody wants to know.
    _drains: JoinSet<()>,
    _ended: DropGuard,
}

type BrowserLink = Link<BrowserReader, QuicWriter>;

/// Waits for the session of a browser and for its stream.
pub(crate) async fn open(connection: &Connection) -> Result<(Session, BrowserLink), Lost> {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(TWO_WAY_STREAMS_MAX));
    let mut drains = JoinSet::new();
    drains.spawn(discard_one_way(connection.clone()));
    let control = send_settings(connection).await.map_err(lost)?;

    let (mut request, mut asked) = connection.accept_bi().await.map_err(lost)?;
    let wish = ConnectRequest::read(&mut asked).await.map_err(lost)?;
    if wish.url.path() != WEBTRANSPORT_PATH {
        ConnectResponse::new(http::StatusCode::NOT_FOUND).write(&mut request).await.map_err(lost)?;
        finish(&mut request).await;
        return Err(Lost("a browser asked for another path".to_owned()));
    }
    ConnectResponse::OK.write(&mut request).await.map_err(lost)?;
    let ended = CancellationToken::new();
    drains.spawn({
        let ended = ended.clone();
        async move {
            discard(asked).await;
            ended.cancel();
        }
    });

    let (send, mut recv) = connection.accept_bi().await.map_err(lost)?;
    let kind = Number::read(&mut recv).await.map_err(lost)?;
    let session = Number::read(&mut recv).await.map_err(lost)?;
    if kind != Frame::WEBTRANSPORT.0 || session.into_inner() != u64::from(VarInt::from(request.id())) {
        return Err(Lost("a stream of another kind came where the session's was due".to_owned()));
    }
    let link = Link {
        reader: BrowserReader { stream: QuicReader(recv), ended: ended.clone() },
        writer: QuicWriter(send),
        binding: ChannelBinding::NonceOnly,
        remote: connection.remote_address(),
        transport: "webtransport",
    };
    let session = Session {
        connection: connection.clone(),
        _control: control,
        request,
        _drains: drains,
        _ended: ended.drop_guard(),
    };
    Ok((session, link))
}

impl Session {
    /// Ends it in good order: the end of the request is the end of the session, with code 0.
    pub(crate) async fn close(mut self) {
        finish(&mut self.request).await;
        self.connection.close(NO_ERROR, b"");
    }
}

async fn send_settings(connection: &Connection) -> Result<SendStream, web_transport_proto::SettingsError> {
    let mut control = connection.open_uni().await.map_err(std::io::Error::from)?;
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    settings.write(&mut control).await?;
    Ok(control)
}

async fn finish(stream: &mut SendStream) {
    if stream.finish().is_ok() {
        // Whatever it says, the stream is over.
        let _ = tokio::time::timeout(FAREWELL, stream.stopped()).await;
    }
}

/// Reads every one-way stream to its end: HTTP/3 has some that must be taken, and none that matters here.
async fn discard_one_way(connection: Connection) {
    let mut open = JoinSet::new();
    while let Ok(stream) = connection.accept_uni().await {
        open.spawn(discard(stream));
        while open.try_join_next().is_some() {}
    }
}

async fn discard(mut stream: RecvStream) {
    let mut room = [0; 1024];
    while let Ok(Some(_)) = stream.read(&mut room).await {}
}

fn lost(error: impl std::fmt::Display) -> Lost {
    Lost(error.to_string())
}

/// Frames of a browser, until their stream or their session ends.
pub(crate) struct BrowserReader {
    stream: QuicReader,
    ended: CancellationToken,
}

impl FrameReader for BrowserReader {
    async fn read(&mut self, into: &mut BytesMut) -> Result<bool, Lost> {
        tokio::select! {
            // What came before the end is read first.
            biased;
            read = self.stream.read(into) => read,
            () = self.ended.cancelled() => Ok(false),
        }
    }
}
