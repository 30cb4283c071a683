//! `/api/v1/invites`: one-time codes.

use super::Api;
use super::answers::{InviteJson, InvitesJson, MadeInviteJson, RedeemedJson};
use super::bodies::{InviteBody, RedeemBody};
use super::document::Refusals;
use super::extract::{Checked, PathId, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sotto_signaling_core::invite::InviteId;

/// Make an invite
///
/// Its code is shown this once. With a conversation it admits to that too.
#[utoipa::path(
    post, path = "/api/v1/invites", tag = "invites", security(("bearer" = [])), request_body = InviteBody,
    responses((status = 201, description = "Made", body = MadeInviteJson), Refusals)
)]
pub(super) async fn make(
    State(api): State<Api>,
    Who(who): Who,
    Checked(wish): Checked<InviteBody>,
) -> Result<(StatusCode, Json<MadeInviteJson>), Problem> {
    let made = api.signaling.make_invite(who, wish).await?;
    Ok((StatusCode::CREATED, Json((&made).into())))
}

/// List your live invites
#[utoipa::path(
    get, path = "/api/v1/invites", tag = "invites", security(("bearer" = [])),
    responses((status = 200, description = "The oldest first, without their codes", body = InvitesJson), Refusals)
)]
pub(super) async fn list(State(api): State<Api>, Who(who): Who) -> Result<Json<InvitesJson>, Problem> {
    let invites = api.signaling.invites(who).await?;
    Ok(Json(InvitesJson { invites: invites.iter().map(InviteJson::from).collect() }))
}

/// Redeem an invite
///
/// Redeeming the same one again answers the same and uses nothing up. A code that is unknown, used up or
/// expired is answered alike.
#[utoipa::path(
    post, path = "/api/v1/invites/redeem", tag = "invites", security(("bearer" = [])),
    request_body = RedeemBody,
    responses((status = 200, description = "Redeemed", body = RedeemedJson), Refusals)
)]
pub(super) async fn redeem(
    State(api): State<Api>,
    Who(who): Who,
    Checked(code): Checked<RedeemBody>,
) -> Result<Json<RedeemedJson>, Problem> {
    let conversation = api.signaling.redeem(who, &code).await?;
    Ok(Json(RedeemedJson { conversation: conversation.map(|id| id.to_string()) }))
}

/// Take an invite back
#[utoipa::path(
    delete, path = "/api/v1/invites/{id}", tag = "invites", security(("bearer" = [])),
    params(("id" = String, Path, description = "The invite's id, not its code")),
    responses((status = 204, description = "Taken back; who redeemed it stays"), Refusals)
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Who(who): Who,
    PathId(id): PathId<InviteId>,
) -> Result<StatusCode, Problem> {
    api.signaling.remove_invite(who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
