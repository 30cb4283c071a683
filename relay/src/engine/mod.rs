//! The engine: everything between a decoded frame and a durable, ordered, delivered log.
//!
//! ```text
//!  session task --submit--> inbox --take all--> committer --append--> store (flush + fsync)
//!       ^                                         |   ^                  |
//!       |                                         |   '----- verdicts <--+-- verifier threads (MLS)
//!  outbound <--- acknowledgements, pushes --------'                      |
//!       ^------------------------- answers ------------ reader threads <-'
//! ```
//!
//! One thread, the *committer*, owns all state of all conversations ([`sotto_relay_core::state`]). It takes
//! whatever has arrived, decides about each request, writes all that was accepted as one batch, and only when
//! the disk has it by fsync answers and pushes. While one batch is written the next gathers, so the batch
//! grows with the load and nobody ever waits for it to fill.
//!
//! What takes longer than a microsecond and needs no order is done elsewhere: reading by *readers*, MLS
//! verification by *verifiers* on a snapshot. The committer compares the epoch again before it accepts.
//!
//! Nothing here knows sockets or TLS. A connection's task calls [`SessionHandle::submit`] with what it read
//! and writes what [`Outbound::recv`] gives.

mod answers;
mod committer;
mod group;
mod hub;
mod inbox;
mod jobs;
pub mod metrics;
mod outbox;
mod reader;
mod request;
mod session;
mod survey;
mod verifier;

#[cfg(test)]
mod tests;

pub(crate) use committer::check_row;
pub use metrics::EngineMetrics;
pub use outbox::{Closed, Outbound};
pub use session::SessionHandle;
use sotto_relay_core::authorise::Action;
pub use sotto_relay_core::quota::Quotas;
pub use survey::{Holders, Surveyed};

use crate::store::{self, BatchNumber, LogExport, SledOptions, StoreError};
use inbox::{Inbox, SessionId, Work};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, oneshot};

/// What the engine asks of the accounts that the relay knows. Called from the engine's own threads, often:
/// answer from memory.
pub trait Directory: Send + Sync + 'static {
    /// The Ed25519 identity key that an account has registered.
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]>;
    /// An account's name, for people's eyes.
    fn username(&self, account: AccountId) -> Option<String>;
    /// Whether the device is one of the account's, with this key, and not removed.
    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool;
}

/// How the engine works.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where and how the log is kept.
    pub store: SledOptions,
    /// How much accounts and conversations may use.
    pub quotas: Quotas,
    /// Bytes of requests that may wait for the committer, of all sessions together; a session that finds the
    /// queue full waits, and so does its connection. At least twice the largest frame.
    pub queue_bytes_max: usize,
    /// Threads that answer fetches.
    pub readers: usize,
    /// Threads that verify commits.
    pub verifiers: usize,
}

impl EngineConfig {
    /// The defaults, for a store.
    #[must_use]
    pub const fn new(store: SledOptions) -> Self {
        Self { store, quotas: Quotas::NONE, queue_bytes_max: 64 * 1024 * 1024, readers: 2, verifiers: 1 }
    }
}

/// Why the engine does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// The engine has stopped acknowledging, because it cannot promise any longer that an acknowledged message
/// is kept. The process has to end; what was acknowledged is on the disk and is found at the next start.
#[derive(Debug, thiserror::Error)]
#[error(
    "the relay stops: {0}. Nothing was acknowledged that is not on disk; see to the disk, then start again"
)]
pub struct Fatal(pub(crate) StoreError);

/// What [`Engine::open`] found, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Conversations.
    pub conversations: usize,
    /// Batches that were read again because no checkpoint had them.
    pub replayed_batches: u64,
    /// Entries in them.
    pub replayed_entries: u64,
    /// Whether the last run ended without a drain.
    pub after_crash: bool,
}

/// What the engine holds, for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineUsage {
    /// Conversations.
    pub conversations: u64,
    /// Sum of their members.
    pub memberships: u64,
    /// Bytes of entries kept, before the store's own overhead.
    pub stored_bytes: u64,
    /// Sessions attached now.
    pub sessions: u64,
    /// Welcomes that wait for a device.
    pub welcomes_waiting: u64,
}

/// A moment in the log, between two batches: everything that was acknowledged before it is in a batch up to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The last batch.
    pub batch: BatchNumber,
    /// When.
    pub time: UnixMillis,
}

/// The whole log, to be read while the engine goes on. No shard is deleted as long as this is there.
pub struct Export {
    log: Arc<dyn LogExport>,
    inbox: Arc<Inbox>,
    _hold: Arc<()>,
}

impl Export {
    /// What reads it.
    #[must_use]
    pub fn log(&self) -> &dyn LogExport {
        &*self.log
    }

    /// Where the log is now. Waits for the batch that is being written; not for asynchronous code. `None` when the
    /// engine has ended.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        let (answer, answered) = oneshot::channel();
        self.inbox.put(Work::Mark(answer)).ok()?;
        answered.blocking_recv().ok()
    }
}

/// What one retention run removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Shards whose folders were deleted.
    pub shards: usize,
    /// Conversations whose first kept entry moved.
    pub conversations: usize,
}

/// Why an account is not admitted to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// There is no such conversation, or it admits nobody (a direct one).
    #[error("the conversation does not exist or admits nobody")]
    NotFound,
    /// The disk is full.
    #[error("the relay's disk is full")]
    StorageFull,
    /// The engine is draining or has ended.
    #[error("the relay is stopping")]
    Unavailable,
}

#[derive(Debug)]
struct Admit {
    conversation: ConversationId,
    account: AccountId,
}

#[derive(Debug)]
struct May {
    conversation: ConversationId,
    account: AccountId,
    action: Action,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Arc<Inbox>,
    /// Room in the committer's queue, in units of [`session::ROOM_UNIT_BYTES`].
    room: Arc<Semaphore>,
    room_units: u32,
    metrics: Arc<EngineMetrics>,
    quotas: Quotas,
    next_session: AtomicU64,
    recovered: Recovered,
}

/// The engine's end: resolves when the committer has ended, by a drain or by a failure.
#[derive(Debug)]
pub struct EngineThread {
    ended: oneshot::Receiver<Result<(), Fatal>>,
}

impl EngineThread {
    /// Waits for the end.
    ///
    /// # Errors
    /// If the engine had to stop; the process must end with this message and a failure code.
    pub async fn ended(self) -> Result<(), Fatal> {
        self.ended.await.unwrap_or_else(|_| {
            Err(Fatal(StoreError::Internal("the committer thread ended without a word".to_owned())))
        })
    }
}

impl Engine {
    /// Opens the store, recovers what the last run left, and starts the engine's threads.
    ///
    /// # Errors
    /// If the store is in use, damaged, of a newer format, or cannot be written.
    pub fn open(
        config: EngineConfig,
        clock: impl Fn() -> UnixMillis + Send + Sync + 'static,
        directory: Arc<dyn Directory>,
    ) -> Result<(Self, EngineThread), OpenError> {
        let metrics = Arc::new(EngineMetrics::default());
        let inbox = Arc::new(Inbox::default());
        let room_units = session::room_units(config.queue_bytes_max);
        let opened = store::sled::open(&config.store)?;
        let (recovered, ended) =
            committer::start(&config, opened, Arc::new(clock), directory, inbox.clone(), metrics.clone())?;
        let shared = Shared {
            inbox,
            room: Arc::new(Semaphore::new(room_units as usize)),
            room_units,
            metrics,
            quotas: config.quotas,
            next_session: AtomicU64::new(1),
            recovered,
        };
        Ok((Self { shared: Arc::new(shared) }, EngineThread { ended }))
    }

    /// What was found on opening.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.shared.recovered
    }

    /// What the engine counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<EngineMetrics> {
        &self.shared.metrics
    }

    /// How much accounts and conversations may use.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.shared.quotas
    }

    /// Begins a session of a device that has proved itself. It ends when the handle and its clones are gone.
    #[must_use]
    pub fn attach(&self, account: AccountId, device: DeviceId) -> (SessionHandle, Outbound) {
        let id = SessionId(self.shared.next_session.fetch_add(1, Ordering::Relaxed));
        session::attach(self.shared.clone(), id, account, device)
    }

    /// Admits an account to a conversation (it redeemed an invite): it may now join by external commit.
    /// Returns when that is on disk.
    ///
    /// # Errors
    /// If the conversation admits nobody, or nothing can be written.
    pub async fn admit(&self, conversation: ConversationId, account: AccountId) -> Result<(), AdmitError> {
        let (answer, answered) = oneshot::channel();
        let put = self.shared.inbox.put(Work::Admit(Admit { conversation, account }, answer));
        if put.is_err() {
            return Err(AdmitError::Unavailable);
        }
        answered.await.unwrap_or(Err(AdmitError::Unavailable))
    }

    /// Whether the account may hand out invites to the conversation.
    pub async fn may_invite(&self, conversation: ConversationId, account: AccountId) -> bool {
        self.may(conversation, account, Action::Invite).await
    }

    /// Whether the account may do something in the conversation, as it is now.
    pub(crate) async fn may(&self, conversation: ConversationId, account: AccountId, action: Action) -> bool {
        let (answer, answered) = oneshot::channel();
        let put = self.shared.inbox.put(Work::May(May { conversation, account, action }, answer));
        put.is_ok() && answered.await.unwrap_or(false)
    }

    /// What the engine holds now.
    pub async fn usage(&self) -> EngineUsage {
        let (answer, answered) = oneshot::channel();
        match self.shared.inbox.put(Work::Usage(answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => EngineUsage::default(),
        }
    }

    /// Conversations in the order in which they were made, `from` the first on, at most `limit`.
    pub async fn survey(&self, from: usize, limit: usize) -> Vec<Surveyed> {
        let (answer, answered) = oneshot::channel();
        match self.shared.inbox.put(Work::Survey(from, limit, answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Bytes that each of some accounts has in the log, in the order of the accounts; nothing when the engine has ended.
    pub async fn held(&self, accounts: Vec<AccountId>) -> Vec<u64> {
        let (answer, answered) = oneshot::channel();
        match self.shared.inbox.put(Work::Held(accounts, answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// The accounts that have at least so many bytes in the log.
    pub async fn holders(&self, from_bytes: u64) -> Holders {
        let (answer, answered) = oneshot::channel();
        match self.shared.inbox.put(Work::Holders(from_bytes, answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Holders::default(),
        }
    }

    /// The whole log, for a backup or a check; `None` when the engine has ended.
    pub async fn export(&self) -> Option<Export> {
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.put(Work::Export(answer)).ok()?;
        let (log, hold) = answered.await.ok()?;
        Some(Export { log, inbox: self.shared.inbox.clone(), _hold: hold })
    }

    /// Deletes the shards that are older than the store's retention, if it has one. Call it now and then.
    pub async fn retain(&self) -> Retained {
        let (answer, answered) = oneshot::channel();
        match self.shared.inbox.put(Work::Retain(answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Retained::default(),
        }
    }

    /// Commits and answers what is queued, refuses everything after, writes a checkpoint and ends the engine.
    pub async fn drain(&self) {
        let (answer, answered) = oneshot::channel();
        if self.shared.inbox.put(Work::Drain(answer)).is_ok() {
            // An error means that the committer has ended, which is what was asked for.
            let _ = answered.await;
        }
    }
}
