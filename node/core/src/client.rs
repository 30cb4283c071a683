//! The client and how it is driven.

use crate::calls::{CallView, GroupCallView};
use crate::command::{Command, Token, Who};
use crate::core::{Core, Ctx};
use crate::event::{Event, Failure, FailureCode, Output};
use crate::kinds::{PINS_MAX, settle};
use crate::rows::{self, Kept, MetaRow, OutboxRow, UpkeepRow};
use crate::search::{SearchHit, SearchQuery};
use crate::settings::Settings;
use crate::view::{ConversationView, Line, Message, Queued, Stats};
use rand_core::CryptoRng;
use sotto_e2ee::archive_keys;
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_e2ee::identity::{AccountIdentity, LocalDevice};
use sotto_e2ee::repair;
use sotto_e2ee::store::{Store, StoreError, Transaction};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::Frame;
use sotto_protocol::ids::{AccountId, ConversationId, MessageNumber, Sequence, UnixMillis};
use std::borrow::Cow;
use std::collections::VecDeque;

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
    core: Core,
    outputs: VecDeque<Output>,
    /// Memory is not what the store has.
    stale: bool,
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
}

impl<S: Store> Client<S> {
    /// One input: work on memory and a transaction, look around, commit, and only then let anything out.
    /// False if the store failed.
    pub(crate) fn input(
        &mut self,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
        work: impl FnOnce(&mut Core, &mut Ctx<'_>) -> Result<(), StoreError>,
    ) -> bool {
        if self.stale && !self.reload(now) {
            return false;
        }
        self.core.clamp_clock(now);
        let tx = Transaction::new(&self.store);
        let mut ctx = Ctx::new(&tx, now, rng);
        let core = &mut self.core;
        let result =
            work(core, &mut ctx).and_then(|()| core.drive(&mut ctx)).and_then(|()| core.index_changes(&ctx));
        core.save(&ctx);
        let outputs = ctx.into_outputs();
        let batch = tx.into_batch();
        let result = result.and_then(|()| if batch.is_empty() { Ok(()) } else { self.store.commit(batch) });
        match result {
            Ok(()) => self.outputs.extend(outputs),
            Err(error) => {
                self.store_failed(&error);
                self.reload(now);
                return false;
            }
        }
        true
    }

    fn store_failed(&mut self, error: &StoreError) {
        // Memory is ahead of the store: it counts for nothing until it was read again.
        self.stale = true;
        self.outputs.push_back(Output::Event(Event::StoreFailed(error.to_string())));
        let failure = Failure::from(error.clone());
        for token in self.core.operations.take_tokens() {
            self.outputs.push_back(Output::Event(Event::Failed { token, failure: failure.clone() }));
        }
        self.outputs.push_back(Output::Disconnect);
    }

    /// Goes back to what the store has: nothing of the last input happened.
    fn reload(&mut self, now: UnixMillis) -> bool {
        let tx = Transaction::new(&self.store);
        let meta: Result<Option<MetaRow>, StoreError> = rows::get(&tx, &rows::meta_key());
        let reloaded = meta.and_then(|meta| match meta {
            Some(meta) => Core::load(&tx, self.core.settings.clone(), &meta, now),
            None => Err(StoreError::Damaged("the first row is gone".to_owned())),
        });
        drop(tx);
        match reloaded {
            Ok(mut core) => {
                core.token = std::mem::take(&mut self.core.token);
                core.waiting = std::mem::take(&mut self.core.waiting);
                std::mem::swap(&mut core.calls, &mut self.core.calls);
                std::mem::swap(&mut core.peers, &mut self.core.peers);
                self.core = core;
                self.stale = false;
                true
            }
            Err(error) => {
                self.store_failed(&error);
                false
            }
        }
    }

    /// Begins a client in an empty store.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn create(
        mut store: S,
        setup: Setup,
        settings: Settings,
        now: UnixMillis,
    ) -> Result<Self, OpenError> {
        let tx = Transaction::new(&store);
        if tx.get(&rows::meta_key())?.is_some() {
            return Err(OpenError::NotEmpty);
        }
        let meta = MetaRow {
            format: rows::FORMAT,
            username: setup.username,
            device: setup.device.to_bytes().to_vec(),
            identity: *setup.identity.secret(),
            recovery: *setup.recovery.secret(),
        };
        rows::put(&tx, rows::meta_key(), &meta);
        archive_keys::import(&tx, &setup.archive_keys.0)?;
        let upkeep = UpkeepRow { vault_changed: true, ..UpkeepRow::default() };
        rows::put(&tx, rows::upkeep_key(), &upkeep);
        let batch = tx.into_batch();
        store.commit(batch)?;
        Self::open(store, settings, now)
    }

    /// Goes on with what a store has.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(mut store: S, settings: Settings, now: UnixMillis) -> Result<Self, OpenError> {
        let tx = Transaction::new(&store);
        let Some(value) = tx.get(&rows::meta_key())? else { return Err(OpenError::Empty) };
        let format: u32 = rows::decode_start(&value)?;
        if format > rows::FORMAT {
            return Err(OpenError::Newer(format));
        }
        let mut meta: MetaRow = rows::decode(&value)?;
        if format < rows::FORMAT {
            meta.format = rows::FORMAT;
            rows::put(&tx, rows::meta_key(), &meta);
            let batch = tx.into_batch();
            store.commit(batch)?;
        } else {
            drop(tx);
        }
        let core = Core::load(&Transaction::new(&store), settings, &meta, now)?;
        Ok(Self { store, core, outputs: VecDeque::new(), stale: false })
    }

    /// A person or program asks for something.
    pub fn handle_command(
        &mut self,
        token: Token,
        command: Command,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) {
        self.handle_commands([(token, command)], now, rng);
    }

    /// The same for several commands that came together, in this order and in one commit: all of them are on the
    /// medium when the first output is there.
    pub fn handle_commands(
        &mut self,
        commands: impl IntoIterator<Item = (Token, Command)>,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) {
        let (tokens, commands): (Vec<_>, Vec<_>) =
            commands.into_iter().map(|(token, command)| (token, (token, command))).unzip();
        let done = self.input(now, rng, |core, ctx| {
            commands.into_iter().try_for_each(|(token, command)| core.command(ctx, token, command))
        });
        if !done {
            let failure = Failure::new(FailureCode::Store, "the local store failed");
            let failed = |token| Output::Event(Event::Failed { token, failure: failure.clone() });
            self.outputs.extend(tokens.into_iter().map(failed));
        }
    }

    /// A connection to the relay stands; nothing was sent on it yet.
    pub fn handle_connected(&mut self, binding: ChannelBinding, now: UnixMillis, rng: &mut impl CryptoRng) {
        self.input(now, rng, |core, ctx| {
            core.connected(ctx, binding);
            Ok(())
        });
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, now: UnixMillis, rng: &mut impl CryptoRng) {
        self.input(now, rng, |core, ctx| {
            core.disconnected(ctx);
            Ok(())
        });
    }

    /// The relay sent a frame.
    pub fn handle_frame(&mut self, frame: Frame, now: UnixMillis, rng: &mut impl CryptoRng) {
        self.handle_frames([frame], now, rng);
    }

    /// The same for several frames that came together, in this order and in one commit.
    pub fn handle_frames(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) {
        // A frame on which the connection was given up is the last one that is looked at.
        self.input(now, rng, |core, ctx| frames.into_iter().try_for_each(|frame| core.frame(ctx, &frame)));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: UnixMillis, rng: &mut impl CryptoRng) {
        self.input(now, rng, |core, ctx| core.timeout(ctx));
    }

    /// The next output; `None` when there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        self.core.next_timeout()
    }

    /// This device.
    pub fn device(&self) -> &LocalDevice {
        &self.core.me
    }

    /// The account's user name.
    pub fn username(&self) -> &str {
        &self.core.username
    }

    /// The account's recovery key, for showing its words.
    pub fn recovery_key(&self) -> &RecoveryKey {
        &self.core.recovery
    }

    /// Whether the connection is ready for requests.
    pub fn is_ready(&self) -> bool {
        self.core.link.is_ready()
    }

    /// Whether every conversation has caught up on this connection and nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle()
    }

    /// Every conversation, the one with the newest line first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn conversations(&self) -> Result<Vec<ConversationView>, StoreError> {
        let tx = Transaction::new(&self.store);
        let views = self.core.convos.values().map(|convo| self.core.view(&tx, convo));
        let mut views: Vec<_> = views.collect::<Result<_, _>>()?;
        let newest = |view: &ConversationView| view.last.as_ref().map(|last| last.time);
        views.sort_by_key(|view| std::cmp::Reverse(newest(view)));
        Ok(views)
    }

    /// One conversation.
    ///
    /// # Errors
    /// If the store fails.
    pub fn conversation(&self, conversation: ConversationId) -> Result<Option<ConversationView>, StoreError> {
        let tx = Transaction::new(&self.store);
        self.core.convos.get(&conversation).map(|convo| self.core.view(&tx, convo)).transpose()
    }

    /// The accounts of a conversation with at least one device that is connected and not invisible, ours included, by
    /// the relay's word. Empty while there is no connection, and when there are too many to name; see
    /// [`Self::present_count`].
    pub fn present(&self, conversation: ConversationId) -> Vec<AccountId> {
        self.core.presence.present(conversation)
    }

    /// How many accounts of a conversation are here; `None` while it is not known.
    pub fn present_count(&self, conversation: ConversationId) -> Option<u32> {
        self.core.presence.count(conversation)
    }

    /// How the call stands that this device is in, or that rings here.
    pub fn call(&self) -> Option<CallView> {
        self.core.calls.view()
    }

    /// The calls of groups that go on.
    pub fn group_calls(&self) -> Vec<GroupCallView> {
        self.core.calls.group_views()
    }

    /// Whether the person wants no direct links, so that nobody learns this device's address.
    pub fn is_relay_only(&self) -> bool {
        self.core.settings.relay_only || self.core.peers.is_relay_only()
    }

    /// Whether the person does not want to be shown as being here.
    pub fn is_invisible(&self) -> bool {
        self.core.presence.is_invisible()
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
        let tx = Transaction::new(&self.store);
        let rows = rows::history(&tx, conversation, before, limit)?;
        self.core.messages(&tx, conversation, rows)
    }

    /// The line at one place, for who was told that it changed.
    ///
    /// # Errors
    /// If the store fails.
    pub fn line(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Message>, StoreError> {
        let tx = Transaction::new(&self.store);
        let row = rows::get(&tx, &rows::history_key(conversation, sequence))?;
        let rows = row.map(|row| (sequence, row)).into_iter().collect();
        Ok(self.core.messages(&tx, conversation, rows)?.pop())
    }

    /// What is pinned, the newest pin first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn pins(&self, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
        let tx = Transaction::new(&self.store);
        let pins = settle::pins(&tx, conversation, PINS_MAX)?;
        let mut messages = Vec::with_capacity(pins.len());
        for sequence in pins {
            messages.extend(self.line(conversation, sequence)?);
        }
        Ok(messages)
    }

    /// Who is typing in a conversation.
    pub fn typing(&self, conversation: ConversationId) -> Vec<AccountId> {
        self.core.convos.get(&conversation).map(|convo| convo.receipts.typing()).unwrap_or_default()
    }

    /// Local lines after a place, the oldest of them first, in the order of the log: for reading on from a cursor.
    ///
    /// # Errors
    /// If the store fails.
    pub fn history_after(
        &self,
        conversation: ConversationId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let tx = Transaction::new(&self.store);
        let rows = rows::history_after(&tx, conversation, after, limit)?;
        self.core.messages(&tx, conversation, rows)
    }

    /// Local lines that have all the words, the newest first. See [`crate::search`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn search(&self, query: &SearchQuery) -> Result<Vec<SearchHit>, StoreError> {
        self.core.search(&Transaction::new(&self.store), query)
    }

    /// Whether a search sees everything. Not for a while after a store of an older version was opened, or a process
    /// was killed: what is left to do is done in small steps, by `handle_timeout`.
    pub fn search_is_complete(&self) -> bool {
        self.core.search_is_complete()
    }

    /// What waits to be sent, in order.
    ///
    /// # Errors
    /// If the store fails.
    pub fn outbox(&self, conversation: ConversationId) -> Result<Vec<Queued>, StoreError> {
        let tx = Transaction::new(&self.store);
        let queued = |(number, row): (u64, OutboxRow)| Queued {
            number: MessageNumber(number),
            since: row.queued,
            text: match row.content {
                Kept::Text(text) => Some(text),
                Kept::Said(text) => Some(text.body),
                Kept::File { about, caption } | Kept::Pictured { about, caption, .. } => {
                    Line::File { about, caption: caption.body }.words().map(Cow::into_owned)
                }
                _ => None,
            },
        };
        Ok(rows::outbox(&tx, conversation)?.into_iter().map(queued).collect())
    }

    /// What is known of an account: user name, pinned identity key, whether verified, safety number with us.
    ///
    /// # Errors
    /// If the store fails.
    pub fn contact(&self, who: &Who) -> Result<Option<Contact>, StoreError> {
        let tx = Transaction::new(&self.store);
        let account = match who {
            Who::Account(account) => Some(*account),
            Who::Username(username) => self.core.known_account(username),
        };
        account.map_or(Ok(None), |account| self.core.contact_of(&tx, account))
    }

    /// The counters.
    ///
    /// # Errors
    /// If the store fails.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let counters = repair::counters(&Transaction::new(&self.store))?;
        Ok(Stats { failures: counters.failures, repairs: counters.repairs })
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
        Self::new(FailureCode::Store, error.to_string())
    }
}
