//! Pairs that talk, whatever the relay: one side sends with a fixed number of messages outstanding, the other
//! receives and measures from the moment of sending to the moment of reading.

use anyhow::{Context, Result};
use bytes::{BufMut, BytesMut};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// Bytes of each message, the timestamp included.
pub const MESSAGE_BYTES: usize = 256;

/// What a read of a connection showed.
pub enum Seen {
    /// The relay has one of our messages on disk.
    Acknowledged,
    /// A message of the pair's other side, with the microsecond it was sent in.
    Delivered(u64),
}

/// How one connection speaks: bytes for a message, and what the bytes that come mean.
pub trait Dialect: Send + 'static {
    /// Appends one message of [`MESSAGE_BYTES`] that carries `sent_at_us`.
    fn write_message(&mut self, out: &mut BytesMut, sent_at_us: u64);
    /// Takes whole frames off the front of `buffer`.
    fn read(&mut self, buffer: &mut BytesMut, seen: &mut Vec<Seen>) -> Result<()>;
}

/// One open connection with its way of speaking. Bytes read while it was set up stay in `buffer`.
pub struct Link<D> {
    /// The QUIC connection.
    pub connection: quinn::Connection,
    /// Towards the relay.
    pub send: quinn::SendStream,
    /// From the relay.
    pub receive: quinn::RecvStream,
    /// What was read and not understood yet.
    pub buffer: BytesMut,
    /// How it speaks.
    pub dialect: D,
}

/// How long and how hard.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Messages that a sender has unacknowledged.
    pub outstanding: usize,
    /// Not counted, first.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

/// What was counted.
pub struct Outcome {
    /// Messages acknowledged in the measured time.
    pub acknowledged: u64,
    /// The measured time, in seconds.
    pub seconds: f64,
    /// From sending to reading at the other side, in microseconds.
    pub latency_us: Histogram<u64>,
}

struct Shared {
    start: Instant,
    counting: AtomicBool,
    stopping: AtomicBool,
    acknowledged: AtomicU64,
    sent: AtomicU64,
    delivered: AtomicU64,
}

/// Lets every pair talk; `at_start` and `at_end` are called around the measured time, to sample the relay.
pub async fn talk<D: Dialect>(
    pairs: Vec<(Link<D>, Link<D>)>,
    plan: Plan,
    mut sample: impl FnMut(),
) -> Result<Outcome> {
    let shared = Arc::new(Shared {
        start: Instant::now(),
        counting: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
    });
    let mut senders = JoinSet::new();
    let mut receivers = JoinSet::new();
    for (sender, receiver) in pairs {
        senders.spawn(send_loop(sender, Arc::clone(&shared), plan.outstanding));
        receivers.spawn(receive_loop(receiver, Arc::clone(&shared)));
    }
    tokio::time::sleep(plan.warm_up).await;
    sample();
    shared.counting.store(true, Ordering::Relaxed);
    let (from, before) = (Instant::now(), shared.acknowledged.load(Ordering::Relaxed));
    tokio::time::sleep(plan.measured).await;
    shared.counting.store(false, Ordering::Relaxed);
    let (seconds, after) = (from.elapsed().as_secs_f64(), shared.acknowledged.load(Ordering::Relaxed));
    sample();
    shared.stopping.store(true, Ordering::Relaxed);
    // A sender keeps its connection open until every receiver has what was sent.
    let mut keep = Vec::new();
    while let Some(sender) = senders.join_next().await {
        keep.push(sender?.context("a sender failed")?);
    }
    let mut latency_us = Histogram::new(3)?;
    while let Some(receiver) = receivers.join_next().await {
        latency_us.add(receiver?.context("a receiver failed")?)?;
    }
    let (sent, delivered) = (shared.sent.load(Ordering::Relaxed), shared.delivered.load(Ordering::Relaxed));
    anyhow::ensure!(sent == delivered, "{sent} messages were sent and {delivered} delivered");
    for link in keep {
        link.connection.close(0u32.into(), b"done");
    }
    Ok(Outcome { acknowledged: after - before, seconds, latency_us })
}

async fn send_loop<D: Dialect>(
    mut link: Link<D>,
    shared: Arc<Shared>,
    outstanding: usize,
) -> Result<Link<D>> {
    let (mut open, mut out, mut seen) = (0, BytesMut::new(), Vec::new());
    loop {
        if !shared.stopping.load(Ordering::Relaxed) {
            let now = micros(&shared.start);
            let room = outstanding - open;
            for _ in 0..room {
                link.dialect.write_message(&mut out, now);
            }
            open = outstanding;
            shared.sent.fetch_add(room as u64, Ordering::Relaxed);
            link.send.write_chunk(out.split().freeze()).await?;
        } else if open == 0 {
            return Ok(link);
        }
        read_some(&mut link, &mut seen).await?;
        let acknowledged = seen.drain(..).filter(|s| matches!(s, Seen::Acknowledged)).count();
        shared.acknowledged.fetch_add(acknowledged as u64, Ordering::Relaxed);
        open = open.checked_sub(acknowledged).context("more was acknowledged than sent")?;
    }
}

async fn receive_loop<D: Dialect>(mut link: Link<D>, shared: Arc<Shared>) -> Result<Histogram<u64>> {
    let mut latency_us = Histogram::new(3)?;
    let mut seen = Vec::new();
    loop {
        // Once nobody sends any more, what is still due comes within moments or never.
        match tokio::time::timeout(Duration::from_secs(1), read_some(&mut link, &mut seen)).await {
            Ok(read) => read?,
            Err(_) if shared.stopping.load(Ordering::Relaxed) => return Ok(latency_us),
            Err(_) => continue,
        }
        let (now, counting) = (micros(&shared.start), shared.counting.load(Ordering::Relaxed));
        for delivery in seen.drain(..) {
            if let Seen::Delivered(sent_at_us) = delivery {
                shared.delivered.fetch_add(1, Ordering::Relaxed);
                if counting {
                    latency_us.record(now.saturating_sub(sent_at_us).max(1))?;
                }
            }
        }
    }
}

async fn read_some<D: Dialect>(link: &mut Link<D>, seen: &mut Vec<Seen>) -> Result<()> {
    let read = link.receive.read_buf(&mut link.buffer).await?;
    anyhow::ensure!(read > 0, "the relay closed the stream");
    link.dialect.read(&mut link.buffer, seen)
}

fn micros(start: &Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).expect("a test does not last 500,000 years")
}

/// Filler up to [`MESSAGE_BYTES`] that opens with the timestamp, after `used` bytes of other things.
pub fn put_filler(out: &mut BytesMut, sent_at_us: u64, used: usize) {
    out.put_u64(sent_at_us);
    out.put_bytes(0x5a, MESSAGE_BYTES.saturating_sub(used + 8));
}
