//! Who is connected now: at most one connection for each device, each of which can be told to close.

use sotto_protocol::ids::{AccountId, DeviceId, SessionId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// Why the relay ends a connection in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The same device connected again.
    Replaced,
    /// The sign-in was revoked, or its owner signed out.
    Revoked,
    /// The device was removed from the account.
    DeviceRemoved,
    /// The relay stops; come back after so many milliseconds.
    Draining {
        /// Spread over devices, so that they do not all come back at once.
        reconnect_after_ms: u32,
    },
}

impl CloseReason {
    /// One sentence for the device's log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Replaced => "this device connected again elsewhere",
            Self::Revoked => "the session was revoked; sign in again",
            Self::DeviceRemoved => "this device was removed from its account",
            Self::Draining { .. } => "the relay is stopping",
        }
    }

    /// When connecting again makes sense.
    #[must_use]
    pub const fn reconnect_after_ms(self) -> u32 {
        match self {
            Self::Draining { reconnect_after_ms } => reconnect_after_ms,
            Self::Replaced | Self::Revoked | Self::DeviceRemoved => 0,
        }
    }
}

/// What a connection is to do besides its requests. The latest counts; nothing queues up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    /// End, and why.
    pub close: Option<CloseReason>,
    /// Tell the device that so few of its key packages are left.
    pub key_packages_left: Option<u32>,
}

/// All authenticated connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: Mutex<HashMap<DeviceId, Live>>,
    next: AtomicU64,
    draining: AtomicBool,
}

#[derive(Debug)]
struct Live {
    connection: u64,
    account: AccountId,
    session: SessionId,
    orders: watch::Sender<Orders>,
}

impl Live {
    fn close(&self, reason: CloseReason) {
        self.orders.send_modify(|orders| orders.close = Some(reason));
    }
}

/// The place of one connection in the registry; leaving is dropping it.
#[derive(Debug)]
pub struct Presence {
    registry: Registry,
    device: DeviceId,
    connection: u64,
    /// Changes when there is something to do.
    pub orders: watch::Receiver<Orders>,
}

impl Registry {
    /// Enters a connection. An older one of the same device is told to close.
    #[must_use]
    pub fn enter(&self, account: AccountId, device: DeviceId, session: SessionId) -> Presence {
        let connection = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (orders, ordered) = watch::channel(Orders::default());
        let older = self.live().insert(device, Live { connection, account, session, orders });
        if let Some(older) = older {
            older.close(CloseReason::Replaced);
        }
        if self.inner.draining.load(Ordering::SeqCst) {
            self.close_where(CloseReason::Draining { reconnect_after_ms: 1_000 }, |id, _| *id == device);
        }
        Presence { registry: self.clone(), device, connection, orders: ordered }
    }

    /// Ends the connections of a sign-in.
    pub fn revoke(&self, account: AccountId, session: SessionId) {
        self.close_where(CloseReason::Revoked, |_, live| live.account == account && live.session == session);
    }

    /// Ends the connection of a device.
    pub fn remove_device(&self, account: AccountId, device: DeviceId) {
        self.close_where(CloseReason::DeviceRemoved, |id, live| *id == device && live.account == account);
    }

    /// Tells a device, if it is connected, that its stock of key packages is low.
    pub fn key_packages_low(&self, account: AccountId, device: DeviceId, left: u32) {
        if let Some(live) = self.live().get(&device).filter(|live| live.account == account) {
            live.orders.send_modify(|orders| orders.key_packages_left = Some(left));
        }
    }

    /// Tells every connection to end, and each that enters from now on. `reconnect_after_ms` is asked once for
    /// each that is here now.
    pub fn drain(&self, mut reconnect_after_ms: impl FnMut() -> u32) {
        // Set before the list is read: an entry is either in the list or sees this.
        self.inner.draining.store(true, Ordering::SeqCst);
        for live in self.live().values() {
            live.close(CloseReason::Draining { reconnect_after_ms: reconnect_after_ms() });
        }
    }

    /// How many are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.live().len()
    }

    fn close_where(&self, reason: CloseReason, which: impl Fn(&DeviceId, &Live) -> bool) {
        for (_, live) in self.live().iter().filter(|(id, live)| which(id, live)) {
            live.close(reason);
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<DeviceId, Live>> {
        self.inner.live.lock().expect("no holder of this lock can panic")
    }
}

impl Presence {
    /// Why the connection must end, if it must.
    #[must_use]
    pub fn closing(&self) -> Option<CloseReason> {
        self.orders.borrow().close
    }

    /// The device proved itself again, with a token of this sign-in.
    pub fn renew(&self, session: SessionId) {
        if let Some(live) = self.registry.live().get_mut(&self.device)
            && live.connection == self.connection
        {
            live.session = session;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut live = self.registry.live();
        if live.get(&self.device).is_some_and(|live| live.connection == self.connection) {
            live.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountId = AccountId([1; 16]);
    const DEVICE: DeviceId = DeviceId([2; 16]);
    const SESSION: SessionId = SessionId([3; 16]);

    #[test]
    fn a_newer_connection_replaces_the_older_and_the_older_one_leaving_changes_nothing() {
        let registry = Registry::default();
        let older = registry.enter(ACCOUNT, DEVICE, SESSION);
        let newer = registry.enter(ACCOUNT, DEVICE, SESSION);
        assert_eq!(older.closing(), Some(CloseReason::Replaced));
        drop(older);
        assert_eq!(registry.count(), 1);
        assert_eq!(newer.closing(), None);
        drop(newer);
        assert_eq!(registry.count(), 0);
    }

    /// P-005.
    #[test]
    fn revoking_a_session_ends_its_connections_and_no_others() {
        let registry = Registry::default();
        let revoked = registry.enter(ACCOUNT, DEVICE, SESSION);
        let other_session = registry.enter(ACCOUNT, DeviceId([9; 16]), SessionId([9; 16]));
        let other_account = registry.enter(AccountId([8; 16]), DeviceId([8; 16]), SESSION);
        registry.revoke(ACCOUNT, SESSION);
        assert_eq!(revoked.closing(), Some(CloseReason::Revoked));
        assert_eq!(other_session.closing(), None);
        assert_eq!(other_account.closing(), None);
        registry.remove_device(AccountId([8; 16]), DeviceId([8; 16]));
        assert_eq!(other_account.closing(), Some(CloseReason::DeviceRemoved));
    }

    #[test]
    fn a_drain_ends_those_who_are_here_and_those_who_enter_later() {
        let registry = Registry::default();
        let here = registry.enter(ACCOUNT, DEVICE, SESSION);
        registry.drain(|| 7);
        let later = registry.enter(ACCOUNT, DeviceId([9; 16]), SESSION);
        assert_eq!(here.closing(), Some(CloseReason::Draining { reconnect_after_ms: 7 }));
        assert!(matches!(later.closing(), Some(CloseReason::Draining { .. })));
    }

    #[test]
    fn a_device_is_told_of_its_own_stock_only() {
        let registry = Registry::default();
        let here = registry.enter(ACCOUNT, DEVICE, SESSION);
        registry.key_packages_low(AccountId([9; 16]), DEVICE, 3);
        assert_eq!(here.orders.borrow().key_packages_left, None);
        registry.key_packages_low(ACCOUNT, DEVICE, 3);
        assert_eq!(here.orders.borrow().key_packages_left, Some(3));
        assert_eq!(here.closing(), None);
    }

    #[test]
    fn a_renewed_connection_belongs_to_its_newer_session() {
        let registry = Registry::default();
        let presence = registry.enter(ACCOUNT, DEVICE, SESSION);
        presence.renew(SessionId([4; 16]));
        registry.revoke(ACCOUNT, SESSION);
        assert_eq!(presence.closing(), None);
        registry.revoke(ACCOUNT, SessionId([4; 16]));
        assert_eq!(presence.closing(), Some(CloseReason::Revoked));
    }
}
