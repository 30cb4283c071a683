//! Links over data channels of WebRTC, which is what a browser has in the place of QUIC.
//!
//! What is said to the other device, and who may be answered, the client core decides (`sotto_node_core::peers`); a link carries it out. Each has a task:
//! it finds the way (this file, on a [`Connection`]), and then gives (`give`) or takes (`take`) as a link over QUIC does.
//!
//! ```text
//! core: Asked, by a channel --> describe this end --> core: Offer     core: Channel (offer) --> answer it --> core: Answer
//!       Channel (answer, candidates) -->  `-- open --> give                                      `-- open --> take
//! ```
//!
//! A link that may be routed has the relay's TURN servers beside its own ways, and where no UDP goes out those on the relay's streams.
//!
//! The certificate at the other end is held against its description by DTLS, and the description came inside MLS.

mod connection;
mod give;
mod roomy;
mod take;
#[cfg(test)]
mod tests;

pub use roomy::runtime;
pub(crate) use take::Taking;

use super::give::Giver;
use super::{Hub, News, Taker};
use crate::calls::found::{Found, at};
use crate::calls::{Load, Tunnel, Ways, lent};
use crate::node::WeakNode;
use crate::transport::Carrier;
use connection::{Connection, Standing, Told};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Fuse, FusedFuture as _};
use sotto_e2ee::store::Store;
use sotto_node_core::calls::Negotiation;
use sotto_node_core::command::Command;
use sotto_node_core::event::Failure;
use sotto_node_core::peers::{Asked, ChannelCommand, LinkId, PeerCommand};
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_protocol::peer::CHANNEL;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, unbounded_channel};
use tokio::time::Instant;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{RTCIceServer, RTCPeerConnectionState};

/// Channels at a time, those that are on their way included.
pub(super) const CHANNELS_MAX: usize = 16;

/// News for one link that wait: the core bounds what may come of one attempt.
const NEWS_MAX: usize = 64;

/// What does not stand by then comes to nothing.
const CONNECT: Duration = Duration::from_secs(8);

/// The same by way of the relay: three handshakes follow each other over its streams, each of which waits for what was lost.
const CONNECT_ROUTED: Duration = Duration::from_secs(16);

/// How long a link may take until it stands.
pub(crate) const fn connects_within(routed: bool) -> Duration {
    if routed { CONNECT_ROUTED } else { CONNECT }
}

/// A giver offers anew no faster than this.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// What this device does on a link.
pub(super) enum Role {
    /// It has what was asked for.
    Gives(Asked, Giver),
    /// It wants a file, and this one has it.
    Takes { account: AccountId, device: DeviceId, tell: mpsc::Sender<News>, routed: bool },
}

impl Role {
    const fn is_routed(&self) -> bool {
        match self {
            Self::Gives(asked, _) => asked.routed,
            Self::Takes { routed, .. } => *routed,
        }
    }
}

/// One link, as long as its task runs.
pub(super) struct Link<S: Store> {
    node: WeakNode<S>,
    hub: Hub,
    id: LinkId,
    role: Role,
    news: mpsc::Receiver<Negotiation>,
    round: u32,
    offered: Instant,
    found: Found,
    /// It ends then, unless it stands.
    until: Option<Instant>,
    is_open: bool,
    /// Where no UDP goes out, and the relay may carry it.
    tunnel: Option<Tunnel>,
}

/// Why a link comes to nothing.
type Broken = Box<dyn std::error::Error + Send + Sync>;

impl<S: Store + Send + 'static> Link<S> {
    /// One that is to be, and by what it is told what the other end says.
    pub(super) fn new(
        node: WeakNode<S>,
        hub: Hub,
        id: LinkId,
        role: Role,
    ) -> (Self, mpsc::Sender<Negotiation>) {
        let (tell, news) = mpsc::channel(NEWS_MAX);
        let (found, now) = (Found::default(), Instant::now());
        let until = Some(now + connects_within(role.is_routed()));
        let link = Self {
            node,
            hub,
            id,
            role,
            news,
            round: 0,
            offered: now,
            found,
            until,
            is_open: false,
            tunnel: None,
        };
        (link, tell)
    }

    /// Works until it is over, and says so.
    pub(super) async fn run(mut self) {
        if let Role::Takes { tell, .. } = &self.role {
            let _ = tell.send(News::Coming).await;
        }
        let again = match self.work().await {
            Ok(again) => again,
            Err(error) => {
                tracing::debug!(%error, "a link comes to nothing");
                true
            }
        };
        let link = self.id;
        self.hub.end_channel(link);
        if let Role::Takes { device, tell, .. } = &self.role
            && !self.is_open
        {
            // Who asked may have everything by now.
            let _ = tell.send(News::Failed(*device)).await;
        }
        let _ = self.say(ChannelCommand::Close { link, again }).await;
    }

    async fn work(&mut self) -> Result<bool, Broken> {
        let (tell, mut told) = unbounded_channel();
        let ways = Ways::new(false);
        let servers = self.lead(&ways).await?;
        let connection = Connection::open(servers, ways.clone(), self.tunnel.is_some(), tell).await?;
        let mut channel = None;
        if let Role::Gives(..) = &self.role {
            channel = Some(connection.channel().await?);
            self.offer(&connection).await?;
        }
        let mut used: Fuse<BoxFuture<'static, bool>> = Fuse::terminated();
        loop {
            let waits = channel.as_ref().filter(|_| !self.is_open);
            tokio::select! {
                again = &mut used, if !used.is_terminated() => return Ok(again),
                negotiation = self.news.recv() => {
                    let negotiation = negotiation.ok_or("the node has ended")?;
                    if self.is_of_later_round(&negotiation) {
                        self.lead(&ways).await?;
                    }
                    self.negotiate(&connection, negotiation).await?;
                }
                event = opening(waits) => {
                    if !event {
                        return Ok(true);
                    }
                    let Some(channel) = &channel else { continue };
                    (self.is_open, self.until) = (true, None);
                    used = self.begin(&connection, Arc::clone(channel)).await.fuse();
                }
                Some(said) = told.recv() => match said {
                    Told::Found(candidate) => {
                        if self.found.add(candidate, Instant::now()) {
                            self.send_found().await;
                        }
                    }
                    Told::State(state) => self.stands(&connection, &ways, state).await?,
                    Told::Channel(came) => {
                        // One, made by who gives.
                        let is_due = matches!(self.role, Role::Takes { .. }) && channel.is_none();
                        if !is_due || came.label().await? != CHANNEL {
                            return Ok(false);
                        }
                        channel = Some(came);
                    }
                },
                () = at(self.found.until()) => self.send_found().await,
                () = at(self.until) => return Ok(true),
            }
        }
    }

    /// Finds out from where this device is reached now, and by which servers.
    async fn lead(&mut self, ways: &Ways) -> Result<Vec<RTCIceServer>, Broken> {
        let node = self.node.upgrade().ok_or("the node has ended")?;
        let is_routed = self.role.is_routed();
        let servers = if is_routed {
            lent::servers(&node).await.unwrap_or_default()
        } else {
            self.hub.stun_servers(&node).await
        };
        let is_blocked = node.status().carrier() == Some(Carrier::WebSocket);
        if is_routed && is_blocked && self.tunnel.is_none() {
            self.tunnel = lent::tunnel(&node, Load::Files).await;
        }
        let relay = node.api().0.relay();
        let tunnel = self.tunnel.as_ref();
        ways.lead(&servers, (relay.host.as_str(), relay.port), tunnel.map(Tunnel::address)).await;
        Ok(lent::named(&servers, tunnel))
    }

    async fn say(&self, command: ChannelCommand) -> Result<(), Failure> {
        let Some(node) = self.node.upgrade() else { return Ok(()) };
        node.command(Command::Peer(PeerCommand::Channel(command))).await.map(drop)
    }

    async fn offer(&mut self, connection: &Connection) -> Result<(), Broken> {
        let Role::Gives(asked, _) = &self.role else { return Ok(()) };
        let (link, asked, round) = (self.id, *asked, self.round);
        self.offered = Instant::now();
        let sdp = connection.offer(round > 0).await?;
        Ok(self.say(ChannelCommand::Offer { link, asked, round, sdp }).await?)
    }

    fn is_of_later_round(&self, negotiation: &Negotiation) -> bool {
        matches!(negotiation, Negotiation::Description { round, offer: true, .. } if *round > self.round)
    }

    async fn negotiate(&mut self, connection: &Connection, negotiation: Negotiation) -> Result<(), Broken> {
        let link = self.id;
        match negotiation {
            Negotiation::Description { round, offer: true, sdp } => {
                self.send_found().await;
                self.round = round;
                let sdp = connection.answer(sdp).await?;
                self.say(ChannelCommand::Answer { link, round, sdp }).await?;
            }
            Negotiation::Description { round, offer: false, sdp } if round == self.round => {
                connection.answered(sdp).await?;
            }
            Negotiation::Candidates { round, list } if round == self.round => {
                for candidate in list {
                    connection.try_way(candidate).await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The way is there, or gone. Who gives offers anew then; who takes waits for that.
    async fn stands(
        &mut self,
        connection: &Connection,
        ways: &Ways,
        state: RTCPeerConnectionState,
    ) -> Result<(), Broken> {
        match state {
            RTCPeerConnectionState::Connected if self.is_open => self.until = None,
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed => {
                self.until = Some(Instant::now() + connects_within(self.role.is_routed()));
                if matches!(self.role, Role::Gives(..)) && self.offered.elapsed() >= ROUND_EVERY {
                    self.send_found().await;
                    self.round = self.round.saturating_add(1);
                    self.lead(ways).await?;
                    if let Err(error) = self.offer(connection).await {
                        // If nobody can be told, the way that there was may come back.
                        tracing::debug!(%error, "a link is not offered anew");
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn send_found(&mut self) {
        let Some(list) = self.found.take() else { return };
        let candidates = ChannelCommand::Candidates { link: self.id, round: self.round, list };
        if let Err(failure) = self.say(candidates).await {
            tracing::debug!(%failure, "ways to this device are not told");
        }
    }

    /// The channel is open: what it is for begins.
    async fn begin(
        &self,
        connection: &Connection,
        channel: Arc<dyn DataChannel>,
    ) -> BoxFuture<'static, bool> {
        match &self.role {
            Role::Gives(_, giver) => give::serve(giver.clone(), channel).map(|()| false).boxed(),
            Role::Takes { account, device, tell, routed } => {
                let Standing { round_trip, over_server } = connection.standing().await;
                let (taking, wishes) = take::taking(round_trip, *routed && over_server);
                let taker = Taker::over_channel(*account, *device, taking);
                // Who asked may have everything by now; then the link ends at once.
                let _ = tell.send(News::Link(taker)).await;
                take::serve(wishes, channel).boxed()
            }
        }
    }
}

/// Whether a channel opens; waits for ever where there is none that is to.
async fn opening(channel: Option<&Arc<dyn DataChannel>>) -> bool {
    let Some(channel) = channel else { return std::future::pending().await };
    loop {
        match channel.poll().await {
            Some(DataChannelEvent::OnOpen) => return true,
            Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => return false,
            Some(_) => {}
        }
    }
}
