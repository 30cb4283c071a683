//! Invites on a table.

use super::{Embedded, SWEEP_ROWS, Swept, decode, encode, keys, load_all};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{Answer, CONSOLE, InvitePage, Invites, Redeemed, StoreError, TooManyInvites};
use bincode::{Decode, Encode};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_signaling_core::invite::{Invite, InviteId, RedeemRefused};
use sotto_signaling_core::limits::{INVITE_USES_MAX, INVITES_PER_ACCOUNT_MAX};
use sotto_signaling_core::secret::SecretHash;

/// An invite with the hash of its code, so that removing the one removes the other.
#[derive(Encode, Decode)]
struct InviteRow {
    invite: Invite,
    code: SecretHash,
}

impl<T: Table> Invites for Embedded<T> {
    fn create_invite(
        &self,
        invite: Invite,
        code: SecretHash,
        now: UnixMillis,
    ) -> Answer<'_, Result<(), TooManyInvites>> {
        self.write(move |rows| {
            let maker = maker(&invite);
            let there: Vec<InviteRow> = load_all(rows, &keys::invites_of(maker), usize::MAX)?;
            let live = there.iter().filter(|row| !row.invite.has_expired(now)).count();
            if maker != CONSOLE && live >= INVITES_PER_ACCOUNT_MAX {
                return Ok(Err(TooManyInvites));
            }
            rows.put(keys::code(&code), encode(&(maker, invite.id)));
            rows.put(keys::invite(maker, invite.id), encode(&InviteRow { invite, code }));
            Ok(Ok(()))
        })
    }

    fn invites(&self, account: AccountId, now: UnixMillis) -> Answer<'_, Vec<Invite>> {
        self.read(move |rows| {
            let there: Vec<InviteRow> = load_all(rows, &keys::invites_of(account), usize::MAX)?;
            let mut invites: Vec<Invite> = there.into_iter().map(|row| row.invite).collect();
            invites.retain(|invite| !invite.has_expired(now));
            invites.sort_by_key(|invite| (invite.created, invite.id));
            Ok(invites)
        })
    }

    fn remove_invite(&self, account: AccountId, id: InviteId) -> Answer<'_, bool> {
        self.write(move |rows| {
            let row: Option<InviteRow> = super::load(rows, &keys::invite(account, id))?;
            row.as_ref().map_or(Ok(()), |row| remove(rows, row))?;
            Ok(row.is_some())
        })
    }

    fn redeem(
        &self,
        code: SecretHash,
        account: AccountId,
        now: UnixMillis,
    ) -> Answer<'_, Result<Redeemed, RedeemRefused>> {
        self.write(move |rows| redeem(rows, &code, account, false, now))
    }
}

/// Also a part of registering, which is one step with it and may ask for an invite that registers.
pub(super) fn redeem(
    rows: &mut Overlay<'_>,
    code: &SecretHash,
    account: AccountId,
    must_register: bool,
    now: UnixMillis,
) -> Result<Result<Redeemed, RedeemRefused>, StoreError> {
    let Some((maker, id)) = super::load::<(AccountId, InviteId)>(rows, &keys::code(code))? else {
        return Ok(Err(RedeemRefused));
    };
    let Some(InviteRow { invite, code }) = super::load(rows, &keys::invite(maker, id))? else {
        return Ok(Err(RedeemRefused));
    };
    if must_register && !invite.registers {
        return Ok(Err(RedeemRefused));
    }
    let redeemed = Redeemed { invite: id, by: invite.by, conversation: invite.conversation };
    let mark = keys::redeemer(maker, id, account);
    if rows.get(&mark)?.is_some() && !invite.has_expired(now) {
        return Ok(Ok(redeemed));
    }
    match invite.redeem(now) {
        Err(refused) => Ok(Err(refused)),
        Ok(invite) => {
            rows.put(mark, encode(&()));
            rows.put(keys::invite(maker, id), encode(&InviteRow { invite, code }));
            Ok(Ok(redeemed))
        }
    }
}

fn maker(invite: &Invite) -> AccountId {
    invite.by.unwrap_or(CONSOLE)
}

/// All of an account, with what hangs on them.
pub(super) fn remove_all(rows: &mut Overlay<'_>, account: AccountId) -> Result<(), StoreError> {
    let there: Vec<InviteRow> = load_all(rows, &keys::invites_of(account), usize::MAX)?;
    there.iter().try_for_each(|row| remove(rows, row))
}

/// Some of all, in the order of their keys.
pub(super) fn page(
    rows: &(impl Reader + ?Sized),
    after: Option<(AccountId, InviteId)>,
    limit: usize,
    now: UnixMillis,
) -> Result<InvitePage, StoreError> {
    let after = after.map(|(maker, id)| keys::invite(maker, id));
    let seen = rows.scan(keys::INVITES, after.as_deref(), limit)?;
    let is_last = seen.len() < limit;
    let mut page = InvitePage::default();
    for (_, bytes) in seen {
        let InviteRow { invite, .. } = decode(&bytes)?;
        page.next = (!is_last).then_some((maker(&invite), invite.id));
        page.invites.extend(Some(invite).filter(|invite| !invite.has_expired(now)));
    }
    Ok(page)
}

fn remove(rows: &mut Overlay<'_>, row: &InviteRow) -> Result<(), StoreError> {
    let maker = maker(&row.invite);
    rows.remove(keys::invite(maker, row.invite.id));
    rows.remove(keys::code(&row.code));
    for (mark, _) in rows.scan(&keys::redeemers(maker, row.invite.id), None, INVITE_USES_MAX as usize)? {
        rows.remove(mark);
    }
    Ok(())
}

pub(super) fn sweep_some(
    rows: &mut Overlay<'_>,
    after: Option<Vec<u8>>,
    now: UnixMillis,
) -> Result<Swept, StoreError> {
    let seen = rows.scan(keys::INVITES, after.as_deref(), SWEEP_ROWS)?;
    let mut dropped: usize = 0;
    for (_, bytes) in &seen {
        let row: InviteRow = decode(bytes)?;
        if row.invite.has_expired(now) {
            remove(rows, &row)?;
            dropped = dropped.saturating_add(1);
        }
    }
    Ok(Swept { dropped, next: super::next_key(seen) })
}
