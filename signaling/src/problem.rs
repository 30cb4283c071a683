//! What went wrong, for the HTTP API as `application/problem+json` (RFC 9457) and for frames as a wire error.
//!
//! Every refusal has a code that programs match on and a sentence for people. The table of codes is
//! [`ProblemCode`]; it only grows.

use crate::store::StoreError;
use http::StatusCode;
use serde::Serialize;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_signaling_core::rate::TooOften;
use utoipa::ToSchema;

/// What went wrong, for programs. The name in the JSON is the snake case of the variant; it is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request is not HTTP or JSON as it should be.
    Malformed,
    /// A field is missing, of the wrong type, or not allowed; `field` names it.
    InvalidField,
    /// The body is over the limit of this operation.
    TooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// There is no such thing here, for somebody who may know.
    NotFound,
    /// The `Host` names somebody else.
    Misdirected,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// Wrong name, address or password: which one is not told.
    CredentialsRefused,
    /// The token is missing, expired, forged or revoked: refresh it, or sign in again.
    TokenRefused,
    /// The signed-in account may not do this.
    Forbidden,
    /// The user name or device id is in use.
    Taken,
    /// The relay takes no new accounts.
    RegistrationClosed,
    /// The relay takes new accounts by invite only.
    InviteRequired,
    /// The invite is unknown, used up or expired.
    InviteRefused,
    /// The device's certificate or key package does not count for this account.
    DeviceRefused,
    /// A limit of the account is reached (devices, invites, key packages).
    LimitReached,
    /// Somebody else changed it since you read it; `current` holds the version that is there.
    Conflict,
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited,
    /// The relay's disk is full: it takes nothing new and still serves what it has.
    StorageFull,
    /// The relay is starting, draining or overloaded: come back after `Retry-After`.
    Unavailable,
    /// The relay failed in a way that is its own fault; its log has it under `trace`.
    Internal,
}

impl ProblemCode {
    /// Every code, for tables in tests and documents.
    pub const ALL: [Self; 21] = [
        Self::Malformed,
        Self::InvalidField,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::NotFound,
        Self::Misdirected,
        Self::MethodNotAllowed,
        Self::CredentialsRefused,
        Self::TokenRefused,
        Self::Forbidden,
        Self::Taken,
        Self::RegistrationClosed,
        Self::InviteRequired,
        Self::InviteRefused,
        Self::DeviceRefused,
        Self::LimitReached,
        Self::Conflict,
        Self::RateLimited,
        Self::StorageFull,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it stands in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidField => "invalid_field",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::Misdirected => "misdirected",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::CredentialsRefused => "credentials_refused",
            Self::TokenRefused => "token_refused",
            Self::Forbidden => "forbidden",
            Self::Taken => "taken",
            Self::RegistrationClosed => "registration_closed",
            Self::InviteRequired => "invite_required",
            Self::InviteRefused => "invite_refused",
            Self::DeviceRefused => "device_refused",
            Self::LimitReached => "limit_reached",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// One short phrase that is the same each time.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is malformed",
            Self::InvalidField => "A field is not valid",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedMediaType => "The body is not JSON",
            Self::NotFound => "Not found",
            Self::Misdirected => "This is another host",
            Self::MethodNotAllowed => "This method is not allowed here",
            Self::CredentialsRefused => "Wrong name or password",
            Self::TokenRefused => "Sign in first",
            Self::Forbidden => "Not allowed",
            Self::Taken => "Already taken",
            Self::RegistrationClosed => "Registration is closed",
            Self::InviteRequired => "An invite is needed",
            Self::InviteRefused => "The invite does not count",
            Self::DeviceRefused => "The device is refused",
            Self::LimitReached => "A limit is reached",
            Self::Conflict => "Changed by somebody else",
            Self::RateLimited => "Too many requests",
            Self::StorageFull => "The relay's disk is full",
            Self::Unavailable => "The relay is not available",
            Self::Internal => "The relay failed",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::InvalidField | Self::DeviceRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::CredentialsRefused | Self::TokenRefused => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::RegistrationClosed | Self::InviteRequired | Self::InviteRefused => {
                StatusCode::FORBIDDEN
            }
            Self::Taken | Self::LimitReached | Self::Conflict => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The nearest code of the wire.
    #[must_use]
    pub const fn wire(self) -> ErrorCode {
        match self {
            Self::Malformed | Self::InvalidField | Self::UnsupportedMediaType => ErrorCode::Malformed,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::NotFound => ErrorCode::NotFound,
            Self::Misdirected => ErrorCode::Forbidden,
            Self::MethodNotAllowed => ErrorCode::Unsupported,
            Self::CredentialsRefused | Self::TokenRefused => ErrorCode::TokenRefused,
            Self::Forbidden | Self::RegistrationClosed | Self::InviteRequired | Self::InviteRefused => {
                ErrorCode::Forbidden
            }
            Self::Taken | Self::Conflict => ErrorCode::Taken,
            Self::DeviceRefused => ErrorCode::DeviceRefused,
            Self::LimitReached => ErrorCode::QuotaExceeded,
            Self::RateLimited => ErrorCode::RateLimited,
            Self::StorageFull => ErrorCode::StorageFull,
            Self::Unavailable => ErrorCode::Unavailable,
            Self::Internal => ErrorCode::Internal,
        }
    }
}

/// A refusal on its way to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// For programs.
    pub code: ProblemCode,
    /// For people: one sentence about this very case.
    pub detail: String,
    /// The field of the body that is to blame.
    pub field: Option<String>,
    /// When to come back, in seconds.
    pub retry_after: Option<u64>,
    /// The version that is there, in a conflict.
    pub current: Option<u64>,
}

impl Problem {
    /// A refusal with its sentence.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, retry_after: None, current: None }
    }

    /// A field that is not valid.
    #[must_use]
    pub fn field(name: impl Into<String>, detail: impl ToString) -> Self {
        Self { field: Some(name.into()), ..Self::new(ProblemCode::InvalidField, detail.to_string()) }
    }

    /// The one answer to every sign-in that fails: it tells neither what was wrong nor whether the account exists.
    #[must_use]
    pub fn credentials() -> Self {
        Self::new(ProblemCode::CredentialsRefused, "the name and password do not match")
    }

    /// Come back in a few seconds.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ProblemCode::Unavailable, detail) }
    }

    /// The same refusal for a frame.
    #[must_use]
    pub fn to_wire(&self) -> WireError {
        let wait_ms = self.retry_after.map_or(0, |seconds| seconds.saturating_mul(1_000));
        WireError::new(self.code.wire(), self.detail.clone())
            .with_context(self.current.unwrap_or(0))
            .with_retry_after_ms(u32::try_from(wait_ms).unwrap_or(u32::MAX))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(
                ProblemCode::StorageFull,
                "the relay's disk is full: it takes nothing new and still serves what it has",
            ),
            StoreError::Closed => Self::unavailable("the relay is closing", 5),
            StoreError::Damaged(_) | StoreError::Failed(_) => {
                // What exactly failed is the operator's business, not the caller's.
                tracing::error!(%error, "the store failed");
                Self::new(
                    ProblemCode::Internal,
                    "the relay failed; its operator finds why under the trace id",
                )
            }
        }
    }
}

impl From<TooOften> for Problem {
    fn from(too_often: TooOften) -> Self {
        let retry_after = Some(too_often.seconds());
        Self { retry_after, ..Self::new(ProblemCode::RateLimited, too_often.to_string()) }
    }
}

/// What a refusal looks like in JSON (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Where the code is explained, relative to the relay.
    #[serde(rename = "type")]
    #[schema(example = "/api/docs#problem-taken")]
    pub kind: String,
    /// The same for each code.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// One sentence about this very case.
    pub detail: String,
    /// What programs match on.
    pub code: ProblemCode,
    /// The field of the body that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When to come back, in seconds; the same as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// In a conflict, the version that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// Names this request in the relay's log.
    pub trace: String,
}

impl ProblemBody {
    /// The JSON of a refusal.
    #[must_use]
    pub fn new(problem: &Problem, trace: &str) -> Self {
        let code = problem.code;
        Self {
            kind: format!("/api/docs#problem-{}", code.name()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: problem.detail.clone(),
            code,
            field: problem.field.clone(),
            retry_after: problem.retry_after,
            current: problem.current,
            trace: trace.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_each_code_is_what_its_json_says() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("a string"), code.name());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn a_refusal_keeps_its_sentence_and_waiting_time_on_the_wire() {
        let problem = Problem::unavailable("the relay is closing", 5);
        let wire = problem.to_wire();
        assert_eq!(wire.code(), Some(ErrorCode::Unavailable));
        assert_eq!(wire.retry_after_ms, 5_000);
        assert_eq!(wire.text, "the relay is closing");
    }

    #[test]
    fn what_a_store_says_of_itself_does_not_reach_the_caller() {
        let problem = Problem::from(StoreError::Failed("/var/lib/secret: input/output error".to_owned()));
        assert_eq!(problem.code, ProblemCode::Internal);
        assert!(!problem.detail.contains("/var"));
    }
}
