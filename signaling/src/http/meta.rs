//! The relay itself: alive, ready, its keys, its document, its page.

use super::Api;
use super::answers::{AboutJson, StatusJson};
use super::document::Refusals;
use crate::hooks::Readiness;
use crate::problem::{Problem, ProblemCode};
use crate::tokens::Jwks;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

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

/// What a client has to know before anybody signs in
#[utoipa::path(
    get, path = "/api/v1/about", tag = "relay",
    responses((status = 200, description = "How to register, and how browsers connect", body = AboutJson), Refusals)
)]
pub(super) async fn about(State(api): State<Api>) -> Json<AboutJson> {
    Json(AboutJson {
        version: VERSION,
        registration: api.signaling.config().registration.policy,
        webtransport: api.signaling.webtransport().map(Into::into),
    })
}

/// Take a browser's report of what a page's policy forbade
///
/// It is counted (`sotto_csp_reports_total`) and not kept: it may say what somebody reads.
#[utoipa::path(
    post, path = "/api/v1/csp-reports", tag = "relay",
    request_body(content = serde_json::Value, content_type = "application/csp-report"),
    responses((status = 204, description = "Counted"), Refusals)
)]
pub(super) async fn csp_reports(body: Body) -> Result<StatusCode, Problem> {
    Limited::new(body, REPORT_BYTES_MAX).collect().await.map_err(|error| {
        let limit = format!("a report has at most {REPORT_BYTES_MAX} bytes");
        let too_large = error.is::<LengthLimitError>();
        let cut = || Problem::new(ProblemCode::Malformed, "the report ended early");
        if too_large { Problem::new(ProblemCode::TooLarge, limit) } else { cut() }
    })?;
    metrics::counter!("sotto_csp_reports_total").increment(1);
    Ok(StatusCode::NO_CONTENT)
}

/// A report names an address, a rule and the rule's policy.
const REPORT_BYTES_MAX: usize = 16 * 1024;

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
