//! What is nearly full, said before it is: conversations against their quota, the disk against its reserve.
//!
//! A conversation that is full refuses new messages, and a disk that is full all of them. Both say so to whoever writes
//! then; this says it to the operator while there is time, in the figures, in `stats` and once in the log.

use crate::config::Config;
use crate::engine::{Engine, Surveyed};
use crate::metrics::{CONVERSATION_FULLEST, CONVERSATIONS_NEAR_QUOTA};
use sotto_protocol::ids::ConversationId;
use std::collections::BTreeSet;

/// Of a quota, in percent.
const NEAR_PERCENT: u64 = 80;

/// Free space that is so many times the reserve is little.
const RESERVES: u64 = 2;

/// Conversations that are looked at in one go.
const PAGE: usize = 500;

/// Of more conversations than this it is not remembered that the log named them, and they are named again.
const NAMED_MAX: usize = 10_000;

/// How the conversations stand against the quota of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Those with at least [`NEAR_PERCENT`] of it, in the order in which they were made.
    pub(crate) near: Vec<(ConversationId, u64)>,
    /// What the fullest of all keeps.
    pub(crate) most_bytes: u64,
}

impl Standing {
    /// Takes some more into account.
    pub(crate) fn add(&mut self, quota: u64, some: &[Surveyed]) {
        for known in some {
            self.most_bytes = self.most_bytes.max(known.stored_bytes);
            if is_near(known.stored_bytes, quota) {
                self.near.push((known.conversation, known.stored_bytes));
            }
        }
    }
}

const fn is_near(bytes: u64, quota: u64) -> bool {
    quota > 0 && bytes as u128 * 100 >= quota as u128 * NEAR_PERCENT as u128
}

/// Looks now and then, and tells each thing once.
pub(crate) struct Watch {
    quota: u64,
    reserve: u64,
    named: BTreeSet<ConversationId>,
    disk_was_low: bool,
}

impl Watch {
    pub(crate) fn new(config: &Config) -> Self {
        // Who reads the metrics before anybody has looked sees that nothing is near.
        metrics::gauge!(CONVERSATIONS_NEAR_QUOTA).set(0.0);
        metrics::gauge!(CONVERSATION_FULLEST).set(0.0);
        Self {
            quota: config.quota_conversation.unwrap_or(0),
            reserve: config.disk_free_min,
            named: BTreeSet::new(),
            disk_was_low: false,
        }
    }

    /// Looks at everything.
    pub(crate) async fn look(&mut self, engine: &Engine) {
        self.disk(engine.metrics().disk_free_bytes.get());
        if self.quota == 0 {
            return;
        }
        let (mut standing, mut from) = (Standing::default(), 0);
        loop {
            let page = engine.survey(from, PAGE).await;
            if page.is_empty() {
                break;
            }
            from += page.len();
            standing.add(self.quota, &page);
        }
        self.conversations(&standing);
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people: 53 bits are enough")]
    fn conversations(&mut self, standing: &Standing) {
        metrics::gauge!(CONVERSATIONS_NEAR_QUOTA).set(standing.near.len() as f64);
        metrics::gauge!(CONVERSATION_FULLEST).set(standing.most_bytes as f64 / self.quota as f64);
        let near: BTreeSet<ConversationId> = standing.near.iter().map(|(id, _)| *id).collect();
        // One that has room again is named the next time that it has not.
        self.named.retain(|id| near.contains(id));
        for (conversation, stored_bytes) in &standing.near {
            if self.named.len() < NAMED_MAX && self.named.insert(*conversation) {
                tracing::warn!(
                    %conversation,
                    stored_bytes,
                    quota = self.quota,
                    "a conversation is nearly full; a full one takes no new messages"
                );
            }
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
        for (bytes, quota, near) in
            [(79, 100, false), (80, 100, true), (200, 100, true), (u64::MAX, u64::MAX, true), (1, 0, false)]
        {
            assert_eq!(is_near(bytes, quota), near, "{bytes} of {quota}");
        }
        let mut standing = Standing::default();
        standing.add(1_000, &[keeps(1, 799), keeps(2, 800)]);
        standing.add(1_000, &[keeps(3, 900), keeps(4, 0)]);
        assert_eq!(standing.near, [(ConversationId([2; 16]), 800), (ConversationId([3; 16]), 900)]);
        assert_eq!(standing.most_bytes, 900);
    }

    #[test]
    fn each_conversation_is_named_once_until_it_has_room_again() {
        let config = Config { quota_conversation: Some(1_000), ..Config::in_folder("x") };
        let mut watch = Watch::new(&config);
        let near = |ids: &[u8]| Standing {
            near: ids.iter().map(|id| (ConversationId([*id; 16]), 900)).collect(),
            most_bytes: 900,
        };
        for (ids, named) in [(&[1, 2][..], 2), (&[1, 2], 2), (&[2], 1), (&[], 0), (&[1], 1)] {
            watch.conversations(&near(ids));
            assert_eq!(watch.named.len(), named);
        }
    }
}
