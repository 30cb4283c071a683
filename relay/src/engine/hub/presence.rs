//! Who is here: which sessions are on the roll of which conversation, and when followers are told.
//!
//! ```text
//! follow, detach, hide ──► rolls (pure, relay-core) ──once in PRESENCE_EVERY_MS──► one frame for all followers
//! follow ────────────────► everybody, to the one that follows, at the end of the same turn
//!                              what does not fit into a slow receiver's queue is owed: ──► everybody, in a later round
//! ```
//!
//! Nothing of it is stored: after a restart the rolls fill as devices come back. What is told is worth nothing late,
//! so a full queue drops it as it drops ephemerals; but then the receiver is told everybody anew, so that it is right
//! again. A session that fell behind stays on the roll: it is here, only slow.

use super::{Attached, Hub, Slot};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::push;
use sotto_protocol::frame;
use sotto_protocol::ids::{AccountId, ConversationId, RequestId};
use sotto_protocol::limits::PRESENCE_EVERY_MS;
use sotto_relay_core::presence::{News, Roll};
use sotto_relay_core::state::Place;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(PRESENCE_EVERY_MS);

/// See the module.
#[derive(Default)]
pub(super) struct Presence {
    rolls: HashMap<Place, Known>,
    /// Rolls with news.
    stirred: BTreeSet<Place>,
    /// Sessions that hide or show themselves from the next round on: what it costs is done once a second at most.
    turning: BTreeSet<Slot>,
    /// To be told everybody at the end of this turn.
    asked: Vec<(Slot, Place)>,
    /// To be told everybody in a later round, because the queue was full.
    owed: BTreeSet<(Slot, Place)>,
    last_round: Option<Instant>,
}

/// The roll of one conversation in which somebody is here.
struct Known {
    conversation: ConversationId,
    roll: Roll<Slot>,
}

/// What a session said of itself.
#[derive(Default)]
pub(super) struct Wish {
    /// It wants to be told.
    is_told: bool,
    /// It is not shown.
    invisible: bool,
    /// The rolls that it is on.
    shown: BTreeSet<Place>,
}

impl Presence {
    fn enter(&mut self, place: Place, conversation: ConversationId, account: AccountId, slot: Slot) {
        let known = self.rolls.entry(place).or_insert_with(|| Known { conversation, roll: Roll::default() });
        known.roll.enter(account, slot);
        self.stirred.insert(place);
    }

    fn leave(&mut self, place: Place, account: AccountId, slot: Slot) {
        if let Some(known) = self.rolls.get_mut(&place) {
            known.roll.leave(account, slot);
            self.stirred.insert(place);
        }
    }

    /// A session has ended.
    pub(super) fn forget(&mut self, slot: Slot, attached: &Attached) {
        for place in &attached.presence.shown {
            self.leave(*place, attached.account, slot);
        }
        let owed = self.owed.range((slot, Place(0))..=(slot, Place(u32::MAX)));
        for one in owed.copied().collect::<Vec<_>>() {
            self.owed.remove(&one);
        }
        self.turning.remove(&slot);
    }

    fn has_work(&self) -> bool {
        !(self.stirred.is_empty() && self.turning.is_empty() && self.owed.is_empty())
    }

    fn next_round(&self, now: Instant) -> Option<Duration> {
        let wait = self.last_round.map_or(Duration::ZERO, |last| EVERY.saturating_sub(now - last));
        self.has_work().then_some(wait)
    }
}

impl Hub {
    /// A session follows a conversation from now on.
    pub(super) fn show(&mut self, slot: Slot, place: Place, conversation: ConversationId) {
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        if !attached.presence.invisible && attached.presence.shown.insert(place) {
            self.presence.enter(place, conversation, attached.account, slot);
        }
        if attached.presence.is_told {
            self.presence.asked.push((slot, place));
        }
    }

    /// The account is a member no more.
    pub(super) fn hide_account(&mut self, place: Place, account: AccountId) {
        let Some(known) = self.presence.rolls.get_mut(&place) else { return };
        for slot in known.roll.remove(account) {
            if let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) {
                attached.presence.shown.remove(&place);
            }
        }
        self.presence.stirred.insert(place);
    }

    /// A session wants to be told, and to be shown or not.
    pub(in crate::engine) fn set_presence(&mut self, slot: Slot, invisible: bool) {
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut attached.presence.is_told, true) {
            self.presence.asked.extend(attached.follows.keys().map(|place| (slot, *place)));
        }
        if std::mem::replace(&mut attached.presence.invisible, invisible) != invisible
            && !attached.follows.is_empty()
        {
            self.presence.turning.insert(slot);
        }
    }

    /// How long until there is something to tell; `None` if there is nothing.
    pub(in crate::engine) fn next_round(&self, now: Instant) -> Option<Duration> {
        self.presence.next_round(now)
    }

    /// Gathers what is to be told now. Called at the end of every turn, after the answers.
    pub(in crate::engine) fn tell_presence(&mut self, now: Instant) {
        for (slot, place) in std::mem::take(&mut self.presence.asked) {
            self.tell_everybody(slot, place);
        }
        if self.presence.next_round(now) != Some(Duration::ZERO) {
            return;
        }
        self.presence.last_round = Some(now);
        for slot in std::mem::take(&mut self.presence.turning) {
            self.turn(slot);
        }
        for (slot, place) in std::mem::take(&mut self.presence.owed) {
            self.tell_everybody(slot, place);
        }
        for place in std::mem::take(&mut self.presence.stirred) {
            self.tell_news(place);
        }
    }

    /// Puts a session on the rolls of what it follows, or takes it off.
    fn turn(&mut self, slot: Slot) {
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let account = attached.account;
        if attached.presence.invisible {
            for place in std::mem::take(&mut attached.presence.shown) {
                self.presence.leave(place, account, slot);
            }
            return;
        }
        for (place, conversation) in &attached.follows {
            if attached.presence.shown.insert(*place) {
                self.presence.enter(*place, *conversation, account, slot);
            }
        }
    }

    fn tell_everybody(&mut self, slot: Slot, place: Place) {
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        // Who is no follower any more, by a removal or by being slow, is told when it follows again.
        let Some(conversation) = attached.follows.get(&place).copied() else { return };
        let news = match self.presence.rolls.get(&place) {
            Some(known) => known.roll.everybody(),
            None => Roll::<Slot>::default().everybody(),
        };
        let frame = frame::encode(RequestId::PUSH, &body(conversation, news));
        attached.touch(slot, &mut self.touched);
        if attached.lane().takes_ephemeral(frame.len()) {
            attached.share(frame);
        } else {
            self.presence.owed.insert((slot, place));
        }
    }

    fn tell_news(&mut self, place: Place) {
        let Some(known) = self.presence.rolls.get_mut(&place) else { return };
        let (news, conversation) = (known.roll.news(), known.conversation);
        if known.roll.is_empty() {
            self.presence.rolls.remove(&place);
        }
        let (Some(news), Some(followers)) = (news, self.followers.get(place.0 as usize)) else { return };
        let frame = frame::encode(RequestId::PUSH, &body(conversation, news));
        for slot in followers {
            let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
                continue;
            };
            // Whoever is owed the whole could make nothing of a change.
            if !attached.presence.is_told || self.presence.owed.contains(&(*slot, place)) {
                continue;
            }
            attached.touch(*slot, &mut self.touched);
            if attached.lane().takes_ephemeral(frame.len()) {
                attached.share(frame.clone());
            } else {
                self.presence.owed.insert((*slot, place));
            }
        }
    }
}

fn body(conversation: ConversationId, news: News) -> push::Presence {
    push::Presence { conversation, count: news.count, who: news.who, extensions: Extensions::default() }
}
