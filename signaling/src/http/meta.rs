//! The relay itself: alive, ready, its keys, its document, its page.

use super::Api;
use super::answers::StatusJson;
use super::document::Refusals;
use crate::hooks::Readiness;
use crate::problem::Problem;
use crate::tokens::Jwks;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Is the process alive
#[utoipa::path(
    get, path = "/api/v1/health", tag = "relay",
    responses((status = 200, description = "It is", body = StatusJson), Refusals)
)]
pub(super) async fn health() -> Json<StatusJson> {
    Json(StatusJson { status: "ok", version: VERSION })
}

/// Does the relay take requests
#[utoipa::path(
    get, path = "/api/v1/ready", tag = "relay",
    responses((status = 200, description = "It does", body = StatusJson), Refusals)
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<Json<StatusJson>, Problem> {
    match api.signaling.readiness() {
        Readiness::Ready => Ok(Json(StatusJson { status: "ready", version: VERSION })),
        Readiness::NotReady(why) => Err(Problem::unavailable(why, 5)),
    }
}

/// The public keys of access tokens
///
/// Another service verifies tokens with them, and cannot make any.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "relay",
    responses((status = 200, description = "A JWK set (RFC 7517)", body = Jwks), Refusals)
)]
pub(super) async fn jwks(State(api): State<Api>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "public, max-age=300")], Json(api.signaling.jwks()))
}

/// This document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "relay",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"), Refusals)
)]
pub(super) async fn openapi(State(api): State<Api>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], api.document)
}

/// A page to read this document and try it out
#[utoipa::path(
    get, path = "/api/docs", tag = "relay",
    responses((status = 200, description = "HTML that needs no network", content_type = "text/html"), Refusals)
)]
pub(super) async fn docs() -> Response {
    page("text/html; charset=utf-8", include_str!("../docs/index.html"))
}

/// The script of the page
#[utoipa::path(
    get, path = "/api/docs/docs.js", tag = "relay",
    responses((status = 200, description = "JavaScript", content_type = "text/javascript"), Refusals)
)]
pub(super) async fn docs_script() -> Response {
    page("text/javascript; charset=utf-8", include_str!("../docs/docs.js"))
}

/// The style of the page
#[utoipa::path(
    get, path = "/api/docs/docs.css", tag = "relay",
    responses((status = 200, description = "CSS", content_type = "text/css"), Refusals)
)]
pub(super) async fn docs_style() -> Response {
    page("text/css; charset=utf-8", include_str!("../docs/docs.css"))
}

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn page(kind: &'static str, text: &'static str) -> Response {
    let headers =
        [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "public, max-age=300")];
    (headers, text).into_response()
}
