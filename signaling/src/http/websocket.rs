//! `/api/v1/ws`: frames over a WebSocket.

use super::Api;
use super::document::Refusals;
use super::extract::Peer;
use super::layer::Trace;
use crate::gateway::{GatewayConnection, split};
use crate::problem::{Problem, ProblemCode};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, RequestExt};
use sotto_protocol::frame::HEADER_BYTES;
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use tracing::Instrument;

/// The largest message: the largest frame, and some small ones that share it.
const MESSAGE_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX + HEADER_BYTES + 64 * 1024;

/// What may wait to be written before the sender has to wait for the peer.
const WRITE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Speak frames over a WebSocket
///
/// Binary messages carry the same frames as QUIC, one or several in each. The device proves itself by frames,
/// as everywhere.
#[utoipa::path(
    get, path = "/api/v1/ws", tag = "gateway",
    responses((status = 101, description = "Frames from here on"), Refusals)
)]
pub(super) async fn open(
    State(api): State<Api>,
    Peer(peer): Peer,
    Extension(trace): Extension<Trace>,
    mut request: Request,
) -> Result<Response, Problem> {
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> = request.extract_parts().await;
    let upgrade =
        upgrade.map_err(|_| Problem::new(ProblemCode::Malformed, "this path speaks WebSocket only"))?;
    let extensions = std::mem::take(request.extensions_mut());
    let span = tracing::info_span!("websocket", trace = %trace.0, %peer);
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .max_write_buffer_size(WRITE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| {
        async move {
            let (outgoing, incoming) = split(socket);
            let connection = GatewayConnection { peer, trace: trace.0, extensions, incoming, outgoing };
            api.gateway.serve(connection).await;
        }
        .instrument(span)
    }))
}
