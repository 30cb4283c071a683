//! What signaling tells the relay, and asks it.

use crate::gateway::GatewayConnection;
use futures_util::future::BoxFuture;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId};
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// Whether the relay takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why: starting, draining, disk full.
    NotReady(String),
}

/// How browsers reach the relay's UDP port. The path is [`WEBTRANSPORT_PATH`](crate::gateway::WEBTRANSPORT_PATH).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTransport {
    /// The port.
    pub port: u16,
    /// SHA-256 of certificates, one of which the browser will be shown; empty where an authority vouches for it.
    pub certificate_hashes: Vec<[u8; 32]>,
}

/// How a device finds its way through NATs: STUN, and TURN with credentials of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// As WebRTC writes them: `stun:`, `turn:` and `turns:`.
    pub urls: Vec<String>,
    /// Until when, and for whom.
    pub username: String,
    /// The password.
    pub credential: Zeroizing<String>,
    /// How long both are good.
    pub lifetime: Duration,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceServer {{ urls: {:?}, username: {} }}", self.urls, self.username)
    }
}

/// Serves a WebSocket that carries TURN until it ends.
pub type ServeRouted = Box<dyn FnOnce(GatewayConnection) -> BoxFuture<'static, ()> + Send>;

/// Why there is no stream for TURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRouted {
    /// Nothing was lent to this sign-in, or it is over.
    #[error("ask /api/v1/ice for credentials first; if it names no server, this relay lends none to you")]
    NoCredentials,
    /// The account, or all together, have as many as there may be.
    #[error("this account, or the relay, has all streams for TURN that it may have")]
    TooMany,
}

/// What the relay is doing, and what it keeps, beside accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Devices that are connected now.
    pub connections: u64,
    /// Rooms, groups and direct conversations.
    pub conversations: u64,
    /// Entries of their logs that are kept.
    pub messages: u64,
    /// Bytes that everything takes on the disk.
    pub storage_bytes: u64,
    /// Bytes that are free there.
    pub disk_free_bytes: u64,
    /// How long the relay has been running.
    pub uptime: Duration,
    /// Messages made durable in a second, of late.
    pub messages_per_second: f64,
}

/// A room in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub conversation: ConversationId,
    /// The public name of a listed one.
    pub name: Option<String>,
    /// Accounts that are members.
    pub members: usize,
    /// Entries that are kept.
    pub entries: u64,
}

/// Some rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomPage {
    /// They.
    pub rooms: Vec<Room>,
    /// Where to go on; `None` at the end.
    pub next: Option<usize>,
}

/// What an account has on the relay's disk of all that it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of it, before the store's own overhead.
    pub used_bytes: u64,
    /// What it may have; `None` for no limit.
    pub limit_bytes: Option<u64>,
}

/// Somebody redeemed an invite for a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admit {
    /// Who may join from now on.
    pub account: AccountId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who made the invite; `None` for the operator.
    pub by: Option<AccountId>,
}

/// Why the relay did not admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitRefused {
    /// The conversation is gone, or the maker of the invite may no longer invite to it.
    #[error("this invite is no longer good for its conversation")]
    Stale,
    /// The relay cannot store it now.
    #[error("the relay cannot admit anybody now; try again")]
    Unavailable,
}

/// The relay's side. The methods without a future are told in passing and must not block.
pub trait Hooks: Send + Sync + 'static {
    /// A session ended (signed out, revoked, or a refresh token was used twice): close its connections.
    fn session_ended(&self, account: AccountId, session: SessionId);

    /// A device was removed: close its connections.
    fn device_removed(&self, account: AccountId, device: DeviceId);

    /// A device's stock of key packages is low: tell it, if it is connected.
    fn key_packages_low(&self, account: AccountId, device: DeviceId, left: u32);

    /// Whether an account may make invites to a conversation.
    fn may_invite(&self, account: AccountId, conversation: ConversationId) -> BoxFuture<'_, bool>;

    /// Lets an account join a conversation, durably. Called again for an invite that is redeemed again.
    fn admit(&self, admit: Admit) -> BoxFuture<'_, Result<(), AdmitRefused>>;

    /// What an account has on the relay's disk, and may have; `None` if the relay is closing.
    fn usage(&self, account: AccountId) -> BoxFuture<'_, Option<Usage>>;

    /// What the relay is doing, for operators; `None` if it is closing.
    fn figures(&self) -> BoxFuture<'_, Option<Figures>>;

    /// Some rooms in the order in which they were made, for operators.
    fn rooms(&self, from: usize) -> BoxFuture<'_, RoomPage>;

    /// How browsers reach the relay's UDP port, for `/api/v1/about`; `None` if they cannot.
    fn webtransport(&self) -> Option<WebTransport>;

    /// Credentials for STUN and TURN for a sign-in that asks from an address; `None` if the relay lends nothing there.
    fn ice(&self, account: AccountId, session: SessionId, from: IpAddr) -> Option<IceServer>;

    /// A stream for TURN on a WebSocket of a sign-in, in place of UDP.
    ///
    /// # Errors
    /// If nothing was lent to it, or there are enough.
    fn route_turn(&self, account: AccountId, session: SessionId) -> Result<ServeRouted, NotRouted>;

    /// Whether the relay takes requests, for `/api/v1/ready`.
    fn readiness(&self) -> Readiness;
}
