//! Devices of two people in a room without a clock: their decisions, the wire between them, and shells that negotiate.

use super::super::machine::{Act, Calls};
use super::super::signals::Heard;
use super::super::{
    CallCommand, CallId, CallOutcome, CallRecord, CallState, CallView, Candidate, EndReason, MediaReport,
    Negotiation,
};
use sotto_e2ee::content::call::CallSignal;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use std::collections::VecDeque;

pub(super) const DIRECT: ConversationId = ConversationId([7; 16]);
pub(super) const CALL: CallId = CallId([1; 16]);
pub(super) const OTHER_CALL: CallId = CallId([2; 16]);
pub(super) const START: u64 = 1_700_000_000_000;

/// A device of the room: whose, which, and what its shell was told.
pub(super) struct Device {
    pub(super) account: AccountId,
    pub(super) id: DeviceId,
    pub(super) calls: Calls,
    pub(super) told: Vec<CallView>,
    pub(super) asked: Vec<Negotiation>,
    pub(super) records: Vec<CallRecord>,
    /// Its shell makes connections.
    pub(super) media: bool,
    /// It hears nothing and says nothing.
    pub(super) offline: bool,
}

impl Device {
    pub(super) fn state(&self) -> Option<CallState> {
        self.told.last().map(|view| view.state)
    }

    pub(super) fn fingerprint(&self) -> String {
        format!("sha-256 {}", vec![format!("{:02X}", self.id.0[0]); 32].join(":"))
    }

    pub(super) fn sdp(&self) -> String {
        format!("v=0\r\na=fingerprint:{}\r\n", self.fingerprint())
    }
}

/// What the relay does with a signal.
pub(super) type Relay = fn(&CallSignal) -> usize;

pub(super) struct Room {
    pub(super) now: UnixMillis,
    pub(super) devices: Vec<Device>,
    pub(super) wire: VecDeque<(usize, CallSignal)>,
    /// Every signal that was ever sent.
    pub(super) sent: Vec<(usize, CallSignal)>,
    pub(super) copies: Relay,
}

pub(super) const ANNA: usize = 0;
pub(super) const BERT: usize = 1;
pub(super) const BERTS_PHONE: usize = 2;

/// Anna with one device, Bert with two.
pub(super) fn room() -> Room {
    let now = UnixMillis(START);
    let device = |account: u8, id: u8| {
        let (account, id) = (AccountId([account; 16]), DeviceId([id; 16]));
        Device {
            account,
            id,
            calls: Calls::new(id, account, now),
            told: Vec::new(),
            asked: Vec::new(),
            records: Vec::new(),
            media: true,
            offline: false,
        }
    };
    let devices = vec![device(1, 0x10), device(2, 0x20), device(2, 0x21)];
    Room { now, devices, wire: VecDeque::new(), sent: Vec::new(), copies: |_| 1 }
}

impl Room {
    pub(super) fn start(&mut self, who: usize, call: CallId, video: bool) {
        let peer = if who == ANNA { self.devices[BERT].account } else { self.devices[ANNA].account };
        let now = self.now;
        self.devices[who].calls.start(call, DIRECT, peer, video, now).expect("no other call");
        self.settle();
    }

    pub(super) fn command(&mut self, who: usize, command: CallCommand) {
        let now = self.now;
        self.devices[who].calls.command(command, now).expect("of the call that is");
        self.settle();
    }

    pub(super) fn answer(&mut self, who: usize) {
        self.command(who, CallCommand::Answer { call: CALL, video: false });
    }

    pub(super) fn report(&mut self, who: usize, report: MediaReport) {
        self.command(who, CallCommand::Media { call: CALL, report });
    }

    pub(super) fn connected(&mut self, who: usize, other: usize) {
        let fingerprint = self.devices[other].fingerprint();
        self.report(who, MediaReport::Connected { fingerprint });
    }

    /// Anna calls, Bert takes it, both have a connection.
    pub(super) fn talking() -> Self {
        let mut room = room();
        room.start(ANNA, CALL, false);
        room.answer(BERT);
        room.connected(ANNA, BERT);
        room.connected(BERT, ANNA);
        assert_eq!(
            room.states(),
            [Some(CallState::Connected), Some(CallState::Connected), ended(EndReason::AnsweredElsewhere)]
        );
        room
    }

    pub(super) fn states(&self) -> [Option<CallState>; 3] {
        [self.devices[0].state(), self.devices[1].state(), self.devices[2].state()]
    }

    /// Until nobody has anything to say.
    pub(super) fn settle(&mut self) {
        for _ in 0..1_000 {
            for who in 0..self.devices.len() {
                self.act(who);
            }
            let Some((from, signal)) = self.wire.pop_front() else { return };
            for _ in 0..(self.copies)(&signal) {
                self.deliver(from, &signal);
            }
        }
        panic!("they never stop talking");
    }

    pub(super) fn act(&mut self, who: usize) {
        for act in self.devices[who].calls.take_acts() {
            let device = &mut self.devices[who];
            match act {
                Act::Send(..) if device.offline => {}
                Act::Send(conversation, signal) => {
                    assert_eq!(conversation, DIRECT);
                    self.sent.push((who, signal.clone()));
                    self.wire.push_back((who, signal));
                }
                Act::Tell(view) => device.told.push(view),
                Act::Record(_, record) => device.records.push(record),
                Act::TellGroup(_) | Act::NegotiateIn { .. } => panic!("no group is called here"),
                Act::Negotiate(call, negotiation) => {
                    device.asked.push(negotiation.clone());
                    let (Negotiation::Offer { round } | Negotiation::Description { round, offer: true, .. }) =
                        negotiation
                    else {
                        continue;
                    };
                    if device.media {
                        let (sdp, list) = (device.sdp(), vec![candidate(&format!("{who}.{round}"))]);
                        let described = CallCommand::Description { call, round, sdp };
                        let now = self.now;
                        device.calls.command(described, now).expect("this call");
                        device
                            .calls
                            .command(CallCommand::Candidates { call, round, list }, now)
                            .expect("this call");
                    }
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, from: usize, signal: &CallSignal) {
        let (account, device, now) = (self.devices[from].account, self.devices[from].id, self.now);
        for (place, other) in self.devices.iter_mut().enumerate() {
            if place != from && !other.offline {
                let (conversation, signal) = (DIRECT, signal.clone());
                other.calls.heard(Heard { conversation, account, device, sent_at: now, signal }, now);
            }
        }
    }

    /// Time passes in small steps; shells that are in a call say so.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now.0 + ms;
        while self.now.0 < until {
            self.now.0 += 250;
            let now = self.now;
            for device in &mut self.devices {
                if let Some(view) = device.calls.view().filter(|view| view.state != CallState::Incoming) {
                    let alive = CallCommand::Media { call: view.call, report: MediaReport::Alive };
                    device.calls.command(alive, now).expect("this call");
                }
                if device.calls.deadline().is_some_and(|at| at <= now) {
                    device.calls.on_time(now);
                }
            }
            self.settle();
        }
    }

    pub(super) fn outcomes(&self, who: usize) -> Vec<(CallOutcome, u32)> {
        let all = self.devices[who].records.iter();
        all.map(|record| (record.outcome().expect("of this version"), record.seconds)).collect()
    }
}

pub(in super::super) fn candidate(line: &str) -> Candidate {
    Candidate { line: line.to_owned(), mid: Some("0".into()), section: Some(0) }
}

pub(super) const fn ended(reason: EndReason) -> Option<CallState> {
    Some(CallState::Ended(reason))
}
