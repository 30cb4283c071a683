//! What hostile or broken devices send, and the reason for which the relay refuses each.
//!
//! The engine is the real one, with its store on disk; the devices are real MLS members that may lie. Each
//! row of a table is one lie. After all of them the log holds exactly what honest devices were told it holds.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use bytes::{Bytes, BytesMut};
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::suite::Suite;
use sotto_mls::test_group::{Made, MlsGroup, TestDevice, tree};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{
    Create, HistoryPolicy, Kind, Leave, Role, SetRole, State, leave_bytes,
};
use sotto_protocol::body::log::{Append, Appended, Commit, Entries, EntryKind, Fetch};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Body, Frame};
use sotto_protocol::ids::{
    AccountId, ConversationId, DeviceId, MessageNumber, RequestId, Sequence, UnixMillis,
};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_protocol::mls_header::private_application_prefix;
use sotto_relay::engine::{Directory, Engine, EngineConfig, Outbound, SessionHandle};
use sotto_relay::store::SledOptions;
use std::sync::{Arc, Mutex};

const FIRST: ConversationId = ConversationId([9; 16]);
const OTHER: ConversationId = ConversationId([8; 16]);

/// The accounts' devices, as signaling would have registered them.
#[derive(Default)]
struct Registry(Mutex<Vec<DeviceCertificate>>);

impl Directory for Registry {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        let known = self.0.lock().unwrap();
        known.iter().find(|known| known.account() == account).map(|known| *known.identity_key())
    }

    fn username(&self, account: AccountId) -> Option<String> {
        Some(account.to_string())
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        let known = self.0.lock().unwrap();
        let same = |known: &&DeviceCertificate| known.account() == account && known.device() == device;
        known.iter().find(same).is_some_and(|known| known.device_key() == device_key)
    }
}

/// One attached device.
struct Session {
    handle: SessionHandle,
    outbound: Outbound,
    arrived: BytesMut,
    request: u32,
}

impl Session {
    fn attach(engine: &Engine, device: &TestDevice) -> Self {
        let (handle, outbound) = engine.attach(device.certificate.account(), device.certificate.device());
        Self { handle, outbound, arrived: BytesMut::new(), request: 0 }
    }

    /// The answer to a request, or why it was refused. What is pushed meanwhile is passed over.
    async fn ask<A: Body>(&mut self, request: &impl Body) -> Result<A, WireError> {
        self.request += 1;
        let id = RequestId(self.request);
        let mut bytes = BytesMut::from(frame::encode(id, request));
        let frame = Frame::take(&mut bytes, FRAME_BODY_BYTES_MAX).unwrap().unwrap();
        self.handle.submit(vec![frame]).await.expect("the engine runs");
        loop {
            while let Some(frame) = Frame::take(&mut self.arrived, FRAME_BODY_BYTES_MAX).unwrap() {
                if frame.header.id != id {
                    continue;
                }
                if frame.header.kind == WireError::KIND {
                    return Err(frame.decode().unwrap());
                }
                return Ok(frame.decode().expect("the answer that the protocol promises"));
            }
            let mut chunks: Vec<Bytes> = Vec::new();
            self.outbound.recv(&mut chunks).await.expect("the engine runs");
            for chunk in chunks {
                self.arrived.extend_from_slice(&chunk);
            }
        }
    }

    async fn log(&mut self, conversation: ConversationId) -> Vec<(Sequence, EntryKind, DeviceId)> {
        let fetch = Fetch { conversation, after: Sequence(0), limit: 512, extensions: Extensions::default() };
        let answer: Entries = self.ask(&fetch).await.expect("a member reads");
        answer.entries.iter().map(|entry| (entry.sequence, entry.kind, entry.device)).collect()
    }
}

/// A relay with two conversations of Alice; Bob was a member of the first and was removed.
///
/// The first one's log: 1 Bob is added, 2 Carol is added, 3 Bob is removed. It is at epoch 3.
struct Stage {
    _folder: tempfile::TempDir,
    registry: Arc<Registry>,
    alice: TestDevice,
    bob: TestDevice,
    carol: TestDevice,
    mallory: TestDevice,
    group: MlsGroup,
    other: MlsGroup,
    as_alice: Session,
    as_bob: Session,
    as_carol: Session,
    as_mallory: Session,
    /// The commit that added Bob, for replay.
    first_commit: Commit,
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::default());
        let clock = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            UnixMillis(u64::try_from(since.as_millis()).unwrap())
        };
        let config = EngineConfig::new(SledOptions::new(folder.path().join("log")));
        let (engine, _thread) = Engine::open(config, clock, registry.clone()).unwrap();
        let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
        let (carol, mallory) = (TestDevice::new(3, 3), TestDevice::new(4, 4));
        for device in [&alice, &bob, &carol, &mallory] {
            registry.0.lock().unwrap().push(device.certificate);
        }
        let mut as_alice = Session::attach(&engine, &alice);
        let group = alice.create_in(Suite::X25519, FIRST);
        let other = alice.create_in(Suite::X25519, OTHER);
        for (id, group) in [(FIRST, &group), (OTHER, &other)] {
            let create = Create {
                conversation: id,
                kind: Kind::Group,
                history: HistoryPolicy::SinceJoining,
                peer: None,
                listed_name: None,
                group_info: alice.group_info(group).into(),
                tree: tree(group).into(),
                extensions: Extensions::default(),
            };
            let _: State = as_alice.ask(&create).await.unwrap();
        }
        let mut stage = Self {
            _folder: folder,
            registry,
            as_bob: Session::attach(&engine, &bob),
            as_carol: Session::attach(&engine, &carol),
            as_mallory: Session::attach(&engine, &mallory),
            first_commit: frame_of(FIRST, Made { commit: vec![], group_info: vec![], welcome: None }),
            alice,
            bob,
            carol,
            mallory,
            group,
            other,
            as_alice,
        };
        stage.first_commit = stage.accepted(&[stage.bob.key_package(Suite::X25519)], &[]).await;
        stage.accepted(&[stage.carol.key_package(Suite::X25519)], &[]).await;
        stage.accepted(&[], &[1]).await;
        // For commits that are to be of the same epoch in another conversation.
        for _ in 0..3 {
            let commit = frame_of(OTHER, stage.alice.commit(&mut stage.other, &[], &[]));
            let _: Appended = stage.as_alice.ask(&commit).await.unwrap();
            stage.alice.merge(&mut stage.other);
        }
        stage
    }

    /// A commit of Alice that the relay accepts.
    async fn accepted(&mut self, adds: &[Vec<u8>], removes: &[u32]) -> Commit {
        let commit = self.made(adds, removes);
        let _: Appended = self.as_alice.ask(&commit).await.expect("an honest commit");
        self.alice.merge(&mut self.group);
        commit
    }

    /// A commit of Alice that is not sent yet.
    fn made(&mut self, adds: &[Vec<u8>], removes: &[u32]) -> Commit {
        self.group.clear_pending_commit(self.alice.provider.inner()).unwrap();
        frame_of(FIRST, self.alice.commit(&mut self.group, adds, removes))
    }

    /// A commit by which a device would join from what Alice has of the current epoch.
    fn joining(&self, device: &TestDevice) -> Commit {
        frame_of(FIRST, device.external_commit(&self.alice.group_info(&self.group), &tree(&self.group)))
    }
}

fn frame_of(conversation: ConversationId, made: Made) -> Commit {
    Commit {
        conversation,
        commit: made.commit.into(),
        group_info: made.group_info.into(),
        welcome: made.welcome.map(Into::into),
        extensions: Extensions::default(),
    }
}

fn altered(commit: &Commit, alter: impl FnOnce(&mut Vec<u8>)) -> Commit {
    let mut bytes = commit.commit.as_slice().to_vec();
    alter(&mut bytes);
    Commit { commit: bytes.into(), ..commit.clone() }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(
    what: &str,
    answer: Result<T, WireError>,
    code: ErrorCode,
    reason: &str,
) {
    let refused = answer.expect_err(what);
    assert_eq!(refused.code(), Some(code), "{what}: {refused}");
    assert!(refused.text.contains(reason), "{what}: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_commits_are_refused_each_for_its_reason() {
    use ErrorCode::{CommitInvalid, DeviceRefused, EpochMoved, NotMember};
    let mut stage = Stage::set().await;
    let honest = stage.made(&[], &[]);

    // Removed members and strangers, even with commits that are right in every other way.
    let not_member = "not a member";
    let returns = stage.joining(&stage.bob);
    assert_refused(
        "a removed member returns",
        stage.as_bob.ask::<Appended>(&returns).await,
        NotMember,
        not_member,
    );
    let answer = stage.as_bob.ask::<Appended>(&honest).await;
    assert_refused("a removed member sends a member's commit", answer, NotMember, not_member);
    let joins = stage.joining(&stage.mallory);
    assert_refused("a stranger joins", stage.as_mallory.ask::<Appended>(&joins).await, NotMember, not_member);
    let answer = stage.as_mallory.ask::<Appended>(&honest).await;
    assert_refused("a stranger sends a member's commit", answer, NotMember, not_member);
    let nowhere = Commit { conversation: ConversationId([7; 16]), ..honest.clone() };
    let answer = stage.as_mallory.ask::<Appended>(&nowhere).await;
    assert_refused("what does not exist is answered alike", answer, NotMember, not_member);

    // Members who lie.
    let answer = stage.as_carol.ask::<Appended>(&honest).await;
    assert_refused(
        "one member sends another's commit",
        answer,
        CommitInvalid,
        "not by the device that sends it",
    );
    let forged = stage.mallory.key_package_showing(Suite::X25519, &stage.bob.certificate);
    let forged = stage.made(&[forged], &[]);
    let reason = "signature key is not the certified device key";
    assert_refused(
        "a forged certificate",
        stage.as_alice.ask::<Appended>(&forged).await,
        CommitInvalid,
        reason,
    );
    let impostor = TestDevice::with_identity(2, 6, 66).key_package(Suite::X25519);
    let impostor = stage.made(&[impostor], &[]);
    let reason = "is not the one it registered";
    assert_refused(
        "another identity",
        stage.as_alice.ask::<Appended>(&impostor).await,
        CommitInvalid,
        reason,
    );
    let unlisted = TestDevice::new(2, 7).key_package(Suite::X25519);
    let unlisted = stage.made(&[unlisted], &[]);
    let answer = stage.as_alice.ask::<Appended>(&unlisted).await;
    assert_refused("a device that is not listed", answer, DeviceRefused, "is not registered");

    // The wrong time and place.
    let replayed = stage.first_commit.clone();
    assert_refused("replayed", stage.as_alice.ask::<Appended>(&replayed).await, EpochMoved, "");
    let early = altered(&honest, |bytes| bytes[4 + 17 + 7] += 1);
    assert_refused("of a later epoch", stage.as_alice.ask::<Appended>(&early).await, EpochMoved, "");
    let late = stage.as_alice.ask::<Appended>(&replayed).await.unwrap_err();
    assert_eq!(late.context, 3, "the loser is told the current epoch");
    let crossed = frame_of(OTHER, stage.alice.commit(&mut stage.other, &[], &[]));
    let crossed = Commit { conversation: FIRST, ..crossed };
    let answer = stage.as_alice.ask::<Appended>(&crossed).await;
    assert_refused("of another conversation", answer, CommitInvalid, "of another conversation");

    // Damaged on the way, or made by a broken program.
    for length in [0, 1, 30, 100, honest.commit.len() - 1] {
        let cut = altered(&honest, |bytes| bytes.truncate(length));
        let answer = stage.as_alice.ask::<Appended>(&cut).await;
        assert_refused(&format!("cut to {length}"), answer, CommitInvalid, "not an MLS message");
    }
    let longer = altered(&honest, |bytes| bytes.push(0));
    let answer = stage.as_alice.ask::<Appended>(&longer).await;
    assert_refused("with a byte more", answer, CommitInvalid, "not an MLS message");
    let beside = Commit { group_info: replayed.group_info.clone(), ..honest.clone() };
    let answer = stage.as_alice.ask::<Appended>(&beside).await;
    assert_refused("an old group info", answer, CommitInvalid, "the group info is of epoch 1");
    let carols_second = TestDevice::new(3, 5);
    stage.registry.0.lock().unwrap().push(carols_second.certificate);
    let silent = Commit { welcome: None, ..stage.made(&[carols_second.key_package(Suite::X25519)], &[]) };
    let answer = stage.as_alice.ask::<Appended>(&silent).await;
    assert_refused("adds without a Welcome", answer, CommitInvalid, "Welcome");
    let mut message = private_application_prefix(FIRST.as_bytes(), 3).to_vec();
    message.extend([0; 64]);
    let no_commit = Commit { commit: message.into(), ..honest.clone() };
    let answer = stage.as_alice.ask::<Appended>(&no_commit).await;
    assert_refused("an application message", answer, CommitInvalid, "");

    // Every 16th byte of a commit, one bit at a time; the last 32 are the membership tag, which only members check.
    let honest = stage.made(&[], &[]);
    for place in (0..honest.commit.len() - 32).step_by(16) {
        let flipped = altered(&honest, |bytes| bytes[place] ^= 0x10);
        let refused = stage.as_alice.ask::<Appended>(&flipped).await.expect_err("a flipped bit");
        assert!(matches!(refused.code(), Some(CommitInvalid | EpochMoved)), "byte {place}: {refused}");
    }

    // Nothing of it left a trace, and the honest commit is taken.
    let taken: Appended = stage.as_alice.ask(&honest).await.expect("the honest commit");
    assert_eq!(taken.sequence, Sequence(4));
    let alice = stage.alice.certificate.device();
    let expected: Vec<_> = (1..=4).map(|place| (Sequence(place), EntryKind::Commit, alice)).collect();
    assert_eq!(stage.as_alice.log(FIRST).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_are_refused_each_for_its_reason() {
    use ErrorCode::{Forbidden, Malformed, NotMember, NumberGap, Stale};
    let mut stage = Stage::set().await;
    let message = |conversation: ConversationId, epoch: u64| {
        let mut bytes = private_application_prefix(conversation.as_bytes(), epoch).to_vec();
        bytes.extend([0x5a; 200]);
        bytes
    };
    let append = |number: u64, message: Vec<u8>| Append {
        conversation: FIRST,
        number: MessageNumber(number),
        message: message.into(),
        archive: vec![1; 40].into(),
        extensions: Extensions::default(),
    };
    let honest = append(1, message(FIRST, 3));

    let answer = stage.as_bob.ask::<Appended>(&honest).await;
    assert_refused("by a removed member", answer, NotMember, "not a member");
    let answer = stage.as_mallory.ask::<Appended>(&honest).await;
    assert_refused("by a stranger", answer, NotMember, "not a member");
    for (what, append, code, context) in [
        ("of an ended epoch", append(1, message(FIRST, 2)), Stale, 3),
        ("of an epoch to come", append(1, message(FIRST, 4)), Stale, 3),
        ("with a number skipped", append(2, message(FIRST, 3)), NumberGap, 1),
        ("with number 0", append(0, message(FIRST, 3)), Malformed, 0),
        ("of another conversation", append(1, message(OTHER, 3)), Malformed, 0),
        ("cut in its header", append(1, message(FIRST, 3)[..29].to_vec()), Malformed, 0),
        ("empty", append(1, Vec::new()), Malformed, 0),
        (
            "a proposal in disguise",
            append(1, {
                let mut m = message(FIRST, 3);
                m[29] = 2;
                m
            }),
            Malformed,
            0,
        ),
        ("a commit as a message", append(1, stage.first_commit.commit.as_slice().to_vec()), Malformed, 0),
    ] {
        let refused = stage.as_alice.ask::<Appended>(&append).await.expect_err(what);
        assert_eq!((refused.code(), refused.context), (Some(code), context), "{what}: {refused}");
    }

    // A repeat, even of other bytes under the same number, is answered with the entry that is there.
    let first: Appended = stage.as_alice.ask(&honest).await.expect("an honest message");
    for repeat in
        [honest.clone(), append(1, message(FIRST, 2)), append(1, [message(FIRST, 3), vec![1]].concat())]
    {
        let again: Appended = stage.as_alice.ask(&repeat).await.expect("a repeat is answered");
        assert_eq!((again.sequence, again.number), (first.sequence, MessageNumber(1)));
    }

    // Leaving in another's name, and roles that are not one's to give.
    let leave = |signature| Leave { conversation: FIRST, signature, extensions: Extensions::default() };
    let answer = stage.as_carol.ask::<Appended>(&leave([7; 64])).await;
    assert_refused("an unsigned leave", answer, Forbidden, "not signed");
    let alices = stage.alice.signs(&leave_bytes(FIRST, stage.carol.certificate.account()));
    let answer = stage.as_carol.ask::<Appended>(&leave(alices)).await;
    assert_refused("a leave signed by somebody else", answer, Forbidden, "not signed");
    let promote = SetRole {
        conversation: FIRST,
        account: stage.carol.certificate.account(),
        role: Role::Owner,
        extensions: Extensions::default(),
    };
    let answer = stage.as_carol.ask::<sotto_protocol::body::connection::Done>(&promote).await;
    assert_refused("a member promotes itself", answer, Forbidden, "Owner");
    let answer = stage.as_bob.ask::<sotto_protocol::body::connection::Done>(&promote).await;
    assert_refused("a removed member sets roles", answer, NotMember, "not a member");

    // The removed member reads up to its removal; the stranger nothing.
    let bobs = stage.as_bob.log(FIRST).await;
    assert_eq!(bobs.last().map(|(place, _, _)| *place), Some(Sequence(3)));
    let fetch =
        Fetch { conversation: FIRST, after: Sequence(0), limit: 9, extensions: Extensions::default() };
    let answer = stage.as_mallory.ask::<Entries>(&fetch).await;
    assert_refused("a stranger reads", answer, NotMember, "not a member");

    let log = stage.as_alice.log(FIRST).await;
    assert_eq!(log.len(), 4, "three commits and one message");
    assert_eq!(log[3].1, EntryKind::Application);
}
