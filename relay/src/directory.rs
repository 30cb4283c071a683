//! What the engine asks about accounts, answered from memory where it can be.

use crate::engine::Directory;
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_signaling::store::table::Table;
use sotto_signaling::store::{Embedded, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Accounts in memory at most: 120 bytes each make 8 MiB.
const CACHED_MAX: usize = 65_536;

/// Names and identity keys never change once they are set, so they are looked up once. Devices do come and
/// go, and are looked up each time.
pub struct CachedDirectory<T: Table> {
    store: Arc<Embedded<T>>,
    known: Mutex<HashMap<AccountId, Known>>,
}

#[derive(Clone)]
struct Known {
    username: String,
    identity_key: Option<[u8; 32]>,
}

impl<T: Table> CachedDirectory<T> {
    /// In front of a store.
    #[must_use]
    pub fn new(store: Arc<Embedded<T>>) -> Self {
        Self { store, known: Mutex::default() }
    }

    fn known(&self, account: AccountId) -> Option<Known> {
        let cached = self.lock().get(&account).cloned();
        // An account without an identity key may get one any time.
        if let Some(known) = cached.filter(|known| known.identity_key.is_some()) {
            return Some(known);
        }
        let row = found(self.store.account_now(account))?;
        let known = Known { username: row.username.as_str().to_owned(), identity_key: row.identity_key };
        let mut cache = self.lock();
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        cache.insert(account, known.clone());
        Some(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Known>> {
        self.known.lock().expect("no holder of this lock can panic")
    }
}

fn found<T>(row: Result<Option<T>, StoreError>) -> Option<T> {
    row.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot look an account up");
        None
    })
}

impl<T: Table> Directory for CachedDirectory<T> {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        self.known(account)?.identity_key
    }

    fn username(&self, account: AccountId) -> Option<String> {
        Some(self.known(account)?.username)
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        found(self.store.device_now(account, device)).is_some_and(|row| row.device_key == *device_key)
    }
}
