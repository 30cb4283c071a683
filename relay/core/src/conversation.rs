//! One conversation as the relay knows it, and who may see which part of its log.

use crate::commit::Roll;
use bincode::{Decode, Encode};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence};
use sotto_protocol::limits::APPENDS_OUTSTANDING_MAX;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A slice of time, kept in a folder of its own and deleted as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ShardId(pub u64);

/// A stretch of a log in which an account was a member, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Interval {
    /// The commit that added the account.
    pub since: Sequence,
    /// The commit that removed it; `None` while it is a member.
    pub until: Option<Sequence>,
}

/// An account that is a member or was one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Membership {
    /// Its role, while it is a member.
    pub role: Role,
    /// When it was a member, oldest first; never empty.
    pub intervals: Vec<Interval>,
}

impl Membership {
    /// Whether the account is a member now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.since().is_some()
    }

    /// The entry by which the account joined, if it is a member now.
    #[must_use]
    pub fn since(&self) -> Option<Sequence> {
        self.intervals.last().filter(|interval| interval.until.is_none()).map(|interval| interval.since)
    }
}

/// The appends of one device to one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Sender {
    /// The last number taken.
    pub last: MessageNumber,
    /// The places of the last numbers, the newest at the back; at most [`APPENDS_OUTSTANDING_MAX`], because a
    /// device has no more of them unanswered.
    pub recent: VecDeque<Sequence>,
}

impl Sender {
    /// Notes that the next number became the entry at `sequence`.
    pub fn took(&mut self, number: MessageNumber, sequence: Sequence) {
        self.last = number;
        if self.recent.len() >= APPENDS_OUTSTANDING_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(sequence);
    }

    /// The entry that a number became; `None` if that is too long ago to be asked for by an honest device.
    #[must_use]
    pub fn place_of(&self, number: MessageNumber) -> Option<Sequence> {
        let back = usize::try_from(self.last.0.checked_sub(number.0)?).ok()?;
        let place = self.recent.len().checked_sub(back)?.checked_sub(1)?;
        self.recent.get(place).copied()
    }
}

/// What a conversation keeps in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Span {
    /// Which shard.
    pub shard: ShardId,
    /// The first entry in it.
    pub first: Sequence,
    /// Bytes of entries in it, archive copies included.
    pub bytes: u64,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// Who may read the past.
    pub history: HistoryPolicy,
    /// The public name of a listed room.
    pub listed_name: Option<String>,
    /// The two accounts of a direct conversation, the smaller id first.
    pub pair: Option<(AccountId, AccountId)>,
    /// The last entry.
    pub head: Sequence,
    /// The current epoch.
    pub epoch: Epoch,
    /// The entry that began it; 0 for epoch 0.
    pub epoch_began: Sequence,
    /// Everybody who is or was a member. Shared, so that a reader may look at it while it changes.
    pub memberships: Arc<BTreeMap<AccountId, Membership>>,
    /// Accounts that may join by external commit.
    pub admitted: BTreeSet<AccountId>,
    /// Members who have said that they leave, with the entry that says so.
    pub leaving: BTreeMap<AccountId, Sequence>,
    /// What each device has appended.
    pub senders: BTreeMap<DeviceId, Sender>,
    /// Where the entries are, oldest first.
    pub spans: Vec<Span>,
}

impl Conversation {
    /// The account's membership, if it is a member now.
    #[must_use]
    pub fn member(&self, account: AccountId) -> Option<&Membership> {
        self.memberships.get(&account).filter(|membership| membership.is_current())
    }

    /// The members of now, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = (AccountId, &Membership)> {
        self.memberships
            .iter()
            .filter(|(_, membership)| membership.is_current())
            .map(|(id, known)| (*id, known))
    }

    /// Whether anybody finds it.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        matches!(self.kind, Kind::Room) && self.listed_name.is_some()
    }

    /// Bytes of entries kept.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.spans.iter().fold(0, |sum, span| sum.saturating_add(span.bytes))
    }

    /// The first entry that is still kept; the one after the head if none is.
    #[must_use]
    pub fn first(&self) -> Sequence {
        self.spans.first().map_or_else(|| self.head.next(), |span| span.first)
    }

    /// Notes that so many bytes were added at `sequence` in a shard.
    pub fn stored(&mut self, shard: ShardId, sequence: Sequence, bytes: u64) {
        match self.spans.last_mut() {
            Some(span) if span.shard == shard => span.bytes = span.bytes.saturating_add(bytes),
            _ => self.spans.push(Span { shard, first: sequence, bytes }),
        }
    }

    /// The stretch of the log after `after` that the account may see next: the first place not before
    /// `after + 1`, and the last place that belongs to the same stretch. `None` if the account was never a member.
    ///
    /// An empty stretch (`from` over `to`) means that there is nothing more for now.
    #[must_use]
    pub fn visible_after(&self, account: AccountId, after: Sequence) -> Option<(Sequence, Sequence)> {
        let membership = self.memberships.get(&account)?;
        let mut stretches = self.stretches(membership);
        let found = stretches.find(|(_, to)| *to > after);
        let (from, to) = found.unwrap_or((after, after));
        Some((from.max(after.next()), to))
    }

    /// The same towards the past: what may be seen before `before` (exclusive).
    #[must_use]
    pub fn visible_before(&self, account: AccountId, before: Sequence) -> Option<(Sequence, Sequence)> {
        let membership = self.memberships.get(&account)?;
        let last = Sequence(before.0.saturating_sub(1));
        let found = self.stretches(membership).filter(|(from, _)| *from <= last).last();
        Some(found.map_or((Sequence(1), Sequence(0)), |(from, to)| (from, to.min(last))))
    }

    /// What an account may see, as first and last places, oldest first.
    fn stretches<'a>(
        &'a self,
        membership: &'a Membership,
    ) -> impl Iterator<Item = (Sequence, Sequence)> + 'a {
        let first_kept = self.first();
        membership.intervals.iter().enumerate().map(move |(place, interval)| {
            // Where everybody may read everything, the first stretch begins with the log, and what lies
            // between two stretches was read by no right of a removed member but by that of the new one.
            let open_past = self.history == HistoryPolicy::All && membership.is_current();
            let since = match (open_past, place) {
                (true, 0) => Sequence(1),
                _ => interval.since,
            };
            let until = interval.until.unwrap_or(self.head);
            let until = if open_past { self.head } else { until };
            (since.max(first_kept), until.min(self.head))
        })
    }
}

impl Roll for Conversation {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn pair(&self) -> Option<[AccountId; 2]> {
        self.pair.map(|(one, other)| [one, other])
    }

    fn role(&self, account: AccountId) -> Option<Role> {
        self.member(account).map(|membership| membership.role)
    }

    fn has_left(&self, account: AccountId) -> bool {
        self.leaving.contains_key(&account)
    }

    fn is_admitted(&self, account: AccountId) -> bool {
        self.admitted.contains(&account) || self.is_listed()
    }

    fn is_former(&self, account: AccountId) -> bool {
        self.memberships.get(&account).is_some_and(|membership| !membership.is_current())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn conversation(history: HistoryPolicy, head: u64) -> Conversation {
        Conversation {
            id: ConversationId([9; 16]),
            kind: Kind::Group,
            history,
            listed_name: None,
            pair: None,
            head: Sequence(head),
            epoch: Epoch(0),
            epoch_began: Sequence(0),
            memberships: Arc::new(BTreeMap::new()),
            admitted: BTreeSet::new(),
            leaving: BTreeMap::new(),
            senders: BTreeMap::new(),
            spans: vec![Span { shard: ShardId(0), first: Sequence(1), bytes: 0 }],
        }
    }

    const WHO: AccountId = AccountId([1; 16]);

    fn with_intervals(history: HistoryPolicy, intervals: &[(u64, Option<u64>)]) -> Conversation {
        let mut conversation = conversation(history, 100);
        let intervals = intervals
            .iter()
            .map(|(since, until)| Interval { since: Sequence(*since), until: until.map(Sequence) })
            .collect();
        Arc::make_mut(&mut conversation.memberships)
            .insert(WHO, Membership { role: Role::Member, intervals });
        conversation
    }

    fn after(conversation: &Conversation, place: u64) -> (u64, u64) {
        let (from, to) = conversation.visible_after(WHO, Sequence(place)).unwrap();
        (from.0, to.0)
    }

    /// P-026.
    #[test]
    fn a_member_sees_from_its_joining_on_and_a_removed_one_up_to_its_removal() {
        let conversation = with_intervals(HistoryPolicy::SinceJoining, &[(10, Some(20)), (50, None)]);
        assert_eq!(after(&conversation, 0), (10, 20));
        assert_eq!(after(&conversation, 15), (16, 20));
        assert_eq!(after(&conversation, 20), (50, 100));
        assert_eq!(after(&conversation, 100), (101, 100));
        let removed = with_intervals(HistoryPolicy::SinceJoining, &[(10, Some(20))]);
        assert_eq!(after(&removed, 20), (21, 20), "nothing after the removal");
        assert_eq!(removed.visible_after(AccountId([2; 16]), Sequence(0)), None);
    }

    #[test]
    fn where_everybody_reads_everything_a_member_does_and_a_removed_one_does_not() {
        let member = with_intervals(HistoryPolicy::All, &[(50, None)]);
        assert_eq!(after(&member, 0), (1, 100));
        let removed = with_intervals(HistoryPolicy::All, &[(50, Some(60))]);
        assert_eq!(after(&removed, 0), (50, 60));
        assert_eq!(after(&removed, 60), (61, 60));
    }

    #[test]
    fn the_past_is_read_by_the_same_right() {
        let conversation = with_intervals(HistoryPolicy::SinceJoining, &[(10, Some(20)), (50, None)]);
        let before = |place| {
            let (from, to) = conversation.visible_before(WHO, Sequence(place)).unwrap();
            (from.0, to.0)
        };
        assert_eq!(before(101), (50, 100));
        assert_eq!(before(50), (10, 20));
        assert_eq!(before(10), (1, 0));
    }

    #[test]
    fn numbers_are_found_again_as_long_as_an_honest_device_may_ask() {
        let mut sender = Sender::default();
        for number in 1..=200 {
            sender.took(MessageNumber(number), Sequence(number * 10));
        }
        assert_eq!(sender.place_of(MessageNumber(200)), Some(Sequence(2000)));
        assert_eq!(sender.place_of(MessageNumber(137)), Some(Sequence(1370)));
        assert_eq!(sender.place_of(MessageNumber(136)), None);
        assert_eq!(sender.place_of(MessageNumber(201)), None);
    }
}
