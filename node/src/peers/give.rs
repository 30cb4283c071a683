//! Giving pieces of files to a device that wants them.
//!
//! A piece is read, sealed and held against the hashes from when the file was whole. One that is not as it was is not given, and the
//! file is forgotten: it is another one by now, and nobody's business.

use super::Hub;
use crate::files::Pieces;
use crate::node::WeakNode;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use quinn::{Connection, RecvStream, SendStream};
use sotto_e2ee::file::Sealer;
use sotto_e2ee::store::Store;
use sotto_node_core::account::shared::Shared;
use sotto_protocol::blob::{BlobPlace, BlobRoot, ChunkList, Present};
use sotto_protocol::ids::ConversationId;
use sotto_protocol::peer::{QUESTION_BYTES, Question, Status, Wanted};
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// A link without a question for so long is closed.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// How long a question may take to be said, and a piece to be taken: 1 MiB at 140 kbit/s.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What gives the pieces of files that members of a conversation ask for.
pub trait Gives: Send + Sync + 'static {
    /// What follows [`Status::Here`]; `None` if it is not here, or not any more.
    fn give(&self, conversation: ConversationId, question: Question) -> BoxFuture<'static, Option<Bytes>>;
}

/// One link's giving end.
#[derive(Clone)]
pub(super) struct Giver {
    pub(super) conversation: ConversationId,
    /// What this device has whole, if it gives that at all.
    pub(super) gives: Option<Arc<dyn Gives>>,
    pub(super) hub: Hub,
}

impl Giver {
    /// Answers questions until nobody asks any more.
    pub(super) async fn serve(&self, connection: Connection) {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                asked = timeout(IDLE, connection.accept_bi()) => match asked {
                    Ok(Ok((send, recv))) => under_way.push(timeout(PATIENCE, self.answer(send, recv))),
                    // Gone, or nothing was asked for long.
                    Ok(Err(_)) => return,
                    Err(_) if under_way.is_empty() => return connection.close(0_u32.into(), b"idle"),
                    Err(_) => {}
                },
                Some(_) = under_way.next() => {}
            }
        }
    }

    async fn answer(&self, mut send: SendStream, mut recv: RecvStream) -> Option<()> {
        let asked = recv.read_to_end(QUESTION_BYTES).await.ok()?;
        let question = Question::read(&asked)?;
        match self.piece(question).await {
            Some(piece) => {
                send.write_all(&[Status::Here.to_byte()]).await.ok()?;
                send.write_chunk(piece).await.ok()?;
            }
            None => send.write_all(&[Status::Gone.to_byte()]).await.ok()?,
        }
        send.finish().ok()
    }

    /// Of a file that is on its way here, or of one that is here.
    pub(super) async fn piece(&self, question: Question) -> Option<Bytes> {
        let _room = self.hub.0.room.acquire().await.ok()?;
        let Question { root, wanted } = question;
        match self.hub.arriving(BlobPlace { conversation: self.conversation, root }) {
            Some(file) => tokio::task::spawn_blocking(move || file.give(wanted)).await.ok()?,
            None => self.gives.as_ref()?.give(self.conversation, question).await,
        }
    }
}

/// The files of this device's own disk.
pub(crate) struct Disk<S: Store> {
    node: WeakNode<S>,
    /// The file that was asked for last: it is looked up once, not for each of its pieces.
    last: Arc<Mutex<Last>>,
}

/// The file that was asked for last, and where.
type Last = Option<(ConversationId, Arc<Open>)>;

/// A file with what seals and verifies its pieces.
struct Open {
    shared: Shared,
    list: ChunkList,
    sealer: Sealer,
}

impl<S: Store + Send + 'static> Disk<S> {
    pub(crate) fn new(node: WeakNode<S>) -> Self {
        Self { node, last: Arc::default() }
    }
}

impl<S: Store + Send + 'static> Gives for Disk<S> {
    fn give(&self, conversation: ConversationId, question: Question) -> BoxFuture<'static, Option<Bytes>> {
        let (node, last) = (self.node.clone(), self.last.clone());
        async move {
            let known = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let known =
                known.filter(|(place, open)| *place == conversation && open.list.root() == question.root);
            let open = match known {
                Some((_, open)) => open,
                None => {
                    let open = Arc::new(look_up(&node, conversation, question.root).await?);
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((conversation, open.clone()));
                    open
                }
            };
            let chunk = match question.wanted {
                Wanted::List => return Some(open.list.to_bytes().into()),
                Wanted::Chunk(chunk) if chunk < open.list.size().chunks() => chunk,
                Wanted::Chunk(_) => return None,
                Wanted::Present => {
                    return Some(Present::all(open.list.size()).as_bytes().to_vec().into());
                }
            };
            let given = tokio::task::spawn_blocking(move || open.piece(chunk)).await.ok()?;
            if given.is_none() {
                tracing::info!("a file that a member asked for is not as it was, and is not given any more");
                *last.lock().unwrap_or_else(PoisonError::into_inner) = None;
                if let Some(node) = node.upgrade() {
                    let _ = node.forget_shared(conversation, question.root).await;
                }
            }
            given
        }
        .boxed()
    }
}

async fn look_up<S: Store + Send + 'static>(
    node: &WeakNode<S>,
    conversation: ConversationId,
    root: BlobRoot,
) -> Option<Open> {
    let (shared, list) = node.upgrade()?.shared(conversation, root).await.ok()??;
    let sealer = Sealer::new(&shared.about.key, shared.about.bytes)?;
    Some(Open { shared, list, sealer })
}

impl Open {
    /// One chunk as it lies at a relay; `None` if the file is not as it was.
    fn piece(&self, chunk: u32) -> Option<Bytes> {
        let pieces = Pieces::of(File::open(&self.shared.path).ok()?);
        pieces.sealed(&self.sealer, &self.list, chunk).ok()?.map(Bytes::from)
    }
}

/// Whether a file lies where it was remembered, as long as it was. What is in it is looked at piece by piece.
pub(crate) fn is_there(shared: &Shared) -> bool {
    std::fs::metadata(&shared.path).is_ok_and(|found| found.is_file() && found.len() == shared.about.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::file::{FileAbout, FileKey, FileName};
    use sotto_protocol::ids::UnixMillis;

    #[test]
    fn a_piece_of_a_file_that_changed_leaves_this_device_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        std::fs::write(&path, "the first version").unwrap();
        let key = FileKey::draw(&mut rand::rng());
        let sealer = Sealer::new(&key, 17).unwrap();
        let sealed = sealer.seal(0, b"the first version").unwrap();
        let list = sealer.list(vec![sealer.hash(0, &sealed).unwrap()]).unwrap();
        let about = FileAbout {
            name: FileName::lossy("report.txt"),
            bytes: 17,
            media_type: String::new(),
            root: list.root(),
            key,
        };
        let shared = Shared { path: path.to_string_lossy().into_owned(), about, since: UnixMillis(0) };
        let open = Open { shared, list, sealer };
        assert!(is_there(&open.shared));
        assert_eq!(open.piece(0).as_deref(), Some(sealed.as_slice()));
        std::fs::write(&path, "another version!!").unwrap();
        assert!(is_there(&open.shared), "as long as before");
        assert_eq!(open.piece(0), None);
        std::fs::write(&path, "short").unwrap();
        assert_eq!((is_there(&open.shared), open.piece(0)), (false, None));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((is_there(&open.shared), open.piece(0)), (false, None));
    }
}
