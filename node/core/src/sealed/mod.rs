//! Sealing the rows of a local store, so that what is deleted is gone from whatever medium it was on.
//!
//! A medium (SQLite in files, a tree in a browser's private files) keeps copies of what was deleted in places that nobody can
//! list. So each value is sealed under a key made of the store's key *and* a secret of its own, and only these secrets
//! lie in a file that is overwritten in place: see [`RowKeys`]. [`Sealer`] seals one value.

mod row_keys;
mod seal;

pub use row_keys::{Flat, RowKeys, Slot};
pub use seal::{Sealer, StoreKey};
