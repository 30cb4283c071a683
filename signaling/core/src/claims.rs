//! What an access token says, and when to believe it.
//!
//! The token is a JWT signed with EdDSA; the shell signs and checks signatures, this module judges the claims.
//! Anybody with the relay's public keys (`/.well-known/jwks.json`) can verify a token; nobody can mint one.

use crate::account::Role;
use crate::limits::{ACCESS_TOKEN_SECONDS, MS};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};

/// The claims of an access token (RFC 7519 section 4.1, and two of ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The relay that signed it.
    pub iss: String,
    /// The account.
    pub sub: AccountId,
    /// The session, so that revoking it ends the token too, here.
    pub sid: SessionId,
    /// What the account may do on the relay.
    pub role: Role,
    /// When it was signed, in seconds since 1970.
    pub iat: u64,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
}

/// Why a token with a good signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsRefused {
    /// It ran out.
    #[error("the access token has expired")]
    Expired,
    /// Another relay signed it, with the same key.
    #[error("the access token is another relay's")]
    Issuer,
    /// Signed in the future: the relay's clock went backwards, or the token is forged.
    #[error("the access token is not valid yet")]
    NotYet,
}

/// How far `iat` may lie in the future, for clocks that are set back a little.
const LEEWAY_SECONDS: u64 = 60;

impl Claims {
    /// The claims of a token that is signed now.
    #[must_use]
    pub fn new(issuer: &str, account: AccountId, session: SessionId, role: Role, now: UnixMillis) -> Self {
        let iat = now.0 / MS;
        let exp = iat.saturating_add(ACCESS_TOKEN_SECONDS);
        Self { iss: issuer.to_owned(), sub: account, sid: session, role, iat, exp }
    }

    /// Judges the claims at `now`.
    ///
    /// # Errors
    /// If the token is over, not yet valid, or of another issuer.
    pub fn check(&self, issuer: &str, now: UnixMillis) -> Result<(), ClaimsRefused> {
        let now = now.0 / MS;
        if self.iss != issuer {
            Err(ClaimsRefused::Issuer)
        } else if now >= self.exp {
            Err(ClaimsRefused::Expired)
        } else if self.iat > now.saturating_add(LEEWAY_SECONDS) {
            Err(ClaimsRefused::NotYet)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-042.
    #[test]
    fn a_token_is_believed_for_fifteen_minutes_by_its_own_relay() {
        let start = UnixMillis(1_700_000_000_000);
        let at = |seconds: i64| UnixMillis(start.0.saturating_add_signed(seconds * 1_000));
        let claims = Claims::new("relay", AccountId([1; 16]), SessionId([2; 16]), Role::User, start);
        assert_eq!(claims.check("relay", start), Ok(()));
        assert_eq!(claims.check("relay", at(899)), Ok(()));
        assert_eq!(claims.check("relay", at(900)), Err(ClaimsRefused::Expired));
        assert_eq!(claims.check("other", start), Err(ClaimsRefused::Issuer));
        assert_eq!(claims.check("relay", at(-60)), Ok(()), "a clock that was set back a little");
        assert_eq!(claims.check("relay", at(-61)), Err(ClaimsRefused::NotYet));
    }
}
