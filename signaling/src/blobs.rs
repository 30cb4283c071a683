//! Files on the relay: what the HTTP API asks of whoever keeps them.

use crate::problem::Problem;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sotto_protocol::blob::{BlobPlace, BlobSize, Present};
use sotto_protocol::ids::{AccountId, UnixMillis};

/// Bytes that come piece by piece, so that nobody holds them all.
pub type BlobBytes = BoxStream<'static, std::io::Result<Bytes>>;

/// How an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobState {
    /// How large the blob is.
    pub size: BlobSize,
    /// Whether it is whole, and others can read it.
    pub is_whole: bool,
    /// Which chunks are there.
    pub present: Present,
    /// When it goes; `None` for never.
    pub expires: Option<UnixMillis>,
}

/// What an account may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobLimits {
    /// The largest blob.
    pub largest_bytes: u64,
    /// What it has.
    pub used_bytes: u64,
    /// What it may have; `None` for no limit.
    pub limit_bytes: Option<u64>,
}

/// Part of a blob on its way out.
pub struct BlobPart {
    /// How many bytes follow.
    pub bytes: u64,
    /// They.
    pub content: BlobBytes,
}

/// Whoever keeps files. Each method first asks whether the account is a member of the conversation.
pub trait Blobs: Send + Sync + 'static {
    /// What an account may keep.
    fn limits(&self, who: AccountId) -> Result<BlobLimits, Problem>;

    /// Begins an upload, or says how it stands. The body is the chunk list, read only if it is needed.
    fn begin(
        &self,
        who: AccountId,
        place: BlobPlace,
        size: BlobSize,
        list: BlobBytes,
    ) -> BoxFuture<'_, Result<BlobState, Problem>>;

    /// How an upload stands.
    fn state(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobState, Problem>>;

    /// Takes a chunk, if it is the one that the list has. It is on the disk when this ends well.
    fn put(
        &self,
        who: AccountId,
        place: BlobPlace,
        chunk: u32,
        body: BlobBytes,
    ) -> BoxFuture<'_, Result<(), Problem>>;

    /// All chunks are there: from now on the members can read.
    fn complete(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobState, Problem>>;

    /// The chunk list.
    fn list(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobPart, Problem>>;

    /// One chunk.
    fn chunk(&self, who: AccountId, place: BlobPlace, chunk: u32)
    -> BoxFuture<'_, Result<BlobPart, Problem>>;

    /// Deletes a blob, whole or half.
    fn delete(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<(), Problem>>;
}
