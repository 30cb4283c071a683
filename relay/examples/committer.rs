//! Measures the committer alone: pairs of sessions inside one process, no network, a real disk.
//!
//! ```text
//! cargo run --release -p sotto-relay --example committer [PAIRS] [OUTSTANDING] [SECONDS] [FOLDER]
//! ```
//! Each pair is a conversation: one session appends 256-byte messages and keeps so many unanswered, another one
//! follows. It prints messages a second, what a batch holds, and where the committer's time goes.

use bytes::{Bytes, BytesMut};
use sotto_mls::suite::Suite;
use sotto_mls::test_group::{TestDevice, tree};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{Create, HistoryPolicy, Kind};
use sotto_protocol::body::log::{Append, Appended, Follow};
use sotto_protocol::frame::{self, Body, Frame, HEADER_BYTES};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, RequestId, UnixMillis};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use sotto_protocol::mls_header::private_application_prefix;
use sotto_relay::engine::{Directory, Engine, EngineConfig, Outbound, SessionHandle};
use sotto_relay::store::SledOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MESSAGE_BYTES: usize = 256;

struct Everybody;

impl Directory for Everybody {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        Some(*TestDevice::new(account.0[0], 1).certificate.identity_key())
    }

    fn username(&self, _account: AccountId) -> Option<String> {
        Some(String::new())
    }

    fn device_is_registered(&self, _account: AccountId, _device: DeviceId, _device_key: &[u8; 32]) -> bool {
        true
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| {
        arguments.get(place).map_or(default, |text| text.parse().expect("the arguments are numbers"))
    };
    let (pairs, outstanding, seconds) = (number(0, 100).clamp(1, 250), number(1, 16), number(2, 5));
    let home = tempfile::tempdir().expect("a temporary folder is made");
    let folder = arguments.get(3).map_or_else(|| home.path().join("log"), Into::into);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime is made");
    runtime.block_on(run(pairs, outstanding, Duration::from_secs(seconds), SledOptions::new(folder)));
}

async fn run(pairs: u64, outstanding: u64, length: Duration, store: SledOptions) {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    };
    let (engine, thread) =
        Engine::open(EngineConfig::new(store), now, Arc::new(Everybody)).expect("the store opens");
    let (done, sent, received) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for pair in 1..=pairs {
        let account = u8::try_from(pair).expect("at most 250 pairs");
        let device = TestDevice::new(account, 1).certificate;
        let (sender, mut answers) = engine.attach(device.account(), device.device());
        let (receiver, mut pushes) = engine.attach(device.account(), DeviceId([2; 16]));
        let conversation = ConversationId([account; 16]);
        create(&sender, account, conversation).await;
        answers.recv(&mut Vec::new()).await.expect("it is created");
        let follow = Follow { conversations: vec![conversation], extensions: Extensions::default() };
        submit(&receiver, vec![to_frame(1, &follow)]).await;
        pushes.recv(&mut Vec::new()).await.expect("it is followed");
        tasks.push(tokio::spawn(send(
            sender,
            answers,
            conversation,
            outstanding,
            done.clone(),
            sent.clone(),
        )));
        tasks.push(tokio::spawn(receive(receiver, pushes, received.clone())));
    }
    let metrics = engine.metrics().clone();
    let before =
        [metrics.busy_us.get(), metrics.writing_us.get(), metrics.idle_us.get(), metrics.fsync_us.sum()];
    let (messages, batches) = (metrics.messages.get(), metrics.batches.get());
    let begin = Instant::now();
    tokio::time::sleep(length).await;
    let took = begin.elapsed().as_secs_f64();
    let messages = metrics.messages.get() - messages;
    let batches = (metrics.batches.get() - batches).max(1);
    let after =
        [metrics.busy_us.get(), metrics.writing_us.get(), metrics.idle_us.get(), metrics.fsync_us.sum()];
    let share = |place: usize| (after[place] - before[place]) as f64 / took / 10_000.0;
    println!("{pairs} pairs, {outstanding} outstanding, {MESSAGE_BYTES} bytes");
    println!(
        "  {:.0} durable messages a second, {} received",
        messages as f64 / took,
        received.load(Ordering::Relaxed)
    );
    println!(
        "  {:.1} messages a batch, {:.0} batches a second",
        messages as f64 / batches as f64,
        batches as f64 / took
    );
    println!(
        "  committer: {:.0} % deciding and answering, {:.0} % writing ({:.0} % in fsync), {:.0} % idle",
        share(0),
        share(1),
        share(3),
        share(2)
    );
    println!(
        "  deciding and answering: {:.2} us a message",
        (after[0] - before[0]) as f64 / messages.max(1) as f64
    );
    println!(
        "  checkpoints: {} of {} us",
        metrics.checkpoints.get(),
        metrics.checkpoint_us.sum() / metrics.checkpoint_us.count().max(1)
    );
    done.store(true, Ordering::Relaxed);
    engine.drain().await;
    thread.ended().await.expect("the engine ends in good order");
    for task in tasks {
        task.await.expect("a task ends");
    }
}

async fn create(session: &SessionHandle, account: u8, conversation: ConversationId) {
    let device = TestDevice::new(account, 1);
    let group = device.create_in(Suite::X25519, conversation);
    let body = Create {
        conversation,
        kind: Kind::Group,
        history: HistoryPolicy::None,
        peer: None,
        listed_name: None,
        group_info: device.group_info(&group).into(),
        tree: tree(&group).into(),
        extensions: Extensions::default(),
    };
    submit(session, vec![to_frame(1, &body)]).await;
}

async fn submit(session: &SessionHandle, frames: Vec<Frame>) {
    session.submit(frames).await.expect("the engine runs");
}

fn to_frame<B: Body>(id: u32, body: &B) -> Frame {
    let mut bytes = BytesMut::from(&frame::encode(RequestId(id), body)[..]);
    Frame::take(&mut bytes, FRAME_BODY_BYTES_MAX).expect("it is a frame").expect("it is whole")
}

async fn send(
    session: SessionHandle,
    mut answers: Outbound,
    conversation: ConversationId,
    outstanding: u64,
    done: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) {
    let mut message = private_application_prefix(conversation.as_bytes(), 0).to_vec();
    message.resize(MESSAGE_BYTES, 7);
    let message = Bytes::from(message);
    let (mut number, mut free) = (0, outstanding);
    let (mut chunks, mut buffer) = (Vec::new(), BytesMut::new());
    while !done.load(Ordering::Relaxed) {
        let frames = (0..free).map(|_| {
            number += 1;
            let body = Append {
                conversation,
                number: MessageNumber(number),
                message: message.clone().into(),
                archive: Bytes::new().into(),
                extensions: Extensions::default(),
            };
            to_frame(1, &body)
        });
        let frames = frames.collect();
        if session.submit(frames).await.is_err() || answers.recv(&mut chunks).await.is_err() {
            return;
        }
        chunks.drain(..).for_each(|chunk| buffer.extend_from_slice(&chunk));
        free = 0;
        while let Some(frame) = Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX).expect("a frame comes") {
            if done.load(Ordering::Relaxed) {
                return;
            }
            assert_eq!(frame.header.kind, Appended::KIND, "every message is taken");
            free += 1;
        }
        sent.fetch_add(free, Ordering::Relaxed);
    }
}

async fn receive(session: SessionHandle, mut pushes: Outbound, received: Arc<AtomicU64>) {
    let mut chunks = Vec::new();
    while pushes.recv(&mut chunks).await.is_ok() {
        let bytes: usize = chunks.drain(..).map(|chunk| chunk.len()).sum();
        received.fetch_add((bytes / (MESSAGE_BYTES + HEADER_BYTES)) as u64, Ordering::Relaxed);
    }
    drop(session);
}
