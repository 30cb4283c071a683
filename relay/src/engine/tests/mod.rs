//! The engine with fake sessions: frames in, frames out, a real store in a temporary folder.

mod durability;
mod members;
mod messages;
mod presence;
mod quotas;

use super::*;
use crate::store::{Disk, RealDisk};
use bytes::{Bytes, BytesMut};
use sotto_mls::suite::Suite;
use sotto_mls::test_group::{Made, MlsGroup, TestDevice, tree};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{Create, HistoryPolicy, Kind};
use sotto_protocol::body::log::{Append, Appended, Commit, Entries, Entry, Fetch, Follow, Followed};
use sotto_protocol::body::push::Delivered;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Body, Frame};
use sotto_protocol::ids::{MessageNumber, RequestId, Sequence};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_protocol::mls_header::private_application_prefix;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const C: ConversationId = ConversationId([9; 16]);

/// A disk that fails on demand.
#[derive(Debug, Default)]
struct FaultyDisk {
    sync_fails: AtomicBool,
    free_bytes: AtomicU64,
}

impl Disk for FaultyDisk {
    fn sync(&self, file: &File) -> io::Result<()> {
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        RealDisk.sync(file)
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(self.free_bytes.load(Ordering::SeqCst))
    }
}

/// Everybody exists, with the keys of [`TestDevice`].
struct Everybody;

fn number_of(id: &[u8; 16]) -> u8 {
    id[0]
}

impl Directory for Everybody {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        Some(*TestDevice::new(number_of(&account.0), 1).certificate.identity_key())
    }

    fn username(&self, account: AccountId) -> Option<String> {
        Some(format!("user{}", number_of(&account.0)))
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        TestDevice::new(number_of(&account.0), number_of(&device.0)).certificate.device_key() == device_key
    }
}

/// A relay's engine with its folder, clock and disk.
struct World {
    home: TempDir,
    disk: Arc<FaultyDisk>,
    time: Arc<AtomicU64>,
    config: EngineConfig,
    engine: Option<(Engine, EngineThread)>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        disk.free_bytes.store(u64::MAX, Ordering::SeqCst);
        let store = SledOptions { disk: disk.clone(), ..SledOptions::new(home.path().join("log")) };
        let mut config = EngineConfig::new(store);
        change(&mut config);
        let time = Arc::new(AtomicU64::new(1_763_000_000_000));
        let mut world = Self { home, disk, time, config, engine: None };
        world.open();
        world
    }

    fn open(&mut self) {
        self.engine = Some(self.try_open(&self.config).unwrap());
    }

    fn try_open(&self, config: &EngineConfig) -> Result<(Engine, EngineThread), OpenError> {
        let time = self.time.clone();
        Engine::open(config.clone(), move || UnixMillis(time.load(Ordering::SeqCst)), Arc::new(Everybody))
    }

    /// What would be there if the process were killed now: the folder as it is, in another place.
    fn copy(&self) -> Self {
        let home = tempfile::tempdir().unwrap();
        copy_folder(&self.home.path().join("log"), &home.path().join("log"));
        let mut config = self.config.clone();
        config.store.folder = home.path().join("log");
        let mut world = Self { home, disk: self.disk.clone(), time: self.time.clone(), config, engine: None };
        world.open();
        world
    }

    fn engine(&self) -> &Engine {
        &self.engine.as_ref().unwrap().0
    }

    async fn close(&mut self) {
        let (engine, thread) = self.engine.take().unwrap();
        engine.drain().await;
        thread.ended().await.unwrap();
    }

    fn session(&self, account: u8, device: u8) -> Session {
        let certificate = TestDevice::new(account, device).certificate;
        let (handle, out) = self.engine().attach(certificate.account(), certificate.device());
        Session { handle, out, buffer: BytesMut::new(), next: 0 }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A connection's end.
struct Session {
    handle: SessionHandle,
    out: Outbound,
    buffer: BytesMut,
    next: u32,
}

impl Session {
    async fn send<B: Body>(&mut self, body: &B) -> RequestId {
        self.next += 1;
        let id = RequestId(self.next);
        self.handle.submit(vec![to_frame(id, body)]).await.unwrap();
        id
    }

    /// The next frame that comes.
    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer, FRAME_BODY_BYTES_MAX).unwrap() {
                return frame;
            }
            let mut chunks = Vec::new();
            tokio::time::timeout(PATIENCE, self.out.recv(&mut chunks)).await.expect("a frame comes").unwrap();
            chunks.iter().for_each(|chunk| self.buffer.extend_from_slice(chunk));
        }
    }

    async fn push<B: Body>(&mut self) -> B {
        let frame = self.next().await;
        assert_eq!(frame.header.id, RequestId::PUSH, "kind {:#06x}", frame.header.kind.0);
        frame.decode().unwrap()
    }

    /// Asks, and gives the answer or the refusal; pushes that come between are dropped.
    async fn ask<B: Body, A: Body>(&mut self, body: &B) -> Result<A, WireError> {
        let id = self.send(body).await;
        loop {
            let frame = self.next().await;
            if frame.header.id != id {
                continue;
            }
            return match frame.decode::<A>() {
                Ok(answer) => Ok(answer),
                Err(_) => Err(frame.decode::<WireError>().unwrap()),
            };
        }
    }

    async fn code<B: Body>(&mut self, body: &B) -> ErrorCode {
        let id = self.send(body).await;
        loop {
            let frame = self.next().await;
            if frame.header.id == id {
                return frame.decode::<WireError>().expect("a refusal").code().unwrap();
            }
        }
    }

    async fn append(&mut self, number: u64, text: &str) -> Result<Appended, WireError> {
        self.ask(&append(C, 0, number, text)).await
    }

    async fn fetch(&mut self, after: u64) -> Result<Entries, WireError> {
        self.ask(&fetch(C, after, 512)).await
    }

    async fn follow(&mut self) -> Vec<(ConversationId, Sequence)> {
        let body = Follow { conversations: vec![C], extensions: Extensions::default() };
        let followed: Followed = self.ask(&body).await.unwrap();
        followed.heads
    }

    /// Creates a group conversation with this device alone.
    async fn create(&mut self, device: &TestDevice, conversation: ConversationId) -> MlsGroup {
        let group = device.create_in(Suite::X25519, conversation);
        let body = create(device, &group, conversation);
        let _: sotto_protocol::body::conversation::State = self.ask(&body).await.unwrap();
        group
    }
}

fn to_frame<B: Body>(id: RequestId, body: &B) -> Frame {
    let mut bytes = BytesMut::from(&frame::encode(id, body)[..]);
    Frame::take(&mut bytes, FRAME_BODY_BYTES_MAX).unwrap().unwrap()
}

fn create(device: &TestDevice, group: &MlsGroup, conversation: ConversationId) -> Create {
    Create {
        conversation,
        kind: Kind::Group,
        history: HistoryPolicy::SinceJoining,
        peer: None,
        listed_name: None,
        group_info: device.group_info(group).into(),
        tree: tree(group).into(),
        extensions: Extensions::default(),
    }
}

fn append(conversation: ConversationId, epoch: u64, number: u64, text: &str) -> Append {
    let mut message = private_application_prefix(conversation.as_bytes(), epoch).to_vec();
    message.extend_from_slice(text.as_bytes());
    Append {
        conversation,
        number: MessageNumber(number),
        message: message.into(),
        archive: format!("archive of {text}").into_bytes().into(),
        extensions: Extensions::default(),
    }
}

fn commit_frame(made: Made) -> Commit {
    Commit {
        conversation: C,
        commit: made.commit.into(),
        group_info: made.group_info.into(),
        welcome: made.welcome.map(Into::into),
        extensions: Extensions::default(),
    }
}

fn fetch(conversation: ConversationId, after: u64, limit: u32) -> Fetch {
    Fetch { conversation, after: Sequence(after), limit, extensions: Extensions::default() }
}

fn text(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.message.as_slice()[30..]).into_owned()
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(text).collect()
}

/// Device 1 of account 1, in a conversation that it made.
async fn alone(world: &World) -> Session {
    let mut session = world.session(1, 1);
    session.create(&TestDevice::new(1, 1), C).await;
    session
}

#[test]
fn everything_a_session_holds_may_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<SessionHandle>();
    is_send::<Outbound>();
    is_send::<Engine>();
    is_send::<Delivered>();
}
