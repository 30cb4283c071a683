//! This device's own part in a call of a group: joining, what its shell says, leaving.

use super::super::machine::{Act, Calls, busy};
use super::super::pair::{ATTEMPT_MS, News, Pair, REPEAT_MS, Step};
use super::super::record::UnderWay;
use super::super::{ALIVE_MS, CallId, MediaState};
use super::machine::{Room, after};
use super::{GroupReason, GroupWord, PEOPLE_MAX};
use crate::event::{Failure, FailureCode};
use sotto_e2ee::content::call::{HangUp, Here, Signal};
use sotto_protocol::ids::{ConversationId, DeviceId, Epoch, UnixMillis};

/// How often a device says that it is here.
const HERE_EVERY_MS: u64 = 5_000;

/// News are said at once, but no faster than this.
const HERE_AT_MOST_EVERY_MS: u64 = 1_000;

/// A pair of the same two devices begins anew no faster than this.
const PAIR_EVERY_MS: u64 = 1_000;

/// This device is in the call.
pub(super) struct Stay {
    pub(super) joined: UnixMillis,
    pub(super) state: MediaState,
    /// When its shell said something last.
    pub(super) alive: UnixMillis,
    /// When `Here` was said, and when it will be.
    pub(super) said: UnixMillis,
    pub(super) next: UnixMillis,
    /// The epoch of which the shell has the key, and what tells the keys of this stay from those of others.
    pub(super) keyed: Option<Epoch>,
    pub(super) context: Option<u32>,
}

impl Stay {
    pub(super) const fn new(state: MediaState, now: UnixMillis) -> Self {
        Self { joined: now, state, alive: now, said: UnixMillis(0), next: now, keyed: None, context: None }
    }

    /// The others are to hear of this device soon.
    pub(super) fn hurry(&mut self, now: UnixMillis) {
        self.next = self.next.min(now.max(after(self.said, HERE_AT_MOST_EVERY_MS)));
    }
}

impl Room {
    /// Says that this device is here, if it is time to.
    pub(super) fn say_here(&mut self, now: UnixMillis, acts: &mut Vec<Act>) {
        let (by, video, started) = (self.by, self.video, self.started);
        let Some(stay) = self.stay.as_mut().filter(|stay| stay.next <= now) else { return };
        (stay.said, stay.next) = (now, after(now, HERE_EVERY_MS));
        let here = Here { joined: stay.joined, started, by, video, state: stay.state };
        self.say(None, Signal::Here(here), now, acts);
    }

    /// Begins to connect with a device that is here too, unless that is under way; true if it does. Of the two the one with the
    /// smaller id offers.
    pub(super) fn link(
        &mut self,
        device: DeviceId,
        me: DeviceId,
        now: UnixMillis,
        acts: &mut Vec<Act>,
    ) -> bool {
        let (Some(_), Some(person), Some(speaker)) =
            (&self.stay, self.people.get_mut(&device), self.speakers.get_mut(&device))
        else {
            return false;
        };
        let too_soon = speaker.paired.is_some_and(|(_, at)| after(at, PAIR_EVERY_MS) > now);
        if person.pair.is_some() || person.tampered || too_soon {
            return false;
        }
        // The other one may still have the pair of before, which listens to later attempts only.
        let round = speaker.paired.map_or(0, |(round, _)| round.saturating_add(1));
        let (mut pair, step) = Pair::new(me < device, round, now);
        pair.repeat = Some(after(now, if me < device { ATTEMPT_MS } else { REPEAT_MS }));
        speaker.paired = Some((round, now));
        person.pair = Some(pair);
        self.step(device, step, now, acts);
        true
    }

    /// What came of an input for the way to a device; true if it changes how the call is shown.
    pub(super) fn step(
        &mut self,
        device: DeviceId,
        step: Step,
        now: UnixMillis,
        acts: &mut Vec<Act>,
    ) -> bool {
        let call = self.id;
        acts.extend(step.ask.into_iter().map(|negotiation| Act::NegotiateIn { call, device, negotiation }));
        for signal in step.say {
            self.say(Some(device), signal, now, acts);
        }
        let Some(person) = self.people.get_mut(&device) else { return false };
        if let (Some(pair), Some(speaker)) = (&person.pair, self.speakers.get_mut(&device)) {
            speaker.paired = speaker.paired.map(|(_, at)| (pair.round, at));
        }
        match step.news {
            None => return false,
            Some(News::Connected) => {}
            // It has as long as any other one to be heard again.
            Some(News::Lost) => person.heard = now,
            Some(News::Tampered) => {
                (person.pair, person.tampered) = (None, true);
                self.say(Some(device), Signal::HangUp { why: HangUp::Tampered }, now, acts);
            }
        }
        true
    }
}

fn over() -> Failure {
    Failure::new(FailureCode::Invalid, "this device is not in this call")
}

impl Calls {
    /// Joins the call of a group, or begins one by the name `id`.
    pub(crate) fn join_group(
        &mut self,
        id: CallId,
        conversation: ConversationId,
        video: bool,
        now: UnixMillis,
    ) -> Result<CallId, Failure> {
        if self.call.is_some() || self.groups.is_busy() {
            return Err(busy());
        }
        let state = MediaState { camera: video, ..MediaState::default() };
        if !self.groups.rooms.get(&conversation).is_some_and(|room| room.is_live()) {
            let here = Here { joined: now, started: now, by: self.account, video, state };
            self.open_room(Room::new((id, conversation), &here, now, now));
        }
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return Err(over()) };
        if room.people.len() >= PEOPLE_MAX {
            let text =
                format!("{PEOPLE_MAX} devices are in this call already, and there is no room for more");
            return Err(Failure::new(FailureCode::GroupCallFull, text));
        }
        let id = room.id;
        room.stay = Some(Stay::new(state, now));
        room.left = None;
        self.silence_groups();
        self.settle_in(conversation, now);
        Ok(id)
    }

    /// This device is in the call from now on: says so, and connects with whom it knows there.
    pub(super) fn settle_in(&mut self, conversation: ConversationId, now: UnixMillis) {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        room.say_here(now, &mut self.acts);
        self.tell_group(conversation, None);
        self.link_all(conversation, now);
    }

    /// Connects with everybody in the call with whom this device does not yet.
    fn link_all(&mut self, conversation: ConversationId, now: UnixMillis) {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        let alone = room.people.iter().filter(|(_, person)| person.pair.is_none());
        let alone: Vec<DeviceId> = alone.map(|(device, _)| *device).collect();
        let mut news = false;
        for device in alone {
            news |= room.link(device, self.me, now, &mut self.acts);
        }
        if news {
            self.tell_group(conversation, None);
        }
    }

    /// What the person or the shell wants about one call.
    pub(crate) fn group_word(&mut self, id: CallId, word: GroupWord, now: UnixMillis) -> Result<(), Failure> {
        let room = self.groups.rooms.values_mut().find(|room| room.id == id).ok_or_else(over)?;
        let conversation = room.conversation;
        if word == GroupWord::Decline {
            if room.rings.take().is_some() {
                room.say(None, Signal::Decline, now, &mut self.acts);
                self.tell_group(conversation, None);
            }
            return Ok(());
        }
        let stay = room.stay.as_mut().ok_or_else(over)?;
        stay.alive = now;
        match word {
            GroupWord::Leave => self.leave_group(conversation, GroupReason::Left, now),
            GroupWord::Alive | GroupWord::Decline => {}
            GroupWord::State(state) => {
                if std::mem::replace(&mut stay.state, state) != state {
                    stay.hurry(now);
                    room.say_here(now, &mut self.acts);
                    self.tell_group(conversation, None);
                }
            }
            GroupWord::Description { device, round, sdp } => {
                self.pair_step(conversation, device, now, |pair| pair.described(round, sdp, now))?;
            }
            GroupWord::Candidates { device, round, list } => {
                self.pair_step(conversation, device, now, |pair| pair.found(round, list))?;
            }
            GroupWord::Media { device, report } => {
                self.pair_step(conversation, device, now, |pair| Ok(pair.reported(&report, now)))?;
            }
        }
        Ok(())
    }

    /// Gives an input to the way to one device; there may be none any more.
    pub(super) fn pair_step(
        &mut self,
        conversation: ConversationId,
        device: DeviceId,
        now: UnixMillis,
        input: impl FnOnce(&mut Pair) -> Result<Step, Failure>,
    ) -> Result<(), Failure> {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return Ok(()) };
        let pair = room.people.get_mut(&device).and_then(|person| person.pair.as_mut());
        let Some(pair) = pair else { return Ok(()) };
        let step = input(pair)?;
        if room.step(device, step, now, &mut self.acts) {
            self.tell_group(conversation, None);
        }
        Ok(())
    }

    /// Time has passed for this device's part in a call.
    pub(super) fn stay_on_time(&mut self, conversation: ConversationId, now: UnixMillis) {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        let Some(stay) = &room.stay else { return };
        if after(stay.alive, ALIVE_MS) <= now {
            return self.leave_group(conversation, GroupReason::Lost, now);
        }
        room.say_here(now, &mut self.acts);
        let devices: Vec<DeviceId> = room.people.keys().copied().collect();
        for device in devices {
            let _never_fails = self.pair_step(conversation, device, now, |pair| {
                pair.go_on(now);
                Ok(pair.on_time(now))
            });
        }
        self.link_all(conversation, now);
    }

    /// This device is out of the call. Whoever is the last one writes the record.
    pub(super) fn leave_group(&mut self, conversation: ConversationId, reason: GroupReason, now: UnixMillis) {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        if reason != GroupReason::Removed {
            room.say(None, Signal::HangUp { why: HangUp::Ended }, now, &mut self.acts);
            if room.people.is_empty() {
                let record = room.record(now);
                self.acts.push(Act::Record(conversation, record));
            }
        }
        room.stay = None;
        room.left = Some(now);
        room.people.values_mut().for_each(|person| person.pair = None);
        self.tell_group(conversation, Some(reason));
    }

    /// The record of the call that this device is alone in: nobody else would write it, should it be stopped now.
    pub(in super::super) fn group_under_way(&self) -> Option<UnderWay> {
        let room = self.groups.rooms.values().find(|room| room.stay.is_some() && room.people.is_empty())?;
        let since = room.speakers.values().filter_map(|speaker| speaker.left).max();
        let since = since.or_else(|| room.stay.as_ref().map(|stay| stay.joined))?;
        let record = room.record(since);
        Some(UnderWay { conversation: room.conversation, record })
    }
}
