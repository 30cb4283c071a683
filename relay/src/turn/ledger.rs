//! Who borrows at the moment: the sign-ins that hold credentials, the allocations, and what each account has used.

use crate::metrics::TURN_ALLOCATIONS;
use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};
use sotto_relay_core::turn::credentials::Holder;
use sotto_relay_core::turn::quota::{Limits, OverQuota, QuotaReached, Usage};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    allocations_max: usize,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Sign-ins that were given credentials, with when the last of these ends. As many as sign in and ask.
    holders: HashMap<SessionId, u64>,
    accounts: HashMap<AccountId, Arc<Mutex<Usage>>>,
    allocations: usize,
    /// Routed streams of each account, and of all.
    streams: HashMap<AccountId, u32>,
    streams_of_all: usize,
}

/// Why nothing is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotLent {
    /// This account has enough.
    Quota(QuotaReached),
    /// All together have.
    Full,
}

/// What one account has used, for whoever counts it packet by packet.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    limits: Limits,
    usage: Arc<Mutex<Usage>>,
}

/// The right to one allocation; given back when dropped.
#[derive(Debug)]
pub(super) struct Grant {
    ledger: Arc<Ledger>,
    pub(super) meter: Meter,
}

/// The right to one routed stream; given back when dropped.
#[derive(Debug)]
pub(super) struct StreamRight {
    ledger: Arc<Ledger>,
    account: AccountId,
}

impl Ledger {
    pub(super) fn new(limits: Limits, allocations_max: usize) -> Arc<Self> {
        Arc::new(Self { limits, allocations_max, books: Mutex::default() })
    }

    /// Notes that somebody was given credentials.
    pub(super) fn note(&self, holder: &Holder) {
        let mut books = self.books();
        let expires = books.holders.entry(holder.session).or_default();
        *expires = holder.expires.max(*expires);
    }

    /// Whether whoever was given credentials is still signed in.
    pub(super) fn stands(&self, session: SessionId) -> bool {
        self.books().holders.contains_key(&session)
    }

    /// Takes credentials back: a sign-in ended.
    pub(super) fn revoke(&self, session: SessionId) {
        self.books().holders.remove(&session);
    }

    /// One more allocation for an account.
    pub(super) fn reserve(self: &Arc<Self>, account: AccountId, now: UnixMillis) -> Result<Grant, NotLent> {
        let mut books = self.books();
        if books.allocations >= self.allocations_max {
            return Err(NotLent::Full);
        }
        let fresh = || Arc::new(Mutex::new(Usage::new(&self.limits, now)));
        let usage = books.accounts.entry(account).or_insert_with(fresh).clone();
        let meter = Meter { limits: self.limits, usage };
        meter.usage().allocate(&self.limits, now).map_err(NotLent::Quota)?;
        books.allocations += 1;
        metrics::gauge!(TURN_ALLOCATIONS).increment(1.0);
        Ok(Grant { ledger: self.clone(), meter })
    }

    /// One more routed stream for an account: as many as it may have allocations, each of which needs one.
    pub(super) fn admit(self: &Arc<Self>, account: AccountId) -> Result<StreamRight, NotLent> {
        let mut books = self.books();
        if books.streams_of_all >= self.allocations_max {
            return Err(NotLent::Full);
        }
        let streams = books.streams.entry(account).or_default();
        if self.limits.allocations > 0 && *streams >= self.limits.allocations {
            return Err(NotLent::Quota(QuotaReached::Allocations));
        }
        *streams = streams.saturating_add(1);
        books.streams_of_all += 1;
        Ok(StreamRight { ledger: self.clone(), account })
    }

    /// Forgets what is over.
    pub(super) fn sweep(&self, now: UnixMillis) {
        let mut books = self.books();
        books.holders.retain(|_, expires| *expires > now.0 / 1000);
        books.accounts.retain(|_, usage| !lock(usage).is_over(now));
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// Bytes that are to be relayed.
    pub(super) fn take(&self, bytes: usize, now: UnixMillis) -> Result<(), OverQuota> {
        self.usage().take(&self.limits, bytes, now)
    }

    /// Whether an allocation may be refreshed.
    pub(super) fn may_keep(&self, now: UnixMillis) -> Result<(), QuotaReached> {
        self.usage().may_keep(&self.limits, now)
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        lock(&self.usage)
    }
}

fn lock(usage: &Mutex<Usage>) -> MutexGuard<'_, Usage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        books.allocations = books.allocations.saturating_sub(1);
        self.meter.usage().release();
        metrics::gauge!(TURN_ALLOCATIONS).decrement(1.0);
    }
}

impl Drop for StreamRight {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        books.streams_of_all = books.streams_of_all.saturating_sub(1);
        if let Some(streams) = books.streams.get_mut(&self.account) {
            *streams = streams.saturating_sub(1);
            if *streams == 0 {
                books.streams.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const ANNA: AccountId = AccountId([1; 16]);
    const BERT: AccountId = AccountId([2; 16]);

    #[test]
    fn allocations_end_at_each_accounts_limit_and_at_that_of_all() {
        let ledger = Ledger::new(Limits { allocations: 2, ..Limits::default() }, 3);
        let grants = [ANNA, ANNA, BERT].map(|account| ledger.reserve(account, NOW).unwrap());
        assert_eq!(ledger.reserve(BERT, NOW).unwrap_err(), NotLent::Full);
        let [one, two, three] = grants;
        drop(three);
        let reached = NotLent::Quota(QuotaReached::Allocations);
        assert_eq!(ledger.reserve(ANNA, NOW).unwrap_err(), reached);
        drop((one, two));
        ledger.sweep(NOW);
        assert!(ledger.books().accounts.is_empty(), "nothing is kept of who borrows nothing");
    }

    #[test]
    fn routed_streams_end_where_allocations_do_and_are_given_back() {
        let ledger = Ledger::new(Limits { allocations: 2, ..Limits::default() }, 3);
        let [one, _two, his] = [ANNA, ANNA, BERT].map(|account| ledger.admit(account).unwrap());
        assert_eq!(ledger.admit(BERT).unwrap_err(), NotLent::Full);
        drop(one);
        let _three = ledger.admit(ANNA).unwrap();
        drop(his);
        assert_eq!(ledger.admit(ANNA).unwrap_err(), NotLent::Quota(QuotaReached::Allocations));
        assert_eq!(ledger.books().streams.len(), 1, "nothing is kept of who has none");
        let ledger = Ledger::new(Limits { allocations: 0, ..Limits::default() }, 2);
        let _both = [ANNA, ANNA].map(|account| ledger.admit(account).unwrap());
        assert_eq!(ledger.admit(ANNA).unwrap_err(), NotLent::Full);
    }

    #[test]
    fn credentials_stand_until_their_sign_in_ends_or_they_do() {
        let ledger = Ledger::new(Limits::default(), 1);
        let [signed_out, expired, other] = [1, 2, 3].map(|byte| SessionId([byte; 16]));
        for (session, expires) in
            [(signed_out, 1_800_000_009), (expired, 1_800_000_000), (other, 1_800_000_009)]
        {
            ledger.note(&Holder { account: ANNA, session, expires });
        }
        ledger.revoke(signed_out);
        ledger.sweep(NOW);
        assert_eq!([signed_out, expired, other].map(|session| ledger.stands(session)), [false, false, true]);
    }
}
