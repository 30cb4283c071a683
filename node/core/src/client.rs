//! The client and how it is driven.

// The first commit fixes the signatures only; the bodies follow.
#![allow(unused_variables, clippy::unimplemented, clippy::needless_pass_by_ref_mut, missing_docs)]

use crate::command::{Command, Token};
use crate::event::{Failure, Output};
use crate::settings::Settings;
use crate::view::{ConversationView, Message, Queued, Stats};
use rand_core::CryptoRng;
use sotto_e2ee::identity::{AccountIdentity, LocalDevice, RecoveryKey};
use sotto_e2ee::store::{Store, StoreError};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::Frame;
use sotto_protocol::ids::{AccountId, ConversationId, Sequence, UnixMillis};

/// A whole client over a local store.
///
/// # How to drive it
///
/// There are four families of methods:
///
/// * **inputs**, `handle_*`: a command, a connection that was made or lost, a frame, the passing of time. Each
///   ends with *one* atomic commit of the store that holds everything it changed: MLS state, history, outbox.
/// * **outputs**, `poll_output`: call it after *every* input until it gives `None`. Outputs of an input exist only
///   once its commit succeeded, so a frame that goes out, and an event that is shown, is on the medium already.
///   If the commit fails, the client goes back to what the store has and gives `Event::StoreFailed` and nothing else.
/// * **time**, `poll_timeout`: when to call `handle_timeout` next; ask again after every input. Calling it early
///   or often is harmless.
/// * **questions** (`conversations`, `history`, ...): read the store, change nothing.
///
/// `now` is the wall clock in milliseconds. It may jump; a deadline that a backward jump would push far away is
/// brought back. One connection at a time: `handle_connected` begins it (the shell has a
/// stream to the relay and nothing was sent on it), `handle_disconnected` ends it; frames of an ended connection
/// must not be handed in. The client does not dial: the shell connects again, with growing pauses.
///
/// The access token is not kept in the store: give `Command::SetAccessToken` after opening, before connecting.
pub struct Client<S: Store> {
    store: S,
}

/// What a new client starts from, after the account was registered (or signed in) over HTTP.
pub struct Setup {
    /// The account's user name.
    pub username: String,
    /// This device, certified for the account and registered at the relay.
    pub device: LocalDevice,
    /// The account's identity key, for the vault.
    pub identity: AccountIdentity,
    /// What the vault is sealed under.
    pub recovery: RecoveryKey,
    /// Archive keys from the vault, for a further device.
    pub archive_keys: crate::command::ArchiveKeys,
}

/// Why a client cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds no client yet: `create` one.
    #[error("the local store is empty")]
    Empty,
    /// The store holds a client already: `open` it.
    #[error("the local store belongs to an account already")]
    NotEmpty,
    /// A newer version of the program wrote the store.
    #[error("the local store was written by a newer version of this program (format {0})")]
    Newer(u32),
    /// A row does not decode.
    #[error("the local store is corrupted: {0}")]
    Corrupted(String),
}

impl<S: Store> Client<S> {
    /// Begins a client in an empty store.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn create(
        store: S,
        setup: Setup,
        settings: Settings,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// Goes on with what a store has.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(store: S, settings: Settings, now: UnixMillis) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// A person or program asks for something.
    pub fn handle_command(
        &mut self,
        token: Token,
        command: Command,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) {
        unimplemented!()
    }

    /// A connection to the relay stands; nothing was sent on it yet.
    pub fn handle_connected(&mut self, binding: ChannelBinding, now: UnixMillis, rng: &mut impl CryptoRng) {
        unimplemented!()
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, now: UnixMillis, rng: &mut impl CryptoRng) {
        unimplemented!()
    }

    /// The relay sent a frame.
    pub fn handle_frame(&mut self, frame: Frame, now: UnixMillis, rng: &mut impl CryptoRng) {
        unimplemented!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: UnixMillis, rng: &mut impl CryptoRng) {
        unimplemented!()
    }

    /// The next output; `None` when there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        unimplemented!()
    }

    /// This device.
    pub fn device(&self) -> &LocalDevice {
        unimplemented!()
    }

    /// The account's user name.
    pub fn username(&self) -> &str {
        unimplemented!()
    }

    /// The account's recovery key, for showing its words.
    pub fn recovery_key(&self) -> &RecoveryKey {
        unimplemented!()
    }

    /// Whether the connection is ready for requests.
    pub fn is_ready(&self) -> bool {
        unimplemented!()
    }

    /// Whether every conversation has caught up on this connection and nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        unimplemented!()
    }

    /// Every conversation, the one with the newest line first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn conversations(&self) -> Result<Vec<ConversationView>, StoreError> {
        unimplemented!()
    }

    /// One conversation.
    ///
    /// # Errors
    /// If the store fails.
    pub fn conversation(&self, conversation: ConversationId) -> Result<Option<ConversationView>, StoreError> {
        unimplemented!()
    }

    /// Local lines before a place (`None`: the newest), in the order of the log.
    ///
    /// # Errors
    /// If the store fails.
    pub fn history(
        &self,
        conversation: ConversationId,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        unimplemented!()
    }

    /// What waits to be sent, in order.
    ///
    /// # Errors
    /// If the store fails.
    pub fn outbox(&self, conversation: ConversationId) -> Result<Vec<Queued>, StoreError> {
        unimplemented!()
    }

    /// What is known of an account: user name, pinned identity key, whether verified, safety number with us.
    ///
    /// # Errors
    /// If the store fails.
    pub fn contact(&self, who: &crate::command::Who) -> Result<Option<Contact>, StoreError> {
        unimplemented!()
    }

    /// The counters.
    ///
    /// # Errors
    /// If the store fails.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        unimplemented!()
    }

    /// The store, for a shell that keeps rows of its own under the first byte [`SHELL_PREFIX`].
    pub fn store(&self) -> &S {
        &self.store
    }

    /// See [`Self::store`]. Commit only batches of rows under [`SHELL_PREFIX`].
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Ends the client and gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }
}

/// The first byte of keys that belong to the shell. `sotto-e2ee` has 0x00..=0x3f, this crate 0x40..=0x7f.
pub const SHELL_PREFIX: u8 = 0x80;

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub username: String,
    /// The identity key that its devices showed; `None` before the first conversation with it.
    pub identity_key: Option<[u8; 32]>,
    /// The person compared it.
    pub verified: bool,
    /// The safety number with us: 60 digits.
    pub safety_number: Option<String>,
    /// What a QR code of this contact shows.
    pub qr_text: Option<String>,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(crate::event::FailureCode::Store, error.to_string())
    }
}
