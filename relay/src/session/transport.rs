//! What a session needs of a transport. QUIC and WebSocket implement it; sessions are generic over it, so
//! neither pays for the other.

use bytes::{Bytes, BytesMut};
use sotto_protocol::body::connection::ChannelBinding;
use std::future::Future;
use std::net::SocketAddr;

/// The other side is gone, or the transport failed.
#[derive(Debug, thiserror::Error)]
#[error("the connection is lost: {0}")]
pub struct Lost(pub String);

/// Bytes of frames that come in.
pub trait FrameReader: Send {
    /// Appends what came, at least one byte; `false` at the end. May be dropped while it waits without loss.
    ///
    /// # Errors
    /// If the connection is lost.
    fn read(&mut self, into: &mut BytesMut) -> impl Future<Output = Result<bool, Lost>> + Send;
}

/// Bytes of frames that go out.
pub trait FrameWriter: Send {
    /// Sends all chunks, each whole frames, in order; leaves the list empty. Waits while the receiver does not keep up.
    ///
    /// # Errors
    /// If the connection is lost.
    fn write(&mut self, chunks: &mut Vec<Bytes>) -> impl Future<Output = Result<(), Lost>> + Send;

    /// Ends the stream after what was written, and waits until the other side has it.
    fn finish(&mut self) -> impl Future<Output = ()> + Send;
}

/// An open connection on which nothing was said yet.
#[derive(Debug)]
pub struct Link<R, W> {
    /// Incoming.
    pub reader: R,
    /// Outgoing.
    pub writer: W,
    /// What a device's proof is bound to.
    pub binding: ChannelBinding,
    /// The other side, as seen here.
    pub remote: SocketAddr,
    /// The value of the label `transport` in metrics and logs.
    pub transport: &'static str,
}
