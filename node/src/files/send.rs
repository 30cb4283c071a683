//! A file goes out.

use super::pieces::Pieces;
use super::{AT_ONCE, FileError, Stage, Step, Watch, blocking, disk, persist};
use crate::http::blobs::BlobApi;
use crate::node::{Node, Ticket, wall_clock};
use crate::pictures;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sotto_e2ee::file::{FILE_BYTES_MAX, FileAbout, FileKey, FileName, HEAD_BYTES, Sealer, guess};
use sotto_e2ee::store::Store;
use sotto_node_core::account::shared::Shared;
use sotto_node_core::account::uploads::{self, Upload};
use sotto_node_core::command::Command;
use sotto_protocol::blob::{BlobPlace, ChunkList, HASH_BYTES};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

/// Threads that read, seal and hash a file before it goes out: by then the disk is what it waits for.
const HASHERS_MAX: usize = 4;

/// What to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub conversation: ConversationId,
    /// The file.
    pub path: PathBuf,
    /// What there is to say about it; empty for nothing.
    pub caption: String,
    /// The place of what it answers.
    pub reply_to: Option<Sequence>,
}

/// A file that was read once: its key, what it is called, and the hashes of its chunks.
struct Prepared {
    path: PathBuf,
    sealer: Sealer,
    list: ChunkList,
    upload: Upload,
}

/// Brings a file to the relay and hands it to the client. When this returns, it has its place behind what was said before.
/// Dropping this leaves an upload that the next call with the same file goes on with.
///
/// # Errors
/// See [`FileError`].
pub async fn send<S: Store + Send + 'static>(
    node: &Node<S>,
    outgoing: Outgoing,
    watch: Watch,
) -> Result<(FileAbout, Ticket), FileError> {
    let Outgoing { conversation, path, caption, reply_to } = outgoing;
    let api = Arc::new(BlobApi::new(node.api().0.clone()));
    let (path, bytes, modified) = blocking(move || look(&path)).await?;
    fits(node, &api, bytes).await?;

    let known = node.ask(move |client| uploads::all(client.store(), conversation)).await?;
    let name = path.to_string_lossy().into_owned();
    let known = known
        .map_err(sotto_node_core::event::Failure::from)?
        .into_iter()
        .find(|known| known.path == name && known.about.bytes == bytes && known.modified == modified);
    let prepared = prepare(path, modified, bytes, known, watch.clone()).await?;
    let Prepared { upload, list, .. } = &prepared;
    node.keep_upload(conversation, upload.clone()).await?;
    let (about, size) = (upload.about.clone(), list.size());
    let shared = Shared { path: upload.path.clone(), about: about.clone(), since: wall_clock() };
    let (hashes, upload_path) = (list.clone(), upload.path.clone());
    let place = BlobPlace { conversation, root: about.root };

    let standing = persist(async || api.begin(&node.access_token().await?, place, list).await).await?;
    if !standing.is_whole {
        put_missing(node, &api, place, prepared, standing.present.missing().collect(), watch).await?;
        persist(async || api.complete(&node.access_token().await?, place, size).await).await?;
    }
    // Whoever asks for it later may have it from here, if this device is there.
    node.keep_shared(conversation, shared, hashes).await?;
    let preview = if about.media_type.starts_with("image/") {
        blocking(move || Ok(pictures::preview(Path::new(&upload_path)))).await?
    } else {
        None
    };
    let send = Command::SendFile { conversation, about: about.clone(), caption, reply_to, preview };
    Ok((about, node.submit(send).await))
}

/// What the file is, before any of it is read.
fn look(path: &Path) -> Result<(PathBuf, u64, UnixMillis), FileError> {
    let path = path.canonicalize().map_err(disk(path))?;
    let found = path.metadata().map_err(disk(&path))?;
    if !found.is_file() {
        return Err(FileError::NoFile(path));
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLarge(found.len()));
    }
    let modified =
        found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let modified = UnixMillis(u64::try_from(modified.as_millis()).unwrap_or(u64::MAX));
    Ok((path, found.len(), modified))
}

/// Asks before the whole file is read for nothing. What counts is what the relay says when the upload begins.
async fn fits<S: Store + Send + 'static>(node: &Node<S>, api: &BlobApi, bytes: u64) -> Result<(), FileError> {
    let limits = persist(async || api.limits(&node.access_token().await?).await).await?;
    tracing::debug!(limits.used_bytes, limits.limit_bytes, "files at the relay");
    if bytes > limits.largest_bytes {
        return Err(FileError::TooLargeHere(bytes, limits.largest_bytes));
    }
    Ok(())
}

/// Reads the file once. With the key of an upload that was interrupted, if it is still that file; else with a new one.
async fn prepare(
    path: PathBuf,
    modified: UnixMillis,
    bytes: u64,
    known: Option<Upload>,
    watch: Watch,
) -> Result<Prepared, FileError> {
    if let Some(known) = known {
        let (key, name, look) = (known.about.key.clone(), path.clone(), watch.clone());
        let (list, _) = blocking(move || hash(&name, &key, bytes, &look)).await?;
        if list.root() == known.about.root {
            let sealer = Sealer::new(&known.about.key, bytes).ok_or(FileError::TooLarge(bytes))?;
            return Ok(Prepared { path, sealer, list, upload: known });
        }
        // It is another file by now. Nothing of what was just sealed has left this device, and the key is dropped.
    }
    let key = FileKey::draw(&mut rand::rng());
    let (of, name) = (key.clone(), path.clone());
    let (list, media_type) = blocking(move || hash(&name, &of, bytes, &watch)).await?;
    let sealer = Sealer::new(&key, bytes).ok_or(FileError::TooLarge(bytes))?;
    let name = FileName::lossy(&path.file_name().unwrap_or_default().to_string_lossy());
    let about = FileAbout { name, bytes, media_type: media_type.to_owned(), root: list.root(), key };
    let upload = Upload { path: path.to_string_lossy().into_owned(), modified, about, begun: wall_clock() };
    Ok(Prepared { path, sealer, list, upload })
}

/// The hashes of all chunks, and what the file is by its beginning.
fn hash(
    path: &Path,
    key: &FileKey,
    bytes: u64,
    watch: &Watch,
) -> Result<(ChunkList, &'static str), FileError> {
    let sealer = Sealer::new(key, bytes).ok_or(FileError::TooLarge(bytes))?;
    let pieces = Pieces::of(File::open(path).map_err(disk(path))?);
    let head = HEAD_BYTES.min(usize::try_from(bytes).unwrap_or(HEAD_BYTES));
    let media_type = guess(&pieces.read(0, head).map_err(changed(path))?);
    let (next, done) = (AtomicU32::new(0), AtomicU64::new(0));
    let work = || -> Result<Vec<(u32, [u8; HASH_BYTES])>, FileError> {
        let mut hashes = Vec::new();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            let Some((start, length)) = sealer.part(chunk) else { return Ok(hashes) };
            let mut part = pieces.read(start, length).map_err(changed(path))?;
            sealer.seal_in_place(chunk, &mut part).map_err(|_| FileError::Changed(path.to_owned()))?;
            let hash = sealer.hash(chunk, &part).ok_or_else(|| FileError::Changed(path.to_owned()))?;
            hashes.push((chunk, hash));
            let done = done.fetch_add(length as u64, Ordering::Relaxed).saturating_add(length as u64);
            watch(Step { stage: Stage::Checking, done, total: bytes }.into());
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(HASHERS_MAX));
    let hashed: Result<Vec<_>, FileError> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut hashes: Vec<_> = hashed?.into_iter().flatten().collect();
    hashes.sort_unstable_by_key(|(chunk, _)| *chunk);
    Ok((sealer.list(hashes.into_iter().map(|(_, hash)| hash).collect())?, media_type))
}

/// That a file is shorter than it was is a change.
fn changed(path: &Path) -> impl FnOnce(std::io::Error) -> FileError + '_ {
    move |error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => FileError::Changed(path.to_owned()),
        _ => disk(path)(error),
    }
}

/// Brings what is missing, several chunks at once.
async fn put_missing<S: Store + Send + 'static>(
    node: &Node<S>,
    api: &BlobApi,
    place: BlobPlace,
    prepared: Prepared,
    missing: Vec<u32>,
    watch: Watch,
) -> Result<(), FileError> {
    let total = prepared.upload.about.bytes;
    let prepared = Arc::new(prepared);
    let part = |chunk| prepared.sealer.part(chunk).map_or(0, |(_, bytes)| bytes as u64);
    let done = AtomicU64::new(total.saturating_sub(missing.iter().map(|chunk| part(*chunk)).sum()));
    let put = async |chunk: u32| {
        let file = prepared.clone();
        let sealed = blocking(move || seal_again(&file, chunk)).await?;
        persist(async || api.put(&node.access_token().await?, place, chunk, sealed.clone()).await).await?;
        let done = done.fetch_add(part(chunk), Ordering::Relaxed).saturating_add(part(chunk));
        watch(Step { stage: Stage::Moving, done, total }.into());
        Ok::<_, FileError>(())
    };
    futures_util::stream::iter(missing).map(put).buffer_unordered(AT_ONCE).try_collect().await
}

/// Seals a part once more. What is not as it was when the list was made does not leave this device: its key must not seal two
/// files.
fn seal_again(prepared: &Prepared, chunk: u32) -> Result<Bytes, FileError> {
    let Prepared { path, sealer, list, .. } = prepared;
    let pieces = Pieces::of(File::open(path).map_err(disk(path))?);
    let sealed = pieces.sealed(sealer, list, chunk).map_err(changed(path))?;
    sealed.map(Bytes::from).ok_or_else(|| FileError::Changed(path.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_changed_since_the_list_was_made_is_not_sealed_for_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        std::fs::write(&path, "the first version").unwrap();
        let (path, bytes, modified) = look(&path).unwrap();
        let key = FileKey::draw(&mut rand::rng());
        let watch: Watch = Arc::new(|_| {});
        let (list, media_type) = hash(&path, &key, bytes, &watch).unwrap();
        assert_eq!(media_type, "text/plain");
        let sealer = Sealer::new(&key, bytes).unwrap();
        let about = FileAbout {
            name: FileName::lossy("report.txt"),
            bytes,
            media_type: media_type.to_owned(),
            root: list.root(),
            key,
        };
        let upload = Upload { path: String::new(), modified, about, begun: UnixMillis(0) };
        let prepared = Prepared { path: path.clone(), sealer, list, upload };
        assert!(seal_again(&prepared, 0).is_ok());
        std::fs::write(&path, "the other version").unwrap();
        assert!(matches!(seal_again(&prepared, 0), Err(FileError::Changed(_))));
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(seal_again(&prepared, 0), Err(FileError::Changed(_))));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look(folder.path()), Err(FileError::NoFile(_))));
        assert!(matches!(look(&folder.path().join("nothing")), Err(FileError::Disk { .. })));
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(look(&huge), Err(FileError::TooLarge(_))));
    }
}
