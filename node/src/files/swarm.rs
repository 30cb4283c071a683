//! The chunks of one file, from the relay and from members at once.

use super::get::Wanted;
use super::members::Members;
use super::partial::Partial;
use super::{AT_ONCE, Dropped, FileError, Giver, Source, Stage, Step, Watch, blocking, persist};
use crate::http::blobs::BlobApi;
use crate::node::Node;
use crate::peers::{TakeError, Taker};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use sotto_e2ee::store::Store;
use sotto_node_core::command::Who;
use sotto_node_core::peers::chunks::{Chunks, SourceId};
use sotto_protocol::blob::{BlobPlace, Present};
use sotto_protocol::peer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

/// The relay waits so long for the first member to say that it has the file, if anybody is there.
const FIRST_ANSWER_MS: u64 = 300;

/// And so long for a link to whoever said so.
const FIRST_LINK_MS: u64 = 1_500;

/// Chunks that are under way from one member: 6 MiB keep 60 MB/s going at 100 ms.
const FROM_MEMBER_AT_ONCE: usize = 6;

/// How often it is told from whom it comes.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// The longest time between two looks.
const LOOK: Duration = Duration::from_millis(250);

const RELAY: SourceId = SourceId(0);

/// A part of the file, and where it begins.
type Part = (u64, Zeroizing<Vec<u8>>);

/// Why a chunk did not come.
enum Refused {
    /// The relay does not give it.
    Relay(FileError),
    /// The member is gone, or the file is not there any more.
    Gone,
    /// The member does what no honest one does.
    Broke(String),
}

/// What came of asking a source for a chunk.
type Fetched = (SourceId, u32, Result<Part, Refused>);

/// Who gives, and how much it has given.
struct Origin {
    link: Option<Taker>,
    giver: Giver,
    bytes: u64,
    /// It is asked no more.
    is_over: bool,
}

/// One file on its way.
pub(super) struct Swarm<'a, S: Store> {
    node: &'a Node<S>,
    api: &'a BlobApi,
    place: BlobPlace,
    file: Arc<Wanted>,
    watch: &'a Watch,
    origins: BTreeMap<SourceId, Origin>,
    next: u32,
    dropped: Vec<Dropped>,
    /// Why the relay does not give, if it does not.
    relay: Result<(), FileError>,
    began: Instant,
    told: Instant,
}

impl<'a, S: Store + Send + 'static> Swarm<'a, S> {
    pub(super) fn new(
        node: &'a Node<S>,
        api: &'a BlobApi,
        place: BlobPlace,
        file: Arc<Wanted>,
        relay: Result<(), FileError>,
        watch: &'a Watch,
    ) -> Self {
        let began = Instant::now();
        let (origins, dropped) = (BTreeMap::new(), Vec::new());
        Self { node, api, place, file, watch, origins, next: 1, dropped, relay, began, told: began }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Brings what is missing; the partial file with all of it, and from whom it came.
    pub(super) async fn run(
        mut self,
        mut members: Members<S>,
        present: Present,
        mut partial: Partial,
    ) -> Result<(Partial, Vec<Source>, Vec<Dropped>), FileError> {
        let total = self.file.sealer.size().chunks();
        let part = |file: &Wanted, chunk| file.sealer.part(chunk).map_or(0, |(_, bytes)| bytes as u64);
        let total: u64 = (0..total).map(|chunk| part(&self.file, chunk)).sum();
        let missing: Vec<u32> = present.missing().collect();
        let mut done = total.saturating_sub(missing.iter().map(|chunk| part(&self.file, *chunk)).sum());
        let hold = if members.are_here() { FIRST_ANSWER_MS } else { 0 };
        let mut chunks = Chunks::new(missing, hold);
        if self.relay.is_ok() {
            self.origins.insert(RELAY, Origin { link: None, giver: Giver::Relay, bytes: 0, is_over: false });
            chunks.add(RELAY, true, AT_ONCE, 0);
        }
        let mut fetches: FuturesUnordered<BoxFuture<'a, Fetched>> = FuturesUnordered::new();
        loop {
            for source in self.origins.keys().copied().collect::<Vec<_>>() {
                while let Some(chunk) = chunks.next(source, self.now()) {
                    fetches.push(self.fetch(source, chunk));
                }
            }
            if chunks.is_done() {
                break;
            }
            if !chunks.has_sources() && !members.may_come() {
                // Without a source the relay is none, and there is its reason.
                std::mem::replace(&mut self.relay, Ok(()))?;
            }
            let look = chunks.look_again(self.now());
            let look = look.map(|at| Duration::from_millis(at.saturating_sub(self.now())));
            tokio::select! {
                Some((source, chunk, fetched)) = fetches.next() => match fetched {
                    Ok((start, part)) => {
                        if !chunks.came(source, chunk, self.now()) {
                            continue;
                        }
                        let bytes = part.len() as u64;
                        if let Some(origin) = self.origins.get_mut(&source) {
                            origin.bytes += bytes;
                        }
                        partial = blocking(move || {
                            partial.write(start, &part)?;
                            Ok(partial)
                        })
                        .await?;
                        done += bytes;
                        (self.watch)(Step { stage: Stage::Moving, done, total }.into());
                        self.tell();
                    }
                    Err(refused) => {
                        chunks.drop_source(source);
                        self.refused(source, refused, &members).await;
                    }
                },
                news = members.next() => match news {
                    Some(link) => {
                        let source = self.add(link).await?;
                        chunks.add(source, false, FROM_MEMBER_AT_ONCE, self.now());
                    }
                    None if members.is_coming() => chunks.hold_until(FIRST_LINK_MS),
                    None => chunks.hold_until(0),
                },
                () = sleep(look.unwrap_or(LOOK).min(LOOK)) => {}
            }
        }
        for link in self.origins.values().filter_map(|origin| origin.link.as_ref()) {
            link.close();
        }
        let sources = self.sources();
        Ok((partial, sources, self.dropped))
    }

    /// One chunk from one source: fetched, held against its hash, opened.
    fn fetch(&self, source: SourceId, chunk: u32) -> BoxFuture<'a, Fetched> {
        let (node, api, place, file) = (self.node, self.api, self.place, self.file.clone());
        let link = self.origins.get(&source).and_then(|origin| origin.link.clone());
        let bytes = file.list.size().chunk_bytes(chunk).unwrap_or(0);
        async move {
            let sealed = match &link {
                None => persist(async || api.chunk(&node.access_token().await?, place, chunk).await)
                    .await
                    .map_err(Refused::Relay),
                Some(link) => {
                    let taken = link.take(place.root, peer::Wanted::Chunk(chunk), bytes).await;
                    taken.map_err(|error| match error {
                        TakeError::Gone | TakeError::Lost => Refused::Gone,
                        TakeError::Broke(why) => Refused::Broke(why.to_owned()),
                    })
                }
            };
            let opened = match sealed {
                Ok(sealed) => blocking(move || file.open(chunk, &sealed)).await.map_err(|error| match link {
                    None => Refused::Relay(error),
                    Some(_) => Refused::Broke("it sent a piece that is not the file's".to_owned()),
                }),
                Err(refused) => Err(refused),
            };
            (source, chunk, opened)
        }
        .boxed()
    }

    /// A member gives from now on.
    async fn add(&mut self, link: Taker) -> Result<SourceId, FileError> {
        let account = link.account;
        let contact = self.node.ask(move |client| client.contact(&Who::Account(account))).await?;
        let username = contact.ok().flatten().map(|contact| contact.username).unwrap_or_default();
        let giver = Giver::Member { account, username, device: link.device };
        let source = SourceId(self.next);
        self.next += 1;
        self.origins.insert(source, Origin { link: Some(link), giver, bytes: 0, is_over: false });
        self.told = self.began;
        Ok(source)
    }

    /// A source is not asked any more, and who is to blame is named.
    async fn refused(&mut self, source: SourceId, refused: Refused, members: &Members<S>) {
        let Some(origin) = self.origins.get_mut(&source).filter(|origin| !origin.is_over) else { return };
        origin.is_over = true;
        let (link, giver) = (origin.link.clone(), origin.giver.clone());
        if let Some(link) = &link {
            link.close();
        }
        let why = match refused {
            Refused::Gone => {
                if let Some(link) = &link {
                    members.lost(link.device).await;
                }
                return;
            }
            Refused::Relay(error) => {
                let why = error.to_string();
                self.relay = Err(error);
                why
            }
            Refused::Broke(why) => why,
        };
        let dropped = Dropped { giver, why };
        (self.watch)(super::Report::Dropped(dropped.clone()));
        self.dropped.push(dropped);
    }

    fn sources(&self) -> Vec<Source> {
        let source = |origin: &Origin| Source {
            giver: origin.giver.clone(),
            bytes: origin.bytes,
            round_trip: origin.link.as_ref().map(Taker::round_trip),
        };
        self.origins.values().map(source).collect()
    }

    fn tell(&mut self) {
        if self.told == self.began || self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            (self.watch)(super::Report::Sources(self.sources()));
        }
    }
}
