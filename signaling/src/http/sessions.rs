//! `/api/v1/sessions`: where an account is signed in.

use super::Api;
use super::answers::{SessionJson, SessionsJson};
use super::document::Refusals;
use super::extract::{PathId, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sotto_protocol::ids::SessionId;

/// List where you are signed in
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", security(("bearer" = [])),
    responses((status = 200, description = "The oldest first", body = SessionsJson), Refusals)
)]
pub(super) async fn list(State(api): State<Api>, Who(who): Who) -> Result<Json<SessionsJson>, Problem> {
    let sessions = api.signaling.sessions(who).await?;
    let sessions = sessions.iter().map(|session| SessionJson::new(session, session.id == who.session));
    Ok(Json(SessionsJson { sessions: sessions.collect() }))
}

/// End a session
///
/// Its tokens count no more and its connections are closed.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions", security(("bearer" = [])),
    params(("id" = String, Path, description = "The session")),
    responses((status = 204, description = "Ended"), Refusals)
)]
pub(super) async fn end(
    State(api): State<Api>,
    Who(who): Who,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    api.signaling.end_session(who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
