//! Direct links to other devices, and files over them.
//!
//! The client core decides who meets whom (`sotto_node_core::peers`); here are the sockets. A link between two nodes is a QUIC connection on
//! the [`Socket`] of the relay's connection, both ends of which show the certificate that MLS promised; one with a browser is a data channel of
//! WebRTC (`channel`). What gives and takes is the same.
//!
//! ```text
//! core: Meet --> meet (punch, dial, let in) --> give (this device has the file, or some of it): questions in, pieces out
//!       Channel, Asked by one --> channel ------`-> take (this device wants it): for `files::get`
//! ```

mod channel;
mod give;
mod meet;
mod take;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use channel::connects_within;
pub use channel::runtime;
pub use give::Gives;
pub(crate) use give::{Disk, is_there};
pub(crate) use take::{News, TakeError, Taker};

use crate::calls::lent;
use crate::files::Arriving;
use crate::node::{Node, WeakNode};
use crate::transport::Socket;
use channel::{CHANNELS_MAX, Link, Role};
use give::Giver;
use meet::Meetings;
use sotto_e2ee::store::Store;
use sotto_node_core::calls::Negotiation;
use sotto_node_core::command::Command;
use sotto_node_core::peers::{
    AskId, Asked, ChannelCommand, ChannelNews, LinkId, Meeting, PeerCommand, Way, to_tell,
};
use sotto_protocol::blob::BlobPlace;
use sotto_protocol::ids::DeviceId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tls::Identity;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use webrtc::peer_connection::RTCIceServer;

/// Links at a time, those that are on their way included.
const LINKS_MAX: usize = 32;

/// Pieces that are read and sealed at a time, of all links: 2 MiB of memory each.
const GIVING_MAX: usize = 16;

/// News of one question that wait for who asked.
const NEWS_MAX: usize = 16;

/// All links of one node. A cheap handle.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    /// `None` if none could be drawn: then there are no links.
    identity: Option<Identity>,
    meetings: Arc<Meetings>,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    socket: Option<Listening>,
    gives: Option<Arc<dyn Gives>>,
    /// Files that are on their way here.
    arriving: HashMap<BlobPlace, Arc<Arriving>>,
    asking: HashMap<AskId, Asking>,
    links: JoinSet<()>,
    /// Links over channels, by what they are told of.
    channels: HashMap<LinkId, Channel>,
    /// What the relay lends to find out where this device is, once it was asked.
    stun: Option<Vec<RTCIceServer>>,
}

/// A question of this device.
#[derive(Clone)]
struct Asking {
    tell: mpsc::Sender<News>,
    /// What comes of it may lead over what the relay lends.
    routed: bool,
}

/// A link over a channel.
struct Channel {
    tell: mpsc::Sender<Negotiation>,
    /// The question that this device answers by it, and whose it is.
    answers: Option<(AskId, DeviceId)>,
}

/// A socket on which links are let in; not any more once it is dropped. Links that stand, stay.
struct Listening {
    socket: Socket,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.socket.endpoint().set_server_config(None);
        self.task.abort();
    }
}

/// While this is, a file that is on its way is given.
pub(crate) struct Giving {
    hub: Hub,
    place: BlobPlace,
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.hub.state().arriving.remove(&self.place);
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        let identity = Identity::draw();
        if let Err(error) = &identity {
            tracing::warn!(error, "no certificate for links could be made");
        }
        Self(Arc::new(Inner {
            identity: identity.ok(),
            meetings: Arc::default(),
            room: Arc::new(Semaphore::new(GIVING_MAX)),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relay is reached on another socket, or by none that links could share.
    pub(crate) fn attach(&self, socket: Option<Socket>) {
        let listening = socket.zip(self.0.identity.as_ref()).and_then(|(socket, identity)| {
            match identity.server(self.0.meetings.clone()) {
                Ok(config) => socket.endpoint().set_server_config(Some(config)),
                Err(error) => {
                    tracing::warn!(error, "links cannot be let in");
                    return None;
                }
            }
            let task = tokio::spawn(meet::let_in(socket.endpoint().clone(), self.0.meetings.clone()));
            Some(Listening { socket, task })
        });
        let mut state = self.state();
        state.socket = listening;
        // A relay that was started again lends at other ports.
        state.stun = None;
    }

    /// Where this device may be reached, and what it shows.
    pub(crate) fn way(&self, observed: &str) -> Option<Way> {
        let fingerprint = self.0.identity.as_ref()?.fingerprint();
        let local = self.state().socket.as_ref()?.socket.local_addresses();
        let observed: Option<SocketAddr> = observed.parse().ok();
        Some(Way { fingerprint, addresses: to_tell(&local, observed) })
    }

    /// Whether links can come about at all.
    pub(crate) fn is_listening(&self) -> bool {
        self.state().socket.is_some()
    }

    /// What gives the pieces of files from now on.
    pub(crate) fn give_from(&self, gives: Arc<dyn Gives>) {
        self.state().gives = Some(gives);
    }

    /// A file is on its way here: what is there of it is given, until what this returns is dropped.
    pub(crate) fn arrives(&self, place: BlobPlace, file: Arc<Arriving>) -> Giving {
        self.state().arriving.insert(place, file);
        Giving { hub: self.clone(), place }
    }

    /// A file that is on its way here.
    pub(crate) fn arriving(&self, place: BlobPlace) -> Option<Arc<Arriving>> {
        self.state().arriving.get(&place).cloned()
    }

    /// What comes of a question of this device.
    pub(crate) fn asking(&self, ask: AskId) -> mpsc::Receiver<News> {
        let (tell, told) = mpsc::channel(NEWS_MAX);
        self.state().asking.insert(ask, Asking { tell, routed: false });
        told
    }

    /// What comes of it from now on may lead over what the relay lends.
    pub(crate) fn route(&self, ask: AskId) {
        if let Some(asking) = self.state().asking.get_mut(&ask) {
            asking.routed = true;
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn end_asking(&self, ask: AskId) {
        self.state().asking.remove(&ask);
    }

    /// Connects to a device, which connects to this one.
    pub(crate) fn meet(&self, meeting: Meeting) {
        let mut state = self.state();
        while state.links.try_join_next().is_some() {}
        let Some(socket) = state.socket.as_ref().map(|listening| listening.socket.clone()) else { return };
        if state.links.len() >= LINKS_MAX {
            tracing::debug!("there are as many links as there may be");
            return;
        }
        match meeting.ask {
            Some(ask) => {
                let Some(Asking { tell, .. }) = state.asking.get(&ask).cloned() else { return };
                state.links.spawn(meet::take(self.clone(), socket, meeting, tell));
            }
            None => {
                let gives = state.gives.clone();
                if gives.is_none() && state.arriving.is_empty() {
                    return;
                }
                state.links.spawn(meet::give(self.clone(), socket, meeting, gives));
            }
        }
    }

    /// Offers a channel to a device that asked for a file which is here.
    pub(crate) fn offer_channel<S: Store + Send + 'static>(&self, node: WeakNode<S>, asked: Asked) {
        let gives = {
            let state = self.state();
            let answers = Some((asked.ask, asked.by));
            // It asks again for those who come later.
            if state.channels.values().any(|channel| channel.answers == answers) {
                return;
            }
            state.gives.clone()
        };
        let giver = Giver { conversation: asked.conversation, gives, hub: self.clone() };
        self.begin_channel(node, LinkId(rand::random()), Role::Gives(asked, giver));
    }

    /// Something came of a channel. What is of none here is of a question that is over.
    pub(crate) fn negotiate<S: Store + Send + 'static>(&self, node: &WeakNode<S>, news: ChannelNews) {
        let ChannelNews { link, ask, account, device, what } = news;
        let asking = {
            let state = self.state();
            if let Some(known) = state.channels.get(&link) {
                // A link that does not keep up comes to nothing by itself.
                let _ = known.tell.try_send(what);
                return;
            }
            ask.and_then(|ask| state.asking.get(&ask).cloned())
        };
        let is_first = matches!(what, Negotiation::Description { round: 0, offer: true, .. });
        let Some(Asking { tell, routed }) = asking.filter(|_| is_first) else { return };
        match self.begin_channel(node.clone(), link, Role::Takes { account, device, tell, routed }) {
            Some(told) => drop(told.try_send(what)),
            None => {
                let node = node.clone();
                tokio::spawn(async move {
                    let close = PeerCommand::Channel(ChannelCommand::Close { link, again: true });
                    if let Some(node) = node.upgrade() {
                        drop(node.submit(Command::Peer(close)).await);
                    }
                });
            }
        }
    }

    fn begin_channel<S: Store + Send + 'static>(
        &self,
        node: WeakNode<S>,
        id: LinkId,
        role: Role,
    ) -> Option<mpsc::Sender<Negotiation>> {
        let mut state = self.state();
        while state.links.try_join_next().is_some() {}
        if state.links.len() >= LINKS_MAX || state.channels.len() >= CHANNELS_MAX {
            tracing::debug!("there are as many links as there may be");
            return None;
        }
        let answers = match &role {
            Role::Gives(asked, _) => Some((asked.ask, asked.by)),
            Role::Takes { .. } => None,
        };
        let (link, told) = Link::new(node, self.clone(), id, role);
        state.channels.insert(id, Channel { tell: told.clone(), answers });
        state.links.spawn(link.run());
        Some(told)
    }

    fn end_channel(&self, link: LinkId) {
        self.state().channels.remove(&link);
    }

    /// What the relay lends to find out where this device is.
    async fn stun_servers<S: Store + Send + 'static>(&self, node: &Node<S>) -> Vec<RTCIceServer> {
        if let Some(known) = self.state().stun.clone() {
            return known;
        }
        let lent = lent::stun_servers(node).await;
        if lent.is_some() {
            self.state().stun.clone_from(&lent);
        }
        // A direct way may need none.
        lent.unwrap_or_default()
    }

    /// The node ends: nobody is let in, every link that gives is closed.
    pub(crate) fn close(&self) {
        let ended = std::mem::take(&mut *self.state());
        drop(ended);
    }
}
