//! Which call goes on in each group, and who is in it. Inputs go in with the time; what is to be done comes out.

use super::super::guard::{Bucket, Window};
use super::super::machine::{Act, Calls};
use super::super::pair::{Pair, Stand};
use super::super::{ALIVE_MS, CallId, CallOutcome, CallRecord, MediaState, RING_MS};
use super::stay::Stay;
use super::{GroupCallView, GroupLink, GroupPerson, GroupReason, GroupState, PEOPLE_MAX};
use sotto_e2ee::content::call::{CallSignal, Here, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, UnixMillis};
use std::collections::BTreeMap;

/// Who is not heard for so long is gone: four times `Here`.
pub(super) const SILENCE_MS: u64 = 20_000;

/// Devices of which words count in one call. More than can be in it, since some leave and others come.
pub(super) const SPEAKERS_MAX: usize = 64;

/// The longest that a call is believed to go on already.
const AGE_MAX_MS: u64 = 7 * 24 * 3_600_000;

/// Whoever left within this before the call was empty may be the one that has to write its record.
const LEAVE_TOGETHER_MS: u64 = 10_000;

/// So long each of those leaves to the one before.
const RECORD_TURN_MS: u64 = 4_000;

/// A device in the call, not this one.
pub(super) struct Person {
    pub(super) account: AccountId,
    /// As it says; it tells this stay from its next one.
    pub(super) joined: UnixMillis,
    /// When it was heard first and last, by this device's clock.
    pub(super) first: UnixMillis,
    pub(super) heard: UnixMillis,
    pub(super) state: MediaState,
    /// Where this device is in the call too.
    pub(super) pair: Option<Pair>,
    pub(super) tampered: bool,
}

/// What is remembered of a device that said something about the call, until there is another call.
pub(super) struct Speaker {
    window: Window,
    bucket: Bucket,
    /// The number of its last word on whether it is here: one that comes late counts no more.
    latest: u32,
    /// The last attempt to connect with it, and when that pair began.
    pub(super) paired: Option<(u32, UnixMillis)>,
    /// When it left.
    pub(super) left: Option<UnixMillis>,
}

/// The call of a group, or the one that there was last.
pub(super) struct Room {
    pub(super) id: CallId,
    pub(super) conversation: ConversationId,
    pub(super) by: AccountId,
    pub(super) video: bool,
    /// When it began, by the clock of who began it.
    pub(super) started: UnixMillis,
    /// The same by this device's clock.
    since: UnixMillis,
    pub(super) people: BTreeMap<DeviceId, Box<Person>>,
    pub(super) speakers: BTreeMap<DeviceId, Box<Speaker>>,
    /// It rings here until then.
    pub(super) rings: Option<UnixMillis>,
    pub(super) stay: Option<Stay>,
    /// When this device left.
    pub(super) left: Option<UnixMillis>,
    /// Somebody else was in it at some time.
    pub(super) lively: bool,
    /// Of this device's last signal about it.
    pub(super) number: u32,
    pub(super) altered: bool,
    pub(super) replaces: Option<CallId>,
    /// Of which its members were looked at.
    pub(super) epoch: Option<Epoch>,
    /// Its record is to be written then, unless somebody else does before.
    record_at: Option<UnixMillis>,
    /// It is in the log.
    recorded: bool,
}

/// The calls of the groups of this device.
pub(crate) struct Groups {
    /// Of each conversation one.
    pub(super) rooms: BTreeMap<ConversationId, Box<Room>>,
    /// Calls that were not known.
    pub(super) arrivals: Bucket,
}

pub(super) const fn after(now: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(ms))
}

impl Speaker {
    pub(super) fn new(now: UnixMillis) -> Self {
        Self {
            window: Window::default(),
            bucket: Bucket::new(100, 20, now),
            latest: 0,
            paired: None,
            left: None,
        }
    }
}

impl Room {
    /// A call as `here` says, who said so at `sent_at`.
    pub(super) fn new(
        (id, conversation): (CallId, ConversationId),
        here: &Here,
        sent_at: UnixMillis,
        now: UnixMillis,
    ) -> Self {
        let age = sent_at.0.saturating_sub(here.started.0).min(AGE_MAX_MS);
        Self {
            id,
            conversation,
            by: here.by,
            video: here.video,
            started: UnixMillis(sent_at.0.saturating_sub(age)),
            since: UnixMillis(now.0.saturating_sub(age)),
            people: BTreeMap::new(),
            speakers: BTreeMap::new(),
            rings: None,
            stay: None,
            left: None,
            lively: false,
            number: 0,
            altered: false,
            replaces: None,
            epoch: None,
            record_at: None,
            recorded: false,
        }
    }

    /// Somebody is in it.
    pub(super) fn is_live(&self) -> bool {
        self.stay.is_some() || !self.people.is_empty()
    }

    /// How long it has gone on.
    pub(super) fn age_ms(&self, now: UnixMillis) -> u64 {
        now.0.saturating_sub(self.since.0)
    }

    /// Whether a signal of this device counts: a number that is new, and not one of a flood.
    pub(super) fn counts(&mut self, device: DeviceId, number: u32, now: UnixMillis) -> bool {
        if !self.speakers.contains_key(&device) && self.speakers.len() >= SPEAKERS_MAX {
            return false;
        }
        let speaker = self.speakers.entry(device).or_insert_with(|| Box::new(Speaker::new(now)));
        speaker.window.first(number) && speaker.bucket.take(now)
    }

    /// Whether a word on who is here is newer than what that device said about it before.
    pub(super) fn is_latest(&mut self, device: DeviceId, number: u32) -> bool {
        let Some(speaker) = self.speakers.get_mut(&device) else { return false };
        let newer = number > speaker.latest;
        speaker.latest = speaker.latest.max(number);
        newer
    }

    pub(super) fn say(&mut self, to: Option<DeviceId>, signal: Signal, now: UnixMillis, acts: &mut Vec<Act>) {
        // A device that was stopped and joins again knows no number any more: they follow the time, 62 a second, from a day before
        // the call on, since clocks differ.
        let passed = after(now, 24 * 3_600_000).0.saturating_sub(self.started.0) / 16;
        let due = u32::try_from(passed).unwrap_or(u32::MAX);
        self.number = self.number.saturating_add(1).max(due);
        let signal = CallSignal { call: self.id, to, number: self.number, signal };
        acts.push(Act::Send(self.conversation, signal));
    }

    pub(super) fn state(&self) -> GroupState {
        if self.stay.is_some() {
            GroupState::Joined
        } else if self.people.is_empty() {
            GroupState::Ended
        } else if self.rings.is_some() {
            GroupState::Ringing
        } else {
            GroupState::GoingOn
        }
    }

    pub(super) fn view(&self, (account, device): (AccountId, DeviceId)) -> GroupCallView {
        let own = self.stay.as_ref().map(|stay| GroupPerson {
            account,
            device,
            own: true,
            link: None,
            state: stay.state,
            tampered: false,
        });
        let others = self.people.iter().map(|(device, person)| GroupPerson {
            account: person.account,
            device: *device,
            own: false,
            link: person.pair.as_ref().map(|pair| match pair.stand {
                Stand::Connecting => GroupLink::Connecting,
                Stand::Connected => GroupLink::Connected,
                Stand::Reconnecting => GroupLink::Reconnecting,
            }),
            state: person.state,
            tampered: person.tampered,
        });
        GroupCallView {
            call: self.id,
            conversation: self.conversation,
            by: self.by,
            video: self.video,
            state: self.state(),
            reason: None,
            since: self.since,
            altered: self.altered,
            replaces: self.replaces,
            people: own.into_iter().chain(others).collect(),
        }
    }

    /// Somebody said to be here.
    pub(super) fn came(&mut self, device: DeviceId, account: AccountId, here: &Here, now: UnixMillis) {
        let person = Person {
            account,
            joined: here.joined,
            first: now,
            heard: now,
            state: here.state,
            pair: None,
            tampered: false,
        };
        self.people.insert(device, Box::new(person));
        self.lively = true;
        self.record_at = None;
        if let Some(speaker) = self.speakers.get_mut(&device) {
            speaker.left = None;
        }
    }

    /// Somebody is not here any more. If that was the last one, and this device left a moment ago, perhaps each took the other one for the last.
    pub(super) fn went(&mut self, device: DeviceId, me: DeviceId, now: UnixMillis) {
        self.people.remove(&device);
        if let Some(speaker) = self.speakers.get_mut(&device) {
            speaker.left = Some(now);
        }
        let recent = |left: Option<UnixMillis>| left.is_some_and(|at| after(at, LEAVE_TOGETHER_MS) >= now);
        if self.is_live() || self.recorded || !recent(self.left) {
            return;
        }
        let before =
            self.speakers.iter().filter(|(device, speaker)| **device < me && recent(speaker.left)).count();
        let turns = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1);
        self.record_at = Some(after(now, turns.saturating_mul(RECORD_TURN_MS)));
    }

    /// How it went, if it were over now; whoever begins one and stays alone was missed.
    pub(super) fn record(&self, now: UnixMillis) -> CallRecord {
        let (outcome, seconds) = if self.lively {
            (CallOutcome::Answered, self.age_ms(now) / 1_000)
        } else {
            (CallOutcome::Missed, 0)
        };
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        CallRecord::new(self.id, self.video, self.started, outcome, seconds)
    }

    /// Whether a device finds room, and who has to go for it: `None` if it does not, else perhaps one that is here. Only those who came
    /// within the last moments are compared; `joined` and the id are what each of them compares.
    pub(super) fn place_for(
        &self,
        newcomer: (UnixMillis, DeviceId),
        me: DeviceId,
        now: UnixMillis,
    ) -> Option<Option<DeviceId>> {
        if self.people.len() + usize::from(self.stay.is_some()) < PEOPLE_MAX {
            return Some(None);
        }
        let young = |since: UnixMillis| after(since, SILENCE_MS) > now;
        let others = self.people.iter().filter(|(_, person)| young(person.first));
        let others = others.map(|(device, person)| (person.joined, *device));
        let own = self.stay.as_ref().filter(|stay| young(stay.joined)).map(|stay| (stay.joined, me));
        let last = others.chain(own).max()?;
        (newcomer < last).then_some(Some(last.1))
    }

    fn deadline(&self) -> Option<UnixMillis> {
        let people = self.people.values().filter_map(|person| person.deadline()).min();
        let stay = self.stay.as_ref().map(|stay| stay.next.min(after(stay.alive, ALIVE_MS)));
        [self.rings, self.record_at, people, stay].into_iter().flatten().min()
    }

    fn clamp(&mut self, now: UnixMillis) {
        self.rings = self.rings.map(|at| at.min(after(now, RING_MS)));
        self.record_at = self.record_at.map(|_| now);
        self.since = self.since.min(now);
        for person in self.people.values_mut() {
            (person.heard, person.first) = (person.heard.min(now), person.first.min(now));
            if let Some(pair) = &mut person.pair {
                pair.clamp(now);
            }
        }
        if let Some(stay) = &mut self.stay {
            (stay.alive, stay.said, stay.next) = (now, now, now);
        }
    }
}

impl Person {
    /// Whom the media reach is here, whether the relay brings its words or not.
    pub(super) fn is_silent(&self, now: UnixMillis) -> bool {
        self.silent_at().is_some_and(|at| at <= now)
    }

    fn silent_at(&self) -> Option<UnixMillis> {
        let connected = self.pair.as_ref().is_some_and(|pair| pair.stand == Stand::Connected);
        (!connected).then_some(after(self.heard, SILENCE_MS))
    }

    fn deadline(&self) -> Option<UnixMillis> {
        let pair =
            self.pair.as_ref().and_then(|pair| [pair.late_at, pair.repeat].into_iter().flatten().min());
        [self.silent_at(), pair].into_iter().flatten().min()
    }
}

impl Groups {
    pub(crate) fn new(now: UnixMillis) -> Self {
        Self { rooms: BTreeMap::new(), arrivals: Bucket::new(10, 1, now) }
    }

    /// The call that this device is in.
    pub(super) fn joined(&mut self) -> Option<&mut Room> {
        self.rooms.values_mut().map(AsMut::as_mut).find(|room: &&mut Room| room.stay.is_some())
    }

    /// The conversations of calls, with the epoch of which their members are known.
    pub(super) fn epochs(&self) -> Vec<(ConversationId, Option<Epoch>)> {
        self.rooms.values().map(|room| (room.conversation, room.epoch)).collect()
    }

    /// This device is in a call of a group.
    pub(crate) fn is_busy(&self) -> bool {
        self.rooms.values().any(|room| room.stay.is_some())
    }

    pub(crate) fn deadline(&self) -> Option<UnixMillis> {
        self.rooms.values().filter_map(|room| room.deadline()).min()
    }

    pub(crate) fn clamp(&mut self, now: UnixMillis) {
        self.rooms.values_mut().for_each(|room| room.clamp(now));
    }
}

impl Calls {
    /// The calls of groups that go on.
    pub(crate) fn group_views(&self) -> Vec<GroupCallView> {
        let live = self.groups.rooms.values().filter(|room| room.is_live());
        live.map(|room| room.view((self.account, self.me))).collect()
    }

    /// Tells how the call of a group stands.
    pub(super) fn tell_group(&mut self, conversation: ConversationId, reason: Option<GroupReason>) {
        let Some(room) = self.groups.rooms.get(&conversation) else { return };
        let mut view = room.view((self.account, self.me));
        let over = (view.state == GroupState::Ended).then_some(GroupReason::Over);
        view.reason = reason.or(over);
        self.acts.push(Act::TellGroup(view));
    }

    /// This device is in a call now, or rings for one between two people: no group rings any more.
    pub(crate) fn silence_groups(&mut self) {
        let rooms = self.groups.rooms.values_mut();
        let ringing = rooms.filter_map(|room| room.rings.take().map(|_| room.conversation));
        let ringing: Vec<ConversationId> = ringing.collect();
        for conversation in ringing {
            self.tell_group(conversation, None);
        }
    }

    /// Time has passed for the calls of groups.
    pub(crate) fn groups_on_time(&mut self, now: UnixMillis) {
        let due = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
        let rooms = self.groups.rooms.values().filter(|room| due(room.deadline()));
        let rooms: Vec<ConversationId> = rooms.map(|room| room.conversation).collect();
        for conversation in rooms {
            self.stay_on_time(conversation, now);
            let Some(room) = self.groups.rooms.get_mut(&conversation) else { continue };
            let silent = room.people.iter().filter(|(_, person)| person.is_silent(now));
            let silent: Vec<DeviceId> = silent.map(|(device, _)| *device).collect();
            for device in &silent {
                room.went(*device, self.me, now);
            }
            let mut news = !silent.is_empty();
            if due(room.rings) {
                room.rings = None;
                news = true;
            }
            if due(room.record_at) {
                room.record_at = None;
                let record = room.record(now);
                self.acts.push(Act::Record(conversation, record));
            }
            if news {
                self.tell_group(conversation, None);
            }
        }
    }

    /// The record of a call is in the log.
    pub(crate) fn was_recorded(&mut self, conversation: ConversationId, record: &CallRecord) {
        let room = self.groups.rooms.get_mut(&conversation).filter(|room| room.id == record.call);
        if let Some(room) = room {
            (room.record_at, room.recorded) = (None, true);
        }
    }

    /// The members of a group are those of a new epoch: whoever is out of the group is out of its call.
    pub(crate) fn group_members(
        &mut self,
        conversation: ConversationId,
        epoch: Option<Epoch>,
        members: &[DeviceId],
        now: UnixMillis,
    ) {
        let Some(room) = self.groups.rooms.get_mut(&conversation) else { return };
        room.epoch = epoch;
        let gone = room.people.keys().filter(|device| !members.contains(device)).copied();
        let gone: Vec<DeviceId> = gone.collect();
        for device in &gone {
            room.went(*device, self.me, now);
        }
        if !members.contains(&self.me) && room.stay.is_some() {
            self.leave_group(conversation, GroupReason::Removed, now);
        } else if !gone.is_empty() {
            self.tell_group(conversation, None);
        }
    }
}
