//! Random actions against the simplest relay that could be: a list, a set and a counter.

use super::*;
use crate::append::{Decision, Refusal, decide};
use crate::commit::Roll;
use crate::quota::Quotas;
use proptest::prelude::*;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::Append;
use sotto_protocol::ids::{MessageNumber, UnixMillis};
use sotto_protocol::mls_header::private_application_prefix;

const C: ConversationId = ConversationId([9; 16]);

#[derive(Debug, Clone)]
enum Action {
    /// An account's device appends a number, this far from the one that is due, made for this much before the epoch.
    Append { account: u8, off: i64, epochs_ago: u64 },
    /// An owner commits: an account joins or leaves.
    Commit { account: u8 },
    /// An account says that it leaves.
    Leave { account: u8 },
    /// Everything is written down and read again.
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0u8..4, -2i64..2, 0u64..2).prop_map(|(account, off, epochs_ago)| Action::Append { account, off, epochs_ago }),
        2 => (1u8..4).prop_map(|account| Action::Commit { account }),
        1 => (1u8..4).prop_map(|account| Action::Leave { account }),
        1 => Just(Action::Restart),
    ]
}

/// What should be there.
#[derive(Default)]
struct Model {
    /// Account and number of each entry; commits and leaves have number 0.
    log: Vec<(u8, u64)>,
    members: BTreeSet<u8>,
    leaving: BTreeSet<u8>,
    epoch: u64,
    /// For each account the stretches in which it was a member.
    seen: BTreeMap<u8, Vec<(u64, Option<u64>)>>,
}

const fn account(number: u8) -> AccountId {
    AccountId([number; 16])
}

const fn device(number: u8) -> DeviceId {
    DeviceId([number; 16])
}

fn append(number: u64, epoch: u64) -> Append {
    Append {
        conversation: C,
        number: MessageNumber(number),
        message: private_application_prefix(C.as_bytes(), epoch).to_vec().into(),
        archive: Vec::new().into(),
        extensions: Extensions::default(),
    }
}

fn take(state: &mut State, kind: EntryKind, who: u8, number: u64) -> Sequence {
    let place = state.place(C).unwrap();
    let known = state.get(place).unwrap();
    let (sequence, epoch) = (known.head.next(), known.epoch);
    let head = EntryHead {
        sequence,
        time: UnixMillis(1),
        kind,
        account: account(who),
        device: device(who),
        number: MessageNumber(number),
        epoch,
    };
    state.append(place, ShardId(sequence.0 / 10), &head, 10);
    sequence
}

fn step(state: &mut State, model: &mut Model, action: Action) {
    match action {
        Action::Append { account: who, off, epochs_ago } => {
            let last =
                model.log.iter().filter(|(sender, number)| *sender == who && *number > 0).count() as u64;
            let number = (last + 1).saturating_add_signed(off).max(1);
            let epoch = model.epoch.saturating_sub(epochs_ago);
            let known = state.find(C);
            let got = decide(known, account(who), device(who), &append(number, epoch), &Quotas::NONE, 0);
            let due = if !model.members.contains(&who) || model.leaving.contains(&who) {
                Err(Refusal::NotMember)
            } else if number <= last {
                let place = model.log.iter().position(|entry| *entry == (who, number)).unwrap();
                Ok(Decision::Repeat(Some(Sequence(place as u64 + 1))))
            } else if number > last + 1 {
                Err(Refusal::Gap { due: MessageNumber(last + 1) })
            } else if epoch != model.epoch {
                Err(Refusal::Stale { current: Epoch(model.epoch) })
            } else {
                Ok(Decision::Accept(Sequence(model.log.len() as u64 + 1)))
            };
            assert_eq!(got, due);
            if let Ok(Decision::Accept(_)) = got {
                take(state, EntryKind::Application, who, number);
                model.log.push((who, number));
            }
        }
        Action::Commit { account: who } => {
            let joins = !model.members.contains(&who);
            let sequence = take(state, EntryKind::Commit, 0, 0);
            model.log.push((0, 0));
            let (joined, left) =
                if joins { (vec![account(who)], vec![]) } else { (vec![], vec![account(who)]) };
            let welcomed = if joins { vec![device(who)] } else { vec![] };
            let fact = Fact::Committed {
                conversation: C,
                sequence,
                joined,
                left,
                welcomed,
                welcome: None,
                group_info: Vec::new().into(),
            };
            state.apply(&fact);
            model.epoch += 1;
            let stretches = model.seen.entry(who).or_default();
            if joins {
                model.members.insert(who);
                stretches.push((sequence.0, None));
            } else {
                model.members.remove(&who);
                model.leaving.remove(&who);
                stretches.last_mut().unwrap().1 = Some(sequence.0);
            }
        }
        Action::Leave { account: who } => {
            if model.members.contains(&who) && model.leaving.insert(who) {
                let sequence = take(state, EntryKind::Leave, who, 0);
                state.apply(&Fact::Leaving { conversation: C, account: account(who), sequence });
                model.log.push((who, 0));
            }
        }
        Action::Restart => {
            let config = bincode::config::standard();
            let rows: Vec<Vec<u8>> =
                state.all().map(|(_, known)| bincode::encode_to_vec(known, config).unwrap()).collect();
            let waiting: Vec<_> =
                (0..4).map(|who| (device(who), state.waiting(device(who)).to_vec())).collect();
            let before = state.find(C).cloned();
            let conversations = rows.iter().map(|row| bincode::decode_from_slice(row, config).unwrap().0);
            let holdings: Vec<_> = state.holdings().map(|(who, holding)| (who, holding.clone())).collect();
            *state = State::restore(conversations, waiting, holdings);
            assert_eq!(state.find(C).cloned(), before);
        }
    }
}

/// Everything that an account sees, walked as a device walks it.
fn visible(known: &Conversation, who: u8) -> Vec<u64> {
    let (mut cursor, mut all) = (Sequence(0), Vec::new());
    while let Some((from, to)) = known.visible_after(account(who), cursor) {
        if from > to {
            break;
        }
        all.extend(from.0..=to.0);
        cursor = to;
    }
    all
}

proptest! {
    #[test]
    fn state_and_rules_are_what_a_list_would_be(actions in prop::collection::vec(action(), 0..80)) {
        let mut state = State::default();
        state.apply(&Fact::Created {
            conversation: C,
            kind: Kind::Group,
            history: HistoryPolicy::SinceJoining,
            creator: account(0),
            peer: None,
            listed_name: None,
            group_info: Vec::new().into(),
            tree: Vec::new().into(),
        });
        let mut model = Model { members: BTreeSet::from([0]), ..Model::default() };
        model.seen.insert(0, vec![(1, None)]);
        for action in actions {
            step(&mut state, &mut model, action);
            let known = state.find(C).unwrap();
            let head = model.log.len() as u64;
            prop_assert_eq!(known.head.0, head);
            prop_assert_eq!(known.stored_bytes(), head * 10);
            for who in 0..4 {
                let entries = model.log.iter().filter(|(sender, _)| *sender == who).count() as u64;
                prop_assert_eq!(state.held_by(account(who)), entries * 10);
                prop_assert_eq!(known.member(account(who)).is_some(), model.members.contains(&who));
                prop_assert_eq!(known.has_left(account(who)), model.leaving.contains(&who));
                let stretches = model.seen.get(&who).into_iter().flatten();
                let due: Vec<u64> = stretches.flat_map(|(since, until)| *since..=until.unwrap_or(head)).collect();
                prop_assert_eq!(visible(known, who), due);
                let is_mine = state.of_account(account(who)).count() == 1;
                prop_assert_eq!(is_mine, model.members.contains(&who));
            }
        }
    }
}
