//! A file comes in.

use super::partial::Partial;
use super::{AT_ONCE, FileError, Stage, Step, Watch, blocking, disk, persist};
use crate::http::blobs::BlobApi;
use crate::node::Node;
use futures_util::StreamExt as _;
use sotto_e2ee::file::{FileAbout, HEAD_BYTES, Sealer, guess};
use sotto_e2ee::store::Store;
use sotto_protocol::blob::{BlobPlace, ChunkList};
use sotto_protocol::ids::ConversationId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where a file goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// A folder, where it gets its own name; or a file.
    pub path: PathBuf,
    /// What has that name already is replaced.
    pub replace: bool,
}

/// A file that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Where it is.
    pub path: PathBuf,
    /// What it is by its content.
    pub media_type: &'static str,
}

/// Gets a file of a conversation: every chunk is held against the root that the sender named. Nothing is opened. Dropping this
/// leaves a partial file that the next call goes on with.
///
/// # Errors
/// See [`FileError`].
pub async fn get<S: Store + Send + 'static>(
    node: &Node<S>,
    conversation: ConversationId,
    about: FileAbout,
    target: Target,
    watch: Watch,
) -> Result<Got, FileError> {
    let path = target_path(&target.path, &about);
    if !target.replace && path.symlink_metadata().is_ok() {
        return Err(FileError::Exists(path));
    }
    let api = BlobApi::new(node.api().0.clone());
    let place = BlobPlace { conversation, root: about.root };
    let sealer = Sealer::new(&about.key, about.bytes).ok_or(FileError::TooLarge(about.bytes))?;
    let list = persist(async || api.list(&node.access_token().await?, place).await).await?;
    let list = ChunkList::read(about.root, sealer.size(), &list)?;
    let file = Arc::new(Wanted { sealer, list });

    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = folder.to_owned();
    let (known, looked, seen) = (file.clone(), about.clone(), watch.clone());
    let (mut partial, present) = blocking(move || {
        std::fs::create_dir_all(&folder).map_err(disk(&folder))?;
        let mut partial = Partial::open(&folder, &looked)?;
        let present = partial.present(&known.sealer, &known.list, &seen)?;
        Ok((partial, present))
    })
    .await?;

    let missing: Vec<u32> = present.missing().collect();
    let part = |chunk| file.sealer.part(chunk).map_or(0, |(_, bytes)| bytes as u64);
    let total = about.bytes;
    let mut done = total.saturating_sub(missing.iter().map(|chunk| part(*chunk)).sum());
    let fetch = async |chunk: u32| {
        let sealed = persist(async || api.chunk(&node.access_token().await?, place, chunk).await).await?;
        let wanted = file.clone();
        blocking(move || wanted.open(chunk, &sealed)).await
    };
    let mut coming = futures_util::stream::iter(missing).map(fetch).buffer_unordered(AT_ONCE);
    while let Some(part) = coming.next().await {
        let (start, part) = part?;
        done += part.len() as u64;
        partial = blocking(move || {
            partial.write(start, &part)?;
            Ok(partial)
        })
        .await?;
        watch(Step { stage: Stage::Moving, done, total });
    }
    drop(coming);
    let last = path.clone();
    let media_type = blocking(move || {
        let media_type = guess(&partial.head(HEAD_BYTES)?);
        partial.finish(total, &last, target.replace)?;
        Ok(media_type)
    })
    .await?;
    Ok(Got { path, media_type })
}

/// The file as the sender named it.
struct Wanted {
    sealer: Sealer,
    list: ChunkList,
}

impl Wanted {
    fn open(&self, chunk: u32, sealed: &[u8]) -> Result<(u64, Zeroizing<Vec<u8>>), FileError> {
        let bad =
            || FileError::BadChunk { chunk: chunk.saturating_add(1), chunks: self.list.size().chunks() };
        if !self.list.is_chunk(chunk, sealed) {
            return Err(bad());
        }
        let part = self.sealer.open(chunk, sealed).map_err(|_| bad())?;
        let (start, _) = self.sealer.part(chunk).ok_or_else(bad)?;
        Ok((start, part))
    }
}

/// In a folder it gets its own name, which is safe by its type.
fn target_path(target: &Path, about: &FileAbout) -> PathBuf {
    let is_folder = target.is_dir() || target.as_os_str().to_string_lossy().ends_with(['/', '\\']);
    if is_folder { target.join(about.name.as_str()) } else { target.to_owned() }
}
