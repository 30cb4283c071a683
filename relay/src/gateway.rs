//! WebSockets, for devices whose network blocks UDP: the same sessions, the same frames.
//!
//! A WebSocket shows no TLS exporter to whoever may stand in front of the relay (a proxy that ends TLS), so
//! a proof over it is bound by the relay's nonce alone.

use crate::session::transport::{FrameReader, FrameWriter, Link, Lost};
use crate::session::{Sessions, serve};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::{HEADER_BYTES, Header};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_signaling::gateway::{Gateway, GatewayConnection, Incoming, Outgoing};
use std::sync::Arc;
use tracing::Instrument as _;

/// Sessions over WebSocket.
pub struct WebSocketGateway(pub Arc<Sessions>);

impl Gateway for WebSocketGateway {
    fn serve(&self, connection: GatewayConnection) -> BoxFuture<'static, ()> {
        let sessions = self.0.clone();
        let GatewayConnection { peer, trace, incoming, outgoing, .. } = connection;
        let span = tracing::info_span!(
            "connection",
            %trace,
            transport = "websocket",
            remote = %peer,
            account = tracing::field::Empty,
            device = tracing::field::Empty,
        );
        let link = Link {
            reader: SocketReader(incoming),
            writer: SocketWriter(outgoing),
            binding: ChannelBinding::NonceOnly,
            remote: peer,
            transport: "websocket",
        };
        let session = async {
            serve(sessions, link).await;
        };
        Box::pin(session.instrument(span))
    }
}

struct SocketReader(Incoming);

impl FrameReader for SocketReader {
    async fn read(&mut self, into: &mut BytesMut) -> Result<bool, Lost> {
        match self.0.next().await {
            Some(Ok(bytes)) => {
                into.extend_from_slice(&bytes);
                Ok(true)
            }
            Some(Err(error)) => Err(Lost(error.to_string())),
            None => Ok(false),
        }
    }
}

struct SocketWriter(Outgoing);

/// Frames are gathered into messages of about this size: large enough to be few.
const MESSAGE_BYTES: usize = 64 * 1024;

impl FrameWriter for SocketWriter {
    async fn write(&mut self, chunks: &mut Vec<Bytes>) -> Result<(), Lost> {
        let lost = |error: sotto_signaling::gateway::GatewayError| Lost(error.to_string());
        let mut joined = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
        for chunk in chunks.drain(..) {
            joined.extend_from_slice(&chunk);
        }
        while let Some(message) = next_message(&mut joined) {
            self.0.feed(message).await.map_err(lost)?;
        }
        self.0.flush().await.map_err(lost)
    }

    async fn finish(&mut self) {
        // The other side may be gone already.
        let _ = self.0.close().await;
    }
}

/// Cuts a message of whole frames off the front; at least one frame, and no more than [`MESSAGE_BYTES`] where
/// several fit. `None` when nothing is left.
fn next_message(joined: &mut BytesMut) -> Option<Bytes> {
    let mut end = 0_usize;
    loop {
        let rest = joined.get(end..).unwrap_or_default();
        let Ok(Some(header)) = Header::decode(rest, FRAME_BODY_BYTES_MAX) else {
            // The end: what the relay itself queued is whole frames.
            break;
        };
        let next = end.saturating_add(HEADER_BYTES).saturating_add(header.length as usize);
        if next > joined.len() || (end > 0 && next > MESSAGE_BYTES) {
            break;
        }
        end = next;
    }
    (end > 0).then(|| joined.split_to(end).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::body::Extensions;
    use sotto_protocol::body::connection::{Goodbye, Pong};
    use sotto_protocol::frame::{self, Frame};
    use sotto_protocol::ids::RequestId;

    #[test]
    fn messages_hold_whole_frames_and_several_small_ones() {
        let mut joined = BytesMut::new();
        for id in 0..20_000 {
            frame::encode_into(&mut joined, RequestId(id), &Pong::default());
        }
        let reason = "x".repeat(400);
        let goodbye = Goodbye { reason, reconnect_after_ms: 0, extensions: Extensions::default() };
        frame::encode_into(&mut joined, RequestId(20_000), &goodbye);
        let mut due = 0;
        let mut messages = 0;
        while let Some(message) = next_message(&mut joined) {
            messages += 1;
            assert!(message.len() <= MESSAGE_BYTES);
            let mut message = BytesMut::from(&message[..]);
            while let Some(frame) = Frame::take(&mut message, 1 << 20).unwrap() {
                assert_eq!(frame.header.id, RequestId(due));
                due += 1;
            }
            assert!(message.is_empty());
        }
        assert_eq!(due, 20_001);
        assert!(messages < 10, "{messages}");
    }
}
