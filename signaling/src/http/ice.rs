//! `/api/v1/ice`: ways through NATs.

use super::Api;
use super::answers::IceJson;
use super::document::Refusals;
use super::extract::{Peer, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;

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
