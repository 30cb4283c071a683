//! Asking the members of a conversation for a file, and what came of it so far.

use super::FileError;
use crate::node::Node;
use crate::peers::{News, Taker, connects_within};
use sotto_e2ee::store::Store;
use sotto_node_core::command::Command;
use sotto_node_core::peers::{AskId, PeerCommand};
use sotto_protocol::blob::{BlobPlace, BlobSize, ChunkList};
use sotto_protocol::ids::DeviceId;
use sotto_protocol::peer::Wanted;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Whoever is there and has the file has said so by then.
const FIRST_ANSWER: Duration = Duration::from_millis(1_500);

/// The same for who makes a way over the relay first. Who is asked again hears it within five seconds.
const FIRST_ROUTED: Duration = Duration::from_secs(6);

/// After a link has had its time, it is known whether it stands.
const MARGIN: Duration = Duration::from_secs(1);

/// The question to the members, if it was asked. Dropping it ends it.
pub(super) struct Members<S: Store + Send + 'static> {
    node: Node<S>,
    place: BlobPlace,
    asked: Option<Question>,
    /// Links that stand and are not used yet.
    links: Vec<Taker>,
}

struct Question {
    ask: AskId,
    news: mpsc::Receiver<News>,
    /// From when somebody is waited for.
    since: Instant,
    /// Links that are on their way.
    coming: usize,
    /// Somebody else is there, as the relay says, or it has not said yet.
    others: bool,
    /// It may come by way of what the relay lends.
    routed: bool,
    /// A link by that way came to nothing, so that there was time for another.
    is_second: bool,
}

impl Question {
    const fn patience(&self) -> Duration {
        if self.routed { FIRST_ROUTED } else { FIRST_ANSWER }
    }

    /// A link that was on its way came to nothing. Where there is no other source, one lost packet too many is not the end.
    fn failed(&mut self) {
        self.coming = self.coming.saturating_sub(1);
        if self.routed && !std::mem::replace(&mut self.is_second, true) {
            self.since = Instant::now();
        }
    }
}

impl<S: Store + Send + 'static> Members<S> {
    pub(super) fn of(node: &Node<S>, place: BlobPlace) -> Self {
        Self { node: node.clone(), place, asked: None, links: Vec::new() }
    }

    /// Asks who has it, unless no direct link could come of it.
    pub(super) async fn ask(&mut self) -> Result<(), FileError> {
        if self.node.hub().is_listening() { self.ask_anyway().await } else { Ok(()) }
    }

    async fn ask_anyway(&mut self) -> Result<(), FileError> {
        let BlobPlace { conversation, root } = self.place;
        if self.node.ask(|client| client.is_relay_only()).await? || self.asked.is_some() {
            return Ok(());
        }
        let ask = AskId(rand::random());
        let news = self.node.hub().asking(ask);
        let (since, others) = (Instant::now(), self.others().await?);
        let question = Question { ask, news, since, coming: 0, others, routed: false, is_second: false };
        self.asked = Some(question);
        let want = PeerCommand::Want { ask, conversation, root };
        if let Err(failure) = self.node.command(Command::Peer(want)).await {
            // The relay has it too.
            tracing::debug!(%failure, "the members were not asked");
            self.asked = None;
        }
        Ok(())
    }

    /// Whether anybody may be there to answer.
    async fn others(&self) -> Result<bool, FileError> {
        let conversation = self.place.conversation;
        let here = self.node.ask(move |client| client.present_count(conversation)).await?;
        Ok(here.is_none_or(|here| here > 1))
    }

    /// Nobody gives it directly: what the relay lends may carry it. False if that has been tried, or there is nobody to ask.
    pub(super) async fn route(&mut self) -> Result<bool, FileError> {
        self.ask_anyway().await?;
        let others = self.others().await?;
        let Some(asked) = self.asked.as_mut().filter(|asked| !asked.routed) else { return Ok(false) };
        (asked.routed, asked.since, asked.others) = (true, Instant::now(), others);
        let ask = asked.ask;
        self.node.hub().route(ask);
        drop(self.node.submit(Command::Peer(PeerCommand::Route { ask })).await);
        Ok(true)
    }

    /// Others who want it too may have from here what is here of it.
    pub(super) async fn give_what_is_here(&self) {
        if let Some(asked) = &self.asked {
            let has_some = PeerCommand::HasSome { ask: asked.ask };
            drop(self.node.submit(Command::Peer(has_some)).await);
        }
    }

    /// Whether somebody else may be there who was asked.
    pub(super) fn are_here(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.others)
    }

    /// Whether a link may still come of it.
    pub(super) fn may_come(&self) -> bool {
        let may =
            |asked: &Question| asked.coming > 0 || asked.others && asked.since.elapsed() < asked.patience();
        !self.links.is_empty() || self.asked.as_ref().is_some_and(may)
    }

    /// Whether a link is on its way.
    pub(super) fn is_coming(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.coming > 0)
    }

    /// The next link that stands, or a change in how many are on their way (`None`). Waits for ever where nobody was asked.
    pub(super) async fn next(&mut self) -> Option<Taker> {
        if let Some(link) = self.links.pop() {
            return Some(link);
        }
        let Some(asked) = &mut self.asked else { return std::future::pending().await };
        match asked.news.recv().await {
            Some(News::Coming) => asked.coming = asked.coming.saturating_add(1),
            Some(News::Link(link)) => {
                asked.coming = asked.coming.saturating_sub(1);
                return Some(link);
            }
            Some(News::Failed(device)) => {
                asked.failed();
                self.lost(device).await;
            }
            None => self.asked = None,
        }
        None
    }

    /// A device is gone; should it come back, it may be asked again.
    pub(super) async fn lost(&self, device: DeviceId) {
        if let Some(asked) = &self.asked {
            let lost = PeerCommand::Lost { ask: asked.ask, device };
            drop(self.node.submit(Command::Peer(lost)).await);
        }
    }

    /// The hashes of the chunks, from a member; `None` if nobody gives them.
    pub(super) async fn list(&mut self, size: BlobSize) -> Result<Option<ChunkList>, FileError> {
        self.ask().await?;
        loop {
            let list = self.list_of_who_comes(size).await;
            if list.is_some() || !self.route().await? {
                return Ok(list);
            }
        }
    }

    async fn list_of_who_comes(&mut self, size: BlobSize) -> Option<ChunkList> {
        while self.may_come() {
            let Some(asked) = &self.asked else { break };
            let patience =
                if asked.coming > 0 { connects_within(asked.routed) + MARGIN } else { asked.patience() };
            let Ok(link) = timeout_at(Instant::now() + patience, self.next()).await else { break };
            let Some(link) = link else { continue };
            let root = self.place.root;
            let list = link.take(root, Wanted::List, size.list_bytes()).await;
            match list.map(|list| ChunkList::read(root, size, &list)) {
                Ok(Ok(list)) => {
                    self.links.push(link);
                    return Some(list);
                }
                Ok(Err(error)) => tracing::info!(%error, "a member gave another list than the file's"),
                Err(error) => tracing::debug!(%error, "a member gave no list"),
            }
            link.close();
        }
        None
    }
}

impl<S: Store + Send + 'static> Drop for Members<S> {
    fn drop(&mut self) {
        for link in &self.links {
            link.close();
        }
        if let Some(asked) = &self.asked {
            let (node, ask) = (self.node.clone(), asked.ask);
            node.hub().end_asking(ask);
            tokio::spawn(async move { drop(node.submit(Command::Peer(PeerCommand::EndWant { ask })).await) });
        }
    }
}
