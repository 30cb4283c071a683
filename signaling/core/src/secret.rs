//! Random secrets that are handed out once and stored only as SHA-256: refresh tokens and invite codes.
//!
//! They are drawn with at least 120 bits, so a plain hash is enough: there is no dictionary to try.

use bincode::{Decode, Encode};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use sotto_protocol::ids::SessionId;
use sotto_protocol::invite::InviteCode;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// What is stored of a secret.
#[derive(Clone, Copy, Encode, Decode)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    fn of(label: &[u8], secret: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(label).chain_update(secret).finalize().into())
    }

    /// The hash of an invite code.
    #[must_use]
    pub fn of_code(code: &InviteCode) -> Self {
        Self::of(b"sotto invite code v1", code.as_str().as_bytes())
    }
}

/// Compared in constant time, whoever compares.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl Eq for SecretHash {}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A refresh token: which session, the secret of its whole family, and the secret of this one token.
///
/// The family's secret tells a spent token of this family from bytes that somebody made up around a known
/// session id: only the former revokes the family.
pub struct RefreshToken {
    session: SessionId,
    family: [u8; 16],
    token: [u8; 32],
}

/// The text is not a refresh token at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a refresh token")]
pub struct NotARefreshToken;

const REFRESH_BYTES: usize = 16 + 16 + 32;

/// Characters of a refresh token: 64 bytes in base64url without padding.
pub const REFRESH_TOKEN_CHARS: usize = (REFRESH_BYTES * 4).div_ceil(3);

impl RefreshToken {
    /// The first token of a new family.
    #[must_use]
    pub fn first(session: SessionId, rng: &mut impl CryptoRng) -> Self {
        let mut family = [0; 16];
        rng.fill_bytes(&mut family);
        let mut fresh = Self { session, family, token: [0; 32] };
        rng.fill_bytes(&mut fresh.token);
        fresh
    }

    /// The next token of the same family.
    #[must_use]
    pub fn next(&self, rng: &mut impl CryptoRng) -> Self {
        let mut fresh = Self { session: self.session, family: self.family, token: [0; 32] };
        rng.fill_bytes(&mut fresh.token);
        fresh
    }

    /// Reads what a client presents.
    ///
    /// # Errors
    /// If it has another shape; nothing is looked up then.
    pub fn parse(text: &str) -> Result<Self, NotARefreshToken> {
        if text.len() != REFRESH_TOKEN_CHARS {
            return Err(NotARefreshToken);
        }
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotARefreshToken)?);
        let (session, rest) = bytes.split_first_chunk::<16>().ok_or(NotARefreshToken)?;
        let (family, rest) = rest.split_first_chunk::<16>().ok_or(NotARefreshToken)?;
        let token = rest.first_chunk::<32>().ok_or(NotARefreshToken)?;
        Ok(Self { session: SessionId(*session), family: *family, token: *token })
    }

    /// The token as the client gets it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(REFRESH_BYTES));
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(&self.family);
        bytes.extend_from_slice(&self.token);
        Zeroizing::new(BASE64URL_NOPAD.encode(&bytes))
    }

    /// Which session it claims to be of.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// What is stored of it.
    #[must_use]
    pub fn hashes(&self) -> RefreshHashes {
        RefreshHashes {
            family: SecretHash::of(b"sotto refresh family v1", &self.family),
            token: SecretHash::of(b"sotto refresh token v1", &self.token),
        }
    }
}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.family.zeroize();
        self.token.zeroize();
    }
}

/// What is stored of a refresh token, or compared with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshHashes {
    /// Of the secret that all tokens of the session share.
    pub family: SecretHash,
    /// Of the secret of this token alone.
    pub token: SecretHash,
}

/// Draws an invite code: 24 letters and digits that people can read aloud, 120 bits.
#[must_use]
pub fn draw_invite_code(rng: &mut impl CryptoRng) -> InviteCode {
    let mut bytes = Zeroizing::new([0; 15]);
    rng.fill_bytes(bytes.as_mut());
    BASE32_NOPAD
        .encode(bytes.as_ref())
        .to_ascii_lowercase()
        .parse()
        .expect("24 letters and digits of base32 are an invite code")
}

/// Draws a 16-byte id.
pub fn draw_id(rng: &mut impl CryptoRng) -> [u8; 16] {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn a_refresh_token_is_read_as_it_is_written() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let first = RefreshToken::first(SessionId([3; 16]), &mut rng);
        let text = first.to_text();
        assert_eq!(text.len(), REFRESH_TOKEN_CHARS);
        let read = RefreshToken::parse(&text).expect("our own token");
        assert_eq!(read.session(), SessionId([3; 16]));
        assert_eq!(read.hashes(), first.hashes());
        let next = first.next(&mut rng);
        assert_eq!(next.hashes().family, first.hashes().family);
        assert_ne!(next.hashes().token, first.hashes().token);
    }

    #[test]
    fn drawn_codes_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        assert_ne!(draw_invite_code(&mut rng), draw_invite_code(&mut rng));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,120}") {
            let _ = RefreshToken::parse(&text);
        }
    }
}
