//! Calls between real clients: sealed signals, records in the log, and a relay that lies.

use super::*;
use sotto_node_core::calls::{
    CallCommand, CallId, CallOutcome, CallState, CallView, CallWarning, EndReason, MediaReport, Negotiation,
};

fn fingerprint(of: Who) -> String {
    format!("sha-256 {}", vec![format!("{:02X}", of + 1); 32].join(":"))
}

fn sdp(of: Who) -> String {
    format!("v=0\r\na=fingerprint:{}\r\n", fingerprint(of))
}

fn calls(world: &World, who: Who) -> Vec<CallView> {
    let views = world.devices[who].events.iter().filter_map(|event| match event {
        Event::Call(view) => Some(view.clone()),
        _ => None,
    });
    views.collect()
}

fn state(world: &World, who: Who) -> Option<CallState> {
    calls(world, who).last().map(|view| view.state)
}

fn asked(world: &World, who: Who) -> Vec<Negotiation> {
    let asked = world.devices[who].events.iter().filter_map(|event| match event {
        Event::Negotiate { negotiation, .. } => Some(negotiation.clone()),
        _ => None,
    });
    asked.collect()
}

fn descriptions(world: &World, who: Who) -> Vec<String> {
    let given = asked(world, who).into_iter().filter_map(|one| match one {
        Negotiation::Description { sdp, .. } => Some(sdp),
        _ => None,
    });
    given.collect()
}

fn command(world: &mut World, who: Who, command: CallCommand) {
    let done = world.run(who, Command::Call(command));
    assert_eq!(done, Ok(Outcome::Nothing), "{}", world.story());
    world.settle();
}

fn start(world: &mut World, who: Who, conversation: ConversationId) -> CallId {
    let started = world.run(who, Command::Call(CallCommand::Start { conversation, video: false }));
    let Ok(Outcome::Call(call)) = started else { panic!("no call: {started:?}\n{}", world.story()) };
    world.settle();
    call
}

/// Time passes for shells that are in the call.
fn hold_on(world: &mut World, call: CallId, people: &[Who], seconds: u64) {
    for _ in 0..seconds {
        for who in people {
            let alive = CallCommand::Media { call, report: MediaReport::Alive };
            let _over = world.run(*who, Command::Call(alive));
        }
        world.pass(1_000);
    }
    world.settle();
}

fn last_call(world: &World, who: Who, conversation: ConversationId) -> Option<CallOutcome> {
    world.history(who, conversation).into_iter().rev().find_map(|message| match message.line {
        Line::Call(record) => record.outcome(),
        _ => None,
    })
}

#[test]
fn a_call_is_made_over_sealed_signals_and_stays_in_both_histories() {
    let mut world = calm(400);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let call = start(&mut world, alice, id);
    assert_eq!(
        (state(&world, alice), state(&world, bob)),
        (Some(CallState::Ringing), Some(CallState::Incoming))
    );
    command(&mut world, bob, CallCommand::Answer { call, video: false });
    assert_eq!(asked(&world, alice), [Negotiation::Offer { round: 0 }]);
    command(&mut world, alice, CallCommand::Description { call, round: 0, sdp: sdp(alice) });
    command(&mut world, bob, CallCommand::Description { call, round: 0, sdp: sdp(bob) });
    assert_eq!((descriptions(&world, alice), descriptions(&world, bob)), (vec![sdp(bob)], vec![sdp(alice)]));
    for (who, other) in [(alice, bob), (bob, alice)] {
        let report = MediaReport::Connected { fingerprint: fingerprint(other) };
        command(&mut world, who, CallCommand::Media { call, report });
        assert_eq!(state(&world, who), Some(CallState::Connected));
    }
    command(&mut world, bob, CallCommand::HangUp { call });
    assert_eq!(state(&world, alice), Some(CallState::Ended(EndReason::HungUp)));
    for who in [alice, bob] {
        assert_eq!(last_call(&world, who, id), Some(CallOutcome::Answered), "{}", world.story());
    }
}

#[test]
fn a_missed_call_is_news_in_the_history_of_who_was_away() {
    let mut world = calm(401);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    world.switch_off(bob);
    let call = start(&mut world, alice, id);
    hold_on(&mut world, call, &[alice], 46);
    assert_eq!(state(&world, alice), Some(CallState::Ended(EndReason::Unanswered)));
    world.switch_on(bob);
    world.settle();
    assert_eq!(last_call(&world, bob, id), Some(CallOutcome::Missed), "{}", world.story());
    assert_eq!(world.view(bob, id).expect("a member").unread, 1);
    assert_eq!(world.view(alice, id).expect("a member").unread, 0);
    assert!(calls(&world, bob).is_empty(), "what is over does not ring");
}

#[test]
fn a_call_whose_caller_was_stopped_while_it_rang_is_missed_all_the_same() {
    let mut world = calm(405);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    start(&mut world, alice, id);
    world.switch_off(alice);
    world.crash(alice);
    world.pass(11_000);
    assert_eq!(state(&world, bob), Some(CallState::Ended(EndReason::Unanswered)), "{}", world.story());
    world.switch_on(alice);
    world.settle();
    for who in [alice, bob] {
        let records =
            world.history(who, id).into_iter().filter(|message| matches!(message.line, Line::Call(_)));
        assert_eq!(records.count(), 1, "{}", world.story());
        assert_eq!(last_call(&world, who, id), Some(CallOutcome::Missed));
    }
}

#[test]
fn a_device_that_was_removed_is_in_no_call() {
    let mut world = calm(402);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let laptop = world.further_device(bob, ArchiveKeys::default());
    world.settle();
    let call = start(&mut world, alice, id);
    command(&mut world, laptop, CallCommand::Answer { call, video: false });
    assert_eq!(state(&world, bob), Some(CallState::Ended(EndReason::AnsweredElsewhere)));
    let device = world.devices[laptop].id;
    assert_eq!(world.run(bob, Command::RemoveDevice(device)), Ok(Outcome::Nothing));
    world.settle();
    assert_eq!(state(&world, alice), Some(CallState::Ended(EndReason::Removed)), "{}", world.story());
    assert_eq!(state(&world, laptop).map(CallState::name), Some("ended"));
}

#[test]
fn in_a_group_nobody_is_called() {
    let mut world = calm(403);
    let (alice, _bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = group(&mut world, alice, "", &["bob"], HistoryPolicy::SinceJoining);
    let refused = world.run(alice, Command::Call(CallCommand::Start { conversation: id, video: false }));
    assert_eq!(refused.expect_err("a group").code, FailureCode::Invalid);
}

/// P-039. A relay that swaps fingerprints has to change what is sealed: nothing of it is ever used, and the person is told.
#[test]
fn of_a_hundred_altered_signals_none_is_taken_and_the_person_is_warned() {
    let mut world = calm(404);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let mut rounds = 0;
    while world.relay.counts.altered < 100 {
        rounds += 1;
        assert!(rounds < 50, "{}", world.story());
        world.relay.alters_ephemerals = false;
        let call = start(&mut world, alice, id);
        command(&mut world, bob, CallCommand::Answer { call, video: false });
        world.relay.alters_ephemerals = true;
        // The offer is said every two seconds, and each time another bit of it is turned over.
        command(&mut world, alice, CallCommand::Description { call, round: 0, sdp: sdp(alice) });
        hold_on(&mut world, call, &[alice, bob], 32);
        assert_eq!(descriptions(&world, bob), Vec::<String>::new());
        assert_eq!(state(&world, bob).map(CallState::name), Some("ended"));
        let warned = calls(&world, bob).into_iter().rev().find_map(|view| view.warning);
        assert_eq!(warned, Some(CallWarning::Altered));
    }
    assert!(CallWarning::Altered.to_string().starts_with("the relay altered messages"));
    world.relay.alters_ephemerals = false;
    world.pass(60_000);
    let call = start(&mut world, alice, id);
    command(&mut world, bob, CallCommand::Answer { call, video: false });
    command(&mut world, alice, CallCommand::Description { call, round: 0, sdp: sdp(alice) });
    assert_eq!(descriptions(&world, bob), [sdp(alice)], "what was not altered is taken");
}
