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
use futures_util::future::BoxFuture;
use sotto_protocol::frame::HEADER_BYTES;
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use std::net::SocketAddr;
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
    let upgrade = asked(&mut request).await?.max_write_buffer_size(WRITE_BYTES_MAX);
    let gateway = api.gateway;
    let serve = Box::new(move |connection| gateway.serve(connection));
    Ok(serve_with(upgrade, MESSAGE_BYTES_MAX, (peer, trace.0), request, serve))
}

/// The upgrade that a request asks for.
pub(super) async fn asked(request: &mut Request) -> Result<WebSocketUpgrade, Problem> {
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> = request.extract_parts().await;
    upgrade.map_err(|_| Problem::new(ProblemCode::Malformed, "this path speaks WebSocket only"))
}

/// Agrees to an upgrade, and has what comes of it served on a task of its own.
pub(super) fn serve_with(
    upgrade: WebSocketUpgrade,
    bytes_max: usize,
    (peer, trace): (SocketAddr, String),
    mut request: Request,
    serve: Box<dyn FnOnce(GatewayConnection) -> BoxFuture<'static, ()> + Send>,
) -> Response {
    let extensions = std::mem::take(request.extensions_mut());
    let span = tracing::info_span!("websocket", %trace, %peer);
    upgrade.max_message_size(bytes_max).max_frame_size(bytes_max).on_upgrade(move |socket| {
        async move {
            let (outgoing, incoming) = split(socket);
            serve(GatewayConnection { peer, trace, extensions, incoming, outgoing }).await;
        }
        .instrument(span)
    })
}
