//! Credentials that prove themselves: the usual `EXPIRY:USER` with a password that only the relay's secret makes.
//!
//! The form is that of "A REST API for Access to TURN Services", which every client of WebRTC is used to: the user name
//! says until when it is good and for whom, the password is the base64 of its HMAC-SHA1. So nothing is kept for each of
//! them. Ours names the sign-in beside the account, so that what was signed out borrows no longer.

use core::fmt;
use data_encoding::BASE64;
use hmac_0_12::{Hmac, Mac as _};
use sha1::Sha1;
use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};
use zeroize::Zeroizing;

/// Ten digits, a colon, two ids with a dot between them, and room for later centuries.
pub const USERNAME_BYTES_MAX: usize = 96;

/// Whom credentials were given to, and until when they are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// The sign-in.
    pub session: SessionId,
    /// Seconds since 1970 from which on they are not good any more.
    pub expires: u64,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `EXPIRY:ACCOUNT.SESSION`.
    pub username: String,
    /// Base64.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.username)
    }
}

/// Why credentials do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsRefused {
    /// The relay never writes such a user name.
    #[error("this is no user name of this relay; ask it for credentials")]
    Malformed,
    /// They were good once.
    #[error("these credentials have expired; ask the relay for others")]
    Expired,
}

impl Holder {
    /// Reads a user name. Only who has its password was given it.
    ///
    /// # Errors
    /// If the relay writes no such name.
    pub fn read(username: &str) -> Result<Self, CredentialsRefused> {
        let parts = || {
            let (expires, user) = username.split_once(':')?;
            let (account, session) = user.split_once('.')?;
            let is_number = !expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit());
            let expires = is_number.then(|| expires.parse().ok()).flatten()?;
            Some(Self { account: account.parse().ok()?, session: session.parse().ok()?, expires })
        };
        let fits = username.len() <= USERNAME_BYTES_MAX;
        fits.then(parts).flatten().ok_or(CredentialsRefused::Malformed)
    }

    /// Whether they are still good.
    ///
    /// # Errors
    /// If not.
    pub const fn check(&self, now: UnixMillis) -> Result<(), CredentialsRefused> {
        if now.0 / 1000 >= self.expires { Err(CredentialsRefused::Expired) } else { Ok(()) }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.expires, self.account, self.session)
    }
}

/// What makes passwords. Drawn at each start of the relay: what was given out before counts no longer.
pub struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// From random bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Credentials for a sign-in.
    #[must_use]
    pub fn issue(&self, holder: &Holder) -> Credentials {
        let username = holder.to_string();
        Credentials { password: self.password(&username), username }
    }

    /// The password of a user name.
    #[must_use]
    pub fn password(&self, username: &str) -> Zeroizing<String> {
        let mut mac = Hmac::<Sha1>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(username.as_bytes());
        Zeroizing::new(BASE64.encode(&mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOLDER: Holder =
        Holder { account: AccountId([1; 16]), session: SessionId([2; 16]), expires: 1_800_000_000 };

    #[test]
    fn what_is_issued_is_read_back_and_its_password_follows_from_secret_and_name() {
        let secret = Secret::new(Zeroizing::new([7; 32]));
        let given = secret.issue(&HOLDER);
        assert_eq!(Holder::read(&given.username), Ok(HOLDER));
        assert!(given.username.len() <= USERNAME_BYTES_MAX);
        assert_eq!(secret.password(&given.username), given.password);
        let later = Holder { expires: HOLDER.expires + 1, ..HOLDER };
        assert_ne!(secret.issue(&later).password, given.password);
        assert_ne!(Secret::new(Zeroizing::new([8; 32])).issue(&HOLDER).password, given.password);
        assert!(!format!("{given:?} {secret:?}").contains(given.password.as_str()));
    }

    #[test]
    fn a_password_is_the_base64_of_hmac_sha1_as_everybody_makes_it() {
        // printf '%s' 'name' | openssl dgst -sha1 -hmac "$(printf 'k%.0s' $(seq 32))" -binary | base64
        let secret = Secret::new(Zeroizing::new([b'k'; 32]));
        assert_eq!(secret.password("name").as_str(), "0EgGcYHt7AR9hbHQ0OfS4DIZ6G0=");
    }

    #[test]
    fn credentials_are_good_until_their_second_and_not_in_it() {
        assert_eq!(HOLDER.check(UnixMillis(1_799_999_999_999)), Ok(()));
        assert_eq!(HOLDER.check(UnixMillis(1_800_000_000_000)), Err(CredentialsRefused::Expired));
    }

    proptest! {
        #[test]
        fn whatever_reads_is_a_name_that_this_relay_could_write(text in ".{0,120}") {
            if let Ok(holder) = Holder::read(&text) {
                prop_assert_eq!(Holder::read(&holder.to_string()), Ok(holder));
            }
        }
    }

    #[test]
    fn other_names_are_refused() {
        let (account, session) = (HOLDER.account, HOLDER.session);
        for bad in [
            String::new(),
            "anna".to_owned(),
            format!("{account}.{session}"),
            format!("+5:{account}.{session}"),
            format!("99999999999999999999999:{account}.{session}"),
            format!("5:{account}"),
            format!("5:{account}.{session}.{session}"),
            format!("{}5:{account}.{session}", "0".repeat(60)),
        ] {
            assert_eq!(Holder::read(&bad), Err(CredentialsRefused::Malformed), "{bad}");
        }
    }
}
