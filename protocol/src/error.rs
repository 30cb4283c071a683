//! Wire errors: a stable code, a sentence, and who is to blame.

use crate::body::Extensions;
use crate::limits::ERROR_TEXT_BYTES_MAX;
use bincode::{Decode, Encode};

/// What went wrong. The number is frozen; new codes are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum ErrorCode {
    /// The frame does not decode.
    Malformed = 1,
    /// A frame, a list or a field is over its limit.
    TooLarge = 2,
    /// The kind of request is not known here.
    Unsupported = 3,
    /// No version in common; the text says which ones are spoken.
    VersionTooOld = 4,
    /// A frame came where the state of the connection does not allow it.
    Unexpected = 5,
    /// The token is expired, forged or revoked.
    TokenRefused = 10,
    /// The device is unknown to the account, was removed, or its signature does not verify.
    DeviceRefused = 11,
    /// The signed-in account may not do this.
    Forbidden = 12,
    /// The account is not a member of the conversation (or it does not exist: the two are not told apart).
    NotMember = 13,
    /// No such account, device or entry, for somebody who may know.
    NotFound = 20,
    /// The name, id or direct conversation is taken; `context` names the existing conversation where there is one.
    Taken = 21,
    /// The envelope was encrypted for an epoch that has ended; `context` holds the current epoch.
    Stale = 30,
    /// Another commit of this epoch was accepted first; `context` holds the current epoch.
    EpochMoved = 31,
    /// The commit does not verify against the conversation's public state.
    CommitInvalid = 32,
    /// A message number was skipped; `context` holds the number that is due.
    NumberGap = 33,
    /// Too many requests; `retry_after_ms` says when to come back.
    RateLimited = 40,
    /// The quota of the conversation or account is used up.
    QuotaExceeded = 41,
    /// The relay's disk is full: it takes nothing new and still serves what it has.
    StorageFull = 50,
    /// The relay is draining or starting; come back after `retry_after_ms`.
    Unavailable = 51,
    /// The relay failed in a way that is its own fault. The log has it under the trace id in the text.
    Internal = 52,
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The sender's program is wrong or too old: sending the same again fails again.
    Sender,
    /// The person or the account: another password, more rights, another name.
    Account,
    /// Nobody: a race was lost, and the client redoes its change by itself.
    Race,
    /// The relay or its operator: try again later.
    Relay,
}

impl ErrorCode {
    /// Every code, in the order of their numbers; for tables in tests and documents.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Unsupported,
        Self::VersionTooOld,
        Self::Unexpected,
        Self::TokenRefused,
        Self::DeviceRefused,
        Self::Forbidden,
        Self::NotMember,
        Self::NotFound,
        Self::Taken,
        Self::Stale,
        Self::EpochMoved,
        Self::CommitInvalid,
        Self::NumberGap,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::StorageFull,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number, if this version knows it.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Malformed | Self::TooLarge | Self::Unsupported | Self::VersionTooOld | Self::Unexpected => {
                Blame::Sender
            }
            Self::CommitInvalid => Blame::Sender,
            Self::TokenRefused
            | Self::DeviceRefused
            | Self::Forbidden
            | Self::NotMember
            | Self::NotFound
            | Self::Taken
            | Self::QuotaExceeded => Blame::Account,
            Self::Stale | Self::EpochMoved | Self::NumberGap => Blame::Race,
            Self::RateLimited | Self::StorageFull | Self::Unavailable | Self::Internal => Blame::Relay,
        }
    }
}

/// The body of an error answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct WireError {
    /// See [`ErrorCode`]; a number that this version does not know is kept as it is.
    pub code: u16,
    /// One sentence for people, at most [`ERROR_TEXT_BYTES_MAX`].
    pub text: String,
    /// When it makes sense to try again, in milliseconds; 0 where it does not.
    pub retry_after_ms: u32,
    /// A number that the code gives a meaning to: the current epoch, the message number that is due; else 0.
    pub context: u64,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

impl WireError {
    /// An error with a sentence and nothing else. A sentence over its limit is cut: a receiver would refuse it whole.
    #[must_use]
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        Self { code: code.number(), text, retry_after_ms: 0, context: 0, extensions: Extensions::default() }
    }

    /// The same with its number of context.
    #[must_use]
    pub const fn with_context(mut self, context: u64) -> Self {
        self.context = context;
        self
    }

    /// The same with a time to come back, in milliseconds.
    #[must_use]
    pub const fn with_retry_after_ms(mut self, retry_after_ms: u32) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    /// The code, if this version knows it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        ErrorCode::from_number(self.code)
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code() {
            Some(code) => write!(f, "{} ({code:?})", self.text),
            None => write!(f, "{} (code {})", self.text, self.code),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-050.
    #[test]
    fn every_code_is_found_by_its_number() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ErrorCode::from_number(0), None);
    }
}
