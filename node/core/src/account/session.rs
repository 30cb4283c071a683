//! The account's session, kept in the store next to the client's rows (and sealed like them).

use super::{Tokens, User};
use crate::client::SHELL_PREFIX;
use serde::{Deserialize, Serialize};
use sotto_e2ee::store::{Batch, Store, StoreError};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_protocol::invite::{Invite, InviteError};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A token is renewed when less than this is left of it: longer than any request takes.
const MARGIN_MS: u64 = 60_000;

/// Whom this device is signed in as, where, and how it proves it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    format: u32,
    /// The relay's link, without a code.
    relay: String,
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub username: String,
    /// Its e-mail address.
    pub email: String,
    /// `None` after signing out.
    tokens: Option<Held>,
    /// The relay knows this device. Until then it is told again.
    pub device_registered: bool,
    /// What this device is called in the account's list.
    pub device_name: String,
    /// The version of the vault that this device has seen last.
    pub vault_version: u64,
    /// The WebSocket won the last time.
    pub udp_doubtful: bool,
    /// The link was given anew and no relay has answered under it yet: it is not kept until then.
    #[serde(skip)]
    pub link_is_new: bool,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Held {
    access: String,
    refresh: String,
    access_expires_ms: u64,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row does not decode, or is of a newer program.
    #[error("the local store's session row is damaged: {0}")]
    Damaged(String),
    /// The link does not parse.
    #[error("the relay's link is not one: {0}")]
    Link(#[from] InviteError),
    /// This machine's certificate authorities cannot be read.
    #[error("this machine's certificate authorities cannot be read: {0}")]
    Trust(String),
}

fn key() -> Vec<u8> {
    vec![SHELL_PREFIX, b's']
}

impl Session {
    /// Of an account that has just signed in.
    #[must_use]
    pub fn new(link: &Invite, user: &User, tokens: &Tokens, device_name: &str, now: UnixMillis) -> Self {
        let mut session = Self {
            format: 1,
            relay: String::new(),
            account: user.id,
            username: user.username.clone(),
            email: user.email.clone(),
            tokens: None,
            device_registered: false,
            device_name: device_name.to_owned(),
            vault_version: 0,
            udp_doubtful: false,
            link_is_new: false,
        };
        session.set_link(link);
        session.link_is_new = false;
        session.set_tokens(tokens, now);
        session
    }

    /// The session of a store; `None` where nobody has signed in.
    ///
    /// # Errors
    /// If the store fails or the row is damaged.
    pub fn load(store: &impl Store) -> Result<Option<Self>, SessionError> {
        let Some(value) = store.get(&key())? else { return Ok(None) };
        let session: Self =
            serde_json::from_slice(&value).map_err(|error| SessionError::Damaged(error.to_string()))?;
        if session.format == 1 {
            Ok(Some(session))
        } else {
            Err(SessionError::Damaged(format!("its format is {} and this program reads 1", session.format)))
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn save(&self, store: &mut impl Store) -> Result<(), StoreError> {
        let value = serde_json::to_vec(self).expect("strings and numbers are always JSON");
        store.commit(Batch { changes: [(key(), Some(Zeroizing::new(value)))].into() })
    }

    /// The relay's address and fingerprint.
    ///
    /// # Errors
    /// If what was kept is no link.
    pub fn link(&self) -> Result<Invite, InviteError> {
        self.relay.parse()
    }

    /// Another address or fingerprint of the same relay. It is kept once a relay has answered under it, so that
    /// a wrong one does no lasting harm.
    pub fn set_link(&mut self, link: &Invite) {
        self.relay = Invite { code: None, ..link.clone() }.to_string();
        self.udp_doubtful = false;
        self.link_is_new = true;
    }

    /// Whether there are tokens.
    #[must_use]
    pub const fn is_signed_in(&self) -> bool {
        self.tokens.is_some()
    }

    /// Takes over a new pair.
    pub fn set_tokens(&mut self, tokens: &Tokens, now: UnixMillis) {
        let life_ms = tokens.expires_in.saturating_mul(1000);
        self.tokens = Some(Held {
            access: tokens.access_token.clone(),
            refresh: tokens.refresh_token.clone(),
            access_expires_ms: now.0.saturating_add(life_ms),
        });
    }

    /// Signs out, as far as this device is concerned.
    pub fn forget_tokens(&mut self) {
        self.tokens = None;
    }

    /// The access token, if enough is left of it.
    #[must_use]
    pub fn access(&self, now: UnixMillis) -> Option<&str> {
        let held = self.tokens.as_ref()?;
        (self.renew_at()? > now).then_some(held.access.as_str())
    }

    /// When to renew the access token.
    #[must_use]
    pub fn renew_at(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.tokens.as_ref()?.access_expires_ms.saturating_sub(MARGIN_MS)))
    }

    /// The access token is worth nothing whatever its age.
    pub fn access_was_refused(&mut self) {
        if let Some(held) = &mut self.tokens {
            held.access_expires_ms = 0;
        }
    }

    /// The refresh token, unless signed out.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.tokens.as_ref().map(|held| held.refresh.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::store::MemoryStore;

    fn session(now: UnixMillis) -> Session {
        let link = format!("sotto://relay.example:4433/i/abcd#{}", "ab".repeat(32)).parse().expect("a link");
        let user = User {
            id: AccountId([1; 16]),
            email: "a@x.org".to_owned(),
            username: "alice".to_owned(),
            role: "user".to_owned(),
        };
        let tokens = Tokens { access_token: "A".to_owned(), refresh_token: "R".to_owned(), expires_in: 900 };
        Session::new(&link, &user, &tokens, "laptop", now)
    }

    #[test]
    fn a_session_is_read_as_it_was_kept_and_keeps_no_invite_code() {
        let mut store = MemoryStore::new();
        assert!(Session::load(&store).expect("an empty store").is_none());
        session(UnixMillis(0)).save(&mut store).expect("kept");
        let read = Session::load(&store).expect("readable").expect("there");
        assert_eq!((read.username.as_str(), read.refresh_token()), ("alice", Some("R")));
        let link = read.link().expect("a link");
        assert!(link.code.is_none() && link.fingerprint.is_some());
    }

    #[test]
    fn an_access_token_is_renewed_before_it_expires_or_when_it_was_refused() {
        let mut session = session(UnixMillis(1_000_000));
        assert_eq!(session.access(UnixMillis(1_000_000)), Some("A"));
        assert_eq!(session.access(UnixMillis(1_000_000 + 900_000 - 60_000)), None);
        session.access_was_refused();
        assert_eq!(session.access(UnixMillis(1_000_000)), None);
        assert_eq!(session.refresh_token(), Some("R"));
        session.forget_tokens();
        assert!(!session.is_signed_in());
    }

    #[test]
    fn a_damaged_row_is_named() {
        let mut store = MemoryStore::new();
        let row = (key(), Some(Zeroizing::new(b"{}".to_vec())));
        store.commit(Batch { changes: [row].into() }).expect("kept");
        assert!(matches!(Session::load(&store), Err(SessionError::Damaged(_))));
    }
}
