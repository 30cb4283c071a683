//! A device of the world: a client over a store that survives it.

use super::relay::ConnectionId;
use rand_chacha::ChaCha20Rng;
use sotto_e2ee::store::{Batch, MemoryStore, Row, Scan, Store, StoreError, Value};
use sotto_node_core::client::{Client, Setup};
use sotto_node_core::command::{Command, Token};
use sotto_node_core::event::{Event, Failure, Outcome};
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// A store that outlives its client, and that can be told to fail.
#[derive(Clone, Default)]
pub struct Medium(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    rows: MemoryStore,
    commits: u64,
    /// The process ends at this commit: before it reaches the medium, or right after.
    ends_at: Option<(u64, Ending)>,
    ended: bool,
    /// Rows that cannot be read until they are written again.
    unreadable: BTreeSet<Vec<u8>>,
}

/// At which side of a commit a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing of the commit is on the medium.
    Before,
    /// All of it is, and nothing went out yet.
    After,
}

impl Medium {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("a test that panicked has failed already")
    }

    /// How many commits there were.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner().commits
    }

    /// Lets the process end at its commit number `at`.
    pub fn end_at(&self, at: u64, ending: Ending) {
        self.inner().ends_at = Some((at, ending));
    }

    /// The keys of all rows.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.inner().rows.rows().map(|(key, _)| key.to_vec()).collect()
    }

    /// Makes a row unreadable, as a bad medium does under a sealed store.
    pub fn damage(&self, key: &[u8]) {
        self.inner().unreadable.insert(key.to_vec());
    }

    /// Takes a row away.
    pub fn lose(&self, key: &[u8]) {
        let mut batch = Batch::default();
        batch.changes.insert(key.to_vec(), None);
        self.inner().rows.commit(batch).expect("memory does not fail");
    }
}

impl Store for Medium {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let inner = self.inner();
        inner.check(key)?;
        inner.rows.get(key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let inner = self.inner();
        let rows = inner.rows.scan(scan)?;
        rows.iter().try_for_each(|row| inner.check(&row.key))?;
        Ok(rows)
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner().rows.keys(prefix)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.commits += 1;
        let ending = inner.ends_at.filter(|(at, _)| *at == inner.commits).map(|(_, ending)| ending);
        if ending.is_some() {
            inner.ended = true;
        }
        if inner.ended && ending != Some(Ending::After) {
            return Err(StoreError::Failed("the process ended here".to_owned()));
        }
        for key in batch.changes.keys() {
            inner.unreadable.remove(key);
        }
        inner.rows.commit(batch)
    }
}

impl Inner {
    /// As a store does whose seal over a row does not open.
    fn check(&self, key: &[u8]) -> Result<(), StoreError> {
        if self.unreadable.contains(key) {
            return Err(StoreError::Damaged("the seal of a row does not open".to_owned()));
        }
        Ok(())
    }
}

/// One device.
pub struct Device {
    /// Whose.
    pub account: AccountId,
    /// Its id.
    pub id: DeviceId,
    /// Its client.
    pub client: Client<Medium>,
    /// What survives the client.
    pub medium: Medium,
    /// Its connection.
    pub connection: Option<ConnectionId>,
    /// Switched off.
    pub is_off: bool,
    /// What came of commands.
    pub results: BTreeMap<Token, Result<Outcome, Failure>>,
    /// Every other event.
    pub events: Vec<Event>,
}

impl Device {
    /// A new one.
    ///
    /// # Panics
    /// If the client does not begin in an empty store.
    #[must_use]
    pub fn create(
        account: AccountId,
        id: DeviceId,
        setup: Setup,
        settings: Settings,
        now: UnixMillis,
    ) -> Self {
        let medium = Medium::default();
        let client = Client::create(medium.clone(), setup, settings, now);
        Self {
            account,
            id,
            client: client.unwrap_or_else(|error| panic!("an empty store takes a client: {error}")),
            medium,
            connection: None,
            is_off: false,
            results: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Whether it has a connection.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the process has reached its end.
    #[must_use]
    pub fn crash_is_due(&self) -> bool {
        self.medium.inner().ended
    }

    /// A new process on the same medium.
    ///
    /// # Panics
    /// If the client does not open what it wrote.
    pub fn reopen(&mut self, settings: Settings, now: UnixMillis) {
        {
            let mut inner = self.medium.inner();
            inner.ended = false;
            inner.ends_at = None;
        }
        let client = Client::open(self.medium.clone(), settings, now);
        self.client = client.unwrap_or_else(|error| panic!("a client opens what it wrote: {error}"));
        self.connection = None;
    }

    /// Gives the client its token, as a shell does.
    pub fn set_token(&mut self, now: UnixMillis, rng: &mut ChaCha20Rng) {
        let token = Command::SetAccessToken(self.account.to_string());
        self.client.handle_command(Token(0), token, now, rng);
    }
}
