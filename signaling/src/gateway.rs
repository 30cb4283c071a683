//! Frames over a WebSocket: the same bytes as over QUIC, in binary messages.

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Sink, SinkExt, StreamExt};
use std::net::SocketAddr;
use std::pin::Pin;

/// Where a browser opens its WebTransport session.
pub const WEBTRANSPORT_PATH: &str = "/api/v1/wt";

/// Why a WebSocket ended early.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A text message came; frames are binary.
    #[error("a text message came where frames are binary")]
    Text,
    /// The transport failed, or a message was over the limit.
    #[error("the WebSocket failed: {0}")]
    Transport(#[from] axum::Error),
}

/// The bytes that arrive, one item for each message. A message holds one frame or several.
pub type Incoming = BoxStream<'static, Result<Bytes, GatewayError>>;

/// The bytes that leave. Closing it says goodbye to the peer.
pub type Outgoing = Pin<Box<dyn Sink<Bytes, Error = GatewayError> + Send>>;

/// A WebSocket that was just opened. Nothing is proved about the other side yet.
pub struct GatewayConnection {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Names it in the log.
    pub trace: String,
    /// What the listener attached to the request, such as a TLS exporter.
    pub extensions: http::Extensions,
    /// From the device.
    pub incoming: Incoming,
    /// To the device.
    pub outgoing: Outgoing,
}

impl std::fmt::Debug for GatewayConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayConnection").field("peer", &self.peer).field("trace", &self.trace).finish()
    }
}

/// The relay's side of the WebSocket endpoint.
pub trait Gateway: Send + Sync + 'static {
    /// Serves a connection until it ends, on a task of its own. A relay that drains says so in frames.
    fn serve(&self, connection: GatewayConnection) -> BoxFuture<'static, ()>;
}

/// Both directions of a WebSocket as bytes. Pings are answered by the library while somebody reads.
pub(crate) fn split(socket: WebSocket) -> (Outgoing, Incoming) {
    let (sink, stream) = socket.split();
    let incoming = stream
        .filter_map(async |message| match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Text(_)) => Some(Err(GatewayError::Text)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => None,
            Err(error) => Some(Err(error.into())),
        })
        .boxed();
    let outgoing =
        sink.sink_map_err(GatewayError::from).with(async |bytes: Bytes| Ok(Message::Binary(bytes)));
    (Box::pin(outgoing), incoming)
}
