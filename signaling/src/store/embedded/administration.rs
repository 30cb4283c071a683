//! What the operator does, on a table.

use super::{Embedded, accounts, devices, invites, keys, packages, sessions};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{AccountSummary, Administration, Answer, Deleted, InvitePage, StoreError};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_signaling_core::account::{Account, Role};
use sotto_signaling_core::invite::InviteId;
use sotto_signaling_core::session::Session;

impl<T: Table> Administration for Embedded<T> {
    fn list_accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<'_, Vec<AccountSummary>> {
        self.read(move |rows| {
            let after = after.map(keys::account);
            let seen = rows.scan(keys::ACCOUNTS, after.as_deref(), limit)?;
            seen.iter().map(|(_, bytes)| summary(rows, accounts::read(bytes)?)).collect()
        })
    }

    fn set_role(&self, id: AccountId, role: Role) -> Answer<'_, Option<Account>> {
        self.write(move |rows| change(rows, id, |account| Account { role, ..account }))
    }

    fn set_disabled(
        &self,
        id: AccountId,
        since: Option<UnixMillis>,
    ) -> Answer<'_, Option<(Account, Vec<Session>)>> {
        self.write(move |rows| {
            let changed = change(rows, id, |account| Account {
                // Disabled once more: since the first time.
                disabled: since.map(|since| account.disabled.unwrap_or(since)),
                ..account
            })?;
            let Some(account) = changed else { return Ok(None) };
            let ended = if since.is_some() { end_all(rows, id)? } else { Vec::new() };
            Ok(Some((account, ended)))
        })
    }

    fn delete_account(&self, id: AccountId) -> Answer<'_, Option<Deleted>> {
        self.write(move |rows| {
            let Some(account) = accounts::load(rows, id)? else { return Ok(None) };
            let sessions = end_all(rows, id)?;
            let devices: Vec<_> = devices::all(rows, id)?.into_iter().map(|device| device.id).collect();
            for device in &devices {
                rows.remove(keys::device(id, *device));
                rows.remove(keys::device_owner(*device));
                packages::forget_all(rows, id, *device)?;
            }
            invites::remove_all(rows, id)?;
            rows.remove(keys::vault(id));
            rows.remove(keys::email_of(&account.email, account.created.0, id));
            rows.remove(keys::account(id));
            // The row of its name stays, and leads to nobody.
            Ok(Some(Deleted { account, devices, sessions }))
        })
    }

    fn list_invites(
        &self,
        after: Option<(AccountId, InviteId)>,
        limit: usize,
        now: UnixMillis,
    ) -> Answer<'_, InvitePage> {
        self.read(move |rows| invites::page(rows, after, limit, now))
    }
}

fn summary(rows: &impl Reader, account: Account) -> Result<AccountSummary, StoreError> {
    let devices = devices::all(rows, account.id)?.len();
    let sessions = sessions::all(rows, account.id)?.len();
    Ok(AccountSummary { account, devices, sessions })
}

fn change(
    rows: &mut Overlay<'_>,
    id: AccountId,
    how: impl FnOnce(Account) -> Account,
) -> Result<Option<Account>, StoreError> {
    let changed = accounts::load(rows, id)?.map(how);
    changed.iter().for_each(|account| accounts::save(rows, account));
    Ok(changed)
}

fn end_all(rows: &mut Overlay<'_>, id: AccountId) -> Result<Vec<Session>, StoreError> {
    let ended = sessions::all(rows, id)?;
    for session in &ended {
        sessions::remove(rows, session);
    }
    Ok(ended)
}
