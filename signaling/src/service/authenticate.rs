//! Whose token is this? For HTTP requests and for the relay's connections alike.

use super::Signaling;
use crate::problem::{Problem, ProblemCode};
use crate::store::StoreError;
use crate::tokens::ForgedToken;
use sotto_protocol::ids::{AccountId, DeviceId, SessionId, UnixMillis};
use sotto_signaling_core::account::Role;
use sotto_signaling_core::claims::ClaimsRefused;
use sotto_signaling_core::limits::MS;
use sotto_signaling_core::rights::Denied;

/// Who asks, as a valid token of a live session says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// What the account may do on the relay.
    pub role: Role,
    /// When the token ends. A connection that lives longer sends a fresh one.
    pub expires: UnixMillis,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// We did not sign it.
    #[error(transparent)]
    Forged(#[from] ForgedToken),
    /// It is over, or another relay's.
    #[error(transparent)]
    Claims(#[from] ClaimsRefused),
    /// The operator disabled the account.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Its session was ended.
    #[error("the session of this access token was ended; sign in again")]
    Revoked,
    /// The store cannot say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Store(error) => error.into(),
            AuthenticateError::Forged(_)
            | AuthenticateError::Claims(_)
            | AuthenticateError::Denied(_)
            | AuthenticateError::Revoked => Self::new(ProblemCode::TokenRefused, error.to_string()),
        }
    }
}

impl Signaling {
    /// Verifies an access token and that its session was not ended.
    ///
    /// # Errors
    /// If the token does not count.
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, AuthenticateError> {
        let claims = self.0.keys.verify(token)?;
        claims.check(&self.0.config.issuer, self.now())?;
        let session = self.0.store.session(claims.sid).await?;
        let session = session.filter(|session| session.account == claims.sub);
        let session = session.ok_or(AuthenticateError::Revoked)?;
        // The role of today, not of when the token was signed.
        let account = self.0.store.account(session.account).await?.ok_or(AuthenticateError::Revoked)?;
        account.may_sign_in()?;
        let expires = UnixMillis(claims.exp.saturating_mul(MS));
        Ok(Authenticated { account: account.id, session: session.id, role: account.role, expires })
    }

    /// Counts one request of an account.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count_request_of(&self, account: AccountId) -> Result<(), Problem> {
        Ok(self.0.rates.request_of(account, self.now())?)
    }

    /// Counts one request of an account for a chunk of a file.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count_chunk_of(&self, account: AccountId) -> Result<(), Problem> {
        Ok(self.0.rates.chunk_of(account, self.now())?)
    }

    /// Notes that a session is used by a device, so that removing the device ends it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn bind_session(&self, session: SessionId, device: DeviceId) -> Result<(), Problem> {
        Ok(self.0.store.bind_session(session, device).await?)
    }
}
