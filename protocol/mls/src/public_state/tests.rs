//! The public state against groups of real OpenMLS members.

use super::*;
use crate::test_group::{CONVERSATION, Made, TestDevice, bytes, tree};
use openmls::prelude::{LeafNodeIndex, MlsGroup};

/// Alice's first device alone in a group of X25519 (fast), with what the relay knows of it.
fn alone(alice: &TestDevice) -> (MlsGroup, PublicState) {
    let group = alice.create(Suite::X25519);
    let state = state_of(alice, &group);
    (group, state)
}

fn state_of(device: &TestDevice, group: &MlsGroup) -> PublicState {
    PublicState::create(CONVERSATION, &device.group_info(group), &tree(group))
        .expect("a real group is taken in")
}

/// Alice adds a device; the relay and she take the commit.
fn add(alice: &TestDevice, group: &mut MlsGroup, state: PublicState, device: &TestDevice) -> PublicState {
    let Made { commit, group_info, .. } = alice.commit(group, &[device.key_package(state.suite())], &[]);
    let checked = state.check_commit(&commit).expect("a valid commit");
    checked.check_group_info(&group_info).expect("its group info");
    group.merge_pending_commit(&alice.provider).expect("her own commit");
    state.apply(checked).expect("the same epoch")
}

fn refused(state: &PublicState, commit: &[u8]) -> CommitRefusal {
    state.check_commit(commit).map(|checked| checked.summary).expect_err("the commit is refused")
}

#[test]
fn a_commit_is_followed_in_both_suites() {
    for suite in Suite::ALL {
        let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
        let mut group = alice.create(suite);
        let state = state_of(&alice, &group);
        assert_eq!((state.suite(), state.epoch(), state.members().len()), (suite, Epoch(0), 1));

        let Made { commit, group_info, .. } = alice.commit(&mut group, &[bob.key_package(suite)], &[]);
        let checked = state.check_commit(&commit).expect("a valid commit");
        assert_eq!(checked.check_group_info(&group_info), Ok(()));
        let summary = checked.summary();
        assert_eq!(summary.committer.certificate, alice.certificate);
        assert_eq!(summary.added, [bob.certificate]);
        assert!(summary.removed.is_empty() && !summary.external && !summary.rejoin);

        let state = state.apply(checked).expect("the same epoch");
        group.merge_pending_commit(&alice.provider).expect("her own commit");
        assert_eq!(state.epoch(), Epoch(1));
        assert_eq!(state.accounts(), BTreeSet::from([AccountId([1; 16]), AccountId([2; 16])]));
        assert_eq!(state.export_tree(), tree(&group));
    }
}

#[test]
fn a_snapshot_is_read_back_and_goes_on() {
    let (alice, bob, carol) = (TestDevice::new(1, 1), TestDevice::new(2, 2), TestDevice::new(3, 3));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let state = PublicState::from_snapshot(CONVERSATION, state.snapshot()).expect("its own snapshot");
    assert_eq!(state.members().len(), 2);
    let state = add(&alice, &mut group, state, &carol);
    assert_eq!(state.epoch(), Epoch(2));
}

#[test]
fn a_damaged_snapshot_is_reported() {
    let alice = TestDevice::new(1, 1);
    let (_, state) = alone(&alice);
    let snapshot = state.snapshot();
    for length in (0..snapshot.len()).step_by(7) {
        assert!(PublicState::from_snapshot(CONVERSATION, &snapshot[..length]).is_err(), "{length} bytes");
    }
    assert!(PublicState::from_snapshot(ConversationId([8; 16]), snapshot).is_err());
}

/// P-023.
#[test]
fn the_second_commit_of_an_epoch_loses() {
    let (alice, bob, carol) = (TestDevice::new(1, 1), TestDevice::new(2, 2), TestDevice::new(3, 3));
    let (mut group, state) = alone(&alice);
    let Made { commit: first, .. } = alice.commit(&mut group, &[bob.key_package(Suite::X25519)], &[]);
    group.clear_pending_commit(alice.provider.inner()).expect("nothing else pends");
    let Made { commit: second, .. } = alice.commit(&mut group, &[carol.key_package(Suite::X25519)], &[]);
    let (first_checked, second_checked) = (state.check_commit(&first), state.check_commit(&second));
    let state = state.apply(first_checked.expect("valid")).expect("the same epoch");
    let moved = EpochMoved { checked: Epoch(0), current: Epoch(1) };
    assert_eq!(state.apply(second_checked.expect("valid")).map(|state| state.epoch()), Err(moved));
    // Checked late, and replayed.
    let wrong = CommitRefusal::WrongEpoch { current: Epoch(1), got: Epoch(0) };
    assert_eq!(refused(&state, &second), wrong);
    assert_eq!(refused(&state, &first), wrong);
}

#[test]
fn a_removed_member_is_no_sender_any_more() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let index = state.leaf_of(bob.certificate.device()).expect("bob is in").index;
    let Made { commit, .. } = alice.commit(&mut group, &[], &[index]);
    let checked = state.check_commit(&commit).expect("a valid commit");
    assert_eq!(checked.summary().removed, [Leaf { index, certificate: bob.certificate }]);
    let state = state.apply(checked).expect("the same epoch");
    group.merge_pending_commit(&alice.provider).expect("her own commit");
    assert_eq!(state.leaf_of(bob.certificate.device()), None);

    // The best he can do: alice's next commit with his place as the sender.
    let Made { commit: mut forged, .. } = alice.commit(&mut group, &[], &[]);
    let sender = 4 + 17 + 8 + 1;
    assert_eq!(forged[sender..sender + 4], [0; 4], "alice sits at place 0");
    forged[sender + 3] = u8::try_from(index).expect("a small tree");
    assert_eq!(refused(&state, &forged), CommitRefusal::UnknownSender);
}

#[test]
fn a_commit_in_the_name_of_another_member_is_refused() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let Made { commit: mut forged, .. } = alice.commit(&mut group, &[], &[]);
    forged[4 + 17 + 8 + 1 + 3] = 1;
    assert_eq!(refused(&state, &forged), CommitRefusal::BadSignature);
}

#[test]
fn a_forged_certificate_is_refused() {
    let (alice, bob, mallory) = (TestDevice::new(1, 1), TestDevice::new(2, 2), TestDevice::new(4, 4));
    let (mut group, state) = alone(&alice);
    let package = mallory.key_package_showing(Suite::X25519, &bob.certificate);
    let Made { commit, .. } = alice.commit(&mut group, &[package], &[]);
    let refusal = CommitRefusal::Roster(CredentialError::AnotherKey.into());
    assert_eq!(refused(&state, &commit), refusal);
}

#[test]
fn a_device_twice_and_an_account_with_two_identities_are_refused() {
    let alice = TestDevice::new(1, 1);
    let (mut group, state) = alone(&alice);
    // The same device id of the same account under another key: only certificates tell.
    let mut again = TestDevice::new(1, 7);
    again = again.renamed(1, 1);
    let Made { commit, .. } = alice.commit(&mut group, &[again.key_package(Suite::X25519)], &[]);
    assert_eq!(
        refused(&state, &commit),
        CommitRefusal::Roster(RosterRefusal::DeviceTwice(DeviceId([1; 16])))
    );
    group.clear_pending_commit(alice.provider.inner()).expect("nothing else pends");

    let impostor = TestDevice::with_identity(1, 8, 66);
    let Made { commit, .. } = alice.commit(&mut group, &[impostor.key_package(Suite::X25519)], &[]);
    assert_eq!(
        refused(&state, &commit),
        CommitRefusal::Roster(RosterRefusal::TwoIdentities(AccountId([1; 16])))
    );
}

#[test]
fn a_commit_of_another_conversation_is_refused() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (_, state) = alone(&alice);
    let mut other = bob.create_in(Suite::X25519, ConversationId([8; 16]));
    let Made { commit, .. } = bob.commit(&mut other, &[], &[]);
    assert_eq!(refused(&state, &commit), CommitRefusal::OtherConversation);
}

#[test]
fn a_device_rejoins_by_external_commit_and_takes_its_own_place_only() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let Made { commit, group_info, .. } =
        bob.external_commit(&alice.group_info(&group), &state.export_tree());
    let checked = state.check_commit(&commit).expect("a valid rejoin");
    assert_eq!(checked.check_group_info(&group_info), Ok(()));
    assert!(checked.summary().external && checked.summary().rejoin);
    assert_eq!(checked.summary().committer.certificate, bob.certificate);
    assert_eq!(checked.summary().removed, []);
    assert_eq!(state.apply(checked).expect("the same epoch").members().len(), 2);
}

#[test]
fn a_new_device_joins_by_external_commit() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (group, state) = alone(&alice);
    let Made { commit, group_info, .. } =
        bob.external_commit(&alice.group_info(&group), &state.export_tree());
    let checked = state.check_commit(&commit).expect("a valid join; whether he may is decided elsewhere");
    assert_eq!(checked.check_group_info(&group_info), Ok(()));
    assert!(checked.summary().external && !checked.summary().rejoin);
}

#[test]
fn standalone_proposals_and_references_to_them_are_refused() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let (proposal, _) = group
        .propose_remove_member(&alice.provider, &alice, LeafNodeIndex::new(1))
        .expect("a proposal is made");
    assert_eq!(refused(&state, &bytes(&proposal)), CommitRefusal::NotACommit);
    let Made { commit, .. } = alice.commit(&mut group, &[], &[]);
    assert_eq!(refused(&state, &commit), CommitRefusal::ByReference);
}

#[test]
fn a_group_info_of_another_epoch_state_or_signer_is_refused() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let state = add(&alice, &mut group, state, &bob);
    let before = alice.group_info(&group);
    let Made { group_info: other, .. } = alice.commit(&mut group, &[], &[]);
    group.clear_pending_commit(alice.provider.inner()).expect("nothing else pends");
    let Made { commit, group_info: right, .. } = alice.commit(&mut group, &[], &[]);
    let checked = state.check_commit(&commit).expect("a valid commit");
    assert_eq!(checked.check_group_info(&before), Err(GroupInfoRefusal::WrongEpoch { due: 2, got: 1 }));
    assert_eq!(checked.check_group_info(&other), Err(GroupInfoRefusal::OtherState));
    assert_eq!(checked.check_group_info(&commit), Err(GroupInfoRefusal::Malformed));
    for place in 0..right.len() {
        let mut flipped = right.clone();
        flipped[place] ^= 1;
        assert!(checked.check_group_info(&flipped).is_err(), "byte {place}");
        assert!(checked.check_group_info(&right[..place]).is_err(), "{place} bytes");
    }
    assert_eq!(checked.check_group_info(&right), Ok(()));
}

#[test]
fn no_changed_byte_of_a_commit_passes_except_in_the_membership_tag() {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut group, state) = alone(&alice);
    let Made { commit, group_info, .. } = alice.commit(&mut group, &[bob.key_package(Suite::X25519)], &[]);
    // The membership tag (33 bytes with its length) is keyed with a secret of the group.
    for place in 0..commit.len() - 32 {
        let mut flipped = commit.clone();
        flipped[place] ^= 1;
        let passed =
            state.check_commit(&flipped).ok().filter(|checked| checked.check_group_info(&group_info).is_ok());
        assert!(passed.is_none(), "byte {place} of {}", commit.len());
    }
    for length in 0..commit.len() {
        assert!(state.check_commit(&commit[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_state_may_be_checked_against_on_any_thread() {
    fn any_thread<T: Send + Sync>() {}
    any_thread::<PublicState>();
    any_thread::<CheckedCommit>();
}
