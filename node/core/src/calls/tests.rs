//! What devices do with calls, signal by signal and second by second.

pub(super) mod room;

use super::machine::{Act, INVITE_SILENCE_MS};
use super::pair::{CANDIDATES_MAX, CONNECT_MS, RECONNECT_MS};
use super::signals::Heard;
use super::{
    ALIVE_MS, CallCommand, CallId, CallOutcome, CallState, CallWarning, EndReason, MediaReport, MediaState,
    Negotiation, RING_MS,
};
use room::{ANNA, BERT, BERTS_PHONE, CALL, DIRECT, OTHER_CALL, Relay, Room, candidate, ended, room};
use sotto_e2ee::content::call::{CallSignal, HangUp, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};

#[test]
fn it_rings_on_all_devices_and_stops_on_the_others_when_one_takes_it() {
    let mut room = room();
    room.start(ANNA, CALL, true);
    assert_eq!(
        room.states(),
        [Some(CallState::Ringing), Some(CallState::Incoming), Some(CallState::Incoming)]
    );
    assert!(room.devices[BERT].told.last().is_some_and(|view| view.video && !view.outgoing));
    room.answer(BERTS_PHONE);
    assert_eq!(
        room.states(),
        [Some(CallState::Connecting), ended(EndReason::AnsweredElsewhere), Some(CallState::Connecting)]
    );
    room.connected(ANNA, BERTS_PHONE);
    room.connected(BERTS_PHONE, ANNA);
    room.pass(61_000);
    room.command(BERTS_PHONE, CallCommand::HangUp { call: CALL });
    assert_eq!(
        room.states(),
        [ended(EndReason::HungUp), ended(EndReason::AnsweredElsewhere), ended(EndReason::Ended)]
    );
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Answered, 61)]);
    assert!(room.devices[BERTS_PHONE].records.is_empty(), "the caller writes the record");
}

#[test]
fn nothing_about_where_a_device_is_goes_out_before_the_call_is_taken() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.pass(20_000);
    let tells = |signal: &Signal| {
        matches!(signal, Signal::Offer { .. } | Signal::Answer { .. } | Signal::Candidates { .. })
    };
    assert!(!room.sent.iter().any(|(_, said)| tells(&said.signal)));
    room.answer(BERT);
    assert!(room.sent.iter().filter(|(_, said)| tells(&said.signal)).all(|(_, said)| said.to.is_some()));
}

#[test]
fn a_call_that_nobody_takes_in_time_is_missed() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.pass(RING_MS - 1_000);
    assert_eq!(room.states()[BERT], Some(CallState::Incoming));
    room.pass(1_000);
    assert_eq!(room.states(), [ended(EndReason::Unanswered); 3]);
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Missed, 0)]);
}

#[test]
fn a_device_that_comes_online_while_it_rings_rings_too() {
    let mut room = room();
    room.devices[BERTS_PHONE].offline = true;
    room.start(ANNA, CALL, false);
    assert_eq!(room.states()[BERTS_PHONE], None);
    room.devices[BERTS_PHONE].offline = false;
    room.pass(4_000);
    assert_eq!(room.states()[BERTS_PHONE], Some(CallState::Incoming));
}

#[test]
fn it_stops_ringing_when_its_caller_vanishes() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.devices[ANNA].offline = true;
    room.pass(INVITE_SILENCE_MS);
    assert_eq!(room.states()[BERT], ended(EndReason::Unanswered));
}

#[test]
fn declined_on_one_device_is_declined_on_all() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.command(BERT, CallCommand::Decline { call: CALL });
    assert_eq!(
        room.states(),
        [ended(EndReason::Declined), ended(EndReason::Ended), ended(EndReason::DeclinedElsewhere)]
    );
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Declined, 0)]);
}

#[test]
fn a_caller_that_hangs_up_before_leaves_a_missed_call() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.command(ANNA, CallCommand::HangUp { call: CALL });
    assert_eq!(
        room.states(),
        [ended(EndReason::Ended), ended(EndReason::Unanswered), ended(EndReason::Unanswered)]
    );
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Missed, 0)]);
}

#[test]
fn who_talks_is_busy_for_others() {
    let mut room = Room::talking();
    let stranger = Heard {
        conversation: ConversationId([9; 16]),
        account: AccountId([3; 16]),
        device: DeviceId([0x30; 16]),
        sent_at: room.now,
        signal: CallSignal { call: OTHER_CALL, to: None, number: 1, signal: Signal::Invite { video: false } },
    };
    let now = room.now;
    room.devices[BERT].calls.heard(stranger, now);
    let acts = room.devices[BERT].calls.take_acts();
    let [Act::Send(conversation, said)] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((conversation.0[0], &said.signal, said.to), (9, &Signal::Busy, Some(DeviceId([0x30; 16]))));
    assert_eq!(room.states()[BERT], Some(CallState::Connected));
    let again = room.devices[BERT].calls.start(OTHER_CALL, DIRECT, AccountId([1; 16]), false, now);
    assert!(again.is_err(), "one call at a time");
}

#[test]
fn a_busy_word_ends_the_call_for_its_caller() {
    let mut room = room();
    room.devices[BERTS_PHONE].offline = true;
    room.start(ANNA, CALL, false);
    let signal = CallSignal { call: CALL, to: Some(room.devices[ANNA].id), number: 9, signal: Signal::Busy };
    room.deliver(BERT, &signal);
    room.settle();
    assert_eq!(room.states()[..2], [ended(EndReason::Busy), ended(EndReason::Unanswered)]);
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Busy, 0)]);
}

#[test]
fn when_both_call_at_once_one_call_comes_of_it_whoever_is_heard_first() {
    for anna_first in [true, false] {
        let mut room = room();
        room.devices[BERTS_PHONE].offline = true;
        let (now, anna, bert) = (room.now, room.devices[ANNA].account, room.devices[BERT].account);
        room.devices[ANNA].calls.start(CALL, DIRECT, bert, false, now).expect("free");
        room.devices[BERT].calls.start(OTHER_CALL, DIRECT, anna, true, now).expect("free");
        for who in if anna_first { [ANNA, BERT] } else { [BERT, ANNA] } {
            room.act(who);
        }
        room.settle();
        assert_eq!(room.states()[..2], [Some(CallState::Connecting); 2], "anna first: {anna_first}");
        let last = |who: usize| room.devices[who].told.last().expect("told").clone();
        // The smaller device id is Anna's.
        assert_eq!((last(ANNA).call, last(BERT).call, last(BERT).replaces), (CALL, CALL, Some(OTHER_CALL)));
        room.connected(ANNA, BERT);
        room.connected(BERT, ANNA);
        room.command(BERT, CallCommand::HangUp { call: CALL });
        assert_eq!(room.outcomes(ANNA).len() + room.outcomes(BERT).len(), 1);
    }
}

/// P-039.
#[test]
fn a_fingerprint_that_was_not_promised_ends_the_call() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.answer(BERT);
    let fingerprint = format!("sha-256 {}", ["66"; 32].join(":"));
    room.report(ANNA, MediaReport::Connected { fingerprint });
    assert_eq!(room.states()[..2], [ended(EndReason::Tampered); 2]);
}

#[test]
fn lost_signals_are_said_again() {
    // Each kind of signal is lost when it is said first.
    const FIRST: [Relay; 6] = [
        |said| usize::from(!(matches!(said.signal, Signal::Invite { .. }) && said.number == 1)),
        |said| usize::from(!(matches!(said.signal, Signal::Accept { .. }) && said.number < 3)),
        |said| usize::from(!(matches!(said.signal, Signal::Taken { .. }) && said.number < 4)),
        |said| usize::from(!(matches!(said.signal, Signal::Offer { .. }) && said.number < 5)),
        |said| usize::from(!(matches!(said.signal, Signal::Answer { .. }) && said.number < 5)),
        |said| usize::from(!(matches!(said.signal, Signal::Candidates { .. }) && said.number < 6)),
    ];
    for (which, copies) in FIRST.into_iter().enumerate() {
        let mut room = room();
        room.copies = copies;
        room.start(ANNA, CALL, false);
        room.pass(3_500);
        room.answer(BERT);
        room.pass(5_000);
        let has_both =
            |asked: &[Negotiation]| asked.iter().any(|one| matches!(one, Negotiation::Description { .. }));
        assert!(has_both(&room.devices[ANNA].asked) && has_both(&room.devices[BERT].asked), "{which}");
        room.connected(ANNA, BERT);
        room.connected(BERT, ANNA);
        assert_eq!(room.states()[..2], [Some(CallState::Connected); 2], "{which}");
    }
}

/// P-039.
#[test]
fn repeated_signals_change_nothing() {
    let mut room = room();
    room.copies = |_| 3;
    room.start(ANNA, CALL, false);
    room.answer(BERT);
    room.connected(ANNA, BERT);
    room.connected(BERT, ANNA);
    for device in &room.devices[..2] {
        let descriptions =
            device.asked.iter().filter(|one| matches!(one, Negotiation::Description { .. })).count();
        let candidates =
            device.asked.iter().filter(|one| matches!(one, Negotiation::Candidates { .. })).count();
        assert_eq!((descriptions, candidates), (1, 1));
    }
    room.command(ANNA, CallCommand::HangUp { call: CALL });
    let over = room.states();
    // The relay plays everything again, now and hours later.
    for hours in [0, 5] {
        room.now.0 += hours * 3_600_000;
        for (from, signal) in room.sent.clone() {
            room.deliver(from, &signal);
        }
        room.settle();
        assert_eq!(room.states(), over);
    }
    assert_eq!(room.outcomes(ANNA).len(), 1);
}

#[test]
fn an_invite_of_another_time_does_not_ring() {
    let mut room = room();
    let signal = CallSignal { call: CALL, to: None, number: 1, signal: Signal::Invite { video: false } };
    let (account, device, now) = (room.devices[ANNA].account, room.devices[ANNA].id, room.now);
    let heard =
        Heard { conversation: DIRECT, account, device, sent_at: UnixMillis(now.0 - 3_600_000), signal };
    room.devices[BERT].calls.heard(heard, now);
    room.settle();
    assert_eq!(room.states()[BERT], None);
}

#[test]
fn a_flood_of_candidates_is_bounded() {
    let mut room = Room::talking();
    let to = Some(room.devices[ANNA].id);
    let given = |room: &Room| {
        let lists = room.devices[ANNA].asked.iter().filter_map(|one| match one {
            Negotiation::Candidates { list, .. } => Some(list.len()),
            _ => None,
        });
        lists.sum::<usize>()
    };
    for number in 100..1_100 {
        let list = (0..20).map(|n| candidate(&format!("{number}.{n}"))).collect();
        room.deliver(
            BERT,
            &CallSignal { call: CALL, to, number, signal: Signal::Candidates { round: 0, list } },
        );
    }
    room.settle();
    assert_eq!(given(&room), CANDIDATES_MAX);
    assert_eq!(room.states()[ANNA], Some(CallState::Connected));
}

#[test]
fn a_flood_of_calls_rings_a_few_times() {
    let mut room = room();
    // Its caller says no more than what is delivered here.
    room.devices[ANNA].offline = true;
    let mut rang = 0;
    for n in 0..200_u8 {
        let call = CallId([n; 16]);
        for (number, signal) in
            [(1, Signal::Invite { video: false }), (2, Signal::HangUp { why: HangUp::Ended })]
        {
            room.deliver(ANNA, &CallSignal { call, to: None, number, signal });
            room.settle();
            rang += usize::from(room.states()[BERT] == Some(CallState::Incoming) && number == 1);
        }
    }
    assert_eq!(rang, 10);
}

#[test]
fn nobody_but_the_two_devices_moves_a_call() {
    let mut room = Room::talking();
    let before = room.states();
    let sdp = "v=0\r\na=fingerprint:sha-256 00".to_owned();
    for (number, signal) in (50..).zip([
        Signal::HangUp { why: HangUp::Ended },
        Signal::Offer { round: 1, sdp: sdp.clone() },
        Signal::Answer { round: 0, sdp },
        Signal::Restart,
        Signal::Decline,
        Signal::Busy,
        Signal::Accept { video: true },
        Signal::State(MediaState { held: true, ..MediaState::default() }),
    ]) {
        // Bert's own phone, which did not take the call; and a device that is in none of this.
        room.deliver(BERTS_PHONE, &CallSignal { call: CALL, to: None, number, signal: signal.clone() });
        let (account, device, now) = (AccountId([3; 16]), DeviceId([0x30; 16]), room.now);
        for place in [ANNA, BERT] {
            let signal = CallSignal { call: CALL, to: None, number, signal: signal.clone() };
            let heard = Heard { conversation: DIRECT, account, device, sent_at: now, signal };
            room.devices[place].calls.heard(heard, now);
        }
        room.settle();
        assert_eq!(room.states()[..2], before[..2]);
    }
    assert_eq!(room.devices[ANNA].told.last().map(|view| view.theirs), Some(MediaState::default()));
}

#[test]
fn a_lost_connection_is_made_anew_whoever_notices_it() {
    for who in [ANNA, BERT] {
        let mut room = Room::talking();
        room.pass(5_000);
        room.report(who, MediaReport::Failed);
        room.pass(1_000);
        let round = |asked: &[Negotiation]| {
            asked.iter().rev().find_map(|one| match one {
                Negotiation::Description { round, .. } => Some(*round),
                _ => None,
            })
        };
        assert_eq!((round(&room.devices[ANNA].asked), round(&room.devices[BERT].asked)), (Some(1), Some(1)));
        room.connected(ANNA, BERT);
        room.connected(BERT, ANNA);
        assert_eq!(room.states()[..2], [Some(CallState::Connected); 2]);
        room.pass(60_000);
        assert_eq!(room.states()[..2], [Some(CallState::Connected); 2]);
    }
}

#[test]
fn a_connection_that_only_faltered_comes_back_without_another_attempt() {
    let mut room = Room::talking();
    room.report(ANNA, MediaReport::Disconnected);
    assert_eq!(room.states()[ANNA], Some(CallState::Reconnecting));
    room.pass(1_000);
    room.connected(ANNA, BERT);
    room.pass(10_000);
    assert_eq!(room.states()[ANNA], Some(CallState::Connected));
    assert!(!room.devices[ANNA].asked.contains(&Negotiation::Offer { round: 1 }));
}

#[test]
fn a_connection_that_does_not_come_ends_the_call_in_time() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.answer(BERT);
    room.pass(CONNECT_MS);
    assert_eq!(room.states()[..2], [ended(EndReason::Failed); 2]);
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Failed, 0)]);

    let mut room = Room::talking();
    room.report(ANNA, MediaReport::Failed);
    room.pass(RECONNECT_MS);
    assert_eq!(room.states()[..2], [ended(EndReason::Lost); 2]);
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Answered, 30)]);
}

#[test]
fn a_call_goes_on_without_the_relay_and_its_end_is_learnt_when_it_is_back() {
    let mut room = Room::talking();
    room.devices[ANNA].offline = true;
    room.devices[BERT].offline = true;
    room.pass(300_000);
    assert_eq!(room.states()[..2], [Some(CallState::Connected); 2]);
    room.command(ANNA, CallCommand::HangUp { call: CALL });
    room.report(BERT, MediaReport::Failed);
    assert_eq!(room.states()[BERT], Some(CallState::Reconnecting));
    room.devices[ANNA].offline = false;
    room.devices[BERT].offline = false;
    room.pass(3_000);
    assert_eq!(room.states()[BERT], ended(EndReason::HungUp));
    assert_eq!(room.outcomes(ANNA), [(CallOutcome::Answered, 300)]);
}

#[test]
fn a_call_whose_shell_is_gone_is_over() {
    let mut room = Room::talking();
    room.now.0 += ALIVE_MS;
    let now = room.now;
    assert!(room.devices[ANNA].calls.deadline().is_some_and(|at| at <= now));
    room.devices[ANNA].calls.on_time(now);
    room.settle();
    assert_eq!(room.states()[..2], [ended(EndReason::Ended), ended(EndReason::HungUp)]);
}

#[test]
fn what_one_sends_is_shown_to_the_other() {
    let mut room = Room::talking();
    let state = MediaState { muted: true, camera: false, held: true, screen: false };
    room.command(ANNA, CallCommand::State { call: CALL, state });
    assert_eq!(room.devices[BERT].told.last().map(|view| view.theirs), Some(state));
}

#[test]
fn signals_that_were_altered_are_told_once_and_move_nothing() {
    let mut room = Room::talking();
    let told = room.devices[ANNA].told.len();
    for _ in 0..100 {
        room.devices[ANNA].calls.altered();
    }
    room.settle();
    let last = room.devices[ANNA].told.last().expect("told");
    assert_eq!((last.state, last.warning), (CallState::Connected, Some(CallWarning::Altered)));
    assert_eq!(room.devices[ANNA].told.len(), told + 1);
    assert!(CallWarning::Altered.to_string().contains("the relay altered"));
}

#[test]
fn a_clock_that_jumps_back_does_not_keep_it_ringing() {
    let mut room = room();
    room.start(ANNA, CALL, false);
    room.now.0 -= 24 * 3_600_000;
    let now = room.now;
    room.devices.iter_mut().for_each(|device| device.calls.clamp(now));
    room.pass(RING_MS + 1_000);
    assert!(matches!(room.states()[ANNA], Some(CallState::Ended(_))));
}
