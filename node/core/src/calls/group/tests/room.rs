//! Devices of several people in a group without a clock: their decisions, a wire that loses and reorders, and shells that negotiate.

use super::super::super::machine::{Act, Calls};
use super::super::super::signals::Heard;
use super::super::super::tests::room::candidate;
use super::super::super::{CallId, CallOutcome, CallRecord, CallView, MediaReport, Negotiation};
use super::super::{GroupCallView, GroupLink, GroupReason, GroupState, GroupWord};
use crate::event::Failure;
use sotto_e2ee::content::call::{CallSignal, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use std::collections::BTreeMap;

pub(super) const GROUP: ConversationId = ConversationId([9; 16]);
const START: u64 = 1_700_000_000_000;

/// A device: whose, which, what its shell was told, and the connections of its shell.
pub(super) struct Device {
    pub(super) account: AccountId,
    pub(super) id: DeviceId,
    pub(super) calls: Calls,
    pub(super) told: Vec<GroupCallView>,
    pub(super) told_of_two: Vec<CallView>,
    pub(super) asked: Vec<(DeviceId, Negotiation)>,
    pub(super) records: Vec<(CallOutcome, u32)>,
    /// The attempts of which its shell has an answer, or gave one.
    joints: BTreeMap<DeviceId, (CallId, u32)>,
    /// The shell shows another certificate than it promises.
    pub(super) forges: bool,
    /// The shell says that it still has the call.
    pub(super) has_page: bool,
    pub(super) offline: bool,
}

/// What the relay does with a signal: how often it comes, and whether behind what is said after it.
pub(super) type Relay = fn(&CallSignal, u64) -> (usize, bool);

pub(super) struct Group {
    pub(super) now: UnixMillis,
    pub(super) devices: Vec<Device>,
    pub(super) wire: Vec<(usize, CallSignal)>,
    pub(super) sent: Vec<(usize, CallSignal)>,
    pub(super) relay: Relay,
    dice: u64,
}

/// So many people with one device each; the ids of devices do not follow the order of accounts.
pub(super) fn group(people: u8) -> Group {
    let now = UnixMillis(START);
    let device = |n: u8| {
        let (account, id) = (AccountId([n + 1; 16]), DeviceId([0x10 + (n * 5) % 16; 16]));
        Device {
            account,
            id,
            calls: Calls::new(id, account, now),
            told: Vec::new(),
            told_of_two: Vec::new(),
            asked: Vec::new(),
            records: Vec::new(),
            joints: BTreeMap::new(),
            forges: false,
            has_page: true,
            offline: false,
        }
    };
    let devices = (0..people).map(device).collect();
    Group { now, devices, wire: Vec::new(), sent: Vec::new(), relay: |_, _| (1, false), dice: 1 }
}

pub(super) fn call(n: u8) -> CallId {
    CallId([n; 16])
}

impl Device {
    fn fingerprint(&self) -> String {
        let byte = if self.forges { 0xEE } else { self.id.0[0] };
        format!("sha-256 {}", vec![format!("{byte:02X}"); 32].join(":"))
    }

    fn sdp(&self) -> String {
        format!("v=0\r\na=fingerprint:sha-256 {}\r\n", vec![format!("{:02X}", self.id.0[0]); 32].join(":"))
    }

    pub(super) fn view(&self) -> &GroupCallView {
        self.told.last().expect("told of a call")
    }

    pub(super) fn state(&self) -> Option<GroupState> {
        self.told.last().map(|view| view.state)
    }

    /// Of the last time that there was one.
    pub(super) fn reason(&self) -> Option<GroupReason> {
        self.told.iter().rev().find_map(|view| view.reason)
    }

    /// How the way to each other device in the call stands.
    pub(super) fn links(&self) -> Vec<Option<GroupLink>> {
        self.view().people.iter().filter(|person| !person.own).map(|person| person.link).collect()
    }
}

impl Group {
    pub(super) fn with(people: u8, relay: Relay) -> Self {
        Self { relay, ..group(people) }
    }

    /// Everybody of them joins, one after the other, and has connections with all.
    pub(super) fn talking(people: u8) -> Self {
        let mut room = group(people);
        for who in 0..room.devices.len() {
            room.join(who).expect("there is room");
        }
        room.pass(3_000);
        assert!(room.all_connected(0..room.devices.len()));
        room
    }

    /// The decisions of a device that was stopped, and begins again.
    pub(super) fn fresh(&self, who: usize) -> Calls {
        let device = &self.devices[who];
        Calls::new(device.id, device.account, self.now)
    }

    pub(super) fn join(&mut self, who: usize) -> Result<CallId, Failure> {
        let fresh = call(0x40 + u8::try_from(who).expect("few"));
        let done = self.devices[who].calls.join_group(fresh, GROUP, false, self.now);
        self.settle();
        done
    }

    pub(super) fn word(&mut self, who: usize, word: GroupWord) {
        let (id, now) = (self.devices[who].view().call, self.now);
        self.devices[who].calls.group_word(id, word, now).expect("of the call that is");
        self.settle();
    }

    pub(super) fn all_connected(&self, who: impl IntoIterator<Item = usize>) -> bool {
        let who: Vec<usize> = who.into_iter().collect();
        who.iter().all(|place| {
            let device = &self.devices[*place];
            device.state() == Some(GroupState::Joined)
                && device.links() == vec![Some(GroupLink::Connected); who.len() - 1]
        })
    }

    /// Until nobody has anything to say and every connection that can stand does.
    pub(super) fn settle(&mut self) {
        for _ in 0..20_000 {
            for who in 0..self.devices.len() {
                self.act(who);
            }
            if self.wire.is_empty() {
                if self.connect() {
                    continue;
                }
                return;
            }
            self.dice =
                self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (from, signal) = self.wire.remove(0);
            let (copies, late) = (self.relay)(&signal, self.dice >> 33);
            if late && !self.wire.is_empty() {
                self.wire.push((from, signal));
                continue;
            }
            for _ in 0..copies {
                self.deliver(from, &signal);
            }
        }
        panic!("they never stop talking");
    }

    /// A connection stands when both shells have both descriptions of one attempt, as WebRTC does it.
    fn connect(&mut self) -> bool {
        let mut news = false;
        for a in 0..self.devices.len() {
            for b in 0..self.devices.len() {
                let (one, other) = (&self.devices[a], &self.devices[b]);
                let joint = one.joints.get(&other.id);
                if a == b || joint.is_none() || joint != other.joints.get(&one.id) {
                    continue;
                }
                let (id, device, fingerprint, now) =
                    (joint.expect("just seen").0, other.id, other.fingerprint(), self.now);
                let waits = one.state() == Some(GroupState::Joined)
                    && one.view().people.iter().any(|person| {
                        person.device == device
                            && person.link.is_some_and(|link| link != GroupLink::Connected)
                    });
                if waits {
                    let report = MediaReport::Connected { fingerprint };
                    let calls = &mut self.devices[a].calls;
                    let _over = calls.group_word(id, GroupWord::Media { device, report }, now);
                    self.act(a);
                    news = true;
                }
            }
        }
        news
    }

    /// The connection between two stops, as both shells notice.
    pub(super) fn cut(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            let device = self.devices[other].id;
            self.devices[one].joints.remove(&device);
            let (id, now) = (self.devices[one].view().call, self.now);
            let word = GroupWord::Media { device, report: MediaReport::Failed };
            let _gone = self.devices[one].calls.group_word(id, word, now);
        }
        self.settle();
    }

    fn act(&mut self, who: usize) {
        let now = self.now;
        for act in self.devices[who].calls.take_acts() {
            let device = &mut self.devices[who];
            match act {
                Act::Send(..) if device.offline => {}
                Act::Send(_, signal) => {
                    self.sent.push((who, signal.clone()));
                    self.wire.push((who, signal));
                }
                Act::Tell(view) => device.told_of_two.push(view),
                Act::TellGroup(view) => {
                    // A shell closes the connection with whom it has no way any more.
                    let people = &view.people;
                    let there =
                        |id: &DeviceId| people.iter().any(|one| one.device == *id && one.link.is_some());
                    device.joints.retain(|id, (call, _)| there(id) && *call == view.call);
                    device.told.push(view);
                }
                Act::Record(_, record) => {
                    let outcome = record.outcome().expect("of this version");
                    device.records.push((outcome, record.seconds));
                    self.logged(&record);
                }
                Act::Negotiate(..) => {}
                Act::NegotiateIn { call, device: other, negotiation } => {
                    device.asked.push((other, negotiation.clone()));
                    let (round, describe) = match negotiation {
                        Negotiation::Offer { round } => (round, true),
                        Negotiation::Description { round, offer, .. } => {
                            device.joints.insert(other, (call, round));
                            (round, offer)
                        }
                        Negotiation::Candidates { .. } => continue,
                    };
                    if describe {
                        let list = vec![candidate(&format!("{who}.{round}"))];
                        let sdp = device.sdp();
                        for word in [
                            GroupWord::Description { device: other, round, sdp },
                            GroupWord::Candidates { device: other, round, list },
                        ] {
                            device.calls.group_word(call, word, now).expect("this call");
                        }
                    }
                }
            }
        }
    }

    /// Everybody reads the log.
    fn logged(&mut self, record: &CallRecord) {
        for device in &mut self.devices {
            device.calls.was_recorded(GROUP, record);
        }
    }

    pub(super) fn deliver(&mut self, from: usize, signal: &CallSignal) {
        let (account, device) = (self.devices[from].account, self.devices[from].id);
        self.hear((account, device), signal, self.now);
    }

    pub(super) fn hear(
        &mut self,
        (account, device): (AccountId, DeviceId),
        signal: &CallSignal,
        sent_at: UnixMillis,
    ) {
        for other in self.devices.iter_mut().filter(|other| other.id != device && !other.offline) {
            let heard = Heard { conversation: GROUP, account, device, sent_at, signal: signal.clone() };
            other.calls.heard_in_group(heard, self.now);
        }
    }

    /// Time passes in small steps; shells that are in a call say so.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now.0 + ms;
        while self.now.0 < until {
            self.now.0 += 250;
            let now = self.now;
            for device in &mut self.devices {
                if device.has_page && device.state() == Some(GroupState::Joined) {
                    let id = device.view().call;
                    let _fell_out = device.calls.group_word(id, GroupWord::Alive, now);
                }
                if device.calls.deadline().is_some_and(|at| at <= now) {
                    device.calls.on_time(now);
                    assert!(device.calls.deadline().is_none_or(|at| at > now), "it would spin");
                }
            }
            self.settle();
        }
    }

    pub(super) fn states(&self) -> Vec<Option<GroupState>> {
        self.devices.iter().map(Device::state).collect()
    }

    pub(super) fn records(&self) -> Vec<(CallOutcome, u32)> {
        self.devices.iter().flat_map(|device| device.records.clone()).collect()
    }

    /// How often somebody was told to where a device is.
    pub(super) fn told_where(&self) -> impl Iterator<Item = &(usize, CallSignal)> {
        self.sent.iter().filter(|(_, said)| {
            matches!(said.signal, Signal::Offer { .. } | Signal::Answer { .. } | Signal::Candidates { .. })
        })
    }
}
