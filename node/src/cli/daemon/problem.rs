//! How the daemon says no: `application/problem+json` (RFC 9457) over HTTP, `{"type":"error"}` on a WebSocket.
//!
//! Codes and sentences are those of the command line, so that one table explains both.

use super::super::exit::{Exit, Failed};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sotto_node_core::event::Failure;

/// When to come back while the relay is away: about what the next attempt to connect takes.
const RETRY_AFTER_SECONDS: u64 = 5;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: String,
    sentence: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { status, code: code.into(), sentence: sentence.into() }
    }

    /// The request itself is to blame.
    pub(super) fn invalid(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", sentence)
    }

    /// On a WebSocket, with what the program called its request.
    pub(super) fn event(&self, reference: Option<&Value>) -> Value {
        let mut object = json!({ "type": "error", "code": self.code, "error": self.sentence });
        if let (Some(object), Some(reference)) = (object.as_object_mut(), reference) {
            object.insert("ref".to_owned(), reference.clone());
        }
        object
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:sotto:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Refused"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.sentence,
        });
        let away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(body) = body.as_object_mut().filter(|_| away) {
            body.insert("retry_after".to_owned(), RETRY_AFTER_SECONDS.into());
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if away {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        let status = match failed.exit {
            Exit::Usage => StatusCode::BAD_REQUEST,
            Exit::Refused => StatusCode::FORBIDDEN,
            Exit::NotFound => StatusCode::NOT_FOUND,
            Exit::Identity | Exit::Call => StatusCode::CONFLICT,
            Exit::Unreachable | Exit::SignedOut => StatusCode::SERVICE_UNAVAILABLE,
            Exit::WrongFingerprint | Exit::Version => StatusCode::BAD_GATEWAY,
            Exit::Internal | Exit::Store => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, failed.code, failed.sentence)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Failed::from(failure).into()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let code = match &rejection {
            JsonRejection::MissingJsonContentType(_) => "unsupported_media_type",
            rejection if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            _ => "invalid_request",
        };
        Self::new(rejection.status(), code, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_node_core::event::FailureCode;

    #[test]
    fn a_refusal_has_the_code_and_the_sentence_of_the_command_line() {
        let failure = Failure::new(FailureCode::Offline, "there is no connection to the relay");
        let problem = Problem::from(failure);
        let event = problem.event(Some(&json!("7")));
        assert_eq!(
            event,
            json!({ "type": "error", "code": "offline", "error": "there is no connection to the relay", "ref": "7" })
        );
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get("retry-after").expect("there"), "5");
        assert_eq!(response.headers().get("content-type").expect("there"), "application/problem+json");
    }
}
