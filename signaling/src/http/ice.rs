//! `/api/v1/ice` and `/api/v1/turn`: ways through NATs, and through firewalls.

use super::Api;
use super::answers::IceJson;
use super::document::Refusals;
use super::extract::{Peer, Who};
use super::layer::Trace;
use super::websocket;
use crate::hooks::NotRouted;
use crate::problem::{Problem, ProblemCode};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use sotto_protocol::limits::TURN_MESSAGE_BYTES_MAX;

/// Ask for STUN and TURN
///
/// For `RTCPeerConnection`: this relay's STUN and TURN, with credentials for the sign-in that asks. They end with the sign-in,
/// with `ttl_seconds`, and with a restart of the relay, so ask when a call begins and keep them nowhere.
#[utoipa::path(
    get, path = "/api/v1/ice", tag = "calls", security(("bearer" = [])),
    responses((status = 200, description = "What this relay lends", body = IceJson), Refusals)
)]
pub(super) async fn get(
    State(api): State<Api>,
    Who(who): Who,
    Peer(from): Peer,
) -> Result<Json<IceJson>, Problem> {
    Ok(Json(api.signaling.ice(who, from.ip()).await?.into()))
}

impl From<NotRouted> for Problem {
    fn from(refused: NotRouted) -> Self {
        let code = match refused {
            NotRouted::NoCredentials => ProblemCode::Forbidden,
            NotRouted::TooMany => ProblemCode::LimitReached,
        };
        Self::new(code, refused.to_string())
    }
}

/// Speak TURN over a WebSocket
///
/// For a device whose network lets no UDP out. Each binary message is one STUN message or the data of one channel, as it would
/// be in a datagram, and is served as one; the credentials are those of `/api/v1/ice`, which has to be asked before. A stream
/// on which nothing is lent ends after half a minute, and each ends with the sign-in.
#[utoipa::path(
    get, path = "/api/v1/turn", tag = "calls", security(("bearer" = [])),
    responses((status = 101, description = "TURN from here on"), Refusals)
)]
pub(super) async fn route(
    State(api): State<Api>,
    Who(who): Who,
    Peer(peer): Peer,
    Extension(trace): Extension<Trace>,
    mut request: Request,
) -> Result<Response, Problem> {
    let upgrade = websocket::asked(&mut request).await?;
    let serve = api.signaling.route_turn(who)?;
    Ok(websocket::serve_with(upgrade, TURN_MESSAGE_BYTES_MAX, (peer, trace.0), request, serve))
}
