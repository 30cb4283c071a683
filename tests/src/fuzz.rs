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
use std::fmt::Debug;

/// A target: bytes in, a panic if a property is broken.
pub type Target = fn(&[u8]);

/// Every target with the name of its corpus.
pub const TARGETS: [(&str, Target); 5] =
    [("files", files), ("frame", frame), ("http_bodies", http_bodies), ("invite", invite), ("mls", mls)];

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

/// What a stranger says about a file: its name, a chunk list, which chunks are there, a chunk. The first 8 bytes are a size.
pub fn files(data: &[u8]) {
    let name = FileName::lossy(&String::from_utf8_lossy(data));
    assert_eq!(FileName::lossy(name.as_str()), name);
    assert!(!name.as_str().is_empty() && name.as_str().len() <= FILE_NAME_BYTES_MAX);
    assert!(!name.as_str().starts_with('.') && !name.as_str().contains(['/', '\\']));
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
