//! Who is in, who was, and who learns nothing.

use super::*;
use sotto_protocol::body::connection::Done;
use sotto_protocol::body::conversation::{
    GetGroup, GetWelcomes, Group, Leave, List, Role, SetRole, State, States, WelcomeTaken, Welcomes, Which,
    leave_bytes,
};
use sotto_protocol::body::log::EntryKind;
use sotto_protocol::body::push::WelcomeWaiting;
use sotto_protocol::ids::Epoch;

/// Alice with Bob, whom she added.
struct Two {
    alice: TestDevice,
    bob: TestDevice,
    group: MlsGroup,
    a: Session,
    b: Session,
}

fn package(device: &TestDevice) -> Vec<u8> {
    device.key_package(Suite::X25519)
}

async fn two(world: &World) -> Two {
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let (mut a, mut b) = (world.session(1, 1), world.session(2, 2));
    let mut group = a.create(&alice, C).await;
    a.append(1, "before bob").await.unwrap();
    let made = alice.commit(&mut group, &[package(&bob)], &[]);
    let appended: Appended = a.ask(&commit_frame(made)).await.unwrap();
    assert_eq!((appended.sequence, appended.number), (Sequence(2), MessageNumber(0)));
    alice.merge(&mut group);
    let waiting: WelcomeWaiting = b.push().await;
    assert_eq!((waiting.conversation, waiting.epoch), (C, Epoch(1)));
    Two { alice, bob, group, a, b }
}

fn get_group(epoch: Option<u64>) -> GetGroup {
    GetGroup { conversation: C, epoch: epoch.map(Epoch), extensions: Extensions::default() }
}

fn list(which: Which) -> List {
    List { which, extensions: Extensions::default() }
}

#[tokio::test]
async fn an_added_device_gets_its_welcome_and_tree_and_sees_what_came_since() {
    let world = World::new();
    let Two { mut a, mut b, alice, mut group, bob: _ } = two(&world).await;
    // The conversation moves on before Bob comes: his epoch's tree is kept for him.
    let made = alice.commit(&mut group, &[], &[]);
    let _: Appended = a.ask(&commit_frame(made)).await.unwrap();
    let welcomes: Welcomes = b.ask(&GetWelcomes::default()).await.unwrap();
    let [welcome] = &welcomes.welcomes[..] else { panic!("one Welcome waits") };
    assert_eq!((welcome.epoch, welcome.sequence), (Epoch(1), Sequence(2)));
    let joining: Group = b.ask(&get_group(Some(1))).await.unwrap();
    assert_eq!((joining.epoch, joining.sequence), (Epoch(1), Sequence(2)));
    assert!(!joining.tree.is_empty());
    let current: Group = b.ask(&get_group(None)).await.unwrap();
    assert_eq!((current.epoch, current.sequence), (Epoch(2), Sequence(3)));
    assert_eq!(b.code(&get_group(Some(0))).await, ErrorCode::NotFound);
    // Since joining: the commit that added him, nothing before.
    let seen = b.fetch(0).await.unwrap();
    assert_eq!(seen.entries.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(seen.entries[0].kind, EntryKind::Commit);
    let taken = WelcomeTaken { conversation: C, epoch: Epoch(1), extensions: Extensions::default() };
    let _: Done = b.ask(&taken).await.unwrap();
    let welcomes: Welcomes = b.ask(&GetWelcomes::default()).await.unwrap();
    assert_eq!(welcomes.welcomes, []);
    assert_eq!(b.code(&get_group(Some(1))).await, ErrorCode::NotFound, "nobody waits for it");
    let states: States = b.ask(&list(Which::Mine)).await.unwrap();
    let [state] = &states.conversations[..] else { panic!("one conversation") };
    let members: Vec<_> =
        state.members.iter().map(|member| (&*member.username, member.role, member.since.0)).collect();
    assert_eq!(members, [("user1", Role::Owner, 0), ("user2", Role::Member, 2)]);
}

/// P-023.
#[tokio::test]
async fn the_first_valid_commit_of_an_epoch_wins_and_the_loser_is_told() {
    let world = World::new();
    let Two { mut a, mut b, alice, mut group, .. } = two(&world).await;
    let first = commit_frame(alice.commit(&mut group, &[], &[]));
    let id = a.send(&first).await;
    // The same bytes again are of an epoch that has ended.
    let again = a.send(&first).await;
    let (mut won, mut lost) = (0, 0);
    for _ in 0..2 {
        let frame = a.next().await;
        assert!([id, again].contains(&frame.header.id));
        match frame.decode::<Appended>() {
            Ok(appended) => {
                assert_eq!(appended.sequence, Sequence(3));
                won += 1;
            }
            Err(_) => {
                let error: WireError = frame.decode().unwrap();
                assert_eq!((error.code(), error.context), (Some(ErrorCode::EpochMoved), 2));
                lost += 1;
            }
        }
    }
    assert_eq!((won, lost), (1, 1));
    // Messages of the ended epoch are stale from now on.
    let stale: Result<Appended, _> = b.ask(&append(C, 1, 1, "x")).await;
    assert_eq!(stale.unwrap_err().context, 2);
    let _: Appended = b.ask(&append(C, 2, 1, "x")).await.unwrap();
    let forged: Commit = Commit { commit: vec![0, 1, 0, 1, 16].into(), ..first };
    assert_eq!(a.code(&forged).await, ErrorCode::CommitInvalid);
}

/// P-026.
#[tokio::test]
async fn a_removed_member_sees_its_removal_and_nothing_after() {
    let world = World::new();
    let Two { mut a, mut b, alice, bob, mut group } = two(&world).await;
    b.follow().await;
    let index = 1;
    assert_eq!(bob.certificate.device(), DeviceId([2; 16]));
    let made = alice.commit(&mut group, &[], &[index]);
    let removal: Appended = a.ask(&commit_frame(made)).await.unwrap();
    let run: Delivered = b.push().await;
    assert_eq!(run.entries[0].sequence, removal.sequence);
    let _: Appended = a.ask(&append(C, 2, 2, "about bob")).await.unwrap();
    let seen = b.fetch(0).await.unwrap();
    assert_eq!(seen.entries.last().unwrap().sequence, removal.sequence);
    assert_eq!(seen.head, removal.sequence, "not even how long the log is");
    assert_eq!(b.fetch(removal.sequence.0).await.unwrap().entries, []);
    assert_eq!(b.code(&append(C, 2, 1, "x")).await, ErrorCode::NotMember);
    assert_eq!(b.code(&get_group(None)).await, ErrorCode::NotMember);
    assert_eq!(b.follow().await, []);
    let states: States = b.ask(&list(Which::One(C))).await.unwrap();
    assert_eq!(states.conversations, []);
}

/// P-025.
#[tokio::test]
async fn a_stranger_cannot_tell_a_conversation_from_none() {
    let world = World::new();
    let Two { .. } = two(&world).await;
    let mut mallory = world.session(4, 4);
    for conversation in [C, ConversationId([7; 16])] {
        let fetch = fetch(conversation, 0, 10);
        assert_eq!(mallory.code(&fetch).await, ErrorCode::NotMember);
        let group = GetGroup { conversation, ..get_group(None) };
        assert_eq!(mallory.code(&group).await, ErrorCode::NotMember);
        let states: States = mallory.ask(&list(Which::One(conversation))).await.unwrap();
        assert_eq!(states.conversations, []);
        let commit = Commit {
            conversation,
            commit: vec![1].into(),
            group_info: vec![1].into(),
            welcome: None,
            extensions: Extensions::default(),
        };
        assert_eq!(mallory.code(&commit).await, ErrorCode::NotMember);
    }
}

#[tokio::test]
async fn an_admitted_account_joins_by_itself() {
    let world = World::new();
    let Two { .. } = two(&world).await;
    let carol = TestDevice::new(3, 3);
    let mut c = world.session(3, 3);
    assert_eq!(c.code(&get_group(None)).await, ErrorCode::NotMember);
    assert!(world.engine().may_invite(C, AccountId([1; 16])).await);
    assert!(!world.engine().may_invite(C, AccountId([2; 16])).await, "a member of a group makes no links");
    world.engine().admit(C, AccountId([3; 16])).await.unwrap();
    assert_eq!(
        world.engine().admit(ConversationId([7; 16]), AccountId([3; 16])).await,
        Err(AdmitError::NotFound)
    );
    let states: States = c.ask(&list(Which::Mine)).await.unwrap();
    assert_eq!(states.conversations[0].members, [], "the members are the members' business");
    let group: Group = c.ask(&get_group(None)).await.unwrap();
    let made = carol.external_commit(group.group_info.as_slice(), group.tree.as_slice());
    let appended: Appended = c.ask(&commit_frame(made)).await.unwrap();
    let seen = c.fetch(0).await.unwrap();
    assert_eq!(seen.entries.len(), 1, "since joining");
    assert_eq!(seen.entries[0].sequence, appended.sequence);
    let _: Appended = c.ask(&append(C, 2, 1, "hello")).await.unwrap();
}

#[tokio::test]
async fn who_leaves_says_so_with_a_signature_and_is_out_at_once() {
    let world = World::new();
    let Two { mut a, mut b, bob, alice, mut group } = two(&world).await;
    a.follow().await;
    let leave = |signature| Leave { conversation: C, signature, extensions: Extensions::default() };
    assert_eq!(b.code(&leave([0; 64])).await, ErrorCode::Forbidden);
    let signature = bob.signs(&leave_bytes(C, AccountId([2; 16])));
    let left: Appended = b.ask(&leave(signature)).await.unwrap();
    let run: Delivered = a.push().await;
    assert_eq!((run.entries[0].kind, run.entries[0].message.as_slice()), (EntryKind::Leave, &signature[..]));
    let again: Appended = b.ask(&leave(signature)).await.unwrap();
    assert_eq!(again.sequence, left.sequence);
    assert_eq!(b.code(&append(C, 1, 1, "x")).await, ErrorCode::NotMember);
    let made = alice.commit(&mut group, &[], &[1]);
    let _: Appended = a.ask(&commit_frame(made)).await.unwrap();
}

#[tokio::test]
async fn roles_are_set_by_owners_and_one_owner_stays() {
    let world = World::new();
    let Two { mut a, mut b, .. } = two(&world).await;
    let set = |account: u8, role| SetRole {
        conversation: C,
        account: AccountId([account; 16]),
        role,
        extensions: Extensions::default(),
    };
    assert_eq!(b.code(&set(2, Role::Owner)).await, ErrorCode::Forbidden);
    assert_eq!(a.code(&set(1, Role::Member)).await, ErrorCode::Forbidden, "the last owner");
    assert_eq!(a.code(&set(3, Role::Member)).await, ErrorCode::NotFound);
    let _: Done = a.ask(&set(2, Role::Owner)).await.unwrap();
    let _: Done = b.ask(&set(1, Role::Member)).await.unwrap();
}

#[tokio::test]
async fn there_is_one_direct_conversation_of_two_accounts_and_one_room_of_a_name() {
    let world = World::new();
    let (mut a, mut b) = (world.session(1, 1), world.session(2, 2));
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let direct = |device: &TestDevice, id: u8, peer: u8| {
        let id = ConversationId([id; 16]);
        let group = device.create_in(Suite::X25519, id);
        Create { kind: Kind::Direct, peer: Some(AccountId([peer; 16])), ..create(device, &group, id) }
    };
    let state: State = a.ask(&direct(&alice, 20, 2)).await.unwrap();
    assert_eq!((state.kind, state.members.len()), (Kind::Direct, 1));
    assert_eq!(b.code(&direct(&bob, 21, 1)).await, ErrorCode::Taken);
    let found: States = b.ask(&list(Which::DirectWith(AccountId([1; 16])))).await.unwrap();
    assert_eq!(found.conversations[0].conversation, ConversationId([20; 16]));
    let forgetful = TestDevice::new(1, 1);
    assert_eq!(a.code(&direct(&forgetful, 20, 3)).await, ErrorCode::Taken, "the id");
    let room = |device: &TestDevice, id: u8, name: &str| {
        let id = ConversationId([id; 16]);
        let group = device.create_in(Suite::X25519, id);
        Create { kind: Kind::Room, listed_name: Some(name.to_owned()), ..create(device, &group, id) }
    };
    let _: State = a.ask(&room(&alice, 30, "Lounge")).await.unwrap();
    assert_eq!(b.code(&room(&bob, 31, "lounge")).await, ErrorCode::Taken);
    assert_eq!(b.code(&room(&bob, 32, " ")).await, ErrorCode::Malformed);
    let listed: States = b.ask(&list(Which::ListedName("LOUNGE".to_owned()))).await.unwrap();
    assert_eq!(listed.conversations[0].conversation, ConversationId([30; 16]));
    // Two creations at once: one wins.
    let (one, other) = (direct(&alice, 40, 5), direct(&alice, 41, 5));
    a.handle.submit(vec![to_frame(RequestId(500), &one), to_frame(RequestId(501), &other)]).await.unwrap();
    let mut states = 0;
    for _ in 0..2 {
        states += usize::from(a.next().await.decode::<State>().is_ok());
    }
    assert_eq!(states, 1);
}
