//! All conversations of a relay, and how facts and entries change them.
//!
//! There is one door for changes: [`State::append`] for an entry and [`State::apply`] for a fact. The engine
//! walks through it live, recovery walks through it again with what the disk has, and a property test holds
//! the two equal.

use crate::conversation::{Conversation, Interval, Membership, ShardId};
use crate::entry::EntryHead;
use crate::holding::Holding;
use crate::record::Fact;
use bincode::{Decode, Encode};
use sotto_protocol::body::conversation::{Kind, Role};
use sotto_protocol::body::log::EntryKind;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, Sequence};
use sotto_protocol::limits::CONVERSATIONS_PER_DEVICE_MAX;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The place of a conversation in [`State`]; stays the same while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u32);

/// A Welcome that waits for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Waiting {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch it leads to.
    pub epoch: Epoch,
    /// The entry of the commit.
    pub sequence: Sequence,
}

/// What a fact did beyond the conversation itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consequences {
    /// The conversation that changed.
    pub changed: Option<Place>,
    /// Devices whose list of waiting Welcomes changed.
    pub devices: Vec<DeviceId>,
    /// Epochs whose Welcome and tree nobody waits for any more.
    pub forgotten: Vec<(ConversationId, Epoch)>,
    /// Accounts that are members no more.
    pub left: Vec<AccountId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct State {
    conversations: Vec<Conversation>,
    by_id: HashMap<ConversationId, Place>,
    direct: HashMap<(AccountId, AccountId), Place>,
    listed: BTreeMap<String, Place>,
    by_account: HashMap<AccountId, BTreeSet<Place>>,
    waiting: HashMap<DeviceId, Vec<Waiting>>,
    waiting_for: HashMap<(ConversationId, Epoch), u32>,
    holdings: HashMap<AccountId, Holding>,
}

/// What shards that are gone leave changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Conversations whose first entry moved.
    pub moved: Vec<Place>,
    /// Accounts that hold less.
    pub relieved: Vec<AccountId>,
}

impl State {
    /// The state of a checkpoint.
    #[must_use]
    pub fn restore(
        conversations: impl IntoIterator<Item = Conversation>,
        waiting: impl IntoIterator<Item = (DeviceId, Vec<Waiting>)>,
        holdings: impl IntoIterator<Item = (AccountId, Holding)>,
    ) -> Self {
        let mut state = Self { holdings: holdings.into_iter().collect(), ..Self::default() };
        for conversation in conversations {
            state.insert(conversation);
        }
        for (device, list) in waiting {
            for one in &list {
                *state.waiting_for.entry((one.conversation, one.epoch)).or_default() += 1;
            }
            state.waiting.insert(device, list);
        }
        state
    }

    fn insert(&mut self, conversation: Conversation) -> Place {
        let place = Place(
            u32::try_from(self.conversations.len()).expect("fewer than 2^32 conversations fit in memory"),
        );
        self.by_id.insert(conversation.id, place);
        if let Some(pair) = conversation.pair {
            self.direct.insert(pair, place);
        }
        if let Some(name) = &conversation.listed_name {
            self.listed.insert(name.to_lowercase(), place);
        }
        let members = conversation.members().map(|(account, _)| account);
        for account in members.chain(conversation.admitted.iter().copied()) {
            self.by_account.entry(account).or_default().insert(place);
        }
        self.conversations.push(conversation);
        place
    }

    /// Where a conversation is.
    #[must_use]
    pub fn place(&self, id: ConversationId) -> Option<Place> {
        self.by_id.get(&id).copied()
    }

    /// The conversation at a place that this state gave out.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&Conversation> {
        self.conversations.get(place.0 as usize)
    }

    /// A conversation by its id.
    #[must_use]
    pub fn find(&self, id: ConversationId) -> Option<&Conversation> {
        self.get(self.place(id)?)
    }

    /// All conversations with their places, in the order of their places.
    pub fn all(&self) -> impl Iterator<Item = (Place, &Conversation)> {
        self.conversations.iter().zip(0..).map(|(conversation, place)| (Place(place), conversation))
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.conversations.len()
    }

    /// The direct conversation of two accounts.
    #[must_use]
    pub fn direct(&self, one: AccountId, other: AccountId) -> Option<&Conversation> {
        self.get(*self.direct.get(&(one.min(other), one.max(other)))?)
    }

    /// The listed room of a name, whatever its case.
    #[must_use]
    pub fn listed(&self, name: &str) -> Option<&Conversation> {
        self.get(*self.listed.get(&name.to_lowercase())?)
    }

    /// All listed rooms, by name.
    pub fn all_listed(&self) -> impl Iterator<Item = &Conversation> {
        self.listed.values().filter_map(|place| self.get(*place))
    }

    /// The conversations that an account is a member of or admitted to.
    pub fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Conversation> {
        self.by_account.get(&account).into_iter().flatten().filter_map(|place| self.get(*place))
    }

    /// The Welcomes that wait for a device, oldest first.
    #[must_use]
    pub fn waiting(&self, device: DeviceId) -> &[Waiting] {
        self.waiting.get(&device).map_or(&[], Vec::as_slice)
    }

    /// How many Welcomes wait in all.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Whether a device waits for this epoch's Welcome, so that its group info and tree are kept.
    #[must_use]
    pub fn is_awaited(&self, conversation: ConversationId, epoch: Epoch) -> bool {
        self.waiting_for.contains_key(&(conversation, epoch))
    }

    /// What an account has in the log.
    #[must_use]
    pub fn holding(&self, account: AccountId) -> Option<&Holding> {
        self.holdings.get(&account)
    }

    /// Bytes that an account has in the log.
    #[must_use]
    pub fn held_by(&self, account: AccountId) -> u64 {
        self.holding(account).map_or(0, Holding::bytes)
    }

    /// Every account that has something in the log, in no order.
    pub fn holdings(&self) -> impl Iterator<Item = (AccountId, &Holding)> {
        self.holdings.iter().map(|(account, holding)| (*account, holding))
    }

    /// Counts an entry that the conversations have already: for a log in which nobody counted for accounts.
    pub fn hold(&mut self, account: AccountId, shard: ShardId, bytes: u64) {
        self.holdings.entry(account).or_default().add(shard, bytes);
    }

    /// Takes an entry that was decided about. `bytes` is what quotas count, its archive copy included.
    pub fn append(&mut self, place: Place, shard: ShardId, head: &EntryHead, bytes: u64) {
        let Some(conversation) = self.conversations.get_mut(place.0 as usize) else { return };
        conversation.head = head.sequence;
        conversation.stored(shard, head.sequence, bytes);
        self.holdings.entry(head.account).or_default().add(shard, bytes);
        match head.kind {
            EntryKind::Application => {
                conversation.senders.entry(head.device).or_default().took(head.number, head.sequence);
            }
            EntryKind::Commit | EntryKind::Leave => {}
        }
    }

    /// Applies a fact that was decided about.
    pub fn apply(&mut self, fact: &Fact) -> Consequences {
        match fact {
            Fact::Created { conversation, kind, history, creator, peer, listed_name, .. } => {
                let membership = Membership {
                    role: Role::Owner,
                    intervals: vec![Interval { since: Sequence(0), until: None }],
                };
                let pair = peer.map(|peer| ((*creator).min(peer), (*creator).max(peer)));
                let place = self.insert(Conversation {
                    id: *conversation,
                    kind: *kind,
                    history: *history,
                    listed_name: listed_name.clone(),
                    pair,
                    head: Sequence(0),
                    epoch: Epoch(0),
                    epoch_began: Sequence(0),
                    memberships: Arc::new(BTreeMap::from([(*creator, membership)])),
                    admitted: peer.iter().copied().collect(),
                    leaving: BTreeMap::new(),
                    senders: BTreeMap::new(),
                    spans: Vec::new(),
                });
                Consequences { changed: Some(place), ..Consequences::default() }
            }
            Fact::Committed { conversation, sequence, joined, left, welcomed, .. } => {
                self.committed(*conversation, *sequence, joined, left, welcomed)
            }
            Fact::Leaving { conversation, account, sequence } => self.change(*conversation, |known| {
                known.leaving.insert(*account, *sequence);
            }),
            Fact::RoleSet { conversation, account, role } => self.change(*conversation, |known| {
                if let Some(membership) = Arc::make_mut(&mut known.memberships).get_mut(account) {
                    membership.role = *role;
                }
            }),
            Fact::Admitted { conversation, account } => {
                if let Some(place) = self.place(*conversation) {
                    self.by_account.entry(*account).or_default().insert(place);
                }
                self.change(*conversation, |known| {
                    known.admitted.insert(*account);
                })
            }
            Fact::WelcomeTaken { conversation, epoch, device } => {
                self.welcome_taken(*device, *conversation, *epoch)
            }
            // Recovery takes the group's state from it; membership changes with the commit's own fact.
            Fact::State { .. } => Consequences::default(),
        }
    }

    fn change(&mut self, id: ConversationId, change: impl FnOnce(&mut Conversation)) -> Consequences {
        let changed = self.place(id);
        if let Some(conversation) = changed.and_then(|place| self.conversations.get_mut(place.0 as usize)) {
            change(conversation);
        }
        Consequences { changed, ..Consequences::default() }
    }

    fn committed(
        &mut self,
        id: ConversationId,
        sequence: Sequence,
        joined: &[AccountId],
        left: &[AccountId],
        welcomed: &[DeviceId],
    ) -> Consequences {
        let Some(place) = self.place(id) else { return Consequences::default() };
        let Some(conversation) = self.conversations.get_mut(place.0 as usize) else {
            return Consequences::default();
        };
        conversation.epoch = conversation.epoch.next();
        conversation.epoch_began = sequence;
        let epoch = conversation.epoch;
        if !joined.is_empty() || !left.is_empty() {
            let role = if conversation.kind == Kind::Direct { Role::Owner } else { Role::Member };
            let memberships = Arc::make_mut(&mut conversation.memberships);
            for account in joined {
                let interval = Interval { since: sequence, until: None };
                let membership =
                    memberships.entry(*account).or_insert_with(|| Membership { role, intervals: Vec::new() });
                if !membership.is_current() {
                    membership.role = role;
                    membership.intervals.push(interval);
                }
                conversation.admitted.remove(account);
            }
            for account in left {
                let open = memberships.get_mut(account).and_then(|known| known.intervals.last_mut());
                if let Some(interval) = open.filter(|interval| interval.until.is_none()) {
                    interval.until = Some(sequence);
                }
                conversation.leaving.remove(account);
            }
        }
        for account in joined {
            self.by_account.entry(*account).or_default().insert(place);
        }
        for account in left {
            if let Some(places) = self.by_account.get_mut(account) {
                places.remove(&place);
            }
        }
        let mut consequences = Consequences {
            changed: Some(place),
            devices: welcomed.to_vec(),
            left: left.to_vec(),
            ..Consequences::default()
        };
        for device in welcomed {
            self.wait(*device, Waiting { conversation: id, epoch, sequence }, &mut consequences);
        }
        consequences
    }

    /// A device waits for at most as many Welcomes as it may follow conversations; the oldest goes first.
    fn wait(&mut self, device: DeviceId, one: Waiting, consequences: &mut Consequences) {
        let list = self.waiting.entry(device).or_default();
        // A newer Welcome to the same conversation replaces what the device never took.
        let (stays, mut gone): (Vec<_>, Vec<_>) =
            list.drain(..).partition(|old| old.conversation != one.conversation);
        *list = stays;
        list.push(one);
        if list.len() > CONVERSATIONS_PER_DEVICE_MAX {
            gone.push(list.remove(0));
        }
        *self.waiting_for.entry((one.conversation, one.epoch)).or_default() += 1;
        for old in gone {
            self.release(&old, consequences);
        }
    }

    fn welcome_taken(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        epoch: Epoch,
    ) -> Consequences {
        let mut consequences = Consequences::default();
        let Some(list) = self.waiting.get_mut(&device) else { return consequences };
        let Some(at) = list.iter().position(|one| (one.conversation, one.epoch) == (conversation, epoch))
        else {
            return consequences;
        };
        let taken = list.remove(at);
        if list.is_empty() {
            self.waiting.remove(&device);
        }
        consequences.devices.push(device);
        self.release(&taken, &mut consequences);
        consequences
    }

    fn release(&mut self, one: &Waiting, consequences: &mut Consequences) {
        let key = (one.conversation, one.epoch);
        if let Some(count) = self.waiting_for.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.waiting_for.remove(&key);
                consequences.forgotten.push(key);
            }
        }
    }

    /// Forgets what was in shards that are gone.
    pub fn drop_shards(&mut self, is_gone: impl Fn(ShardId) -> bool) -> Dropped {
        let mut dropped = Dropped::default();
        for (conversation, place) in self.conversations.iter_mut().zip(0..) {
            let before = conversation.spans.len();
            conversation.spans.retain(|span| !is_gone(span.shard));
            if conversation.spans.len() != before {
                dropped.moved.push(Place(place));
            }
        }
        self.holdings.retain(|account, holding| {
            if holding.give_back(&is_gone) {
                dropped.relieved.push(*account);
            }
            !holding.is_empty()
        });
        dropped
    }
}

#[cfg(test)]
mod tests;
