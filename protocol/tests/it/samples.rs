//! One value of every kind of frame, and of every variant that has a number on the wire.

use bytes::{Bytes, BytesMut};
use sotto_protocol::body::connection::{Authenticate, Challenge, Done, Goodbye, Hello, Ping, Pong, Ready};
use sotto_protocol::body::conversation::{
    Create, GetGroup, GetWelcomes, Group, HistoryPolicy, Kind, Leave, List, Member, Role, SetRole, State,
    States, Welcome, WelcomeTaken, Welcomes, Which,
};
use sotto_protocol::body::directory::{
    AccountCard, ClaimKeyPackages, ClaimedKeyPackage, KeyPackageStock, KeyPackages, LookUp, LookUpBy,
    PublishKeyPackages,
};
use sotto_protocol::body::log::{
    Append, Appended, ArchiveEntries, ArchiveEntry, Commit, Entries, Entry, EntryKind, Fetch, FetchArchive,
    Follow, Followed, SendEphemeral, SetPresence,
};
use sotto_protocol::body::push::{
    Behind, Delivered, Ephemeral, KeyPackagesLow, Presence, WelcomeWaiting, WhoIsHere,
};
use sotto_protocol::body::{Extensions, kind_name};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body, Frame, FrameError, FrameKind, encode};
use sotto_protocol::ids::{
    AccountId, ConversationId, DeviceId, Epoch, MessageNumber, RequestId, Sequence, UnixMillis,
};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_protocol::payload::Payload;
use std::fmt::Debug;

/// `Ok(true)` if the frame decodes to the value.
type Check = Box<dyn Fn(&Frame) -> Result<bool, FrameError>>;

/// A value as a whole frame, with the means to check that bytes still decode to it.
pub(crate) struct Sample {
    /// `0030-log-append`, with what is special about it at the end.
    pub(crate) name: String,
    pub(crate) kind: FrameKind,
    pub(crate) bytes: Bytes,
    pub(crate) decodes_to_it: Check,
}

/// The one frame in `bytes`.
pub(crate) fn frame(bytes: &[u8]) -> Frame {
    let mut buffer = BytesMut::from(bytes);
    let frame = Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX).expect("a header").expect("a whole frame");
    assert!(buffer.is_empty(), "one frame and nothing after it");
    frame
}

fn sample<B: Body + PartialEq + Debug + 'static>(id: u32, special: &str, value: B) -> Sample {
    let place = kind_name(B::KIND).replace("::", "-");
    let mut name = format!("{:04x}-{}", B::KIND.0, kebab(&place));
    if !special.is_empty() {
        name = format!("{name}-{special}");
    }
    Sample {
        name,
        kind: B::KIND,
        bytes: encode(RequestId(id), &value),
        decodes_to_it: Box::new(move |frame| Ok(frame.decode::<B>()? == value)),
    }
}

/// `log-FetchArchive` as `log-fetch-archive`.
fn kebab(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn bytes(first: u8, length: u8) -> Payload {
    (0..length).map(|place| first.wrapping_add(place)).collect::<Vec<u8>>().into()
}

const ALICE: AccountId = AccountId(*b"account of alice");
const BOB: AccountId = AccountId(*b"account of bob..");
const PHONE: DeviceId = DeviceId(*b"device: a phone.");
const TALK: ConversationId = ConversationId(*b"a conversation..");
const NOW: UnixMillis = UnixMillis(1_795_000_000_123);

fn none() -> Extensions {
    Extensions::default()
}

/// Every sample of version 1.
pub(crate) fn all() -> Vec<Sample> {
    let mut samples = connection();
    samples.extend(directory());
    samples.extend(conversations());
    samples.extend(log());
    samples.extend(push());
    samples
}

fn connection() -> Vec<Sample> {
    vec![
        sample(
            1,
            "",
            Hello { version_min: 1, version_max: 1, agent: "sotto/0.1.0".into(), extensions: none() },
        ),
        sample(
            1,
            "with-extensions",
            Hello {
                version_min: 1,
                version_max: 9,
                agent: "sotto/0.9.0".into(),
                extensions: Extensions(vec![(1, bytes(1, 3)), (65_535, bytes(0, 0))]),
            },
        ),
        sample(0, "", Challenge { nonce: [7; 32], extensions: none() }),
        sample(
            2,
            "",
            Authenticate {
                access_token: "header.claims.signature".into(),
                device: PHONE,
                signature: [9; 64],
                extensions: none(),
            },
        ),
        sample(
            2,
            "",
            Ready {
                account: ALICE,
                time: NOW,
                observed_address: "[2001:db8::7]:50123".into(),
                extensions: none(),
            },
        ),
        sample(3, "", Ping::default()),
        sample(3, "", Pong::default()),
        sample(
            4,
            "",
            WireError::new(ErrorCode::EpochMoved, "another commit of this epoch was first")
                .with_context(70_000),
        ),
        sample(
            5,
            "to-come-back",
            WireError::new(ErrorCode::RateLimited, "too many requests").with_retry_after_ms(2_500),
        ),
        sample(
            0,
            "",
            Goodbye { reason: "the relay restarts".into(), reconnect_after_ms: 500, extensions: none() },
        ),
        sample(6, "", Done::default()),
    ]
}

fn directory() -> Vec<Sample> {
    vec![
        sample(
            10,
            "",
            PublishKeyPackages {
                packages: vec![bytes(1, 4), bytes(5, 4)],
                last_resort: Some(bytes(9, 4)),
                extensions: none(),
            },
        ),
        sample(
            10,
            "no-last-resort",
            PublishKeyPackages { packages: vec![bytes(1, 4)], last_resort: None, extensions: none() },
        ),
        sample(10, "", KeyPackageStock { count: 100, extensions: none() }),
        sample(11, "", ClaimKeyPackages { account: BOB, suites: vec![0x004d, 0x0003], extensions: none() }),
        sample(
            11,
            "",
            KeyPackages {
                packages: vec![
                    ClaimedKeyPackage { device: PHONE, package: bytes(1, 5), last_resort: false },
                    ClaimedKeyPackage { device: PHONE, package: bytes(6, 5), last_resort: true },
                ],
                extensions: none(),
            },
        ),
        sample(12, "by-name", LookUp { by: LookUpBy::Username("bob".into()), extensions: none() }),
        sample(12, "by-account", LookUp { by: LookUpBy::Account(BOB), extensions: none() }),
        sample(
            12,
            "",
            AccountCard {
                account: BOB,
                username: "bob".into(),
                identity_key: Some([3; 32]),
                devices: vec![bytes(1, 6)],
                extensions: none(),
            },
        ),
        sample(
            12,
            "no-device",
            AccountCard {
                account: BOB,
                username: "bob".into(),
                identity_key: None,
                devices: vec![],
                extensions: none(),
            },
        ),
    ]
}

fn create(kind: Kind, history: HistoryPolicy, peer: Option<AccountId>, listed_name: Option<&str>) -> Create {
    Create {
        conversation: TALK,
        kind,
        history,
        peer,
        listed_name: listed_name.map(str::to_owned),
        group_info: bytes(1, 8),
        tree: bytes(9, 8),
        extensions: none(),
    }
}

fn state() -> State {
    State {
        conversation: TALK,
        kind: Kind::Group,
        history: HistoryPolicy::SinceJoining,
        listed_name: None,
        head: Sequence(300),
        first: Sequence(1),
        epoch: Epoch(5),
        members: vec![
            Member { account: ALICE, username: "alice".into(), role: Role::Owner, since: Sequence(0) },
            Member { account: BOB, username: "bob".into(), role: Role::Member, since: Sequence(251) },
        ],
        extensions: none(),
    }
}

fn conversations() -> Vec<Sample> {
    let list = |which| List { which, extensions: none() };
    let role = |role| SetRole { conversation: TALK, account: BOB, role, extensions: none() };
    vec![
        sample(20, "direct", create(Kind::Direct, HistoryPolicy::SinceJoining, Some(BOB), None)),
        sample(20, "group", create(Kind::Group, HistoryPolicy::None, None, None)),
        sample(20, "room", create(Kind::Room, HistoryPolicy::All, None, Some("the garden"))),
        sample(20, "", state()),
        sample(21, "mine", list(Which::Mine)),
        sample(21, "one", list(Which::One(TALK))),
        sample(21, "direct-with", list(Which::DirectWith(BOB))),
        sample(21, "listed-name", list(Which::ListedName("the garden".into()))),
        sample(21, "listed", list(Which::Listed)),
        sample(21, "", States { conversations: vec![state()], extensions: none() }),
        sample(21, "none", States { conversations: vec![], extensions: none() }),
        sample(22, "current", GetGroup { conversation: TALK, epoch: None, extensions: none() }),
        sample(
            22,
            "of-a-welcome",
            GetGroup { conversation: TALK, epoch: Some(Epoch(5)), extensions: none() },
        ),
        sample(
            22,
            "",
            Group {
                epoch: Epoch(5),
                sequence: Sequence(251),
                group_info: bytes(1, 8),
                tree: bytes(9, 8),
                extensions: none(),
            },
        ),
        sample(23, "", Leave { conversation: TALK, signature: [8; 64], extensions: none() }),
        sample(24, "member", role(Role::Member)),
        sample(24, "moderator", role(Role::Moderator)),
        sample(24, "owner", role(Role::Owner)),
        sample(25, "", GetWelcomes::default()),
        sample(
            25,
            "",
            Welcomes {
                welcomes: vec![Welcome {
                    conversation: TALK,
                    epoch: Epoch(5),
                    sequence: Sequence(251),
                    welcome: bytes(1, 9),
                }],
                extensions: none(),
            },
        ),
        sample(26, "", WelcomeTaken { conversation: TALK, epoch: Epoch(5), extensions: none() }),
    ]
}

fn entry(sequence: u64, kind: EntryKind, number: u64) -> Entry {
    Entry {
        sequence: Sequence(sequence),
        time: NOW,
        kind,
        account: ALICE,
        device: PHONE,
        number: MessageNumber(number),
        epoch: Epoch(5),
        message: bytes(1, 12),
    }
}

fn log() -> Vec<Sample> {
    vec![
        sample(
            30,
            "",
            Append {
                conversation: TALK,
                number: MessageNumber(250),
                message: bytes(1, 12),
                archive: bytes(40, 12),
                extensions: none(),
            },
        ),
        sample(
            30,
            "",
            Appended {
                conversation: TALK,
                number: MessageNumber(251),
                sequence: Sequence(65_536),
                time: NOW,
                extensions: none(),
            },
        ),
        sample(
            31,
            "",
            Commit {
                conversation: TALK,
                commit: bytes(1, 7),
                group_info: bytes(11, 7),
                welcome: Some(bytes(21, 7)),
                extensions: none(),
            },
        ),
        sample(
            31,
            "no-welcome",
            Commit {
                conversation: TALK,
                commit: bytes(1, 7),
                group_info: bytes(11, 7),
                welcome: None,
                extensions: none(),
            },
        ),
        sample(32, "", Fetch { conversation: TALK, after: Sequence(0), limit: 512, extensions: none() }),
        sample(
            32,
            "",
            Entries {
                conversation: TALK,
                head: Sequence(4_294_967_296),
                entries: vec![
                    entry(1, EntryKind::Application, 1),
                    entry(2, EntryKind::Commit, 0),
                    entry(3, EntryKind::Leave, 0),
                ],
                extensions: none(),
            },
        ),
        sample(
            33,
            "",
            FetchArchive {
                conversation: TALK,
                from: Sequence(300),
                backwards: true,
                limit: 50,
                extensions: none(),
            },
        ),
        sample(
            33,
            "",
            ArchiveEntries {
                conversation: TALK,
                entries: vec![ArchiveEntry {
                    sequence: Sequence(299),
                    time: NOW,
                    account: ALICE,
                    device: PHONE,
                    number: MessageNumber(77),
                    epoch: Epoch(5),
                    sealed: bytes(1, 12),
                }],
                next: Sequence(299),
                extensions: none(),
            },
        ),
        sample(34, "", Follow { conversations: vec![TALK], extensions: none() }),
        sample(34, "", Followed { heads: vec![(TALK, Sequence(300))], extensions: none() }),
        sample(35, "", SendEphemeral { conversation: TALK, sealed: bytes(1, 10), extensions: none() }),
        sample(0, "", SetPresence { invisible: true, extensions: none() }),
    ]
}

fn push() -> Vec<Sample> {
    vec![
        sample(
            0,
            "",
            Delivered {
                conversation: TALK,
                entries: vec![entry(301, EntryKind::Application, 78)],
                extensions: none(),
            },
        ),
        sample(0, "", Behind { conversation: TALK, head: Sequence(301), extensions: none() }),
        sample(0, "", WelcomeWaiting { conversation: TALK, epoch: Epoch(6), extensions: none() }),
        sample(
            0,
            "",
            Ephemeral {
                conversation: TALK,
                account: ALICE,
                device: PHONE,
                sealed: bytes(1, 10),
                extensions: none(),
            },
        ),
        sample(0, "", KeyPackagesLow { count: 19, extensions: none() }),
        present("these", 2, WhoIsHere::These(vec![ALICE, BOB])),
        present("changed", 1, WhoIsHere::Changed { came: vec![ALICE], went: vec![BOB] }),
        present("unnamed", 700, WhoIsHere::Unnamed),
    ]
}

fn present(special: &str, count: u32, who: WhoIsHere) -> Sample {
    sample(0, special, Presence { conversation: TALK, count, who, extensions: none() })
}
