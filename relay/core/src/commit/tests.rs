//! Commits of real members, judged by roles and directory.

use super::*;
use sotto_mls::public_state::Leaf;
use sotto_mls::suite::Suite;
use sotto_mls::test_group::{CONVERSATION, Made, MlsGroup, TestDevice, tree};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::ConversationId;
use std::collections::{BTreeMap, BTreeSet};

const ALICE: AccountId = AccountId([1; 16]);
const BOB: AccountId = AccountId([2; 16]);
const CAROL: AccountId = AccountId([3; 16]);
const MALLORY: AccountId = AccountId([4; 16]);

/// What the relay knows, as plain values.
struct World {
    kind: Kind,
    pair: Option<[AccountId; 2]>,
    roles: BTreeMap<AccountId, Role>,
    leaving: BTreeSet<AccountId>,
    admitted: BTreeSet<AccountId>,
    registered: Vec<DeviceCertificate>,
    alice: TestDevice,
    group: MlsGroup,
    state: PublicState,
}

impl Roll for World {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn pair(&self) -> Option<[AccountId; 2]> {
        self.pair
    }

    fn role(&self, account: AccountId) -> Option<Role> {
        self.roles.get(&account).copied()
    }

    fn has_left(&self, account: AccountId) -> bool {
        self.leaving.contains(&account)
    }

    fn is_admitted(&self, account: AccountId) -> bool {
        self.admitted.contains(&account)
    }

    fn is_former(&self, _account: AccountId) -> bool {
        false
    }
}

impl Identities for World {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        self.registered.iter().find(|known| known.account() == account).map(|known| *known.identity_key())
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        let same = |known: &&DeviceCertificate| known.account() == account && known.device() == device;
        self.registered.iter().find(same).is_some_and(|known| known.device_key() == device_key)
    }
}

impl World {
    /// Alice alone, in a role.
    fn new(kind: Kind, role: Role) -> Self {
        let alice = TestDevice::new(1, 1);
        let group = alice.create(Suite::X25519);
        let state = PublicState::create(CONVERSATION, &alice.group_info(&group), &tree(&group)).unwrap();
        Self {
            kind,
            pair: (kind == Kind::Direct).then_some([ALICE, BOB]),
            roles: BTreeMap::from([(ALICE, role)]),
            leaving: BTreeSet::new(),
            admitted: BTreeSet::new(),
            registered: vec![alice.certificate],
            alice,
            group,
            state,
        }
    }

    /// Alice with a member that she added, as nobody asks here.
    fn with(kind: Kind, role: Role, others: &[(&TestDevice, Role)]) -> Self {
        let mut world = Self::new(kind, role);
        for (device, role) in others {
            let commit = world.alice_commits(&[device], &[]);
            let verified = verify(&world.state, &commit).unwrap();
            world.state = verified.next().clone();
            world.alice.merge(&mut world.group);
            world.roles.insert(device.certificate.account(), *role);
        }
        world
    }

    fn alice_commits(&mut self, adds: &[&TestDevice], removes: &[&TestDevice]) -> Commit {
        self.registered.extend(adds.iter().map(|device| device.certificate));
        let packages: Vec<_> = adds.iter().map(|device| device.key_package(Suite::X25519)).collect();
        let removes: Vec<_> = removes.iter().map(|device| self.leaf(device).index).collect();
        self.group.clear_pending_commit(self.alice.provider.inner()).unwrap();
        frame(self.alice.commit(&mut self.group, &packages, &removes))
    }

    fn joins_alone(&mut self, device: &TestDevice) -> Commit {
        self.registered.push(device.certificate);
        frame(device.external_commit(&self.alice.group_info(&self.group), &self.state.export_tree()))
    }

    fn leaf(&self, device: &TestDevice) -> Leaf {
        *self.state.leaf_of(device.certificate.device()).unwrap()
    }

    fn judge(&self, commit: &Commit, asker: Asker) -> Result<MembershipChange, CommitRefused> {
        may_commit(asker, self)?;
        decide(&verify(&self.state, commit)?, &self.state, asker, self, self)
    }

    fn judge_alice(&self, commit: &Commit) -> Result<MembershipChange, CommitRefused> {
        self.judge(commit, asker(&self.alice))
    }
}

fn frame(made: Made) -> Commit {
    Commit {
        conversation: CONVERSATION,
        commit: made.commit.into(),
        group_info: made.group_info.into(),
        welcome: made.welcome.map(Into::into),
        extensions: Extensions::default(),
    }
}

fn asker(device: &TestDevice) -> Asker {
    Asker { account: device.certificate.account(), device: device.certificate.device() }
}

fn joined(device: &TestDevice, welcomed: bool) -> MembershipChange {
    MembershipChange {
        joined: vec![device.certificate.account()],
        left: Vec::new(),
        welcomed: if welcomed { vec![asker(device)] } else { Vec::new() },
    }
}

#[test]
fn a_member_adds_to_a_group_and_a_moderator_to_a_room() {
    let bob = TestDevice::new(2, 2);
    for (kind, role, answer) in [
        (Kind::Group, Role::Member, Ok(joined(&bob, true))),
        (Kind::Room, Role::Member, Err(Denied::NeedsRole(Role::Moderator).into())),
        (Kind::Room, Role::Moderator, Ok(joined(&bob, true))),
        (Kind::Direct, Role::Owner, Ok(joined(&bob, true))),
    ] {
        let mut world = World::new(kind, role);
        let commit = world.alice_commits(&[&bob], &[]);
        assert_eq!(world.judge_alice(&commit), answer, "{kind:?} {role:?}");
    }
}

#[test]
fn a_direct_conversation_never_has_a_third_account() {
    let (bob, carol) = (TestDevice::new(2, 2), TestDevice::new(3, 3));
    let mut world = World::with(Kind::Direct, Role::Owner, &[(&bob, Role::Owner)]);
    let commit = world.alice_commits(&[&carol], &[]);
    assert_eq!(world.judge_alice(&commit), Err(Denied::DirectStaysTwo.into()));
    world.admitted.insert(CAROL);
    let commit = world.joins_alone(&carol);
    assert_eq!(world.judge(&commit, asker(&carol)), Err(Denied::NotMember.into()));
    let commit = world.alice_commits(&[], &[&bob]);
    assert_eq!(world.judge_alice(&commit), Err(Denied::DirectStaysTwo.into()));
    let second = TestDevice::new(2, 5).renamed(2, 5);
    let commit = world.alice_commits(&[&second], &[]);
    let change = world.judge_alice(&commit).unwrap();
    assert!(change.joined.is_empty(), "a further device of bob is nobody new");
    assert_eq!(change.welcomed, [asker(&second)]);
}

#[test]
fn members_are_removed_by_those_who_may() {
    let bob = TestDevice::new(2, 2);
    let gone = MembershipChange { left: vec![BOB], ..MembershipChange::default() };
    for (role, target, leaves, answer) in [
        (Role::Member, Role::Member, false, Err(Denied::NeedsRole(Role::Moderator).into())),
        (Role::Member, Role::Owner, true, Ok(gone.clone())),
        (Role::Moderator, Role::Member, false, Ok(gone.clone())),
        (Role::Moderator, Role::Owner, false, Err(Denied::AboveYou.into())),
        (Role::Owner, Role::Owner, false, Ok(gone)),
    ] {
        let mut world = World::with(Kind::Group, role, &[(&bob, target)]);
        if leaves {
            world.leaving.insert(BOB);
        }
        let commit = world.alice_commits(&[], &[&bob]);
        assert_eq!(world.judge_alice(&commit), answer, "{role:?} removes {target:?}, leaving: {leaves}");
    }
}

#[test]
fn a_single_device_of_another_account_is_removed_only_when_it_is_lost() {
    let (first, second) = (TestDevice::new(2, 2), TestDevice::new(2, 3));
    let mut world = World::with(Kind::Group, Role::Owner, &[(&first, Role::Member), (&second, Role::Member)]);
    let commit = world.alice_commits(&[], &[&second]);
    assert_eq!(world.judge_alice(&commit), Err(Denied::NotYourDevice.into()));
    world.registered.retain(|known| *known != second.certificate);
    assert_eq!(world.judge_alice(&commit), Ok(MembershipChange::default()));
}

#[test]
fn joining_alone_needs_to_be_admitted_and_a_members_devices_are() {
    let (bob, bobs_second) = (TestDevice::new(2, 2), TestDevice::new(2, 3));
    for kind in [Kind::Group, Kind::Room] {
        let mut world = World::new(kind, Role::Owner);
        let commit = world.joins_alone(&bob);
        assert_eq!(world.judge(&commit, asker(&bob)), Err(Denied::NotMember.into()));
        world.admitted.insert(BOB);
        assert_eq!(world.judge(&commit, asker(&bob)), Ok(joined(&bob, false)));
    }
    let mut world = World::with(Kind::Group, Role::Owner, &[(&bob, Role::Member)]);
    for device in [&bobs_second, &bob] {
        let commit = world.joins_alone(device);
        assert_eq!(
            world.judge(&commit, asker(device)),
            Ok(MembershipChange::default()),
            "further device, rejoin"
        );
    }
    world.leaving.insert(BOB);
    let commit = world.joins_alone(&bob);
    assert_eq!(
        world.judge(&commit, asker(&bob)),
        Err(Denied::NotMember.into()),
        "who leaves is outside already"
    );
}

#[test]
fn a_removed_member_is_refused_before_its_commit_is_looked_at() {
    let bob = TestDevice::new(2, 2);
    let mut world = World::with(Kind::Group, Role::Owner, &[(&bob, Role::Member)]);
    world.roles.remove(&BOB);
    let nonsense = Commit { commit: vec![1, 2, 3].into(), ..world.alice_commits(&[], &[]) };
    assert_eq!(world.judge(&nonsense, asker(&bob)), Err(Denied::NotMember.into()));
    let stranger = Asker { account: MALLORY, device: DeviceId([4; 16]) };
    assert_eq!(world.judge(&nonsense, stranger), Err(Denied::NotMember.into()));
    assert_eq!(world.judge_alice(&nonsense), Err(CommitRefusal::Malformed.into()));
}

#[test]
fn a_commit_sent_by_another_device_than_its_committer_is_refused() {
    let bob = TestDevice::new(2, 2);
    let mut world = World::with(Kind::Group, Role::Owner, &[(&bob, Role::Owner)]);
    let commit = world.alice_commits(&[], &[]);
    assert_eq!(world.judge(&commit, asker(&bob)), Err(CommitRefused::NotTheSender));
    let other = Asker { device: DeviceId([77; 16]), ..asker(&world.alice) };
    assert_eq!(world.judge(&commit, other), Err(CommitRefused::NotTheSender));
}

#[test]
fn the_directory_has_the_last_word_on_keys() {
    let mut world = World::new(Kind::Group, Role::Owner);
    // Certified by another identity key than bob's.
    let impostor = TestDevice::with_identity(2, 2, 99);
    let commit = world.alice_commits(&[&impostor], &[]);
    world.registered = vec![world.alice.certificate, TestDevice::new(2, 2).certificate];
    assert_eq!(world.judge_alice(&commit), Err(CommitRefused::OtherIdentity(BOB)));
    // Certified, and not on bob's list.
    let unlisted = TestDevice::new(2, 6);
    let commit = world.alice_commits(&[&unlisted], &[]);
    world.registered.pop();
    assert_eq!(world.judge_alice(&commit), Err(CommitRefused::DeviceNotRegistered(DeviceId([6; 16]))));
    // The committer itself was taken off its account's list meanwhile.
    let commit = world.alice_commits(&[], &[]);
    world.registered = vec![TestDevice::new(1, 9).certificate];
    assert_eq!(world.judge_alice(&commit), Err(CommitRefused::DeviceNotRegistered(DeviceId([1; 16]))));
}

#[test]
fn a_welcome_comes_with_adds_and_only_then() {
    let bob = TestDevice::new(2, 2);
    let mut world = World::new(Kind::Group, Role::Owner);
    let missing = Commit { welcome: None, ..world.alice_commits(&[&bob], &[]) };
    assert_eq!(world.judge_alice(&missing), Err(CommitRefused::Welcome));
    let superfluous = Commit { welcome: Some(vec![0].into()), ..world.alice_commits(&[], &[]) };
    assert_eq!(world.judge_alice(&superfluous), Err(CommitRefused::Welcome));
    let large = vec![0; WELCOME_BYTES_MAX + 1];
    let large = Commit { welcome: Some(large.into()), ..world.alice_commits(&[&bob], &[]) };
    assert_eq!(world.judge_alice(&large), Err(CommitRefused::Welcome));
}

/// P-023.
#[test]
fn a_commit_that_was_verified_too_early_has_lost_the_race() {
    let (bob, carol) = (TestDevice::new(2, 2), TestDevice::new(3, 3));
    let mut world = World::new(Kind::Group, Role::Owner);
    let (late, first) = (world.alice_commits(&[&carol], &[]), world.alice_commits(&[&bob], &[]));
    let late = verify(&world.state, &late).unwrap();
    let first = verify(&world.state, &first).unwrap();
    world.state = first.next().clone();
    let refused = decide(&late, &world.state, asker(&world.alice), &world, &world).unwrap_err();
    assert_eq!(refused, CommitRefusal::WrongEpoch { current: Epoch(1), got: Epoch(0) }.into());
    assert_eq!(refused.code(), ErrorCode::EpochMoved);
}

#[test]
fn a_conversation_begins_with_its_creator_alone() {
    let world = World::new(Kind::Group, Role::Owner);
    let create = Create {
        conversation: CONVERSATION,
        kind: Kind::Group,
        history: HistoryPolicy::SinceJoining,
        peer: None,
        listed_name: None,
        group_info: world.alice.group_info(&world.group).into(),
        tree: tree(&world.group).into(),
        extensions: Extensions::default(),
    };
    let alice = asker(&world.alice);
    let judged = |create: &Create, asker| verify_create(create, asker, &world).map(|state| state.epoch());
    assert_eq!(judged(&create, alice), Ok(Epoch(0)));
    let other = Create { conversation: ConversationId([8; 16]), ..create.clone() };
    assert_eq!(judged(&other, alice), Err(GroupRefusal::OtherConversation.into()));
    let stranger = Asker { account: MALLORY, ..alice };
    assert_eq!(judged(&create, stranger), Err(CreateRefused::NotRegistered));
    for inconsistent in [
        Create { kind: Kind::Direct, ..create.clone() },
        Create { kind: Kind::Direct, peer: Some(ALICE), ..create.clone() },
        Create { peer: Some(BOB), ..create.clone() },
        Create { listed_name: Some("room".into()), ..create.clone() },
    ] {
        assert_eq!(judged(&inconsistent, alice), Err(CreateRefused::Inconsistent));
    }

    let world = World::with(Kind::Group, Role::Owner, &[(&TestDevice::new(2, 2), Role::Member)]);
    let grown = Create {
        group_info: world.alice.group_info(&world.group).into(),
        tree: tree(&world.group).into(),
        ..create.clone()
    };
    assert_eq!(verify_create(&grown, alice, &world).map(|_| ()), Err(CreateRefused::NotNew));
}
