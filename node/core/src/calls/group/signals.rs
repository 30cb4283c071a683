//! What the other devices of a group say. Who sent it was checked; whether it may, is decided here.

use super::super::machine::Calls;
use super::super::signals::{FRESH_MS, Heard};
use super::super::{CallId, RING_MS};
use super::GroupReason;
use super::machine::{Room, after};
use super::stay::Stay;
use sotto_e2ee::content::call::{CallSignal, HangUp, Here, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};

impl Calls {
    /// A member said something about a call of the group.
    pub(crate) fn heard_in_group(&mut self, heard: Heard, now: UnixMillis) {
        let Heard { conversation, account, device, sent_at, signal } = heard;
        let CallSignal { call, to, number, signal } = signal;
        if device == self.me || to.is_some_and(|to| to != self.me) {
            return;
        }
        if let Signal::Here(here) = &signal {
            let is_old = now.0.abs_diff(sent_at.0) > FRESH_MS;
            if to.is_some() || is_old || !self.is_call_of(conversation, call, here, sent_at, now) {
                return;
            }
        }
        let room = self.groups.rooms.get_mut(&conversation).filter(|room| room.id == call);
        let Some(room) = room else { return };
        let on_presence = to.is_none() && matches!(signal, Signal::Here(_) | Signal::HangUp { .. });
        if !room.counts(device, number, now) || on_presence && !room.is_latest(device, number) {
            return;
        }
        match signal {
            Signal::Here(here) => self.here(conversation, (account, device), &here, sent_at, now),
            Signal::HangUp { why: HangUp::Tampered } => {
                let pair = room.people.get_mut(&device).filter(|person| person.pair.is_some());
                if let Some(person) = pair.filter(|_| to.is_some()) {
                    (person.pair, person.tampered) = (None, true);
                    self.tell_group(conversation, None);
                }
            }
            Signal::HangUp { .. } if on_presence && room.people.contains_key(&device) => {
                room.went(device, self.me, now);
                self.tell_group(conversation, None);
            }
            Signal::Decline if account == self.account && room.rings.is_some() => {
                room.rings = None;
                self.tell_group(conversation, None);
            }
            signal if to.is_some() => {
                let _never_fails =
                    self.pair_step(conversation, device, now, |pair| Ok(pair.heard(signal, now)));
            }
            _ => {}
        }
    }

    /// Whether a device speaks of the call that goes on in this group, which may be so from now on.
    fn is_call_of(
        &mut self,
        conversation: ConversationId,
        call: CallId,
        here: &Here,
        sent_at: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        if self.groups.rooms.get(&conversation).is_some_and(|room| room.id == call) {
            return true;
        }
        let elsewhere = self.groups.rooms.values().any(|room| room.id == call);
        let is_over = elsewhere || self.known.iter().any(|(known, _)| *known == call);
        let room = self.groups.rooms.get_mut(&conversation);
        let Some(room) = room.filter(|room| room.is_live()) else {
            if is_over || !self.groups.arrivals.take(now) {
                return false;
            }
            self.open_room(Room::new((call, conversation), here, sent_at, now));
            return true;
        };
        if is_over || call > room.id {
            // Its people will move over when they hear of this one.
            if let Some(stay) = &mut room.stay {
                stay.hurry(now);
            }
            return false;
        }
        if !self.groups.arrivals.take(now) {
            return false;
        }
        let mut new = Room::new((call, conversation), here, sent_at, now);
        (new.rings, new.replaces, new.epoch) = (room.rings, Some(room.id), room.epoch);
        new.stay = room.stay.take().map(|stay| Stay { alive: stay.alive, ..Stay::new(stay.state, now) });
        let joined = new.stay.is_some();
        self.open_room(new);
        if joined {
            self.settle_in(conversation, now);
        }
        true
    }

    /// There is another call in this group from now on.
    pub(super) fn open_room(&mut self, room: Room) {
        if let Some(old) = self.groups.rooms.insert(room.conversation, Box::new(room)) {
            self.remember(old.id, None);
        }
    }

    /// A device is in the call.
    fn here(
        &mut self,
        conversation: ConversationId,
        (account, device): (AccountId, DeviceId),
        here: &Here,
        sent_at: UnixMillis,
        now: UnixMillis,
    ) {
        let (me, free) = (self.me, self.call.is_none() && !self.groups.is_busy());
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        let is_first = !room.lively && room.replaces.is_none();
        if let Some(person) = room.people.get_mut(&device) {
            if person.joined == here.joined {
                person.heard = now;
                let news = std::mem::replace(&mut person.state, here.state) != here.state;
                let linked = room.link(device, me, now, &mut self.acts);
                if news || linked {
                    self.tell_group(conversation, None);
                }
                return;
            }
            // It left and joined again, and its word about that was lost: nothing of before goes on.
            room.went(device, me, now);
            self.tell_group(conversation, None);
        }
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        match room.place_for((here.joined, device), me, now) {
            None => return,
            Some(None) => {}
            Some(Some(last)) if last == me => self.leave_group(conversation, GroupReason::Full, now),
            Some(Some(last)) => room.went(last, me, now),
        }
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        room.came(device, account, here, now);
        if account == self.account {
            room.rings = None;
        } else if is_first && free && account == here.by {
            // Who began it says so within the time that it rings.
            let age = sent_at.0.saturating_sub(here.started.0);
            room.rings = RING_MS.checked_sub(age).filter(|left| *left > 0).map(|left| after(now, left));
        }
        if let Some(stay) = &mut room.stay {
            stay.hurry(now);
            room.say_here(now, &mut self.acts);
            room.link(device, me, now, &mut self.acts);
        }
        self.tell_group(conversation, None);
    }

    /// Signals came that nobody in the group made like this.
    pub(crate) fn altered_in_group(&mut self, conversation: ConversationId) {
        let room = self.groups.rooms.get_mut(&conversation);
        if let Some(room) = room.filter(|room| room.stay.is_some() && !room.altered) {
            room.altered = true;
            self.tell_group(conversation, None);
        }
    }
}
