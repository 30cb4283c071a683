//! QUIC: one bidirectional stream, opened by the device, that frames follow each other on.

use super::socket::Socket;
use super::{Carrier, Link, LinkError, LinkReceiver, LinkSender, Receiving, Sending, take_frames};
use crate::tls::Trust;
use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig, VarInt,
};
use sotto_protocol::body::connection::{ChannelBinding, EXPORTER_LABEL};
use sotto_protocol::frame::Frame;
use sotto_protocol::limits::{KEEP_ALIVE_MS, SILENCE_MS_MAX};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The protocol's name in TLS.
pub(super) const ALPN: &[u8] = b"sotto/1";

/// Keeps the mapping of a NAT open, and lets either side find out soon that the other one vanished: the shorter one
/// of both sides' idle times counts, and ours is the shorter. The limits have the arithmetic.
const KEEP_ALIVE: Duration = Duration::from_millis(KEEP_ALIVE_MS);
const SILENCE_MAX: Duration = Duration::from_millis(SILENCE_MS_MAX);

/// Over 2 MB a lossy path makes more than 1,024 gaps, which ends the connection (quinn-proto).
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// How long a closing connection may take to say so.
const GOODBYE: Duration = Duration::from_millis(500);

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Sender {
    stream: SendStream,
    connection: Connection,
    // The socket lives as long as the link.
    endpoint: Endpoint,
}

pub(super) struct Receiver {
    stream: RecvStream,
    buffer: BytesMut,
}

/// Dials one address.
pub(super) async fn dial(address: SocketAddr, host: &str, trust: &Trust) -> Result<Link, String> {
    let socket = Socket::bind(address).map_err(|error| error.to_string())?;
    let endpoint = socket.endpoint().clone();
    let connection = endpoint
        .connect_with(config(trust)?, address, host)
        .map_err(|error| error.to_string())?
        .await
        .map_err(|error| error.to_string())?;
    let (send, recv) = connection.open_bi().await.map_err(|error| error.to_string())?;
    let mut exported = [0; 32];
    connection
        .export_keying_material(&mut exported, EXPORTER_LABEL, b"")
        .map_err(|_| "TLS gives no exporter".to_owned())?;
    Ok(Link {
        sender: LinkSender(Sending::Quic(Sender { stream: send, connection, endpoint })),
        receiver: LinkReceiver(Receiving::Quic(Receiver { stream: recv, buffer: BytesMut::new() })),
        binding: ChannelBinding::TlsExporter(exported),
        carrier: Carrier::Quic,
        socket: Some(socket),
    })
}

fn config(trust: &Trust) -> Result<ClientConfig, String> {
    let crypto = QuicClientConfig::try_from(trust.config(&[ALPN])).map_err(|error| error.to_string())?;
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(
            SILENCE_MAX.try_into().map_err(|_| "the idle time is out of range".to_owned())?,
        ))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        // The relay opens nothing towards us yet: frames travel on the one stream that we open.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

impl Sender {
    pub(super) async fn send(&mut self, frames: &mut Vec<Bytes>) -> Result<(), LinkError> {
        let sent = self.stream.write_all_chunks(frames).await;
        frames.clear();
        sent.map_err(|error| match error {
            quinn::WriteError::ConnectionLost(error) => lost(&error),
            other => LinkError::Closed(other.to_string()),
        })
    }

    pub(super) async fn close(mut self) {
        // What is not acknowledged yet is sent again until it is, or patience ends.
        if self.stream.finish().is_ok() {
            let _ = tokio::time::timeout(GOODBYE, self.stream.stopped()).await;
        }
        self.connection.close(VarInt::from_u32(0), b"bye");
        let _ = tokio::time::timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

impl Receiver {
    pub(super) async fn receive(&mut self, into: &mut Vec<Frame>) -> Result<(), LinkError> {
        let had = into.len();
        while into.len() == had {
            match self.stream.read_chunk(READ_BYTES, true).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.bytes),
                Ok(None) => return Err(LinkError::Closed("the relay ended the stream".to_owned())),
                Err(quinn::ReadError::ConnectionLost(error)) => return Err(lost(&error)),
                Err(other) => return Err(LinkError::Closed(other.to_string())),
            }
            take_frames(&mut self.buffer, into)?;
        }
        Ok(())
    }
}

fn lost(error: &ConnectionError) -> LinkError {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            LinkError::Closed(sotto_node_core::format::harmless_line(&String::from_utf8_lossy(&close.reason)))
        }
        ConnectionError::ConnectionClosed(_) | ConnectionError::LocallyClosed => {
            LinkError::Closed(error.to_string())
        }
        other => LinkError::Lost(other.to_string()),
    }
}
