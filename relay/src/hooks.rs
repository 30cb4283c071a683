//! What signaling tells the relay, and asks it: ends of sessions, admissions to conversations, readiness.

use crate::engine::{AdmitError, Engine};
use crate::operator::watch::{self, Watch};
use crate::session::registry::Registry;
use crate::turn::Turn;
use crate::webtransport::Door;
use futures_util::future::BoxFuture;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId};
use sotto_signaling::hooks::{
    Admit, AdmitRefused, Figures, Hooks, IceServer, NotRouted, Readiness, RoomPage, ServeRouted, Usage,
    WebTransport,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The relay as signaling sees it.
pub struct RelayHooks {
    /// The log.
    pub engine: Engine,
    /// Who is connected.
    pub registry: Registry,
    /// Whether the relay has started and does not drain.
    pub is_ready: Arc<AtomicBool>,
    /// What the operator's page watches.
    pub watch: Arc<Watch>,
    /// How browsers reach the UDP port; `None` while nothing listens.
    pub door: Option<Door>,
    /// What lends STUN and TURN; `None` if nothing does.
    pub turn: Option<Arc<Turn>>,
}

impl Hooks for RelayHooks {
    fn session_ended(&self, account: AccountId, session: SessionId) {
        if let Some(turn) = &self.turn {
            turn.revoke(session);
        }
        self.registry.revoke(account, session);
    }

    fn device_removed(&self, account: AccountId, device: DeviceId) {
        self.registry.remove_device(account, device);
    }

    fn key_packages_low(&self, account: AccountId, device: DeviceId, left: u32) {
        self.registry.key_packages_low(account, device, left);
    }

    fn may_invite(&self, account: AccountId, conversation: ConversationId) -> BoxFuture<'_, bool> {
        Box::pin(self.engine.may_invite(conversation, account))
    }

    fn admit(&self, admit: Admit) -> BoxFuture<'_, Result<(), AdmitRefused>> {
        Box::pin(async move {
            // Whoever made the invite may have lost the right to it since; the operator keeps it.
            if let Some(maker) = admit.by
                && !self.engine.may_invite(admit.conversation, maker).await
            {
                return Err(AdmitRefused::Stale);
            }
            self.engine.admit(admit.conversation, admit.account).await.map_err(|error| match error {
                AdmitError::NotFound => AdmitRefused::Stale,
                AdmitError::StorageFull | AdmitError::Unavailable => AdmitRefused::Unavailable,
            })
        })
    }

    fn usage(&self, account: AccountId) -> BoxFuture<'_, Option<Usage>> {
        Box::pin(async move {
            let used_bytes = self.engine.held(vec![account]).await.first().copied()?;
            let limit = self.engine.quotas().account_bytes;
            Some(Usage { used_bytes, limit_bytes: (limit > 0).then_some(limit) })
        })
    }

    fn figures(&self) -> BoxFuture<'_, Option<Figures>> {
        Box::pin(self.watch.figures(&self.engine, &self.registry))
    }

    fn rooms(&self, from: usize) -> BoxFuture<'_, RoomPage> {
        Box::pin(watch::rooms(&self.engine, from))
    }

    fn webtransport(&self) -> Option<WebTransport> {
        self.door.as_ref().map(Door::described)
    }

    fn ice(&self, account: AccountId, session: SessionId, from: IpAddr) -> Option<IceServer> {
        self.turn.as_ref()?.ice(account, session, from)
    }

    fn route_turn(&self, account: AccountId, session: SessionId) -> Result<ServeRouted, NotRouted> {
        self.turn.as_ref().ok_or(NotRouted::NoCredentials)?.route(account, session)
    }

    fn readiness(&self) -> Readiness {
        if !self.is_ready.load(Ordering::Acquire) {
            return Readiness::NotReady("the relay is starting or stopping".to_owned());
        }
        if self.engine.metrics().storage_full.get() > 0 {
            return Readiness::NotReady("the disk is full: nothing new is taken".to_owned());
        }
        Readiness::Ready
    }
}
