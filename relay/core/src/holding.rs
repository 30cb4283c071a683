//! What one account has in the log, by shard: what retention deletes is given back with the shard that it was in.

use crate::conversation::ShardId;
use bincode::{Decode, Encode};

/// What an account has in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Which shard.
    pub shard: ShardId,
    /// Bytes of its entries there, archive copies included.
    pub bytes: u64,
}

/// Everything that an account has in the log, whatever conversation it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Holding {
    parts: Vec<Part>,
}

impl Holding {
    /// Counts an entry. Shards come in the order of time.
    pub fn add(&mut self, shard: ShardId, bytes: u64) {
        match self.parts.last_mut() {
            Some(part) if part.shard == shard => part.bytes = part.bytes.saturating_add(bytes),
            _ => self.parts.push(Part { shard, bytes }),
        }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes))
    }

    /// Gives back what was in shards that are gone; whether that was anything.
    pub fn give_back(&mut self, is_gone: impl Fn(ShardId) -> bool) -> bool {
        let before = self.parts.len();
        self.parts.retain(|part| !is_gone(part.shard));
        self.parts.len() != before
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_a_shard_that_is_gone_counts_no_more() {
        let mut holding = Holding::default();
        for (shard, bytes) in [(1, 100), (1, 20), (2, 3), (4, u64::MAX)] {
            holding.add(ShardId(shard), bytes);
        }
        assert_eq!(holding.bytes(), u64::MAX, "a sum over every number is the largest, not a small one");
        assert!(!holding.give_back(|shard| shard == ShardId(3)));
        assert!(holding.give_back(|shard| shard == ShardId(4)));
        assert_eq!(holding.bytes(), 123);
        assert!(holding.give_back(|shard| shard == ShardId(1)));
        assert_eq!(holding.bytes(), 3);
        assert!(holding.give_back(|_| true));
        assert!(holding.is_empty());
    }
}
