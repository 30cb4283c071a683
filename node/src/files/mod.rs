//! Files, from a disk to a conversation and back: [`send()`] and [`get()`].
//!
//! ```text
//! send: read once, seal, hash -> root | begin at the relay | read again, seal, put what is missing | complete | say it
//! get:  list, held against the root | fetch what is missing, hold it against the list, open, write | whole: its name
//!                                     from the relay, and from members directly
//! ```
//!
//! Both hold a few chunks of 1 MiB in memory, whatever the size. Both go on where they were after any interruption: an upload by
//! its key, kept in the local store, and what the relay has; a download by what lies in its partial file, every part of which is
//! sealed and hashed again, so that it is trusted for what it is and not for what was written down about it.

mod arriving;
mod get;
mod members;
mod partial;
mod pieces;
mod send;
mod swarm;

pub(crate) use arriving::Arriving;
pub use get::{Got, Target, get};
pub(crate) use pieces::Pieces;
pub use send::{Outgoing, send};

use crate::http::HttpError;
use sotto_node_core::backoff::Backoff;
use sotto_node_core::event::Failure;
use sotto_node_core::view::size;
use sotto_protocol::blob::BadList;
use sotto_protocol::ids::{AccountId, DeviceId};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Chunks that are under way at once. One alone waits for the relay's disk and the line in turn.
const AT_ONCE: usize = 4;

/// How often in a row a chunk is tried: with growing waits, about a minute.
const TRIES_MAX: u32 = 8;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub stage: Stage,
    /// Bytes of the file that are through.
    pub done: u64,
    /// All of it.
    pub total: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file is read and hashed, before anything goes out; or what is there of a download is looked at.
    Checking,
    /// Chunks are on their way.
    Moving,
}

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// How far it is.
    Step(Step),
    /// From whom it comes now.
    Sources(Vec<Source>),
    /// Somebody is not asked any more.
    Dropped(Dropped),
}

impl From<Step> for Report {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

/// Who is told.
pub type Watch = Arc<dyn Fn(Report) + Send + Sync>;

/// Who gives a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Giver {
    /// The relay.
    Relay,
    /// A device of a member.
    Member {
        /// Whose.
        account: AccountId,
        /// Its user name, where known.
        username: String,
        /// Which.
        device: DeviceId,
        /// By way of the relay, which had the file no more; else directly.
        routed: bool,
    },
}

/// One of those from whom a file comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Who.
    pub giver: Giver,
    /// Bytes of the file that came from there.
    pub bytes: u64,
    /// There and back; of the relay it is not measured.
    pub round_trip: Option<Duration>,
}

/// One that is not asked any more, because of what it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Who.
    pub giver: Giver,
    /// One sentence.
    pub why: String,
}

/// Why a file was not sent or not got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The relay refused, or is not there.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The client refused.
    #[error(transparent)]
    Client(#[from] Failure),
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a folder, a pipe or the like.
    #[error("{} is no file; folders are sent as an archive (tar, zip)", .0.display())]
    NoFile(PathBuf),
    /// Larger than anything that can be sent.
    #[error("the file has {} and the largest that can be sent has 64 GiB; send it in parts", size(*.0))]
    TooLarge(u64),
    /// Larger than what this relay takes.
    #[error("the file has {} and this relay takes at most {}", size(*.0), size(*.1))]
    TooLargeHere(u64, u64),
    /// It changed while it was being sent.
    #[error("{} changed while it was being sent; nothing was said to anybody, send it again", .0.display())]
    Changed(PathBuf),
    /// The list is not the file's.
    #[error("what the relay has is not this file ({0}); ask for it to be sent again")]
    BadList(#[from] BadList),
    /// A chunk is not the file's.
    #[error(
        "chunk {chunk} of {chunks} is damaged at the relay: it is not the one that was sent; what was got so far is kept, ask for the file to be sent again"
    )]
    BadChunk {
        /// Which, from 1 on.
        chunk: u32,
        /// How many there are.
        chunks: u32,
    },
    /// Something is there already.
    #[error("{} is there already; choose another place with -o, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// Somebody else writes there.
    #[error("another sotto is getting this file to {}", .0.display())]
    Busy(PathBuf),
}

fn disk(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> FileError + '_ {
    move |source| FileError::Disk { path: path.to_owned(), source }
}

/// Work that would hold the runtime up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(FileError::Disk { path: PathBuf::new(), source })
    })
}

/// Tries again what a moment may mend: a relay that restarts, a line that is away, a rate.
async fn persist<T, F: Future<Output = Result<T, HttpError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, FileError> {
    let mut backoff = Backoff::default();
    for _ in 1..TRIES_MAX {
        let wait = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => match patience(&error) {
                Some(least) => backoff.next_wait(&mut rand::rng()).max(least),
                None => return Err(error.into()),
            },
        };
        tokio::time::sleep(wait).await;
    }
    Ok(attempt().await?)
}

/// How long to wait at least before it is worth another try; `None` if it never is.
fn patience(error: &HttpError) -> Option<Duration> {
    match error {
        HttpError::Unreachable { .. } => Some(Duration::ZERO),
        HttpError::Refused(problem) if matches!(problem.status, 429 | 500 | 502 | 503 | 504) => {
            Some(problem.retry_after.unwrap_or_default())
        }
        _ => None,
    }
}
