//! Where the log is kept: a small trait, and sled behind it.
//!
//! The unit of writing is the *batch*: one run of bytes for all that arrived meanwhile, numbered without a
//! gap, durable as a whole or not at all. Everything else (where a conversation's entries are, who its members
//! are) follows from the batches. A *checkpoint* keeps it beside them, now and then, so that opening reads the last
//! second again and not the last year.

mod about;
pub mod compact;
pub mod disk;
pub(crate) mod half_snapshots;
mod keys;
mod layout;
mod migrate;
pub(crate) mod shards;
pub mod sled;

#[cfg(test)]
mod tests;

pub use disk::{Disk, RealDisk};

use bytes::Bytes;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, Sequence, UnixMillis};
use sotto_relay_core::conversation::ShardId;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The number of a batch: 1, 2, 3 without a gap over the life of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Whether a batch is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// sled's flush, then fsync: survives a power cut.
    #[default]
    FlushAndFsync,
    /// **Loses acknowledged messages on a power cut.** sled's flush alone. It exists so that a test can show
    /// that it would notice; no configuration of the program reaches it.
    FlushOnly,
}

/// How the sled store works.
#[derive(Debug, Clone)]
pub struct SledOptions {
    /// The folder. Made at the first opening; used by one process at a time.
    pub folder: PathBuf,
    /// The length of time that one shard takes in. Shorter ones give space back in smaller pieces.
    pub shard_span: Duration,
    /// How long entries are kept, at least; `None` keeps them for ever.
    pub retention: Option<Duration>,
    /// sled's page cache for each open shard; its real memory is about 2.5 times this (measured).
    pub cache_bytes: u64,
    /// Older shards that stay open for readers after use.
    pub open_shards_max: usize,
    /// With less free space than this nothing is appended. sled cannot go on after a write that did not fit,
    /// so this must be more than one batch can take: see [`SledOptions::RESERVE_BYTES_MIN`].
    pub reserve_bytes: u64,
    /// See [`SyncMode`].
    pub sync: SyncMode,
    /// See [`Disk`].
    pub disk: Arc<dyn Disk>,
}

impl SledOptions {
    /// One batch of at most 16 MiB, four times over (what sled writes for it), and a checkpoint.
    pub const RESERVE_BYTES_MIN: u64 = 128 * 1024 * 1024;

    /// The defaults: shards of 7 days, kept for ever.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            shard_span: Duration::from_secs(7 * 24 * 3600),
            retention: None,
            cache_bytes: 32 * 1024 * 1024,
            open_shards_max: 4,
            reserve_bytes: 2 * Self::RESERVE_BYTES_MIN,
            sync: SyncMode::default(),
            disk: Arc::new(RealDisk),
        }
    }
}

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("the log in {} is in use by another process; a log has one relay", folder.display())]
    InUse {
        /// Where.
        folder: PathBuf,
    },
    /// A newer or another program wrote it.
    #[error("the log in {} has the format {found:?}, this relay reads up to {:?}; nothing was changed: use the relay that wrote it, or a newer one", folder.display(), migrate::name(migrate::FORMAT))]
    Format {
        /// Where.
        folder: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// What is on the disk is not what was written.
    #[error("the log in {} is damaged: {what}; nothing was changed, restore it from a backup", folder.display())]
    Damaged {
        /// Where.
        folder: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The disk is full.
    #[error("the disk of {} is full", folder.display())]
    Full {
        /// Where.
        folder: PathBuf,
    },
    /// Writing to the disk could not be confirmed.
    #[error("the disk did not confirm a write (fsync of {}): {source}", file.display())]
    Sync {
        /// Which file.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another failure of the operating system.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A bug here or in sled.
    #[error("the store failed: {0}")]
    Internal(String),
}

impl StoreError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    fn damaged(folder: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { folder: folder.to_owned(), what: what.into() }
    }
}

/// Consecutive entries of one conversation in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The shard of the batch.
    pub shard: ShardId,
    /// The batch.
    pub batch: BatchNumber,
    /// The first entry.
    pub first: Sequence,
    /// How many.
    pub count: u32,
    /// Where the core column begins in the batch.
    pub offset: u32,
    /// Bytes of the core column.
    pub cores: u32,
    /// Bytes of the archive column, which follows it.
    pub archives: u32,
}

impl Run {
    /// The last entry.
    #[must_use]
    pub const fn last(&self) -> Sequence {
        Sequence(self.first.0.saturating_add(self.count as u64).saturating_sub(1))
    }
}

/// What a checkpoint keeps beside the batches, each under its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// A conversation, without its group.
    Conversation(ConversationId),
    /// The public state of its group at the current epoch.
    Group(ConversationId),
    /// What joiners at an earlier epoch need: group info and tree.
    Joining(ConversationId, Epoch),
    /// The Welcome to an epoch.
    Welcome(ConversationId, Epoch),
    /// The Welcomes that wait for a device.
    Waiting(DeviceId),
    /// What an account has in the log.
    Holding(AccountId),
    /// Says that the rows above count everything; without it they are counted anew from the batches.
    Counted,
}

/// What a checkpoint writes.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// The last batch whose effects are in it.
    pub applied: BatchNumber,
    /// The shard of that batch.
    pub shard: Option<ShardId>,
    /// Rows that changed; `None` removes one.
    pub rows: Vec<(Row, Option<Bytes>)>,
    /// Runs that are in no index yet, by conversation, ascending and consecutive.
    pub runs: Vec<(ConversationId, Vec<Run>)>,
}

/// What the last checkpoint has.
#[derive(Debug, Default)]
pub struct Restored {
    /// The last batch whose effects are in it; 0 for none.
    pub applied: BatchNumber,
    /// All rows of [`Row::Conversation`].
    pub conversations: Vec<Bytes>,
    /// All rows of [`Row::Waiting`].
    pub waiting: Vec<(DeviceId, Bytes)>,
    /// All rows of [`Row::Holding`]; `None` if nobody has counted yet.
    pub holdings: Option<Vec<(AccountId, Bytes)>>,
}

/// How long the parts of an append took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    /// All of it.
    pub write: Duration,
    /// Only the fsync.
    pub fsync: Duration,
}

/// Free space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes free on the disk.
    pub free_bytes: u64,
    /// Whether that is too little to append.
    pub is_full: bool,
}

/// The writing end of a store: one at a time, owned by the committer.
pub trait LogStore: Send {
    /// A reading end.
    fn reader(&self) -> Arc<dyn LogReader>;

    /// What reads all of it, from other threads, while it is written to.
    fn export(&self) -> Arc<dyn LogExport>;

    /// What writes checkpoints, from another thread.
    fn checkpointer(&self) -> Arc<dyn Checkpointer>;

    /// What the last checkpoint has.
    ///
    /// # Errors
    /// If it does not read.
    fn restore(&self) -> Result<Restored, StoreError>;

    /// Gives every batch after `applied`, in order.
    ///
    /// # Errors
    /// If one is missing in between or does not read, or `each` fails.
    fn replay(
        &self,
        applied: BatchNumber,
        each: &mut dyn FnMut(ShardId, BatchNumber, Bytes) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Whether a shard is there.
    fn has_shard(&self, shard: ShardId) -> bool;

    /// Free space. Cheap enough to ask before every batch.
    ///
    /// # Errors
    /// If the file system does not say.
    fn room(&self) -> Result<Room, StoreError>;

    /// The shard that a batch of this time goes to; made, and durable as an empty one, when it is a new one.
    ///
    /// # Errors
    /// If it cannot be made.
    fn shard_at(&mut self, now: UnixMillis) -> Result<ShardId, StoreError>;

    /// Writes a batch into the shard of the last [`LogStore::shard_at`]. When this returns, it is on the disk.
    ///
    /// # Errors
    /// After any error nothing may be acknowledged any more: what is on the disk is known by opening it again.
    fn append(&mut self, number: BatchNumber, batch: &[u8]) -> Result<Took, StoreError>;

    /// Deletes the shards that lie before now by more than the retention, all of whose batches are in a
    /// checkpoint. Returns those that are gone.
    ///
    /// # Errors
    /// If a folder cannot be deleted.
    fn retain(&mut self, now: UnixMillis) -> Result<Vec<ShardId>, StoreError>;
}

/// Writes checkpoints beside the committer.
pub trait Checkpointer: Send + Sync {
    /// Writes a checkpoint, durable and all at once. One at a time.
    ///
    /// # Errors
    /// After an error the store must be opened again.
    fn save(&self, checkpoint: &Checkpoint) -> Result<(), StoreError>;
}

/// A reading end; many threads read at once.
pub trait LogReader: Send + Sync {
    /// Bytes of a batch; `None` if its shard was deleted meanwhile.
    ///
    /// # Errors
    /// If they are missing or do not read.
    fn bytes(
        &self,
        shard: ShardId,
        batch: BatchNumber,
        offset: u32,
        length: u32,
    ) -> Result<Option<Bytes>, StoreError>;

    /// The runs of the index record that begins at or before `at`, ascending; none if there is no such record.
    ///
    /// # Errors
    /// If it does not read.
    fn runs(
        &self,
        shard: ShardId,
        conversation: ConversationId,
        at: Sequence,
    ) -> Result<Vec<Run>, StoreError>;

    /// A row of the last checkpoint.
    ///
    /// # Errors
    /// If it does not read.
    fn row(&self, row: &Row) -> Result<Option<Bytes>, StoreError>;
}

/// Takes a batch; says whether the next one is wanted.
pub type EachBatch<'a> = dyn FnMut(BatchNumber, Bytes) -> ControlFlow<()> + 'a;

/// Takes a row; says whether the next one is wanted.
pub type EachRow<'a> = dyn FnMut(Row, Bytes) -> ControlFlow<()> + 'a;

/// Reads a whole log while it is written to: for backups, checks and figures. Whoever uses it sees to it that no
/// shard is deleted meanwhile.
pub trait LogExport: Send + Sync {
    /// The length of time that one shard takes in.
    fn shard_span(&self) -> Duration;

    /// The shards that are there, oldest first.
    ///
    /// # Errors
    /// If the folder does not list.
    fn shards(&self) -> Result<Vec<ShardId>, StoreError>;

    /// Gives the batches of a shard, in order, between and including two numbers.
    ///
    /// # Errors
    /// If one does not read.
    fn batches(
        &self,
        shard: ShardId,
        range: (BatchNumber, BatchNumber),
        each: &mut EachBatch<'_>,
    ) -> Result<(), StoreError>;

    /// Gives every row of the last checkpoint; returns the batch whose effects they have, 0 for none. No
    /// checkpoint is written meanwhile, while batches go on.
    ///
    /// # Errors
    /// If one does not read.
    fn rows(&self, each: &mut EachRow<'_>) -> Result<BatchNumber, StoreError>;
}
