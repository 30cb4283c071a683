//! What a stranger's bytes may do: nothing but be refused. One function for each fuzz target.
//!
//! libFuzzer calls these (`tests/fuzz`), and the test `fuzz_corpus` replays the committed corpus through them on
//! the stable toolchain. Each panics if a property is broken.

use bytes::BytesMut;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::file::{FileKey, FileName, Sealer};
use sotto_mls::certificate::UnverifiedCertificate;
use sotto_protocol::blob::{BlobRoot, BlobSize, ChunkList, Present, chunk_hash};
use sotto_protocol::body::{connection, conversation, directory, log, push};
use sotto_protocol::error::WireError;
use sotto_protocol::frame::{Body, Frame, HEADER_BYTES, encode};
use sotto_protocol::ids::{RequestId, UnixMillis};
use sotto_protocol::invite::{Fingerprint, Invite, InviteCode, RelayAddress};
use sotto_protocol::limits::{FILE_NAME_BYTES_MAX, FRAME_BODY_BYTES_MAX};
use sotto_protocol::mls_header;
use sotto_relay_core::turn::stream::take_message;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use turn_server_proto::api::{SocketAllocateError, TurnServerApi as _, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::stun::Instant;
use turn_server_proto::stun::agent::Transmit;
use turn_server_proto::stun::types::TransportType;
use turn_server_proto::stun::types::attribute::{
    Fingerprint as MessageFingerprint, MessageIntegrity, MessageIntegritySha256, Nonce, Realm, Username,
};
use turn_server_proto::stun::types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials,
    MessageWriteExt as _, MessageWriteVec,
};
use turn_server_proto::stun::types::prelude::{Attribute as _, AttributeStaticType as _, MessageWrite as _};
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::message::ALLOCATE;
use turn_server_proto::types::prelude::DelayedTransmitBuild as _;

/// A target: bytes in, a panic if a property is broken.
pub type Target = fn(&[u8]);

/// Every target with the name of its corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("files", files),
    ("frame", frame),
    ("http_bodies", http_bodies),
    ("invite", invite),
    ("mls", mls),
    ("picture", picture),
    ("turn", turn),
];

macro_rules! decode_as_its_kind {
    ($frame:expr, $($body:path),* $(,)?) => {
        match $frame.header.kind {
            $(kind if kind == <$body as Body>::KIND => settles::<$body>($frame),)*
            _ => {}
        }
    };
}

/// The frame decoder: bytes as they come from a connection, header after header, each body as its kind.
pub fn frame(data: &[u8]) {
    let mut stream = BytesMut::from(data);
    while let Ok(Some(frame)) = Frame::take(&mut stream, FRAME_BODY_BYTES_MAX) {
        decode_as_its_kind!(
            &frame,
            connection::Hello,
            connection::Challenge,
            connection::Authenticate,
            connection::Ready,
            connection::Ping,
            connection::Pong,
            WireError,
            connection::Goodbye,
            connection::Done,
            directory::PublishKeyPackages,
            directory::KeyPackageStock,
            directory::ClaimKeyPackages,
            directory::KeyPackages,
            directory::LookUp,
            directory::AccountCard,
            conversation::Create,
            conversation::State,
            conversation::List,
            conversation::States,
            conversation::GetGroup,
            conversation::Group,
            conversation::Leave,
            conversation::SetRole,
            conversation::GetWelcomes,
            conversation::Welcomes,
            conversation::WelcomeTaken,
            log::Append,
            log::Appended,
            log::Commit,
            log::Fetch,
            log::Entries,
            log::FetchArchive,
            log::ArchiveEntries,
            log::Follow,
            log::Followed,
            log::SendEphemeral,
            log::SetPresence,
            push::Delivered,
            push::Behind,
            push::WelcomeWaiting,
            push::Ephemeral,
            push::KeyPackagesLow,
            push::Presence,
        );
    }
}

/// What decodes is within its limits, and what it is written as decodes to the same and is written as the same.
fn settles<B: Body + PartialEq + Debug>(frame: &Frame) {
    let Ok(value) = frame.decode::<B>() else {
        return;
    };
    assert!(value.within_limits(), "{value:?} is over its limits");
    let written = encode(RequestId(1), &value);
    let again = Frame { header: frame.header, body: written.slice(HEADER_BYTES..) };
    assert_eq!(again.decode::<B>().as_ref(), Ok(&value));
}

/// The invite parser, and the parsers it is made of: what parses is written as something that parses to the same.
pub fn invite(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(invite) = text.parse::<Invite>() {
        assert_eq!(invite.to_string().parse(), Ok(invite));
    }
    if let Ok(address) = text.parse::<RelayAddress>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    if let Ok(code) = text.parse::<InviteCode>() {
        assert_eq!(code.as_str(), text);
    }
}

/// The bodies of every HTTP request: JSON, then the check of each field.
pub fn http_bodies(data: &[u8]) {
    sotto_signaling::fuzz_bodies(data);
}

/// What a stranger says about a file: its name, what it looks like, a chunk list, which chunks are there, a chunk. The first 8 bytes are a size.
pub fn files(data: &[u8]) {
    let name = FileName::lossy(&String::from_utf8_lossy(data));
    assert_eq!(FileName::lossy(name.as_str()), name);
    assert!(!name.as_str().is_empty() && name.as_str().len() <= FILE_NAME_BYTES_MAX);
    assert!(!name.as_str().starts_with('.') && !name.as_str().contains(['/', '\\']));
    sotto_node::pictures::fuzz_preview(data);
    let Some((size, rest)) = data.split_first_chunk::<8>() else { return };
    let bytes = u64::from_be_bytes(*size);
    let key = FileKey::draw(&mut ChaCha20Rng::from_seed([7; 32]));
    if let Some(sealer) = Sealer::new(&key, bytes) {
        assert!(sealer.open(0, rest).is_err(), "nobody has the key");
    }
    // What is as long as one chunk is the chunk that its own list has, and no other list reads as that one's.
    let Ok(size) = BlobSize::new(rest.len() as u64) else { return };
    let Some(hash) = chunk_hash(size, 0, rest) else { return };
    let list = ChunkList::of(size, vec![hash]).expect("one chunk");
    assert!(list.is_chunk(0, rest));
    if let Ok(claimed) = BlobSize::new(bytes) {
        if let Ok(read) = ChunkList::read(BlobRoot([0; 32]), claimed, rest) {
            assert_eq!(read.to_bytes(), rest);
        }
        if let Some(present) = Present::read(claimed, rest.to_vec()) {
            assert_eq!(present.as_bytes(), rest);
            assert_eq!(present.is_all(), present.missing().next().is_none());
        }
    }
}

/// What a relay reads of MLS: the start of a message, a device certificate, a key package.
pub fn mls(data: &[u8]) {
    if let Some(header) = mls_header::peek(data) {
        assert!(header.group_id.len() <= data.len());
    }
    if let Ok(certificate) = UnverifiedCertificate::decode(data) {
        // It has one form only: what verifies is written as the bytes it was read from.
        if let Ok(verified) = certificate.verify() {
            assert_eq!(verified.to_bytes(), data);
        }
    }
    let _ = sotto_mls::key_package::verify(data, UnixMillis(1_795_000_000_000));
}

/// What the other end of a call sends as its picture: packets, the frames that are in them, and what these show.
pub fn picture(data: &[u8]) {
    sotto_node::calls::fuzz_picture(data);
}

/// What a client of TURN sends on a connection: messages cut out of it, and the server that they are handed to. The first byte says
/// whether it is somebody who may borrow: then the requests are signed anew.
pub fn turn(data: &[u8]) {
    let Some((may_borrow, stream)) = data.split_first() else { return };
    let mut server = Borrower::new();
    let credentials = (may_borrow % 2 == 1).then(|| server.challenged());
    let mut stream = BytesMut::from(stream);
    while let Ok(Some(message)) = take_message(&mut stream, true) {
        assert!(message.len() >= 4);
        let signed = credentials.as_ref().and_then(|credentials| signed(&message, credentials));
        server.hear(signed.as_deref().unwrap_or(&message), credentials.is_some());
    }
}

const TURN_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4_000);
const TURN_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 3_478);
const TURN_LENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 50_000);

/// The server of one client, as the relay has it, with addresses for sockets.
struct Borrower(TurnServer);

impl Borrower {
    const NAME: &str = "1900000000:account.session";
    const PASSWORD: &str = "a password";
    const REALM: &str = "sotto";

    fn new() -> Self {
        let mut server = TurnServer::new(TransportType::Udp, TURN_SERVER, Self::REALM.to_owned());
        server.add_user(Self::NAME.to_owned(), Self::PASSWORD.to_owned());
        Self(server)
    }

    /// The nonce that the server gives whoever comes without one.
    fn challenged(&mut self) -> String {
        let mut request = Message::builder_request(ALLOCATE, MessageWriteVec::with_capacity(64));
        request.add_fingerprint().expect("an empty request has room");
        let answers = self.hear(&request.finish(), true);
        let mut nonces = answers.iter().filter_map(|answer| {
            let message = Message::from_bytes(answer).ok()?;
            Some(message.attribute::<Nonce>().ok()?.nonce().to_owned())
        });
        nonces.next_back().expect("whoever proves nothing is challenged")
    }

    /// What comes of a message; without rights nothing leaves but to the client.
    fn hear(&mut self, data: &[u8], may_borrow: bool) -> Vec<Vec<u8>> {
        let now = Instant::from_nanos(0);
        let mut said = Vec::new();
        // What leaves by a lent address goes to a peer, everything else to the client: see `deliver` in relay/src/turn.
        let mut leaves = |from: SocketAddr, data: Vec<u8>| {
            assert!(may_borrow || from != TURN_LENT, "somebody without rights reaches a peer");
            said.push(data);
        };
        let arrived = Transmit::new(data, TransportType::Udp, TURN_CLIENT, TURN_SERVER);
        if let Some(sent) = self.0.recv(arrived, now) {
            leaves(sent.from, sent.data.build());
        }
        while let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = self.0.poll(now)
        {
            assert!(may_borrow, "somebody without rights is lent an address");
            let lent = if family == AddressFamily::IPV4 {
                Ok(TURN_LENT)
            } else {
                Err(SocketAllocateError::AddressFamilyNotSupported)
            };
            self.0.allocated_socket(
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
                lent,
                now,
            );
        }
        while let Some(sent) = self.0.poll_transmit(now) {
            leaves(sent.from, sent.data);
        }
        said
    }
}

/// The same request by somebody who has a password; nothing where it is none.
fn signed(message: &[u8], nonce: &str) -> Option<Vec<u8>> {
    let request =
        Message::from_bytes(message).ok().filter(|request| request.class() == MessageClass::Request)?;
    let mut again =
        Message::builder_request(request.method(), MessageWriteVec::with_capacity(message.len() + 256));
    let ours = [
        Username::TYPE,
        Realm::TYPE,
        Nonce::TYPE,
        MessageFingerprint::TYPE,
        MessageIntegrity::TYPE,
        MessageIntegritySha256::TYPE,
    ];
    for (_, raw) in request.iter_attributes() {
        if !ours.contains(&raw.get_type()) {
            // Twice the same, say: such a request is sent unsigned.
            again.add_attribute(&raw).ok()?;
        }
    }
    again.add_attribute(&Username::new(Borrower::NAME).ok()?).ok()?;
    again.add_attribute(&Realm::new(Borrower::REALM).ok()?).ok()?;
    again.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    let key = LongTermKeyCredentials::new(
        Borrower::NAME.to_owned(),
        Borrower::PASSWORD.to_owned(),
        Borrower::REALM.to_owned(),
    );
    again.add_message_integrity(&MessageIntegrityCredentials::from(key), IntegrityAlgorithm::Sha1).ok()?;
    Some(again.finish())
}
