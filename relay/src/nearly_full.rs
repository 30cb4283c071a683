//! What is nearly full, said before it is: conversations and accounts against their quotas, the disk against its reserve.
//!
//! A conversation or an account that is full gets no new messages taken, and with a full disk nobody does. All of them say
//! so to whoever writes then; this says it to the operator while there is time, in the figures, in `stats` and once in the log.

use crate::config::Config;
use crate::engine::{Engine, Holders, Surveyed};
use crate::metrics::{ACCOUNT_FULLEST, ACCOUNTS_NEAR_QUOTA, CONVERSATION_FULLEST, CONVERSATIONS_NEAR_QUOTA};
use sotto_protocol::ids::{AccountId, ConversationId};
use std::collections::BTreeSet;

/// Of a quota, in percent.
const NEAR_PERCENT: u64 = 80;

/// Free space that is so many times the reserve is little.
const RESERVES: u64 = 2;

/// Conversations that are looked at in one go.
const PAGE: usize = 500;

/// Of more of a kind than this it is not remembered that the log named them, and they are named again.
const NAMED_MAX: usize = 10_000;

/// How all of a kind stand against the quota of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing<I> {
    /// Those with at least [`NEAR_PERCENT`] of it.
    pub(crate) near: Vec<(I, u64)>,
    /// What the fullest of all keeps.
    pub(crate) most_bytes: u64,
}

impl<I> Default for Standing<I> {
    fn default() -> Self {
        Self { near: Vec::new(), most_bytes: 0 }
    }
}

impl Standing<ConversationId> {
    /// Takes some more into account, in the order in which they were made.
    pub(crate) fn add(&mut self, quota: u64, some: &[Surveyed]) {
        for known in some {
            self.most_bytes = self.most_bytes.max(known.stored_bytes);
            if quota > 0 && known.stored_bytes >= near(quota) {
                self.near.push((known.conversation, known.stored_bytes));
            }
        }
    }
}

impl Standing<AccountId> {
    /// Of all accounts.
    pub(crate) async fn of_accounts(engine: &Engine, quota: u64) -> Self {
        if quota == 0 {
            return Self::default();
        }
        let Holders { most_bytes, accounts } = engine.holders(near(quota)).await;
        Self { near: accounts, most_bytes }
    }
}

/// What is near a quota.
const fn near(quota: u64) -> u64 {
    // In whole hundredths first, so that it does not overflow; what that leaves is added.
    let (hundredths, rest) = (quota / 100, quota % 100);
    hundredths * NEAR_PERCENT + (rest * NEAR_PERCENT).div_ceil(100)
}

/// Which of a kind the log has named.
struct Named<I> {
    quota: u64,
    named: BTreeSet<I>,
}

impl<I: Copy + Ord> Named<I> {
    const fn new(quota: Option<u64>) -> Self {
        Self {
            quota: match quota {
                Some(quota) => quota,
                None => 0,
            },
            named: BTreeSet::new(),
        }
    }

    /// Those that the log has not named since they had room.
    fn news(&mut self, standing: &Standing<I>) -> Vec<(I, u64)> {
        let near: BTreeSet<I> = standing.near.iter().map(|(id, _)| *id).collect();
        // One that has room again is named the next time that it has not.
        self.named.retain(|id| near.contains(id));
        let mut is_news = |id: I| self.named.len() < NAMED_MAX && self.named.insert(id);
        standing.near.iter().filter(|(id, _)| is_news(*id)).copied().collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people: 53 bits are enough")]
    fn tell(&self, standing: &Standing<I>, near: &'static str, fullest: &'static str) {
        metrics::gauge!(near).set(standing.near.len() as f64);
        metrics::gauge!(fullest).set(standing.most_bytes as f64 / self.quota as f64);
    }
}

/// Looks now and then, and tells each thing once.
pub(crate) struct Watch {
    conversations: Named<ConversationId>,
    accounts: Named<AccountId>,
    reserve: u64,
    disk_was_low: bool,
}

impl Watch {
    pub(crate) fn new(config: &Config) -> Self {
        // Who reads the metrics before anybody has looked sees that nothing is near.
        for gauge in [CONVERSATIONS_NEAR_QUOTA, CONVERSATION_FULLEST, ACCOUNTS_NEAR_QUOTA, ACCOUNT_FULLEST] {
            metrics::gauge!(gauge).set(0.0);
        }
        Self {
            conversations: Named::new(config.quota_conversation),
            accounts: Named::new(config.quota_account),
            reserve: config.disk_free_min,
            disk_was_low: false,
        }
    }

    /// Looks at everything.
    pub(crate) async fn look(&mut self, engine: &Engine) {
        self.disk(engine.metrics().disk_free_bytes.get());
        if self.conversations.quota > 0 {
            let (mut standing, mut from) = (Standing::default(), 0);
            loop {
                let page = engine.survey(from, PAGE).await;
                if page.is_empty() {
                    break;
                }
                from += page.len();
                standing.add(self.conversations.quota, &page);
            }
            self.conversations(&standing);
        }
        if self.accounts.quota > 0 {
            let standing = Standing::of_accounts(engine, self.accounts.quota).await;
            self.accounts(&standing);
        }
    }

    fn conversations(&mut self, standing: &Standing<ConversationId>) {
        self.conversations.tell(standing, CONVERSATIONS_NEAR_QUOTA, CONVERSATION_FULLEST);
        for (conversation, stored_bytes) in self.conversations.news(standing) {
            tracing::warn!(
                %conversation,
                stored_bytes,
                quota = self.conversations.quota,
                "a conversation is nearly full; a full one takes no new messages"
            );
        }
    }

    fn accounts(&mut self, standing: &Standing<AccountId>) {
        self.accounts.tell(standing, ACCOUNTS_NEAR_QUOTA, ACCOUNT_FULLEST);
        for (account, stored_bytes) in self.accounts.news(standing) {
            tracing::warn!(
                %account,
                stored_bytes,
                quota = self.accounts.quota,
                "an account has nearly used up its quota; then nothing more that it writes is taken"
            );
        }
    }

    fn disk(&mut self, free_bytes: u64) {
        // Nothing was written yet, so nobody has looked.
        let is_low = free_bytes > 0 && free_bytes < self.reserve.saturating_mul(RESERVES);
        if is_low && !self.disk_was_low {
            tracing::warn!(
                free_bytes,
                reserve = self.reserve,
                "the disk is nearly full; below its reserve nothing new is taken"
            );
        }
        self.disk_was_low = is_low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
    use sotto_protocol::ids::Sequence;

    fn keeps(number: u8, stored_bytes: u64) -> Surveyed {
        Surveyed {
            conversation: ConversationId([number; 16]),
            kind: Kind::Group,
            listed_name: None,
            history: HistoryPolicy::All,
            members: 2,
            first: Sequence(1),
            head: Sequence(1),
            stored_bytes,
        }
    }

    #[test]
    fn a_conversation_is_near_its_quota_from_four_fifths_on_and_without_one_never() {
        for (bytes, quota, is_near) in
            [(79, 100, false), (80, 100, true), (200, 100, true), (u64::MAX, u64::MAX, true), (1, 0, false)]
        {
            let mut standing = Standing::default();
            standing.add(quota, &[keeps(1, bytes)]);
            assert_eq!(standing.near.len(), usize::from(is_near), "{bytes} of {quota}");
        }
        for (quota, from) in [(1, 1), (3, 3), (99, 80), (100, 80), (101, 81), (u64::MAX, u64::MAX / 5 * 4)] {
            assert_eq!(near(quota), from, "of {quota}");
        }
        let mut standing = Standing::default();
        standing.add(1_000, &[keeps(1, 799), keeps(2, 800)]);
        standing.add(1_000, &[keeps(3, 900), keeps(4, 0)]);
        assert_eq!(standing.near, [(ConversationId([2; 16]), 800), (ConversationId([3; 16]), 900)]);
        assert_eq!(standing.most_bytes, 900);
    }

    #[test]
    fn each_conversation_and_account_is_named_once_until_it_has_room_again() {
        let mut named = Named::new(Some(1_000));
        let near = |ids: &[u8]| Standing { near: ids.iter().map(|id| (*id, 900)).collect(), most_bytes: 900 };
        for (ids, news) in [(&[1, 2][..], &[1, 2][..]), (&[1, 2], &[]), (&[2], &[]), (&[], &[]), (&[1], &[1])]
        {
            let told: Vec<u8> = named.news(&near(ids)).iter().map(|(id, _)| *id).collect();
            assert_eq!(told, news);
        }
    }
}
