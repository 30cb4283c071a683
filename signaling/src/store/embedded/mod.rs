//! The store on an ordered table of bytes.
//!
//! Every value starts with the version of its format, then a bincode body that is frozen for that version; a
//! later version reads both. Keys are a letter for the kind, then fixed-length ids (big endian), so that a
//! prefix names a family:
//!
//! ```text
//! a account                    -> Account          u name                     -> account id
//! e SHA-256(address) account   -> ()               s session                  -> Session
//! S account session            -> ()               d account device           -> Device
//! D device                     -> account id       k account device hash      -> StoredPackage
//! l account device suite       -> StoredPackage    x account device hash      -> expiry of a spent package
//! i account invite             -> Invite + code    c hash of code             -> account, invite
//! r account invite redeemer    -> ()               v account                  -> Vault
//! ```
//! An invite of the operator stands under account zero.

mod accounts;
mod administration;
mod devices;
mod invites;
mod keys;
mod packages;
mod sessions;
mod vaults;

use super::committer::Committer;
use super::table::{Overlay, Reader, Row, Table};
use super::{Answer, Housekeeping, StoreError};
use bincode::{Decode, Encode};
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_signaling_core::account::Account;
use sotto_signaling_core::device::Device;
use std::sync::Arc;

/// The store on a table `T`, with one thread that writes.
///
/// Reads go to the table at once and see everything that was acknowledged.
pub struct Embedded<T: Table> {
    // Dropped first: the thread ends before the table does.
    committer: Committer,
    table: Arc<T>,
}

impl<T: Table> std::fmt::Debug for Embedded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded { .. }")
    }
}

impl<T: Table> Embedded<T> {
    /// Opens the store and starts its writing thread.
    #[must_use]
    pub fn open(table: T) -> Self {
        let table = Arc::new(table);
        Self { committer: Committer::start(table.clone()), table }
    }

    /// The table, for backups and figures.
    #[must_use]
    pub fn table(&self) -> &T {
        &self.table
    }

    /// An account, at once: for the relay's committer, which cannot wait.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn account_now(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        accounts::load(&*self.table, id)
    }

    /// A device of an account, at once: for the relay's committer, which cannot wait.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn device_now(&self, account: AccountId, id: DeviceId) -> Result<Option<Device>, StoreError> {
        devices::load(&*self.table, account, id)
    }

    fn read<'a, A: Send + 'a>(
        &'a self,
        work: impl FnOnce(&T) -> Result<A, StoreError> + Send + 'a,
    ) -> Answer<'a, A> {
        Box::pin(async move { work(&self.table) })
    }

    fn write<'a, A: Send + 'static>(
        &'a self,
        work: impl FnOnce(&mut Overlay<'_>) -> Result<A, StoreError> + Send + 'static,
    ) -> Answer<'a, A> {
        Box::pin(self.committer.run(work))
    }
}

impl<T: Table> Housekeeping for Embedded<T> {
    fn sweep(&self, now: UnixMillis) -> Answer<'_, usize> {
        Box::pin(async move {
            let mut dropped: usize = 0;
            for family in [sessions::sweep_some, invites::sweep_some, packages::sweep_some] {
                let mut after = None;
                // In steps, so that other operations wait for one of them only.
                loop {
                    let from = after.take();
                    let step = self.committer.run(move |rows| family(rows, from, now)).await?;
                    dropped = dropped.saturating_add(step.dropped);
                    match step.next {
                        Some(key) => after = Some(key),
                        None => break,
                    }
                }
            }
            Ok(dropped)
        })
    }
}

/// Rows that one step of a sweep looks at.
const SWEEP_ROWS: usize = 500;

/// What one step of a sweep did.
struct Swept {
    dropped: usize,
    /// Where the next step starts; `None` at the end.
    next: Option<Vec<u8>>,
}

/// Where a sweep goes on after a step that saw these rows; `None` if they were the last.
fn next_key(seen: Vec<Row>) -> Option<Vec<u8>> {
    let full = seen.len() >= SWEEP_ROWS;
    seen.into_iter().next_back().map(|(key, _)| key).filter(|_| full)
}

/// The version of every value's format.
const FORMAT: u8 = 1;

fn encode(value: &impl Encode) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bincode::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .expect("writing to memory does not fail, and no row has a type that cannot be encoded");
    bytes
}

fn decode<V: Decode<()>>(bytes: &[u8]) -> Result<V, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => decode_body(body),
        Some((version, _)) => Err(StoreError::Damaged(format!(
            "a row of {} has format {version}, which this program does not read; use the newer program",
            std::any::type_name::<V>()
        ))),
        None => Err(StoreError::Damaged(format!("a row of {} is empty", std::any::type_name::<V>()))),
    }
}

fn decode_body<V: Decode<()>>(body: &[u8]) -> Result<V, StoreError> {
    // A row holds at most one vault or one key package. The limit bounds what damaged bytes can ask for.
    let config = bincode::config::standard().with_limit::<{ 4 * 1024 * 1024 }>();
    let damaged = || StoreError::Damaged(format!("a row of {} does not read", std::any::type_name::<V>()));
    let (value, read) = bincode::decode_from_slice(body, config).map_err(|_| damaged())?;
    if read == body.len() { Ok(value) } else { Err(damaged()) }
}

fn load<V: Decode<()>>(rows: &(impl Reader + ?Sized), key: &[u8]) -> Result<Option<V>, StoreError> {
    rows.get(key)?.map(|bytes| decode(&bytes)).transpose()
}

fn load_all<V: Decode<()>>(
    rows: &(impl Reader + ?Sized),
    prefix: &[u8],
    limit: usize,
) -> Result<Vec<V>, StoreError> {
    rows.scan(prefix, None, limit)?.iter().map(|(_, bytes)| decode(bytes)).collect()
}
