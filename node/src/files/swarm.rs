//! The chunks of one file, from the relay and from members at once.

use super::arriving::Arriving;
use super::members::Members;
use super::{AT_ONCE, Dropped, FileError, Giver, Source, Stage, Step, Watch, blocking, persist};
use crate::http::blobs::BlobApi;
use crate::node::Node;
use crate::peers::{TakeError, Taker};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use rand::seq::SliceRandom as _;
use sotto_e2ee::store::Store;
use sotto_node_core::command::Who;
use sotto_node_core::peers::chunks::{Chunks, SourceId};
use sotto_protocol::blob::{BlobPlace, Present};
use sotto_protocol::peer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// The relay waits so long for the first member to say that it has the file, if anybody is there.
const FIRST_ANSWER_MS: u64 = 300;

/// And so long for a link to whoever said so.
const FIRST_LINK_MS: u64 = 1_500;

/// Chunks that are under way from one member: 6 MiB keep 60 MB/s going at 100 ms.
const FROM_MEMBER_AT_ONCE: usize = 6;

/// How often a device that is still getting the file itself is asked what it has by now.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// So much at a time is brought to the disk while more comes, so that little is left to wait for at the end.
const SETTLE_BYTES: u64 = 128 * 1024 * 1024;

/// How often it is told from whom it comes.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// The longest time between two looks.
const LOOK: Duration = Duration::from_millis(250);

const RELAY: SourceId = SourceId(0);

/// Why a chunk did not come.
enum Refused {
    /// This device's own disk: nobody else can help.
    Disk(FileError),
    /// The relay does not give it.
    Relay(FileError),
    /// The member is gone, or the file is not there any more.
    Gone,
    /// The member does what no honest one does.
    Broke(String),
}

/// What came of asking a source.
enum Fetched {
    /// For a chunk: it lies in its place.
    Chunk(SourceId, u32, Result<(), Refused>),
    /// For what it has; `None` for all of it.
    Present(SourceId, Option<Present>),
}

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
    file: Arc<Arriving>,
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
        file: Arc<Arriving>,
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

    /// Brings what is missing; from whom it came, and who was dropped.
    pub(super) async fn run(
        mut self,
        mut members: Members<S>,
    ) -> Result<(Vec<Source>, Vec<Dropped>), FileError> {
        let file = self.file.clone();
        let total = (0..file.list().size().chunks()).map(|chunk| file.part_bytes(chunk)).sum();
        let mut missing: Vec<u32> = file.there().missing().collect();
        let mut done = u64::saturating_sub(total, missing.iter().map(|chunk| file.part_bytes(*chunk)).sum());
        if members.are_here() {
            // Others may be getting it too: each begins elsewhere, and has something to give.
            missing.shuffle(&mut rand::rng());
        }
        let hold = if members.are_here() { FIRST_ANSWER_MS } else { 0 };
        let mut chunks = Chunks::new(missing, hold);
        if self.relay.is_ok() {
            self.origins.insert(RELAY, Origin { link: None, giver: Giver::Relay, bytes: 0, is_over: false });
            chunks.add(RELAY, true, AT_ONCE, 0);
        }
        let mut fetches: FuturesUnordered<BoxFuture<'a, Fetched>> = FuturesUnordered::new();
        let mut settling = Settling { began_at: done, task: None };
        loop {
            for source in self.origins.keys().copied().collect::<Vec<_>>() {
                while let Some(chunk) = chunks.next(source, self.now()) {
                    fetches.push(self.fetch(source, chunk));
                }
            }
            if chunks.is_done() {
                break;
            }
            let gives = self.origins.values().any(|origin| !origin.is_over);
            if !gives && !members.may_come() && !members.route().await? {
                // Without a source the relay is none, and there is its reason.
                std::mem::replace(&mut self.relay, Ok(()))?;
            }
            let look = chunks.look_again(self.now());
            let look = look.map(|at| Duration::from_millis(at.saturating_sub(self.now())));
            tokio::select! {
                Some(fetched) = fetches.next() => match fetched {
                    Fetched::Chunk(source, chunk, Ok(())) => {
                        if !chunks.came(source, chunk, self.now()) {
                            continue;
                        }
                        let bytes = file.part_bytes(chunk);
                        if let Some(origin) = self.origins.get_mut(&source) {
                            origin.bytes += bytes;
                        }
                        done += bytes;
                        settling.goes_on(&file, done).await?;
                        (self.watch)(Step { stage: Stage::Moving, done, total }.into());
                        self.tell();
                    }
                    Fetched::Chunk(_, _, Err(Refused::Disk(error))) => return Err(error),
                    Fetched::Chunk(source, _, Err(refused)) => {
                        chunks.drop_source(source);
                        self.refused(source, refused, &members).await;
                    }
                    Fetched::Present(source, present) => {
                        let Some(link) = self.origins.get(&source).filter(|origin| !origin.is_over) else {
                            continue;
                        };
                        if !chunks.knows(source) {
                            chunks.add(source, false, FROM_MEMBER_AT_ONCE, self.now());
                        }
                        if let (Some(_), Some(link)) = (&present, link.link.clone()) {
                            fetches.push(self.look(source, link, LOOK_AGAIN));
                        }
                        chunks.has(source, present);
                    }
                },
                news = members.next() => match news {
                    Some(link) => {
                        let source = self.add(link.clone()).await?;
                        fetches.push(self.look(source, link, Duration::ZERO));
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
        settling.ends().await?;
        let sources = self.sources();
        Ok((sources, self.dropped))
    }

    /// One chunk from one source: fetched, held against its hash, opened, written.
    fn fetch(&self, source: SourceId, chunk: u32) -> BoxFuture<'a, Fetched> {
        let (node, api, place, file) = (self.node, self.api, self.place, self.file.clone());
        let link = self.origins.get(&source).and_then(|origin| origin.link.clone());
        let bytes = file.list().size().chunk_bytes(chunk).unwrap_or(0);
        async move {
            tracing::debug!(chunk, is_direct = link.is_some(), "a chunk is asked for");
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
            if sealed.is_ok() {
                tracing::debug!(chunk, "a chunk came");
            }
            let kept = match sealed {
                Ok(sealed) => blocking(move || file.take_in(chunk, sealed)).await.map_err(|error| {
                    match (&error, link) {
                        (FileError::BadChunk { .. }, None) => Refused::Relay(error),
                        (FileError::BadChunk { .. }, Some(_)) => {
                            Refused::Broke("it sent a piece that is not the file's".to_owned())
                        }
                        _ => Refused::Disk(error),
                    }
                }),
                Err(refused) => Err(refused),
            };
            Fetched::Chunk(source, chunk, kept)
        }
        .boxed()
    }

    /// What a member has by now. Who does not say has all of it: whatever is not so is found out chunk by chunk.
    fn look(&self, source: SourceId, link: Taker, after: Duration) -> BoxFuture<'a, Fetched> {
        let (root, size) = (self.place.root, self.file.list().size());
        async move {
            sleep(after).await;
            let said = link.take(root, peer::Wanted::Present, Present::bytes_of(size)).await;
            let present = said.ok().and_then(|bits| Present::read(size, bits));
            Fetched::Present(source, present.filter(|present| !present.is_all()))
        }
        .boxed()
    }

    /// A member gives from now on.
    async fn add(&mut self, link: Taker) -> Result<SourceId, FileError> {
        let account = link.account;
        let contact = self.node.ask(move |client| client.contact(&Who::Account(account))).await?;
        let username = contact.ok().flatten().map(|contact| contact.username).unwrap_or_default();
        let giver = Giver::Member { account, username, device: link.device, routed: link.is_routed() };
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
            // Ended everything before.
            Refused::Disk(_) => return,
        };
        let dropped = Dropped { giver, why };
        (self.watch)(super::Report::Dropped(dropped.clone()));
        self.dropped.push(dropped);
    }

    fn sources(&self) -> Vec<Source> {
        let source = |origin: &Origin| Source {
            giver: origin.giver.clone(),
            bytes: origin.bytes,
            round_trip: origin.link.as_ref().and_then(Taker::round_trip),
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

/// Brings to the disk what came, beside what comes.
struct Settling {
    began_at: u64,
    task: Option<JoinHandle<Result<(), FileError>>>,
}

impl Settling {
    async fn goes_on(&mut self, file: &Arc<Arriving>, done: u64) -> Result<(), FileError> {
        if done.saturating_sub(self.began_at) >= SETTLE_BYTES
            && self.task.as_ref().is_none_or(JoinHandle::is_finished)
        {
            self.ends().await?;
            self.began_at = done;
            let file = file.clone();
            self.task = Some(tokio::spawn(blocking(move || file.partial().settle())));
        }
        Ok(())
    }

    /// A disk that failed says so once, and not again at the end.
    async fn ends(&mut self) -> Result<(), FileError> {
        match self.task.take() {
            Some(task) => task.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}
