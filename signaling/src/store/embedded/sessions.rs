//! Sessions on a table.

use super::{Embedded, SWEEP_ROWS, Swept, accounts, decode, encode, keys};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{Answer, Refreshed, Sessions, StoreError};
use sotto_protocol::ids::{AccountId, DeviceId, SessionId, UnixMillis};
use sotto_signaling_core::limits::SESSIONS_PER_ACCOUNT_MAX;
use sotto_signaling_core::secret::{RefreshHashes, SecretHash};
use sotto_signaling_core::session::{Session, Verdict};

impl<T: Table> Sessions for Embedded<T> {
    fn open_session(&self, session: Session) -> Answer<'_, Option<Vec<Session>>> {
        self.write(move |rows| match accounts::load(rows, session.account)? {
            Some(account) if account.may_sign_in().is_ok() => open(rows, &session).map(Some),
            Some(_) | None => Ok(None),
        })
    }

    fn session(&self, id: SessionId) -> Answer<'_, Option<Session>> {
        self.read(move |rows| load(rows, id))
    }

    fn sessions(&self, account: AccountId) -> Answer<'_, Vec<Session>> {
        self.read(move |rows| all(rows, account))
    }

    fn refresh(
        &self,
        id: SessionId,
        shown: RefreshHashes,
        next: SecretHash,
        now: UnixMillis,
    ) -> Answer<'_, Refreshed> {
        self.write(move |rows| refresh(rows, id, &shown, next, now))
    }

    fn bind_session(&self, id: SessionId, device: DeviceId) -> Answer<'_, ()> {
        Box::pin(async move {
            // Each connection says so again: only a change is worth a write.
            let bound = load(&*self.table, id)?.is_none_or(|session| session.device == Some(device));
            if bound { Ok(()) } else { self.write(move |rows| bind(rows, id, device)).await }
        })
    }

    fn close_session(&self, account: AccountId, id: SessionId) -> Answer<'_, Option<Session>> {
        self.write(move |rows| {
            let session = load(rows, id)?.filter(|session| session.account == account);
            if let Some(session) = &session {
                remove(rows, session);
            }
            Ok(session)
        })
    }
}

fn refresh(
    rows: &mut Overlay<'_>,
    id: SessionId,
    shown: &RefreshHashes,
    next: SecretHash,
    now: UnixMillis,
) -> Result<Refreshed, StoreError> {
    let Some(session) = load(rows, id)? else {
        return Ok(Refreshed::Refused);
    };
    let Some(account) = accounts::load(rows, session.account)? else {
        return Ok(Refreshed::Refused);
    };
    let verdict = session.judge(shown, now);
    match verdict {
        Verdict::Rotate | Verdict::RotateAgain => {
            let session = session.rotated(verdict, next, now);
            rows.put(keys::session(id), encode(&session));
            Ok(Refreshed::Rotated { session, account })
        }
        Verdict::Reused | Verdict::Expired => {
            remove(rows, &session);
            Ok(Refreshed::Revoked { session, reused: verdict == Verdict::Reused })
        }
        Verdict::Foreign => Ok(Refreshed::Refused),
    }
}

pub(super) fn load(rows: &(impl Reader + ?Sized), id: SessionId) -> Result<Option<Session>, StoreError> {
    super::load(rows, &keys::session(id))
}

pub(super) fn all(rows: &(impl Reader + ?Sized), account: AccountId) -> Result<Vec<Session>, StoreError> {
    let ids: Vec<SessionId> = super::load_all(rows, &keys::sessions_of(account), SESSIONS_PER_ACCOUNT_MAX)?;
    let mut sessions = Vec::with_capacity(ids.len());
    for id in ids {
        sessions.extend(load(rows, id)?);
    }
    sessions.sort_by_key(|session| (session.created, session.id));
    Ok(sessions)
}

pub(super) fn open(rows: &mut Overlay<'_>, session: &Session) -> Result<Vec<Session>, StoreError> {
    let mut there = all(rows, session.account)?;
    there.sort_by_key(|session| session.used);
    let excess = there.len().saturating_add(1).saturating_sub(SESSIONS_PER_ACCOUNT_MAX);
    there.truncate(excess);
    for old in &there {
        remove(rows, old);
    }
    rows.put(keys::session(session.id), encode(session));
    rows.put(keys::session_of(session.account, session.id), encode(&session.id));
    Ok(there)
}

pub(super) fn bind(rows: &mut Overlay<'_>, id: SessionId, device: DeviceId) -> Result<(), StoreError> {
    if let Some(session) = load(rows, id)? {
        rows.put(keys::session(id), encode(&Session { device: Some(device), ..session }));
    }
    Ok(())
}

pub(super) fn remove(rows: &mut Overlay<'_>, session: &Session) {
    rows.remove(keys::session(session.id));
    rows.remove(keys::session_of(session.account, session.id));
}

pub(super) fn sweep_some(
    rows: &mut Overlay<'_>,
    after: Option<Vec<u8>>,
    now: UnixMillis,
) -> Result<Swept, StoreError> {
    let seen = rows.scan(keys::SESSIONS, after.as_deref(), SWEEP_ROWS)?;
    let mut dropped: usize = 0;
    for (_, bytes) in &seen {
        let session: Session = decode(bytes)?;
        if session.has_expired(now) {
            remove(rows, &session);
            dropped = dropped.saturating_add(1);
        }
    }
    Ok(Swept { dropped, next: super::next_key(seen) })
}
