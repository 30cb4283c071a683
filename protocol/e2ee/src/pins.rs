//! Which identity key each account was seen with first (trust on first use), and which ones a person verified.
use crate::store::{StoreError, Transaction};
use sotto_protocol::ids::{AccountId, UnixMillis};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub identity_key: [u8; 32],
    pub since: UnixMillis,
    /// A person compared the safety number of exactly this key.
    pub verified: bool,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    First,
    Same,
    /// Loud: the account came with another identity key than before. The new one is pinned, unverified.
    Changed {
        old: [u8; 32],
        was_verified: bool,
    },
}
pub fn get(tx: &Transaction<'_>, account: AccountId) -> Result<Option<Pin>, StoreError> {
    unimplemented!()
}
pub fn observe(
    tx: &Transaction<'_>,
    account: AccountId,
    identity_key: &[u8; 32],
    now: UnixMillis,
) -> Result<Seen, StoreError> {
    unimplemented!()
}
/// A person verified the key. False if the pinned key is another one.
pub fn verify(tx: &Transaction<'_>, account: AccountId, identity_key: &[u8; 32]) -> Result<bool, StoreError> {
    unimplemented!()
}
