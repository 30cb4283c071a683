//! Frames to and from a relay: QUIC, or a WebSocket over TLS where the network blocks UDP.
//!
//! Both give the same [`Link`]: a sender of encoded frames, a receiver of whole frames, and what binds a
//! device's proof to this one connection. [`dial`] tries both and keeps the faster.

mod quic;
mod race;
mod socket;
mod websocket;

pub use race::{DialError, Dialled, Target, dial, quic_alone};
pub use socket::Socket;
pub(crate) use socket::way_to;
pub use sotto_node_core::backoff::Backoff;
pub(crate) use websocket::route_turn;

use bytes::{Bytes, BytesMut};
use futures_util::Sink;
use futures_util::stream::BoxStream;
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::{Frame, FrameError};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use std::fmt;
use std::pin::Pin;

/// Where the relay's WebSocket is.
const WEBSOCKET_PATH: &str = "/api/v1/ws";

/// Where it routes TURN.
const TURN_PATH: &str = "/api/v1/turn";

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// QUIC, ALPN `sotto/1`.
    Quic,
    /// A WebSocket over TLS.
    WebSocket,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "QUIC",
            Self::WebSocket => "WebSocket",
        })
    }
}

/// One connection to a relay.
pub struct Link {
    /// Towards the relay.
    pub sender: LinkSender,
    /// From the relay.
    pub receiver: LinkReceiver,
    /// What ties a proof to this connection.
    pub binding: ChannelBinding,
    /// What carries it.
    pub carrier: Carrier,
    /// Of QUIC: the socket, for links to other devices.
    pub socket: Option<Socket>,
}

/// Messages both ways that are no frames. It ends when they do.
pub(crate) struct Messages {
    /// Towards the relay.
    pub(crate) outgoing: Pin<Box<dyn Sink<Bytes, Error = LinkError> + Send>>,
    /// From the relay.
    pub(crate) incoming: BoxStream<'static, Bytes>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other side closed it, in good order or not.
    #[error("the connection was closed: {0}")]
    Closed(String),
    /// The network failed.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The relay sent what is no frame.
    #[error("the relay broke the protocol: {0}")]
    Frame(#[from] FrameError),
}

/// The sending half.
pub struct LinkSender(Sending);

enum Sending {
    Quic(quic::Sender),
    WebSocket(Box<websocket::Sender>),
}

/// The receiving half.
pub struct LinkReceiver(Receiving);

enum Receiving {
    Quic(quic::Receiver),
    WebSocket(Box<websocket::Receiver>),
}

impl LinkSender {
    /// Sends whole frames, in this order, and empties the list. Waits while the network is slower than we are.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&mut self, frames: &mut Vec<Bytes>) -> Result<(), LinkError> {
        match &mut self.0 {
            Sending::Quic(sender) => sender.send(frames).await,
            Sending::WebSocket(sender) => sender.send(frames).await,
        }
    }

    /// Closes in good order; what was sent still arrives if the network lets it, within a moment.
    pub async fn close(self) {
        match self.0 {
            Sending::Quic(sender) => sender.close().await,
            Sending::WebSocket(sender) => sender.close().await,
        }
    }
}

impl LinkReceiver {
    /// Appends at least one whole frame, and as many as have arrived. Nothing is lost if this is dropped while it waits.
    ///
    /// # Errors
    /// If the connection is gone, or the relay sent what is no frame.
    pub async fn receive(&mut self, into: &mut Vec<Frame>) -> Result<(), LinkError> {
        match &mut self.0 {
            Receiving::Quic(receiver) => receiver.receive(into).await,
            Receiving::WebSocket(receiver) => receiver.receive(into).await,
        }
    }
}

/// Takes every whole frame off the front of the buffer.
fn take_frames(buffer: &mut BytesMut, into: &mut Vec<Frame>) -> Result<(), FrameError> {
    while let Some(frame) = Frame::take(buffer, FRAME_BODY_BYTES_MAX)? {
        into.push(frame);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
