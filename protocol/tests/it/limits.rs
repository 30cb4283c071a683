//! P-012: each list, text and extension of a body may reach its limit and not one more.

use bytes::Bytes;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{Authenticate, Goodbye, Hello, Ping, Ready};
use sotto_protocol::body::conversation::{
    Create, HistoryPolicy, Kind, List, Member, Role, State, States, Welcome, Welcomes, Which,
};
use sotto_protocol::body::directory::{
    AccountCard, ClaimKeyPackages, ClaimedKeyPackage, KeyPackages, LookUp, LookUpBy, PublishKeyPackages,
};
use sotto_protocol::body::log::{ArchiveEntries, ArchiveEntry, Entries, Entry, EntryKind, Follow, Followed};
use sotto_protocol::body::push::{Delivered, Presence, WhoIsHere};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body, FrameError, HEADER_BYTES, decode_body, encode};
use sotto_protocol::ids::{
    AccountId, ConversationId, DeviceId, Epoch, MessageNumber, RequestId, Sequence, UnixMillis,
};
use sotto_protocol::limits::*;
use sotto_protocol::payload::Payload;

const ID: [u8; 16] = [1; 16];

/// Builds a body with `limit` of something, which must decode, and with one more, which must not.
fn up_to<B: Body + PartialEq + std::fmt::Debug>(limit: usize, build: impl Fn(usize) -> B) {
    let decode = |value: &B| decode_body::<B>(&encode(RequestId(1), value).slice(HEADER_BYTES..));
    let most = build(limit);
    assert_eq!(decode(&most).as_ref(), Ok(&most), "{:#06x} with {limit}", B::KIND.0);
    let over = decode(&build(limit + 1));
    assert_eq!(over, Err(FrameError::OverLimit { kind: B::KIND.0 }), "{:#06x} with one more", B::KIND.0);
}

fn text(length: usize) -> String {
    "x".repeat(length)
}

fn extensions() -> Extensions {
    Extensions::default()
}

fn entry() -> Entry {
    Entry {
        sequence: Sequence(1),
        time: UnixMillis(1),
        kind: EntryKind::Application,
        account: AccountId(ID),
        device: DeviceId(ID),
        number: MessageNumber(1),
        epoch: Epoch(0),
        message: Payload::default(),
    }
}

fn state(members: usize, name: usize) -> State {
    let member =
        Member { account: AccountId(ID), username: "m".into(), role: Role::Member, since: Sequence(0) };
    State {
        conversation: ConversationId(ID),
        kind: Kind::Room,
        history: HistoryPolicy::All,
        listed_name: Some(text(name)),
        head: Sequence(0),
        first: Sequence(0),
        epoch: Epoch(0),
        members: vec![member; members],
        extensions: extensions(),
    }
}

#[test]
fn lists_reach_their_limits_and_not_one_more() {
    let conversation = ConversationId(ID);
    up_to(KEY_PACKAGES_PER_DEVICE_MAX, |n| PublishKeyPackages {
        packages: vec![Payload::default(); n],
        last_resort: None,
        extensions: extensions(),
    });
    up_to(SUITES_PER_CLAIM_MAX, |n| ClaimKeyPackages {
        account: AccountId(ID),
        suites: vec![3; n],
        extensions: extensions(),
    });
    up_to(DEVICES_PER_ACCOUNT_MAX, |n| {
        let one = ClaimedKeyPackage { device: DeviceId(ID), package: Payload::default(), last_resort: false };
        KeyPackages { packages: vec![one; n], extensions: extensions() }
    });
    up_to(DEVICES_PER_ACCOUNT_MAX, |n| AccountCard {
        account: AccountId(ID),
        username: "bob".into(),
        identity_key: None,
        devices: vec![Payload::default(); n],
        extensions: extensions(),
    });
    up_to(LEAVES_PER_CONVERSATION_MAX, |n| state(n, 1));
    up_to(LEAVES_PER_CONVERSATION_MAX, |n| States {
        conversations: vec![state(n, 1)],
        extensions: extensions(),
    });
    up_to(LIST_ITEMS_MAX, |n| States { conversations: vec![state(0, 0); n], extensions: extensions() });
    up_to(LIST_ITEMS_MAX, |n| {
        let one =
            Welcome { conversation, epoch: Epoch(1), sequence: Sequence(1), welcome: Payload::default() };
        Welcomes { welcomes: vec![one; n], extensions: extensions() }
    });
    up_to(FETCH_ENTRIES_MAX, |n| Entries {
        conversation,
        head: Sequence(1),
        entries: vec![entry(); n],
        extensions: extensions(),
    });
    up_to(FETCH_ENTRIES_MAX, |n| Delivered {
        conversation,
        entries: vec![entry(); n],
        extensions: extensions(),
    });
    up_to(FETCH_ENTRIES_MAX, |n| {
        let one = ArchiveEntry {
            sequence: Sequence(1),
            time: UnixMillis(1),
            account: AccountId(ID),
            device: DeviceId(ID),
            number: MessageNumber(1),
            epoch: Epoch(0),
            sealed: Payload::default(),
        };
        ArchiveEntries { conversation, entries: vec![one; n], next: Sequence(0), extensions: extensions() }
    });
    up_to(CONVERSATIONS_PER_DEVICE_MAX, |n| Follow {
        conversations: vec![conversation; n],
        extensions: extensions(),
    });
    up_to(CONVERSATIONS_PER_DEVICE_MAX, |n| Followed {
        heads: vec![(conversation, Sequence(1)); n],
        extensions: extensions(),
    });
    let accounts = |n| vec![AccountId(ID); n];
    let present = |who| Presence { conversation, count: 1, who, extensions: extensions() };
    up_to(PRESENT_NAMED_MAX, |n| present(WhoIsHere::These(accounts(n))));
    up_to(PRESENT_NAMED_MAX, |n| present(WhoIsHere::Changed { came: accounts(n), went: vec![] }));
    up_to(PRESENT_NAMED_MAX, |n| present(WhoIsHere::Changed { came: vec![], went: accounts(n) }));
}

#[test]
fn texts_reach_their_limits_and_not_one_more() {
    up_to(NAME_BYTES_MAX, |n| Hello {
        version_min: 1,
        version_max: 1,
        agent: text(n),
        extensions: extensions(),
    });
    up_to(TOKEN_BYTES_MAX, |n| Authenticate {
        access_token: text(n),
        device: DeviceId(ID),
        signature: [0; 64],
        extensions: extensions(),
    });
    up_to(NAME_BYTES_MAX, |n| Ready {
        account: AccountId(ID),
        time: UnixMillis(0),
        observed_address: text(n),
        extensions: extensions(),
    });
    up_to(ERROR_TEXT_BYTES_MAX, |n| Goodbye {
        reason: text(n),
        reconnect_after_ms: 0,
        extensions: extensions(),
    });
    up_to(ERROR_TEXT_BYTES_MAX, |n| WireError {
        code: 1,
        text: text(n),
        retry_after_ms: 0,
        context: 0,
        extensions: extensions(),
    });
    up_to(USERNAME_CHARS_MAX, |n| LookUp { by: LookUpBy::Username(text(n)), extensions: extensions() });
    up_to(NAME_BYTES_MAX, |n| List { which: Which::ListedName(text(n)), extensions: extensions() });
    up_to(NAME_BYTES_MAX, |n| state(1, n));
    up_to(NAME_BYTES_MAX, |n| Create {
        conversation: ConversationId(ID),
        kind: Kind::Room,
        history: HistoryPolicy::All,
        peer: None,
        listed_name: Some(text(n)),
        group_info: Payload::default(),
        tree: Payload::default(),
        extensions: extensions(),
    });
}

#[test]
fn extensions_reach_their_limits_and_not_one_more() {
    up_to(EXTENSIONS_MAX, |n| Ping { extensions: Extensions(vec![(7, Payload::default()); n]) });
    up_to(EXTENSION_BYTES_MAX, |n| Ping {
        extensions: Extensions(vec![(7, Payload(Bytes::from(vec![0; n])))]),
    });
}

/// A relay's own sentence must not make its error unreadable.
#[test]
fn a_sentence_over_its_limit_is_cut_where_a_character_ends() {
    let error = WireError::new(ErrorCode::Internal, "é".repeat(ERROR_TEXT_BYTES_MAX));
    assert!(error.text.len() <= ERROR_TEXT_BYTES_MAX);
    assert!(error.within_limits());
}
