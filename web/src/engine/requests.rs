//! Requests that may come twice: another tab's, repeated because the tab that ran the engine was closed before it answered.
//!
//! A request that changes something carries an id of the tab's drawing. Together with what it changes, in the same commit,
//! goes a row that says that it was taken; when it comes again, it is done already.

use super::host::BrowserStore;
use sotto_e2ee::store::{Batch, Row, Store, StoreError, Value};
use sotto_node_core::client::SHELL_PREFIX;
use sotto_protocol::ids::UnixMillis;
use zeroize::Zeroizing;

/// The id of a request.
pub type RequestId = [u8; 16];

const PREFIX: [u8; 2] = [SHELL_PREFIX, b'q'];

/// How long a request is remembered. A tab repeats what was not answered when it hears of the next engine, within seconds.
const KEPT_MS: u64 = 10 * 60 * 1000;

/// The row of a request: prefix, when it came, its id.
pub(super) fn row(id: RequestId, now: UnixMillis) -> Row {
    let key = [PREFIX.as_slice(), &now.0.to_be_bytes(), &id].concat();
    Row { key, value: Zeroizing::new(Vec::new()) }
}

/// Whether a request was taken already. Forgets those that nobody will repeat.
pub(super) fn is_known(store: &mut BrowserStore, id: RequestId, now: UnixMillis) -> Result<bool, StoreError> {
    let mut known = false;
    let mut old = Batch::default();
    for key in store.keys(&PREFIX)? {
        known |= key.ends_with(&id);
        let came = key.get(PREFIX.len()..).and_then(<[u8]>::first_chunk).map(|at| u64::from_be_bytes(*at));
        if came.is_none_or(|came| came.saturating_add(KEPT_MS) < now.0) {
            old.changes.insert(key, None::<Value>);
        }
    }
    store.commit(old)?;
    Ok(known)
}
