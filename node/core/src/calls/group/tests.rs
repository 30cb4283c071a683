//! What devices do with the call of a group, signal by signal and second by second.

mod room;

use super::super::machine::Act;
use super::super::signals::Heard;
use super::super::{ALIVE_MS, CallId, CallOutcome, CallState, MediaState, RING_MS};
use super::machine::SILENCE_MS;
use super::{GroupLink, GroupReason, GroupState, GroupWord, PEOPLE_MAX};
use crate::event::FailureCode;
use room::{GROUP, Group, call, group};
use sotto_e2ee::content::call::{CallSignal, HangUp, Here, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, UnixMillis};

const GONE_ON: Option<GroupState> = Some(GroupState::GoingOn);
const JOINED: Option<GroupState> = Some(GroupState::Joined);
const RINGING: Option<GroupState> = Some(GroupState::Ringing);
const ENDED: Option<GroupState> = Some(GroupState::Ended);

#[test]
fn three_and_six_meet_each_with_each_other_one() {
    for people in [3, 6] {
        let room = Group::talking(people);
        for (place, device) in room.devices.iter().enumerate() {
            assert_eq!(device.view().people.len(), usize::from(people));
            // Who has the smaller id offers, and nobody is told where a device is but the one it talks to.
            let smaller = |said: &CallSignal| said.to.is_some_and(|to| device.id < to);
            let offers = |(from, said): &&(usize, CallSignal)| {
                *from == place && matches!(said.signal, Signal::Offer { .. })
            };
            assert!(room.sent.iter().filter(offers).all(|(_, said)| smaller(said)));
        }
        assert!(room.told_where().all(|(_, said)| said.to.is_some()));
    }
}

#[test]
fn they_meet_although_the_relay_loses_and_reorders_what_they_say() {
    // A third of all is lost, and of the rest a third comes late.
    let mut room = Group::with(6, |_, dice| (usize::from(dice % 3 != 0), dice % 9 == 1));
    for who in 0..6 {
        // One that did not hear of the call began one of its own.
        room.join(who).expect("there is room");
        room.pass(500);
    }
    room.pass(40_000);
    assert!(
        room.all_connected(0..6),
        "{:?}",
        room.devices.iter().map(room::Device::links).collect::<Vec<_>>()
    );
}

#[test]
fn it_rings_for_a_while_and_goes_on_after_that() {
    let mut room = group(3);
    room.join(0).expect("free");
    assert_eq!(room.states(), [JOINED, RINGING, RINGING]);
    room.pass(RING_MS - 1_000);
    assert_eq!(room.states(), [JOINED, RINGING, RINGING]);
    room.pass(1_000);
    assert_eq!(room.states(), [JOINED, GONE_ON, GONE_ON]);
    // Who comes online only now is shown it, and not rung for.
    room.devices[2].calls = room.fresh(2);
    room.devices[2].told.clear();
    room.pass(6_000);
    assert_eq!(room.states(), [JOINED, GONE_ON, GONE_ON]);
    room.join(2).expect("there is room");
    assert!(room.all_connected([0, 2]));
    assert_eq!(room.states()[1], GONE_ON);
}

#[test]
fn one_that_declines_or_joins_stops_the_ringing_on_its_other_device_and_nobody_elses() {
    for joins in [true, false] {
        let mut room = group(4);
        let account = room.devices[1].account;
        room.devices[2].account = account;
        room.devices[2].calls = room.fresh(2);
        room.join(0).expect("free");
        assert_eq!(room.states(), [JOINED, RINGING, RINGING, RINGING]);
        if joins {
            room.join(1).expect("there is room");
        } else {
            room.word(1, GroupWord::Decline);
        }
        assert_eq!(room.states(), [JOINED, if joins { JOINED } else { GONE_ON }, GONE_ON, RINGING]);
        // It can be joined all the same.
        room.join(2).expect("there is room");
        assert_eq!(room.states()[2], JOINED);
    }
}

#[test]
fn nobody_learns_where_a_device_is_before_it_joins() {
    let mut room = group(3);
    room.join(0).expect("free");
    room.pass(10_000);
    assert_eq!(room.told_where().count(), 0);
    // Who is in it does not answer one who is not.
    let (to, round) = (Some(room.devices[0].id), 0);
    let sdp = format!("v=0\r\na=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    for (number, signal) in (1..).zip([Signal::Offer { round, sdp }, Signal::Restart]) {
        room.deliver(1, &CallSignal { call: call(0x40), to, number, signal });
    }
    room.pass(3_000);
    assert_eq!(room.told_where().count(), 0);
}

#[test]
fn a_seventh_is_refused() {
    let mut room = group(7);
    for who in 0..PEOPLE_MAX {
        room.join(who).expect("there is room");
    }
    let failure = room.join(6).expect_err("full");
    assert_eq!(failure.code, FailureCode::GroupCallFull);
    room.word(2, GroupWord::Leave);
    room.join(6).expect("there is room");
    assert!(room.all_connected([0, 1, 3, 4, 5, 6]));
}

#[test]
fn of_two_that_take_the_last_place_at_once_one_stays_as_all_of_them_see_it() {
    let mut room = group(7);
    for who in 0..5 {
        room.join(who).expect("there is room");
    }
    room.pass(1_000);
    for who in [5, 6] {
        let now = room.now;
        room.devices[who].calls.join_group(call(0x66), GROUP, false, now).expect("there is room");
    }
    room.settle();
    room.pass(1_000);
    let out: Vec<usize> = (0..7).filter(|who| room.states()[*who] != JOINED).collect();
    let [out] = out.as_slice() else { panic!("{:?}", room.states()) };
    assert_eq!((*out > 4, room.devices[*out].reason()), (true, Some(GroupReason::Full)));
    assert!(room.all_connected((0..7).filter(|who| who != out)));
}

#[test]
fn nobody_is_pushed_out_by_one_who_says_to_have_come_before() {
    let mut room = Group::talking(6);
    room.pass(SILENCE_MS);
    let here = Here {
        joined: UnixMillis(1),
        started: room.now,
        by: AccountId([1; 16]),
        video: false,
        state: MediaState::default(),
    };
    let (stranger, now) = ((AccountId([0x70; 16]), DeviceId([1; 16])), room.now);
    let signal = CallSignal { call: call(0x40), to: None, number: 1, signal: Signal::Here(here) };
    room.hear(stranger, &signal, now);
    room.settle();
    assert!(room.all_connected(0..6));
}

#[test]
fn if_two_begin_at_once_all_meet_in_one_of_the_two_calls() {
    let mut room = group(3);
    let now = room.now;
    for (who, id) in [(0, call(7)), (1, call(3))] {
        room.devices[who].calls.join_group(id, GROUP, who == 1, now).expect("free");
    }
    room.settle();
    assert!(room.all_connected([0, 1]));
    assert_eq!(room.states()[2], RINGING);
    for device in &room.devices {
        assert_eq!(device.view().call, call(3));
    }
    assert_eq!((room.devices[0].view().replaces, room.devices[1].view().replaces), (Some(call(7)), None));
    // What comes late of the other one moves nobody.
    room.pass(3_000);
    for (from, signal) in room.sent.clone() {
        room.deliver(from, &signal);
    }
    room.settle();
    assert!(room.all_connected([0, 1]));
    room.join(2).expect("there is room");
    assert!(room.all_connected(0..3));
}

#[test]
fn whoever_leaves_last_writes_how_long_it_lasted() {
    let mut room = Group::talking(3);
    room.pass(57_000);
    room.word(0, GroupWord::Leave);
    assert_eq!((room.states()[0], room.devices[0].reason()), (GONE_ON, Some(GroupReason::Left)));
    assert!(room.all_connected([1, 2]));
    room.word(2, GroupWord::Leave);
    assert!(room.records().is_empty());
    room.word(1, GroupWord::Leave);
    room.pass(30_000);
    assert_eq!(room.states(), [ENDED; 3]);
    assert_eq!(room.records(), [(CallOutcome::Answered, 60)]);
    assert_eq!(room.devices[1].records.len(), 1);
}

#[test]
fn of_two_that_leave_at_once_one_writes_the_record() {
    let mut room = Group::talking(3);
    room.word(2, GroupWord::Leave);
    for who in [0, 1] {
        let (id, now) = (room.devices[who].view().call, room.now);
        room.devices[who].calls.group_word(id, GroupWord::Leave, now).expect("in it");
    }
    room.settle();
    room.pass(30_000);
    assert_eq!(room.records().len(), 1);
}

#[test]
fn a_call_that_nobody_joined_was_missed_and_the_record_waits_while_one_is_alone_in_it() {
    let mut room = group(2);
    room.join(0).expect("free");
    let kept = |room: &Group| room.devices[0].calls.group_under_way().map(|kept| kept.record.outcome());
    assert_eq!(kept(&room), Some(Some(CallOutcome::Missed)));
    room.join(1).expect("there is room");
    assert_eq!(kept(&room), None);
    room.word(1, GroupWord::Leave);
    assert_eq!(kept(&room), Some(Some(CallOutcome::Answered)));
    let mut room = group(2);
    room.join(0).expect("free");
    room.word(0, GroupWord::Leave);
    assert_eq!(room.states(), [ENDED, ENDED]);
    assert_eq!(room.records(), [(CallOutcome::Missed, 0)]);
}

#[test]
fn a_silent_device_is_gone_unless_its_media_still_come() {
    let mut room = Group::talking(3);
    room.devices[2].offline = true;
    room.pass(60_000);
    assert!(room.all_connected(0..3), "the relay alone ends nothing");
    room.cut(0, 2);
    room.cut(1, 2);
    room.pass(SILENCE_MS);
    assert!(room.all_connected([0, 1]));
    assert_eq!(room.devices[2].links(), []);
    // And when it is back they meet again, in the same call.
    room.devices[2].offline = false;
    room.pass(12_000);
    assert!(room.all_connected(0..3));
}

#[test]
fn a_way_that_is_lost_is_made_anew_and_the_others_stay() {
    let mut room = Group::talking(3);
    room.cut(0, 1);
    assert!(room.devices[0].links().contains(&Some(GroupLink::Connected)));
    room.pass(5_000);
    assert!(room.all_connected(0..3));
}

#[test]
fn a_device_that_was_stopped_and_joins_again_is_let_in_and_its_old_ways_end() {
    let mut room = Group::talking(3);
    room.devices[1].calls = room.fresh(1);
    room.devices[1].told.clear();
    room.pass(6_000);
    assert_eq!(room.states()[1], GONE_ON, "what the others say is heard");
    room.join(1).expect("there is room");
    room.pass(4_000);
    assert!(room.all_connected(0..3));
}

#[test]
fn who_is_removed_from_the_group_is_out_of_its_call() {
    let mut room = Group::talking(4);
    let members: Vec<DeviceId> = room.devices[..3].iter().map(|device| device.id).collect();
    let now = room.now;
    for device in &mut room.devices[..3] {
        device.calls.group_members(GROUP, Some(Epoch(2)), &members, now);
    }
    // Of the new epoch it knows nobody.
    room.devices[3].calls.group_members(GROUP, Some(Epoch(1)), &[], now);
    room.settle();
    assert!(room.all_connected(0..3));
    assert_eq!((room.states()[3], room.devices[3].reason()), (ENDED, Some(GroupReason::Removed)));
    assert!(room.records().is_empty());
}

/// P-039.
#[test]
fn a_fingerprint_that_was_not_promised_cuts_that_way_and_the_others_stay() {
    let mut room = group(3);
    room.devices[1].forges = true;
    for who in 0..3 {
        room.join(who).expect("there is room");
    }
    room.pass(60_000);
    let tampered = |who: usize| {
        let people = room.devices[who].view().people.iter();
        people.filter(|one| one.tampered).map(|one| (one.device, one.link)).collect::<Vec<_>>()
    };
    assert_eq!(room.states(), [JOINED; 3]);
    for who in [0, 2] {
        assert_eq!(tampered(who), [(room.devices[1].id, None)]);
        assert!(room.devices[who].links().contains(&Some(GroupLink::Connected)));
    }
    assert_eq!(tampered(1).len(), 2);
}

/// P-039.
#[test]
fn repeated_signals_neither_change_a_call_nor_begin_it_anew() {
    let mut room = Group::with(3, |_, _| (3, false));
    for who in 0..3 {
        room.join(who).expect("there is room");
    }
    assert!(room.all_connected(0..3));
    let again = |room: &mut Group| {
        for (from, signal) in room.sent.clone() {
            room.deliver(from, &signal);
        }
        room.settle();
    };
    let asked = room.devices[0].asked.len();
    again(&mut room);
    assert!(room.all_connected(0..3));
    assert_eq!(room.devices[0].asked.len(), asked);
    for who in 0..3 {
        room.word(who, GroupWord::Leave);
    }
    again(&mut room);
    assert_eq!(room.states(), [ENDED; 3]);
    // Nor when another call was there since.
    room.pass(1_000);
    let now = room.now;
    room.devices[0].calls.join_group(call(0x99), GROUP, false, now).expect("free");
    room.settle();
    room.word(0, GroupWord::Leave);
    again(&mut room);
    assert_eq!(room.states(), [ENDED; 3]);
    assert_eq!(room.records().len(), 2);
}

#[test]
fn nobody_speaks_for_another_device() {
    let mut room = Group::talking(3);
    let stranger = (AccountId([0x70; 16]), DeviceId([1; 16]));
    let sdp = format!("v=0\r\na=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    let asked = room.devices[0].asked.len();
    for to in [None, Some(room.devices[0].id), Some(room.devices[1].id)] {
        for (number, signal) in (1..).zip([
            Signal::HangUp { why: HangUp::Ended },
            Signal::HangUp { why: HangUp::Tampered },
            Signal::Offer { round: 1, sdp: sdp.clone() },
            Signal::Answer { round: 0, sdp: sdp.clone() },
            Signal::Restart,
            Signal::Decline,
            Signal::State(MediaState { held: true, ..MediaState::default() }),
        ]) {
            let now = room.now;
            room.hear(stranger, &CallSignal { call: call(0x40), to, number, signal }, now);
        }
    }
    room.settle();
    assert!(room.all_connected(0..3));
    assert_eq!(room.devices[0].asked.len(), asked);
}

#[test]
fn a_flood_of_people_and_of_calls_is_bounded() {
    let mut room = group(2);
    room.devices[0].offline = true;
    let here = |n: u64, now: UnixMillis| {
        Signal::Here(Here {
            joined: UnixMillis(now.0 - n),
            started: now,
            by: AccountId([0x70; 16]),
            video: false,
            state: MediaState::default(),
        })
    };
    let now = room.now;
    for n in 0..250_u8 {
        let signal = CallSignal { call: call(1), to: None, number: 1, signal: here(n.into(), now) };
        room.hear((AccountId([0x70; 16]), DeviceId([n; 16])), &signal, now);
    }
    room.settle();
    assert_eq!(room.devices[1].view().people.len(), PEOPLE_MAX);
    let mut room = group(2);
    for n in (0..250_u8).rev() {
        let signal = CallSignal { call: call(n), to: None, number: 1, signal: here(0, now) };
        room.hear((AccountId([0x70; 16]), DeviceId([1; 16])), &signal, now);
    }
    room.settle();
    let mut calls: Vec<CallId> = room.devices[1].told.iter().map(|view| view.call).collect();
    calls.dedup();
    assert_eq!(calls.len(), 10);
}

#[test]
fn who_is_in_one_kind_of_call_is_busy_for_the_other() {
    let invite = |now| Heard {
        conversation: ConversationId([7; 16]),
        account: AccountId([0x70; 16]),
        device: DeviceId([0x70; 16]),
        sent_at: now,
        signal: CallSignal { call: call(1), to: None, number: 1, signal: Signal::Invite { video: false } },
    };
    // In a call of the group: who calls hears that.
    let mut room = Group::talking(2);
    let now = room.now;
    room.devices[1].calls.heard(invite(now), now);
    let acts = room.devices[1].calls.take_acts();
    assert!(matches!(acts.as_slice(), [Act::Send(_, said)] if said.signal == Signal::Busy), "{acts:?}");
    let both = room.devices[1].calls.start(call(2), ConversationId([7; 16]), AccountId([3; 16]), false, now);
    assert_eq!(both.map_err(|failure| failure.code), Err(FailureCode::Busy));
    // In a call of two: the group does not ring, and is not joined.
    let mut room = group(2);
    room.devices[1].calls.heard(invite(now), now);
    room.settle();
    assert_eq!(room.devices[1].told_of_two.last().map(|view| view.state), Some(CallState::Incoming));
    room.join(0).expect("free");
    assert_eq!(room.states(), [JOINED, GONE_ON]);
    assert_eq!(room.join(1).map_err(|failure| failure.code), Err(FailureCode::Busy));
    // One that rings stops for a call of two.
    let mut room = group(2);
    room.join(0).expect("free");
    assert_eq!(room.states(), [JOINED, RINGING]);
    room.devices[1].calls.heard(invite(now), now);
    room.settle();
    assert_eq!(room.states(), [JOINED, GONE_ON]);
}

#[test]
fn a_call_whose_page_is_gone_is_left() {
    let mut room = Group::talking(3);
    room.devices[1].has_page = false;
    room.pass(ALIVE_MS);
    let now = room.now;
    assert_eq!((room.states()[1], room.devices[1].reason()), (GONE_ON, Some(GroupReason::Lost)));
    assert_eq!(room.devices[0].view().people.len(), 2);
    let id = room.devices[0].view().call;
    assert!(room.devices[1].calls.group_word(id, GroupWord::Alive, now).is_err(), "the page is told");
}

#[test]
fn what_one_sends_and_that_signals_were_altered_is_shown() {
    let mut room = Group::talking(3);
    let state = MediaState { muted: true, camera: true, held: false, screen: true };
    room.word(1, GroupWord::State(state));
    room.pass(1_000);
    let id = room.devices[1].id;
    let shown =
        |who: usize| room.devices[who].view().people.iter().find(|one| one.device == id).map(|one| one.state);
    assert_eq!([shown(0), shown(2)], [Some(state); 2]);
    for _ in 0..3 {
        room.devices[0].calls.altered_in_group(GROUP);
    }
    let told = room.devices[0].told.len();
    room.settle();
    assert!(room.devices[0].view().altered);
    assert_eq!(room.devices[0].told.len(), told + 1);
}

#[test]
fn a_clock_that_jumps_back_ends_no_call_and_keeps_none_ringing() {
    let mut room = Group::talking(2);
    let mut ringing = group(2);
    ringing.join(0).expect("free");
    for room in [&mut room, &mut ringing] {
        room.now.0 -= 3_600_000;
        let now = room.now;
        room.devices.iter_mut().for_each(|device| device.calls.clamp(now));
        room.pass(RING_MS + 1_000);
    }
    assert!(room.all_connected(0..2));
    assert_eq!(ringing.states(), [JOINED, GONE_ON]);
}
