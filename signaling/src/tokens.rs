//! Access tokens: JWTs signed with Ed25519, and the public key that lets others verify them.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sotto_protocol::limits::TOKEN_BYTES_MAX;
use sotto_signaling_core::claims::Claims;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The token's signature is not ours, or it is no token of ours at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is not one that this relay signed")]
pub struct ForgedToken;

/// The key pair that access tokens are signed with.
pub struct TokenKeys {
    signing: EncodingKey,
    verifying: DecodingKey,
    jwk: Jwk,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKeys {{ kid: {} }}", self.jwk.kid)
    }
}

/// A public key as JSON (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// The key's thumbprint (RFC 7638), which tokens name in their header.
    pub kid: String,
    /// The public key, base64url.
    pub x: String,
}

/// The public keys of a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwks {
    /// One today; two while keys are changed.
    pub keys: Vec<Jwk>,
}

/// RFC 8410 section 7: a PKCS #8 document of an Ed25519 key is these bytes and then the 32 of the seed.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl TokenKeys {
    /// The keys of a seed, which the relay draws once and keeps.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        let public = SigningKey::from_bytes(seed).verifying_key().to_bytes();
        let document = Zeroizing::new([PKCS8_HEAD.as_slice(), seed.as_slice()].concat());
        let x = BASE64URL_NOPAD.encode(&public);
        // RFC 7638 section 3.3: the required members in alphabetical order, without spaces.
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = BASE64URL_NOPAD.encode(&Sha256::digest(canonical.as_bytes()));
        Self {
            signing: EncodingKey::from_ed_der(&document),
            verifying: DecodingKey::from_ed_der(&public),
            jwk: Jwk { kty: "OKP", crv: "Ed25519", usage: "sig", alg: "EdDSA", kid, x },
        }
    }

    /// Signs claims.
    ///
    /// # Panics
    /// Never: the key and the claims have forms that can be written.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.jwk.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing)
            .expect("an Ed25519 key signs any claims that serialise, and ours do")
    }

    /// Checks the signature and reads the claims, which say nothing until [`Claims::check`] agrees.
    ///
    /// # Errors
    /// If this key did not sign the token. The algorithm in the header is not obeyed: only EdDSA counts.
    pub fn verify(&self, token: &str) -> Result<Claims, ForgedToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(ForgedToken);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times and issuer are judged by the core, with the relay's clock instead of the library's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode(token, &self.verifying, &validation)
            .map(|data| data.claims)
            .map_err(|_| ForgedToken)
    }

    /// The public keys.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        Jwks { keys: vec![self.jwk.clone()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};
    use sotto_signaling_core::account::Role;

    fn keys(seed: u8) -> TokenKeys {
        TokenKeys::from_seed(&Zeroizing::new([seed; 32]))
    }

    fn claims() -> Claims {
        let now = UnixMillis(1_700_000_000_000);
        Claims::new("https://relay", AccountId([1; 16]), SessionId([2; 16]), Role::User, now)
    }

    fn part(json: &str) -> String {
        BASE64URL_NOPAD.encode(json.as_bytes())
    }

    #[test]
    fn a_token_is_read_as_it_was_signed() {
        let token = keys(1).sign(&claims());
        assert_eq!(keys(1).verify(&token), Ok(claims()));
    }

    #[test]
    fn the_published_key_is_the_one_of_rfc_8037() {
        // RFC 8037 appendix A.1 to A.3.
        let seed = BASE64URL_NOPAD.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let seed: [u8; 32] = seed.expect("base64url").try_into().expect("32 bytes");
        let jwk = &TokenKeys::from_seed(&Zeroizing::new(seed)).jwks().keys[0];
        assert_eq!(jwk.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(jwk.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn forged_tokens_are_refused() {
        let ours = keys(1);
        let good = ours.sign(&claims());
        let mut parts = good.split('.');
        let (head, body, signature) =
            (parts.next().expect("head"), parts.next().expect("body"), parts.next().expect("signature"));
        let other_claims =
            part(&serde_json::to_string(&Claims { role: Role::Operator, ..claims() }).expect("json"));
        let none = part(r#"{"alg":"none","typ":"JWT"}"#);
        // The classic confusion: the public key taken as a shared secret.
        let public = BASE64URL_NOPAD.decode(ours.jwk.x.as_bytes()).expect("our own key");
        let hmac = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(&public),
        )
        .expect("any secret signs");
        for forged in [
            keys(2).sign(&claims()),
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{head}.{other_claims}.{signature}"),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            hmac,
            String::new(),
            "...".to_owned(),
            "x".repeat(TOKEN_BYTES_MAX + 1),
        ] {
            assert_eq!(ours.verify(&forged), Err(ForgedToken), "{forged}");
        }
    }

    #[test]
    fn no_single_changed_character_of_the_signature_is_accepted() {
        let ours = keys(1);
        let good = ours.sign(&claims());
        for place in 0..good.len() - 1 {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).expect("ASCII");
            assert!(ours.verify(&forged).is_err(), "character {place}");
        }
    }
}
