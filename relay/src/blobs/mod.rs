//! Files that the relay keeps for its conversations: what is decided in [`sotto_relay_core::blobs`], carried out on a folder.
//!
//! A request asks the log first whether the account is a member, then the shelf what it may do, and only then touches the disk.
//! Chunks pass through in pieces as they come from the network: the relay holds a few of them for each connection, whatever the
//! size of a file. A chunk is hashed on its way and gets its name only when the hash is that of the list.

mod disk;

use crate::engine::Engine;
use crate::folder::FolderError;
use crate::metrics::{FILE_BYTES, FILE_CHUNKS, FILE_REFUSALS, FILES, FILES_ENDED};
use crate::store::{Disk as _, RealDisk};
use bytes::Bytes;
use disk::BlobFolder;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use sotto_protocol::blob::{BlobPlace, BlobSize, ChunkHasher, ChunkList, Present};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_relay_core::authorise::Action;
use sotto_relay_core::blobs::{Act, Blob, Ended, Refused, Rules, Shelf};
use sotto_signaling::blobs::{BlobBytes, BlobLimits, BlobPart, BlobState, Blobs};
use sotto_signaling::problem::{Problem, ProblemCode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The name of the folder in the data folder.
pub const FOLDER: &str = "blobs";

/// Bytes of a chunk that are read from the disk at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Blobs on the relay's own disk.
#[derive(Debug)]
pub struct LocalBlobs {
    folder: BlobFolder,
    shelf: Mutex<Shelf>,
    /// One upload begins or ends at a time: what it counts is on the shelf before the next is asked for.
    changes: tokio::sync::Mutex<()>,
    engine: EngineHandle,
    clock: fn() -> UnixMillis,
    disk_free_min: u64,
}

/// The log, which has no `Debug`.
struct EngineHandle(Engine);

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl LocalBlobs {
    /// Opens the folder and reads what is there.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(
        path: PathBuf,
        rules: Rules,
        disk_free_min: u64,
        engine: Engine,
        clock: fn() -> UnixMillis,
    ) -> Result<Self, FolderError> {
        let (folder, found) =
            BlobFolder::open(path.clone(), clock()).map_err(|source| FolderError::Io { path, source })?;
        let mut shelf = Shelf::new(rules);
        found.into_iter().for_each(|(place, blob)| shelf.insert(place, blob));
        let (changes, engine) = (tokio::sync::Mutex::new(()), EngineHandle(engine));
        let this = Self { folder, shelf: Mutex::new(shelf), changes, engine, clock, disk_free_min };
        this.count();
        Ok(this)
    }

    /// How many there are, and their bytes.
    #[must_use]
    pub fn figures(&self) -> (u64, u64) {
        self.shelf().figures()
    }

    /// Deletes those whose time is over. How many.
    pub async fn sweep(&self) -> usize {
        let due = self.shelf().due((self.clock)());
        let mut swept = 0;
        for place in due {
            let _one = self.changes.lock().await;
            // Whoever went on with it meanwhile keeps it.
            let Some(ended) = self.shelf().end(place, (self.clock)()) else { continue };
            let reason = match ended {
                Ended::Expired => "expired",
                Ended::Abandoned => "abandoned",
            };
            metrics::counter!(FILES_ENDED, "reason" => reason).increment(1);
            let folder = self.folder.clone();
            match blocking(move || folder.remove(place)).await {
                Ok(()) => swept += 1,
                Err(error) => tracing::warn!(%error, "the folder of a file that ended cannot be deleted"),
            }
        }
        self.count();
        swept
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) {
        let (files, bytes) = self.figures();
        metrics::gauge!(FILES).set(files as f64);
        metrics::gauge!(FILE_BYTES).set(bytes as f64);
    }

    /// The blob, if the account may.
    async fn may(&self, act: Act, who: AccountId, place: BlobPlace) -> Result<Option<Blob>, Problem> {
        let action = match act {
            Act::Begin | Act::Put | Act::Complete | Act::Delete => Action::Write,
            Act::See | Act::Read => Action::Read,
        };
        let is_member = self.engine.0.may(place.conversation, who, action).await;
        self.shelf().may(act, who, is_member, place).map_err(refuse)
    }

    async fn there(&self, act: Act, who: AccountId, place: BlobPlace) -> Result<Blob, Problem> {
        self.may(act, who, place).await?.ok_or_else(|| refuse(Refused::NotFound))
    }

    async fn state_of(&self, place: BlobPlace, blob: Blob) -> Result<BlobState, Problem> {
        let folder = self.folder.clone();
        let present = match blob.whole_since {
            Some(_) => Present::all(blob.size),
            None => blocking(move || folder.present(place, blob.size)).await.map_err(failed)?,
        };
        let expires = self.shelf().expires(&blob);
        Ok(BlobState { size: blob.size, is_whole: blob.whole_since.is_some(), present, expires })
    }

    async fn begin_now(
        &self,
        who: AccountId,
        place: BlobPlace,
        size: BlobSize,
        list: BlobBytes,
    ) -> Result<BlobState, Problem> {
        let same = |blob: Blob| if blob.size == size { Ok(blob) } else { Err(refuse(Refused::OtherSize)) };
        if let Some(blob) = self.may(Act::Begin, who, place).await? {
            self.shelf().touch(place, (self.clock)());
            return self.state_of(place, same(blob)?).await;
        }
        self.shelf().takes(who, size).map_err(refuse)?;
        self.room(size.bytes()).await?;
        let list = gather(list, size.list_bytes()).await?;
        let verified =
            ChunkList::read(place.root, size, &list).map_err(|error| Problem::field("list", error))?;
        let _one = self.changes.lock().await;
        // Asked again: the list took a while to come.
        if let Some(blob) = self.may(Act::Begin, who, place).await? {
            return self.state_of(place, same(blob)?).await;
        }
        self.shelf().takes(who, size).map_err(refuse)?;
        let blob = Blob { uploader: who, size, whole_since: None, touched: (self.clock)() };
        let folder = self.folder.clone();
        blocking(move || folder.begin(place, &blob, &verified.to_bytes())).await.map_err(failed)?;
        self.shelf().insert(place, blob);
        self.count();
        self.state_of(place, blob).await
    }

    async fn put_now(
        &self,
        who: AccountId,
        place: BlobPlace,
        chunk: u32,
        mut body: BlobBytes,
    ) -> Result<(), Problem> {
        let blob = self.there(Act::Put, who, place).await?;
        let Some(mut hasher) = ChunkHasher::new(blob.size, chunk) else {
            return Err(Problem::field("chunk", format!("this file has {} chunks", blob.size.chunks())));
        };
        let (folder, path) = (self.folder.clone(), self.folder.chunk(place, chunk));
        let (hash, is_there) =
            blocking(move || Ok((folder.hash(place, chunk)?, path.exists()))).await.map_err(failed)?;
        if is_there {
            // Read to its end, or whoever sends it again does not hear that it is there.
            while let Some(piece) = body.next().await {
                if !hasher.update(&piece.map_err(|_| cut_off())?) {
                    return Err(wrong_chunk());
                }
            }
            return Ok(());
        }
        self.room(0).await?;
        let incoming = self.folder.incoming(place, chunk);
        let mut file = tokio::fs::File::create(&incoming.path).await.map_err(failed)?;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| cut_off())?;
            if !hasher.update(&piece) {
                return Err(wrong_chunk());
            }
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        if hasher.finish() != Some(hash) {
            return Err(wrong_chunk());
        }
        let file = file.into_std().await;
        blocking(move || incoming.keep(&file)).await.map_err(failed)?;
        self.shelf().touch(place, (self.clock)());
        metrics::counter!(FILE_CHUNKS, "direction" => "in").increment(1);
        Ok(())
    }

    async fn complete_now(&self, who: AccountId, place: BlobPlace) -> Result<BlobState, Problem> {
        let _one = self.changes.lock().await;
        let mut blob = self.there(Act::Complete, who, place).await?;
        if blob.whole_since.is_none() {
            let missing = self.state_of(place, blob).await?.present.missing().count();
            if missing > 0 {
                return Err(refuse(Refused::Missing(u32::try_from(missing).unwrap_or(u32::MAX))));
            }
            blob.whole_since = Some((self.clock)());
            let folder = self.folder.clone();
            blocking(move || folder.keep(place, &blob)).await.map_err(failed)?;
            self.shelf().insert(place, blob);
        }
        self.state_of(place, blob).await
    }

    async fn delete_now(&self, who: AccountId, place: BlobPlace) -> Result<(), Problem> {
        let _one = self.changes.lock().await;
        self.there(Act::Delete, who, place).await?;
        self.shelf().remove(place);
        self.count();
        let folder = self.folder.clone();
        blocking(move || folder.remove(place)).await.map_err(failed)
    }

    /// Whether so much more may be written.
    async fn room(&self, bytes: u64) -> Result<(), Problem> {
        let path = self.folder.path().to_owned();
        let free = blocking(move || RealDisk.free_bytes(&path)).await.map_err(failed)?;
        if free >= self.disk_free_min.saturating_add(bytes) {
            return Ok(());
        }
        metrics::counter!(FILE_REFUSALS, "reason" => "full").increment(1);
        Err(full())
    }
}

impl Blobs for LocalBlobs {
    fn limits(&self, who: AccountId) -> Result<BlobLimits, Problem> {
        let shelf = self.shelf();
        let Rules { blob_bytes_max, account_bytes, .. } = *shelf.rules();
        Ok(BlobLimits {
            largest_bytes: blob_bytes_max,
            used_bytes: shelf.used(who),
            limit_bytes: (account_bytes > 0).then_some(account_bytes),
        })
    }

    fn begin(
        &self,
        who: AccountId,
        place: BlobPlace,
        size: BlobSize,
        list: BlobBytes,
    ) -> BoxFuture<'_, Result<BlobState, Problem>> {
        Box::pin(self.begin_now(who, place, size, list))
    }

    fn state(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobState, Problem>> {
        Box::pin(async move { self.state_of(place, self.there(Act::See, who, place).await?).await })
    }

    fn put(
        &self,
        who: AccountId,
        place: BlobPlace,
        chunk: u32,
        body: BlobBytes,
    ) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.put_now(who, place, chunk, body))
    }

    fn complete(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobState, Problem>> {
        Box::pin(self.complete_now(who, place))
    }

    fn list(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<BlobPart, Problem>> {
        Box::pin(async move {
            self.there(Act::Read, who, place).await?;
            part(&self.folder.list(place)).await
        })
    }

    fn chunk(
        &self,
        who: AccountId,
        place: BlobPlace,
        chunk: u32,
    ) -> BoxFuture<'_, Result<BlobPart, Problem>> {
        Box::pin(async move {
            let blob = self.there(Act::Read, who, place).await?;
            if blob.size.chunk_bytes(chunk).is_none() {
                return Err(Problem::field("chunk", format!("this file has {} chunks", blob.size.chunks())));
            }
            let part = part(&self.folder.chunk(place, chunk)).await?;
            metrics::counter!(FILE_CHUNKS, "direction" => "out").increment(1);
            Ok(part)
        })
    }

    fn delete(&self, who: AccountId, place: BlobPlace) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.delete_now(who, place))
    }
}

/// A file of ours, piece by piece.
async fn part(path: &Path) -> Result<BlobPart, Problem> {
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let bytes = file.metadata().await.map_err(failed)?.len();
    let content = futures_util::stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(piece), file)))
    });
    Ok(BlobPart { bytes, content: content.boxed() })
}

/// The whole of a small body.
async fn gather(mut body: BlobBytes, bytes: usize) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| cut_off())?;
        if whole.len().saturating_add(piece.len()) > bytes {
            return Err(Problem::new(
                ProblemCode::TooLarge,
                format!("the chunk list of this file has {bytes} bytes"),
            ));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn refuse(refused: Refused) -> Problem {
    let code = match refused {
        Refused::NotUploader => ProblemCode::Forbidden,
        Refused::Taken | Refused::OtherSize => ProblemCode::Taken,
        Refused::Missing(_) => ProblemCode::Conflict,
        Refused::TooLarge(_) => ProblemCode::TooLarge,
        Refused::Quota { .. } => ProblemCode::LimitReached,
        _ => ProblemCode::NotFound,
    };
    let reason = match refused {
        Refused::TooLarge(_) => Some("large"),
        Refused::Quota { .. } => Some("quota"),
        _ => None,
    };
    if let Some(reason) = reason {
        metrics::counter!(FILE_REFUSALS, "reason" => reason).increment(1);
    }
    Problem::new(code, refused.to_string())
}

fn wrong_chunk() -> Problem {
    metrics::counter!(FILE_REFUSALS, "reason" => "hash").increment(1);
    Problem::field(
        "chunk",
        "this is not the chunk that the list has: it was damaged on its way, or the file changed",
    )
}

fn cut_off() -> Problem {
    Problem::new(ProblemCode::Malformed, "the body ended early; send it again")
}

fn full() -> Problem {
    Problem::new(
        ProblemCode::StorageFull,
        "the relay's disk is full: it takes no files now and still serves what it has",
    )
}

/// The disk failed, which is the operator's business; or it has no room.
fn failed(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
        // It was deleted meanwhile.
        io::ErrorKind::NotFound => refuse(Refused::NotFound),
        _ => {
            tracing::error!(%error, "a file cannot be read or written");
            Problem::new(ProblemCode::Internal, "the relay failed; its operator finds why under the trace id")
        }
    }
}
