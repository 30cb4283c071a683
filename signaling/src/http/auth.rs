//! `/api/v1/auth`: register, sign in, refresh, sign out, who am I; and how much room I use.

use super::Api;
use super::answers::{MeJson, RefreshedJson, SignedInJson, UsageJson};
use super::bodies::{LoginBody, RefreshBody, RegisterBody};
use super::document::Refusals;
use super::extract::{Agent, Checked, Peer, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use http::StatusCode;

/// Register an account and sign it in
///
/// A taken user name is refused as `taken`: names are public. An e-mail address never is, so nobody learns
/// whether it is in use.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "accounts", request_body = RegisterBody,
    responses((status = 201, description = "Registered and signed in", body = SignedInJson), Refusals)
)]
pub(super) async fn register(
    State(api): State<Api>,
    Agent(agent): Agent,
    Peer(peer): Peer,
    Checked(request): Checked<RegisterBody>,
) -> Result<(StatusCode, Json<SignedInJson>), Problem> {
    let signed_in = api.signaling.register(request, agent, peer.ip()).await?;
    Ok((StatusCode::CREATED, Json(signed_in.into())))
}

/// Sign in by e-mail address or user name
///
/// A wrong password and an unknown account are answered alike, after the same work.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "accounts", request_body = LoginBody,
    responses((status = 200, description = "Signed in", body = SignedInJson), Refusals)
)]
pub(super) async fn login(
    State(api): State<Api>,
    Agent(agent): Agent,
    Peer(peer): Peer,
    Checked(request): Checked<LoginBody>,
) -> Result<Json<SignedInJson>, Problem> {
    Ok(Json(api.signaling.login(request, agent, peer.ip()).await?.into()))
}

/// Spend a refresh token for new tokens
///
/// Each refresh token is good once. When a spent one is shown again, its session ends. A client whose answer
/// was lost may repeat the request for a minute.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = RefreshBody,
    responses((status = 200, description = "New tokens", body = RefreshedJson), Refusals)
)]
pub(super) async fn refresh(
    State(api): State<Api>,
    Checked(shown): Checked<RefreshBody>,
) -> Result<Json<RefreshedJson>, Problem> {
    let tokens = api.signaling.refresh(&shown).await?;
    Ok(Json(RefreshedJson { tokens: tokens.into() }))
}

/// End the session that asks
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "accounts", security(("bearer" = [])),
    responses((status = 204, description = "Signed out; its connections are closed"), Refusals)
)]
pub(super) async fn logout(State(api): State<Api>, Who(who): Who) -> Result<StatusCode, Problem> {
    api.signaling.end_session(who, who.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who am I
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "The account of the token", body = MeJson), Refusals)
)]
pub(super) async fn me(State(api): State<Api>, Who(who): Who) -> Result<Json<MeJson>, Problem> {
    let account = api.signaling.me(who).await?;
    Ok(Json(MeJson { user: (&account).into() }))
}

/// How much room do I use on the relay
///
/// What is over the limit is refused as `QuotaExceeded`, in whatever conversation it is sent; what is there can be read.
#[utoipa::path(
    get, path = "/api/v1/account/usage", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "Bytes of all that the account wrote and that is kept", body = UsageJson), Refusals)
)]
pub(super) async fn usage(State(api): State<Api>, Who(who): Who) -> Result<Json<UsageJson>, Problem> {
    Ok(Json(api.signaling.usage(who).await?.into()))
}
