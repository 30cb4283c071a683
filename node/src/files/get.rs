//! A file comes in.

use super::arriving::{Arriving, Wanted};
use super::members::Members;
use super::partial::Partial;
use super::swarm::Swarm;
use super::{Dropped, FileError, Source, Watch, blocking, disk, persist};
use crate::http::HttpError;
use crate::http::blobs::BlobApi;
use crate::node::{Node, wall_clock};
use sotto_e2ee::file::{FileAbout, HEAD_BYTES, Sealer, guess};
use sotto_e2ee::store::Store;
use sotto_node_core::account::shared::Shared;
use sotto_protocol::blob::{BlobPlace, ChunkList};
use sotto_protocol::ids::ConversationId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file of so few chunks comes from the relay before a link to anybody would stand, so nobody is asked.
const SMALL_CHUNKS: u32 = 4;

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
    /// From whom what was missing came.
    pub sources: Vec<Source>,
    /// Who was not asked any more.
    pub dropped: Vec<Dropped>,
    /// From when what was missing was asked for until it lay here whole.
    pub took: Duration,
}

/// Gets a file of a conversation, from the relay and from members who have it: every chunk is held against the root that the
/// sender named. Nothing is opened. Dropping this leaves a partial file that the next call goes on with.
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
    let mut members = Members::of(node, place);
    if sealer.size().chunks() > SMALL_CHUNKS {
        members.ask().await?;
    }
    let list = persist(async || api.list(&node.access_token().await?, place).await).await;
    let list = list.and_then(|list| Ok(ChunkList::read(about.root, sealer.size(), &list)?));
    let (list, relay) = match list {
        Ok(list) => (list, Ok(())),
        Err(error) if may_be_elsewhere(&error) => match members.list(sealer.size()).await? {
            Some(list) => (list, Err(error)),
            None => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = folder.to_owned();
    let (looked, seen) = (about.clone(), watch.clone());
    let file = blocking(move || {
        std::fs::create_dir_all(&folder).map_err(disk(&folder))?;
        let partial = Partial::open(&folder, &looked)?;
        let there = partial.present(&sealer, &list, &seen)?;
        Ok(Arc::new(Arriving::new(Wanted { sealer, list }, partial, there)))
    })
    .await?;

    // Others who want it have what is here of it already.
    let giving = node.hub().arrives(place, file.clone());
    members.give_what_is_here().await;
    let began = Instant::now();
    let swarm = Swarm::new(node, &api, place, file.clone(), relay, &watch);
    let (sources, dropped) = swarm.run(members).await?;
    drop(giving);
    let (last, total, whole) = (path.clone(), about.bytes, file.clone());
    let media_type = blocking(move || {
        let head = HEAD_BYTES.min(usize::try_from(total).unwrap_or(HEAD_BYTES));
        let media_type = guess(&whole.partial().head(head)?);
        whole.partial().finish(total, &last, target.replace)?;
        Ok(media_type)
    })
    .await?;
    let took = began.elapsed();
    let lies = blocking({
        let path = path.clone();
        move || path.canonicalize().map_err(disk(&path))
    });
    let lies = lies.await?.to_string_lossy().into_owned();
    node.keep_shared(conversation, Shared { path: lies, about, since: wall_clock() }, file.list().clone())
        .await?;
    Ok(Got { path, media_type, sources, dropped, took })
}

/// The relay does not have it, or what it has is another one: a member may.
fn may_be_elsewhere(error: &FileError) -> bool {
    match error {
        FileError::BadList(_) => true,
        FileError::Http(HttpError::Refused(problem)) => problem.status == 404,
        _ => false,
    }
}

/// In a folder it gets its own name, which is safe by its type.
fn target_path(target: &Path, about: &FileAbout) -> PathBuf {
    let is_folder = target.is_dir() || target.as_os_str().to_string_lossy().ends_with(['/', '\\']);
    if is_folder { target.join(about.name.as_str()) } else { target.to_owned() }
}
