//! How the program can end: exit codes, and one clear sentence with what to do next.

use serde_json::json;
use sotto_e2ee::store::StoreError;
use sotto_node::http::HttpError;
use sotto_node::node::{SessionError, SetupError, Status};
use sotto_node::profile::ProfileError;
use sotto_node::secret::SecretError;
use sotto_node::store::OpenError;
use sotto_node_core::client;
use sotto_node_core::event::{Failure, FailureCode};
use sotto_protocol::error::{Blame, ErrorCode};
use std::process::ExitCode;

/// The exit codes. They are frozen; `docs/cli.md` and `--help` explain them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Internal = 1,
    Usage = 2,
    SignedOut = 3,
    Unreachable = 4,
    Refused = 5,
    NotFound = 6,
    WrongFingerprint = 7,
    Store = 8,
    Version = 9,
    Identity = 10,
    Call = 11,
}

impl Exit {
    /// Every code but 0.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::Internal,
        Self::Usage,
        Self::SignedOut,
        Self::Unreachable,
        Self::Refused,
        Self::NotFound,
        Self::WrongFingerprint,
        Self::Store,
        Self::Version,
        Self::Identity,
        Self::Call,
    ];

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    /// For programs.
    pub(crate) code: String,
    /// For people.
    pub(crate) sentence: String,
}

impl Failed {
    pub(crate) fn new(exit: Exit, code: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { exit, code: code.into(), sentence: sentence.into() }
    }

    pub(crate) fn internal(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "internal", sentence)
    }

    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", sentence)
    }

    /// Says it on standard error and gives the code to the shell.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        use std::io::Write as _;
        let mut err = std::io::stderr().lock();
        // With nobody to read it there is nothing else to do.
        let _ = if json {
            let line = json!({ "type": "error", "exit": self.exit.number(), "code": self.code, "error": self.sentence });
            writeln!(err, "{line}")
        } else {
            writeln!(err, "sotto: {}", self.sentence)
        };
        ExitCode::from(self.exit.number())
    }
}

/// Help and version are no failures; wrong usage is code 2.
pub(crate) fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if json {
        // The first paragraph says what is wrong; the rest teaches people.
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let words = first.split_whitespace().collect::<Vec<_>>().join(" ");
        return Failed::usage(words.strip_prefix("error: ").unwrap_or(&words)).report(true);
    }
    let _ = error.print();
    ExitCode::from(Exit::Usage.number())
}

impl From<ProfileError> for Failed {
    fn from(error: ProfileError) -> Self {
        let (exit, code) = match &error {
            ProfileError::BadName(_) | ProfileError::NoHome => (Exit::Usage, "bad_profile"),
            ProfileError::InUse { .. } => (Exit::Store, "profile_in_use"),
            _ => (Exit::Store, "profile_unusable"),
        };
        Self::new(exit, code, error.to_string())
    }
}

impl From<SecretError> for Failed {
    fn from(error: SecretError) -> Self {
        let (exit, code) = match &error {
            SecretError::Missing => (Exit::SignedOut, "no_account"),
            SecretError::PassphraseNeeded | SecretError::Passphrase(_) => (Exit::Store, "passphrase_needed"),
            SecretError::KeyFile { .. } => (Exit::Store, "key_file_damaged"),
            _ => (Exit::Store, "keyring"),
        };
        Self::new(exit, code, error.to_string())
    }
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        let (exit, code) = match error {
            OpenError::Profile(error) => return error.into(),
            OpenError::Missing => (Exit::SignedOut, "no_account"),
            OpenError::WrongKey => (Exit::Store, "wrong_passphrase"),
            OpenError::NewerFormat { .. } => (Exit::Version, "store_newer"),
            OpenError::Damaged { .. } => (Exit::Store, "store_damaged"),
            _ => (Exit::Store, "store_failed"),
        };
        Self::new(exit, code, error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Damaged(_) => "store_damaged",
            StoreError::Full => "store_full",
            _ => "store_failed",
        };
        Self::new(Exit::Store, code, error.to_string())
    }
}

impl From<client::OpenError> for Failed {
    fn from(error: client::OpenError) -> Self {
        match error {
            client::OpenError::Store(error) => error.into(),
            client::OpenError::Empty => Self::new(
                Exit::SignedOut,
                "not_set_up",
                "the registration on this device was interrupted; finish it with `sotto login`",
            ),
            client::OpenError::Newer(_) => Self::new(Exit::Version, "store_newer", error.to_string()),
            _ => Self::new(Exit::Store, "store_failed", error.to_string()),
        }
    }
}

impl From<SessionError> for Failed {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::Damaged(_) => Self::new(Exit::Store, "store_damaged", error.to_string()),
            SessionError::Link(_) => Self::usage(error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<SetupError> for Failed {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Http(error) => error.into(),
            SetupError::Session(error) => error.into(),
            SetupError::Store(error) => error.into(),
            SetupError::Client(error) => error.into(),
            SetupError::NeedsRecovery => Self::new(Exit::SignedOut, "needs_recovery", error.to_string()),
            SetupError::NoVault => Self::new(Exit::NotFound, "no_vault", error.to_string()),
            SetupError::Words(_) => Self::new(Exit::SignedOut, "wrong_words", error.to_string()),
            SetupError::OtherAccount(_) => Self::new(Exit::Usage, "other_account", error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        let sentence = error.to_string();
        match error {
            HttpError::Unreachable { .. } => Self::new(
                Exit::Unreachable,
                "unreachable",
                format!("{sentence}; is the relay running, and is this its address?"),
            ),
            HttpError::WrongFingerprint(_) => {
                Self::new(Exit::WrongFingerprint, "wrong_fingerprint", sentence)
            }
            HttpError::Untrusted(_) => Self::new(Exit::WrongFingerprint, "untrusted_certificate", sentence),
            HttpError::Malformed(_) => Self::new(Exit::Version, "malformed_answer", sentence),
            HttpError::Refused(problem) => {
                let exit = match problem.status {
                    401 => Exit::SignedOut,
                    404 => Exit::NotFound,
                    503 => Exit::Unreachable,
                    _ => Exit::Refused,
                };
                let again = problem
                    .retry_after
                    .map_or_else(String::new, |wait| format!("; try again in {} s", wait.as_secs()));
                Self::new(exit, problem.code, format!("{}{again}", problem.detail))
            }
            _ => Self::internal(sentence),
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code {
            FailureCode::Offline | FailureCode::TimedOut => Exit::Unreachable,
            FailureCode::Relay(code) => of_relay(code),
            FailureCode::RelayUnknown(_) => Exit::Refused,
            FailureCode::UnknownAccount | FailureCode::UnknownConversation => Exit::NotFound,
            FailureCode::NotMember | FailureCode::NoDevice | FailureCode::NotAllowed => Exit::Refused,
            FailureCode::TooLarge | FailureCode::Invalid | FailureCode::Busy | FailureCode::GroupCallFull => {
                Exit::Usage
            }
            FailureCode::Identity => Exit::Identity,
            FailureCode::Store => Exit::Store,
            _ => Exit::Internal,
        };
        let sentence = sotto_node_core::format::harmless_line(&failure.text);
        Self::new(exit, failure.code.name(), sentence)
    }
}

fn of_relay(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::VersionTooOld | ErrorCode::Unsupported => Exit::Version,
        ErrorCode::TokenRefused => Exit::SignedOut,
        ErrorCode::NotFound => Exit::NotFound,
        ErrorCode::Unavailable => Exit::Unreachable,
        other if other.blame() == Blame::Sender => Exit::Internal,
        _ => Exit::Refused,
    }
}

/// Why there is no connection, if there is none.
pub(crate) fn of_status(status: &Status) -> Option<Failed> {
    Some(match status {
        Status::Ready(_) | Status::Synchronised(_) => return None,
        Status::Offline | Status::Connecting => {
            Failed::new(Exit::Unreachable, "unreachable", "the relay has not answered in time")
        }
        Status::Unreachable(why) => Failed::new(Exit::Unreachable, "unreachable", why.clone()),
        Status::SignedOut(why) => Failed::new(Exit::SignedOut, "signed_out", why.clone()),
        Status::WrongFingerprint(wrong) => {
            Failed::new(Exit::WrongFingerprint, "wrong_fingerprint", wrong.to_string())
        }
        Status::Refused(failure) => failure.clone().into(),
        Status::Ended(why) => Failed::new(Exit::Store, "store_failed", why.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_numbers() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| exit.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn each_code_of_the_relay_has_an_exit_code() {
        for (code, exit) in [
            (ErrorCode::Forbidden, Exit::Refused),
            (ErrorCode::NotMember, Exit::Refused),
            (ErrorCode::QuotaExceeded, Exit::Refused),
            (ErrorCode::StorageFull, Exit::Refused),
            (ErrorCode::NotFound, Exit::NotFound),
            (ErrorCode::VersionTooOld, Exit::Version),
            (ErrorCode::TokenRefused, Exit::SignedOut),
            (ErrorCode::Malformed, Exit::Internal),
        ] {
            assert_eq!(of_relay(code), exit, "{code:?}");
        }
    }

    #[test]
    fn a_sentence_of_the_relay_cannot_command_the_terminal() {
        let failure = Failure::new(FailureCode::Relay(ErrorCode::Forbidden), "no\u{1b}[2J");
        assert_eq!(Failed::from(failure).sentence, "no\u{fffd}[2J");
    }
}
