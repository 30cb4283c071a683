//! A WebSocket over TLS 1.3: for networks that let no UDP through. One binary message is one frame or several.

use super::{
    Carrier, Link, LinkError, LinkReceiver, LinkSender, Messages, Receiving, Sending, TURN_PATH,
    WEBSOCKET_PATH, take_frames,
};
use crate::http::{HttpError, connect_tls};
use crate::tls::Trust;
use bytes::{Bytes, BytesMut};
use futures_util::future::ready;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use socket2::SockRef;
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::{Frame, FrameError, HEADER_BYTES};
use sotto_protocol::invite::RelayAddress;
use sotto_protocol::limits::{FRAME_BODY_BYTES_MAX, TURN_MESSAGE_BYTES_MAX};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

type Stream = WebSocketStream<TlsStream<TcpStream>>;

/// One message holds at most one frame of the largest size and some small ones.
const MESSAGE_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX + HEADER_BYTES + 64 * 1024;

/// What waits in the system for a slow network: a quarter of a second of a video call.
const UNSENT_BYTES: usize = 64 * 1024;

/// How long a closing connection may take to say so.
const GOODBYE: Duration = Duration::from_millis(500);

pub(super) struct Sender {
    sink: SplitSink<Stream, Message>,
}

pub(super) struct Receiver {
    stream: SplitStream<Stream>,
}

/// Why there is no WebSocket.
pub(super) enum Failed {
    /// TCP, TLS or the certificate.
    Below(HttpError),
    /// The upgrade.
    Upgrade(String),
}

pub(super) async fn dial(relay: &RelayAddress, trust: &Trust) -> Result<Link, Failed> {
    let stream = open(relay, trust, WEBSOCKET_PATH, None, MESSAGE_BYTES_MAX).await?;
    let (sink, stream) = stream.split();
    Ok(Link {
        sender: LinkSender(Sending::WebSocket(Box::new(Sender { sink }))),
        receiver: LinkReceiver(Receiving::WebSocket(Box::new(Receiver { stream }))),
        // The relay cannot tell us from a browser here, and a browser has no exporter.
        binding: ChannelBinding::NonceOnly,
        carrier: Carrier::WebSocket,
        socket: None,
    })
}

/// A WebSocket at this path, as somebody with this token.
async fn open(
    relay: &RelayAddress,
    trust: &Trust,
    path: &str,
    access: Option<&str>,
    bytes_max: usize,
) -> Result<Stream, Failed> {
    let tls = connect_tls(relay, trust, &[b"http/1.1"]).await.map_err(Failed::Below)?;
    let config = WebSocketConfig::default().max_message_size(Some(bytes_max)).max_frame_size(Some(bytes_max));
    let failed = |error: WsError| Failed::Upgrade(error.to_string());
    let mut request = format!("wss://{relay}{path}").into_client_request().map_err(failed)?;
    if let Some(access) = access {
        let bearer = HeaderValue::try_from(format!("Bearer {access}"));
        let mut bearer = bearer.map_err(|error| Failed::Upgrade(error.to_string()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    let opened = tokio_tungstenite::client_async_with_config(request, tls, Some(config)).await;
    opened.map(|(stream, _)| stream).map_err(failed)
}

/// TURN on a WebSocket of its own (P-080).
pub(crate) async fn route_turn(
    relay: &RelayAddress,
    trust: &Trust,
    access: &str,
) -> Result<Messages, HttpError> {
    let opened = open(relay, trust, TURN_PATH, Some(access), TURN_MESSAGE_BYTES_MAX).await;
    let stream = opened.map_err(|failed| match failed {
        Failed::Below(error) => error,
        Failed::Upgrade(what) => HttpError::Unreachable { relay: relay.to_string(), what },
    })?;
    // What the system has taken is not dropped any more, however late it is. The system takes as much as it will.
    let _ = SockRef::from(stream.get_ref().get_ref().0).set_send_buffer_size(UNSENT_BYTES);
    let (sink, stream) = stream.split();
    let outgoing = sink.with(async |bytes: Bytes| Ok::<_, WsError>(Message::Binary(bytes)));
    let incoming =
        stream.take_while(|message| ready(message.is_ok())).filter_map(async |message| match message {
            Ok(Message::Binary(bytes)) => Some(bytes),
            _ => None,
        });
    Ok(Messages {
        outgoing: Box::pin(outgoing.sink_map_err(|error| lost(&error))),
        incoming: incoming.boxed(),
    })
}

impl Sender {
    pub(super) async fn send(&mut self, frames: &mut Vec<Bytes>) -> Result<(), LinkError> {
        for frame in frames.drain(..) {
            self.sink.feed(Message::Binary(frame)).await.map_err(|error| lost(&error))?;
        }
        self.sink.flush().await.map_err(|error| lost(&error))
    }

    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(GOODBYE, self.sink.close()).await;
    }
}

impl Receiver {
    pub(super) async fn receive(&mut self, into: &mut Vec<Frame>) -> Result<(), LinkError> {
        let had = into.len();
        while into.len() == had {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    let mut buffer = BytesMut::from(bytes);
                    take_frames(&mut buffer, into)?;
                    // A frame never spans two messages.
                    if !buffer.is_empty() {
                        return Err(FrameError::Malformed { kind: 0 }.into());
                    }
                }
                // The library answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => return Err(FrameError::Malformed { kind: 0 }.into()),
                Some(Ok(Message::Close(close))) => {
                    let reason = close.map_or_else(String::new, |close| close.reason.to_string());
                    return Err(LinkError::Closed(sotto_node_core::format::harmless_line(&reason)));
                }
                Some(Err(error)) => return Err(lost(&error)),
                None => return Err(LinkError::Closed("the relay ended the stream".to_owned())),
            }
        }
        Ok(())
    }
}

fn lost(error: &WsError) -> LinkError {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => LinkError::Closed(error.to_string()),
        other => LinkError::Lost(other.to_string()),
    }
}
