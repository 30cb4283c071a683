//! Devices that ask, answer and meet, without a network.

use super::machine::{ASKS_MAX, Act, Heard, OFFER_MS, Peers, WAITING_MAX};
use super::plan::{self, GIVE_UP_AFTER_MS};
use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::content::peer::{Carriers, PeerSignal, PeerWord};
use sotto_protocol::ids::UnixMillis;

const PLACE: ConversationId = ConversationId([7; 16]);
const ROOT: BlobRoot = BlobRoot([5; 32]);
const ASK: AskId = AskId([6; 16]);

const fn device(of: u8) -> DeviceId {
    DeviceId([of; 16])
}

fn way(of: u8) -> Way {
    Way { fingerprint: [of; 32], addresses: vec![format!("192.0.2.{of}:50000").parse().unwrap()] }
}

/// A device that runs on and can be reached.
fn peer(of: u8) -> Peers {
    let mut peer = Peers::new(device(of), false, UnixMillis(0));
    peer.serve();
    peer.network(Some(Reach::Both(way(of))), UnixMillis(0));
    peer
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(5)
}

fn hears(peer: &mut Peers, from: u8, signal: PeerSignal, now: u64) -> Vec<Act> {
    hears_in_crowd(peer, from, signal, now, 2)
}

fn hears_in_crowd(peer: &mut Peers, from: u8, signal: PeerSignal, now: u64, members: usize) -> Vec<Act> {
    let (account, device) = (AccountId([from; 16]), device(from));
    let heard = Heard { conversation: PLACE, account, device, signal, is_kept: true, members };
    peer.heard(heard, UnixMillis(now), &mut rng());
    peer.take_acts()
}

fn said(acts: Vec<Act>) -> PeerSignal {
    let mut said = acts.into_iter().filter_map(|act| match act {
        Act::Send(place, signal) => {
            assert_eq!(place, PLACE);
            Some(signal)
        }
        Act::Tell(_) => None,
    });
    let one = said.next().expect("something was said");
    assert_eq!(said.next(), None);
    one
}

fn meeting(acts: &[Act]) -> Meeting {
    let found = acts.iter().find_map(|act| match act {
        Act::Tell(PeerEvent::Meet(meeting)) => Some((**meeting).clone()),
        _ => None,
    });
    found.expect("they meet")
}

fn asked(acts: &[Act]) -> Asked {
    let [Act::Tell(PeerEvent::Asked(asked))] = acts else { panic!("not asked: {acts:?}") };
    *asked
}

fn wanted() -> PeerSignal {
    let carriers = Carriers::BOTH;
    PeerSignal { to: None, word: PeerWord::Sought { ask: ASK, root: ROOT, carriers } }
}

/// The giver's offer to the taker.
fn offers(giver: &mut Peers, taker: u8, now: u64) -> PeerSignal {
    let asked = asked(&hears(giver, taker, wanted(), now));
    giver.offer(asked, UnixMillis(now), &mut rng());
    said(giver.take_acts())
}

#[test]
fn who_has_a_file_and_who_wants_it_meet_with_the_certificate_and_addresses_of_each_other() {
    let (mut taker, mut giver) = (peer(1), peer(2));
    taker.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    assert_eq!(said(taker.take_acts()), wanted());
    let have = offers(&mut giver, 1, 0);
    let acts = hears(&mut taker, 2, have, 0);
    let there = meeting(&acts);
    let here = meeting(&hears(&mut giver, 1, said(acts), 0));
    assert_eq!(there.link, here.link);
    assert_eq!((there.ask, here.ask), (Some(ASK), None));
    assert_eq!((there.fingerprint, here.fingerprint), ([2; 32], [1; 32]));
    assert_eq!((there.addresses, here.addresses), (way(2).addresses, way(1).addresses));
    assert_eq!(
        (there.steps, here.steps),
        (plan::steps(device(1), device(2)), plan::steps(device(2), device(1)))
    );
}

#[test]
fn what_nobody_gives_directly_is_asked_for_by_way_of_the_relay_and_by_that_alone_without_udp() {
    let sought = |carriers| PeerWord::Sought { ask: ASK, root: ROOT, carriers };
    let all = |word| PeerSignal { to: None, word };
    let (mut taker, mut giver, mut behind_a_wall) = (peer(1), peer(2), peer(3));
    behind_a_wall.network(Some(Reach::Routed), UnixMillis(0));
    for one in [&mut taker, &mut behind_a_wall] {
        one.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    }
    assert_eq!(said(taker.take_acts()), all(sought(Carriers::BOTH)));
    behind_a_wall.on_time(UnixMillis(60_000));
    assert_eq!(behind_a_wall.take_acts(), [], "nothing direct would come of it");
    assert!(!asked(&hears(&mut giver, 1, wanted(), 0)).channel);
    for sought in [Carriers::BOTH, Carriers::CHANNEL, Carriers::QUIC].map(sought) {
        assert_eq!(hears(&mut behind_a_wall, 1, all(sought), 0), []);
    }

    let routed = all(sought(Carriers::ROUTED_CHANNEL));
    for one in [&mut taker, &mut behind_a_wall] {
        one.route(ASK, UnixMillis(60_000));
        assert_eq!(said(one.take_acts()), routed);
    }
    // At once, though it has just answered: it is another question.
    giver.network(Some(Reach::Both(way(2))), UnixMillis(0));
    for one in [&mut giver, &mut behind_a_wall] {
        let asked = asked(&hears(one, 1, routed.clone(), 1));
        assert!(asked.channel && asked.routed);
        assert_eq!(hears(one, 1, routed.clone(), 2), [], "it was answered");
    }
}

#[test]
fn a_device_that_hides_its_address_neither_asks_nor_answers_nor_connects() {
    let mut giver = peer(2);
    giver.set_relay_only(true);
    giver.network(Some(Reach::Both(way(2))), UnixMillis(0));
    assert_eq!(hears(&mut giver, 1, wanted(), 0), []);
    giver.offer(
        Asked { ask: ASK, conversation: PLACE, root: ROOT, by: device(1), channel: false, routed: false },
        UnixMillis(0),
        &mut rng(),
    );
    giver.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    assert_eq!(giver.take_acts(), []);
    let have = offers(&mut peer(1), 2, 0);
    assert_eq!(hears(&mut giver, 1, have, 0), []);
    giver.on_time(UnixMillis(60_000));
    assert_eq!((giver.take_acts(), giver.deadline()), (vec![], None));

    let mut later = peer(2);
    later.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    later.take_acts();
    later.set_relay_only(true);
    let have = offers(&mut peer(1), 2, 0);
    assert_eq!(hears(&mut later, 1, have, 0), [], "nor one that did not before");
}

/// The first device asks for the file, which this one does not keep.
fn question_of_the_first() -> Heard {
    Heard {
        conversation: PLACE,
        account: AccountId([1; 16]),
        device: device(1),
        signal: wanted(),
        is_kept: false,
        members: 2,
    }
}

#[test]
fn a_device_that_is_still_getting_a_file_offers_what_it_has_and_no_more_once_it_stopped() {
    let mut half = Peers::new(device(2), false, UnixMillis(0));
    half.network(Some(Reach::Both(way(2))), UnixMillis(0));
    let own = AskId([9; 16]);
    half.want(own, PLACE, ROOT, UnixMillis(0)).unwrap();
    half.take_acts();
    let asks = |half: &mut Peers, now: u64| {
        half.heard(question_of_the_first(), UnixMillis(now), &mut rng());
        half.take_acts()
    };
    assert_eq!(asks(&mut half, 0), [], "it has nothing yet");
    half.has_some(own);
    let question = asked(&asks(&mut half, 1));
    half.offer(question, UnixMillis(1), &mut rng());
    assert!(matches!(said(half.take_acts()).word, PeerWord::Have { ask: ASK, .. }));
    half.end_want(own);
    assert_eq!(asks(&mut half, 10_000), []);
    half.offer(question, UnixMillis(10_000), &mut rng());
    assert_eq!(half.take_acts(), []);
}

#[test]
fn a_device_that_does_not_run_on_or_does_not_have_the_file_is_silent() {
    let mut short = Peers::new(device(2), false, UnixMillis(0));
    short.network(Some(Reach::Both(way(2))), UnixMillis(0));
    assert_eq!(hears(&mut short, 1, wanted(), 0), []);
    let mut without = peer(2);
    without.heard(question_of_the_first(), UnixMillis(0), &mut rng());
    assert_eq!(without.take_acts(), []);
}

#[test]
fn words_that_a_relay_repeats_or_turns_elsewhere_change_nothing() {
    let (mut taker, mut giver) = (peer(1), peer(2));
    taker.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    taker.take_acts();
    let have = offers(&mut giver, 1, 0);
    let meet = said(hears(&mut taker, 2, have.clone(), 0));
    assert_eq!(hears(&mut taker, 2, have.clone(), 1), [], "once for each device");
    assert_eq!(hears(&mut giver, 3, meet.clone(), 1), [], "another member takes no link up");
    assert_eq!(hears(&mut giver, 1, meet.clone(), 1).len(), 1);
    assert_eq!(hears(&mut giver, 1, meet, 2), [], "a link is made once");
    assert_eq!(hears(&mut giver, 1, wanted(), 2), [], "it was answered a moment ago");
    taker.end_want(ASK);
    assert_eq!(hears(&mut taker, 3, have, 3), [], "it is not wanted any more");
}

#[test]
fn an_offer_that_is_not_taken_up_in_time_is_over() {
    let (mut taker, mut giver) = (peer(1), peer(2));
    taker.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    taker.take_acts();
    let have = offers(&mut giver, 1, 0);
    let meet = said(hears(&mut taker, 2, have, 0));
    giver.on_time(UnixMillis(OFFER_MS));
    assert_eq!(hears(&mut giver, 1, meet, OFFER_MS), []);
    const { assert!(OFFER_MS > GIVE_UP_AFTER_MS) };
}

#[test]
fn a_question_is_said_again_while_the_file_is_wanted_and_at_once_after_a_reconnect() {
    let mut taker = peer(1);
    taker.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
    taker.take_acts();
    let next = taker.deadline().unwrap();
    taker.on_time(next);
    assert_eq!(said(taker.take_acts()), wanted());
    taker.network(None, next);
    taker.on_time(UnixMillis(next.0 + 60_000));
    assert_eq!(taker.take_acts(), []);
    taker.network(Some(Reach::Both(way(1))), UnixMillis(next.0 + 60_000));
    assert_eq!(said(taker.take_acts()), wanted());
}

#[test]
fn in_a_crowd_answers_are_spread_and_who_hears_that_enough_answered_is_silent() {
    let mut giver = peer(2);
    assert_eq!(hears_in_crowd(&mut giver, 1, wanted(), 0, 500), []);
    assert!(giver.deadline().is_some_and(|at| at <= UnixMillis(2_000)));
    for other in (10..).take(SOURCES_MAX) {
        let word = PeerWord::Have { ask: ASK, link: LinkId([other; 16]), way: way(other) };
        hears(&mut giver, other, PeerSignal { to: Some(device(1)), word }, 0);
    }
    giver.on_time(UnixMillis(2_000));
    assert_eq!(giver.take_acts(), []);
}

#[test]
fn a_flood_of_questions_and_offers_is_cut() {
    let mut giver = peer(2);
    let mut answered = 0;
    for number in 0..=255 {
        let word = PeerWord::Wanted { ask: AskId([number; 16]), root: ROOT };
        answered += hears(&mut giver, 1, PeerSignal { to: None, word }, 0).len();
    }
    assert_eq!(answered, 10);
    for number in 0..=255 {
        let asked = Asked {
            ask: AskId([number; 16]),
            conversation: PLACE,
            root: ROOT,
            by: device(1),
            channel: false,
            routed: false,
        };
        let mut seeded = ChaCha20Rng::seed_from_u64(number.into());
        giver.offer(asked, UnixMillis(0), &mut seeded);
    }
    assert_eq!(giver.take_acts().len(), WAITING_MAX);
    let mut taker = peer(1);
    for number in 0..=255 {
        let wanted = taker.want(AskId([number; 16]), PLACE, ROOT, UnixMillis(0));
        assert_eq!(wanted.is_ok(), usize::from(number) < ASKS_MAX);
    }
    taker.take_acts();
    let mut met = 0;
    for other in 10..200 {
        let word = PeerWord::Have { ask: AskId([0; 16]), link: LinkId([other; 16]), way: way(other) };
        let acts = hears(&mut taker, other, PeerSignal { to: Some(device(1)), word }, 0);
        met += usize::from(!acts.is_empty());
    }
    assert_eq!(met, SOURCES_MAX);
}

proptest! {
    /// Whatever members say, nothing grows without bound and nothing panics.
    #[test]
    fn nothing_that_members_say_makes_a_device_hoard_or_fall(
        words in proptest::collection::vec((0u8..6, 0u8..4, 0u8..5, 0u64..3_000), 0..200)
    ) {
        let (mut peer, mut now) = (peer(1), 0);
        peer.want(ASK, PLACE, ROOT, UnixMillis(0)).unwrap();
        for (from, kind, id, passed) in words {
            now += passed;
            let (ask, link) = (AskId([id + 4; 16]), LinkId([id; 16]));
            let word = match kind {
                0 => PeerWord::Wanted { ask, root: ROOT },
                1 => PeerWord::Have { ask, link, way: way(from) },
                2 => PeerWord::Meet { link, way: way(from) },
                _ => PeerWord::Unknown { word: 9 },
            };
            let acts = hears(&mut peer, from, PeerSignal { to: Some(device(id)), word }, now);
            prop_assert!(acts.len() <= 4);
            for act in acts {
                if let Act::Tell(PeerEvent::Asked(asked)) = act {
                    peer.offer(asked, UnixMillis(now), &mut rng());
                }
            }
            peer.on_time(UnixMillis(now));
            peer.clamp(UnixMillis(now / 2));
            prop_assert!(peer.take_acts().len() <= 2 * WAITING_MAX);
        }
    }
}
