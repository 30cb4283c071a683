//! Vaults on a table.

use super::{Embedded, encode, keys, load};
use crate::store::table::Table;
use crate::store::{Answer, Vaults};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_signaling_core::vault::{PutRefused, Vault, replace};

impl<T: Table> Vaults for Embedded<T> {
    fn vault(&self, account: AccountId) -> Answer<'_, Option<Vault>> {
        self.read(move |rows| load(rows, &keys::vault(account)))
    }

    fn put_vault(
        &self,
        account: AccountId,
        replaces: u64,
        data: Vec<u8>,
        now: UnixMillis,
    ) -> Answer<'_, Result<u64, PutRefused>> {
        self.write(move |rows| {
            let current: Option<Vault> = load(rows, &keys::vault(account))?;
            let replaced = replace(current.as_ref(), replaces, data, now);
            Ok(replaced.map(|vault| {
                rows.put(keys::vault(account), encode(&vault));
                vault.version
            }))
        })
    }
}
