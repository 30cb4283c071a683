//! What happens around every request: a trace id, a rate, a time limit, a log line, and problems as JSON.

use super::extract::peer_address;
use crate::problem::{Problem, ProblemBody, ProblemCode};
use crate::service::Signaling;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use rand::Rng;
use std::time::Instant;
use tracing::Instrument;

/// Names a request in the log, in its problem, and in the header `x-trace-id` of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Trace(pub(crate) String);

impl Trace {
    fn draw() -> Self {
        let mut bytes = [0; 8];
        rand::rng().fill_bytes(&mut bytes);
        Self(HEXLOWER.encode(&bytes))
    }
}

const TRACE_HEADER: HeaderName = HeaderName::from_static("x-trace-id");
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// A problem leaves its handler as an extension; `observe` writes it out, with the trace id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Wraps every request.
pub(crate) async fn observe(
    State(signaling): State<Signaling>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let trace = Trace::draw();
    let config = signaling.config();
    let peer = peer_address(request.extensions(), request.headers(), config.trusted_proxies);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(trace.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "http", trace = %trace.0, %method, path = %request.uri().path(), account = tracing::field::Empty
    );
    // A chunk of a file is a long request, one of very many.
    let is_chunk = super::blobs::is_chunk(request.extensions());
    let limit = if is_chunk { config.chunk_timeout } else { config.request_timeout };
    let counted =
        if is_chunk { signaling.count_chunk(peer.0.ip()) } else { signaling.count_request(peer.0.ip()) };
    let answer = async {
        match counted {
            Err(problem) => problem.into_response(),
            Ok(()) => tokio::time::timeout(limit, next.run(request))
                .await
                .unwrap_or_else(|_| Problem::unavailable("the relay took too long", 2).into_response()),
        }
    };
    let mut response = answer.instrument(span.clone()).await;
    write_problem(&mut response, &trace);
    write_headers(&mut response, &trace);
    let (status, took) = (response.status(), started.elapsed());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), took_us = took.as_micros(), "answered"));
    let labels = [("route", route), ("method", method.to_string()), ("status", status.as_str().to_owned())];
    metrics::counter!("sotto_http_requests_total", &labels).increment(1);
    metrics::histogram!("sotto_http_request_seconds").record(took.as_secs_f64());
    response
}

/// The whole answer to a request that whoever mounts the router refuses before it comes here.
#[must_use]
pub fn refuse(problem: &Problem) -> Response {
    let trace = Trace::draw();
    let mut response = problem.clone().into_response();
    write_problem(&mut response, &trace);
    write_headers(&mut response, &trace);
    response
}

/// Writes the JSON of a problem, also of one that a library answered in its own words.
fn write_problem(response: &mut Response, trace: &Trace) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| foreign(status));
    let body = serde_json::to_vec(&ProblemBody::new(&problem, &trace.0))
        .expect("texts and numbers serialise, and memory does not fail");
    *response.body_mut() = Body::from(body);
    *response.status_mut() = problem.code.status();
    let headers = response.headers_mut();
    headers.remove(http::header::CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if problem.code == ProblemCode::TokenRefused {
        // RFC 6750 section 3.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
}

/// A refusal that did not come from us.
fn foreign(status: StatusCode) -> Problem {
    let code = match status {
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => ProblemCode::InvalidField,
        other if other.is_client_error() => ProblemCode::Malformed,
        _ => ProblemCode::Internal,
    };
    Problem::new(code, code.title())
}

fn write_headers(response: &mut Response, trace: &Trace) {
    let headers = response.headers_mut();
    if let Ok(value) = trace.0.parse() {
        headers.insert(TRACE_HEADER, value);
    }
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    // Answers hold tokens and names; only pages say otherwise.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
