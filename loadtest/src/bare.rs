//! The attainable limit: a relay of nothing but quinn and one file.
//!
//! It does the least that a durable relay can do: read a message, append it to a file with all that arrived
//! meanwhile, `fdatasync` once, acknowledge, pass it on. No accounts, no conversations, no order check, no
//! history. What Sotto costs is the distance to this, measured in the same run on the same machine.
//!
//! Messages are `length u16, to u32, payload` from a device and `length u16, kind u8, payload` to it, where
//! kind 0 acknowledges and 1 delivers. A connection's first 4 bytes are its own number.

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What the parent process reads from the first line of output.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The UDP port on loopback.
    pub(crate) port: u16,
    /// The certificate (DER), as numbers: the parent trusts exactly this one.
    pub(crate) certificate: Vec<u8>,
}

/// What the parent process reads for each line that it writes to the child's standard input.
#[derive(Serialize, Deserialize, Default, Clone, Copy)]
pub(crate) struct Figures {
    /// Seconds spent in `fdatasync`.
    pub(crate) fsync_seconds: f64,
}

/// A device acknowledges or delivers.
pub(crate) const KIND_ACK: u8 = 0;
/// See [`KIND_ACK`].
pub(crate) const KIND_DELIVERY: u8 = 1;

/// Read groups that wait for the committer. Each holds what one read of one connection gave.
const GROUPS_QUEUED_MAX: usize = 4_096;
/// Buffers that wait for one connection's writer.
const BUFFERS_QUEUED_MAX: usize = 4_096;

struct Group {
    from: u32,
    messages: Vec<(u32, Bytes)>,
}

type Writers = Arc<Mutex<HashMap<u32, mpsc::Sender<Bytes>>>>;

/// What a bare server speaks, and the certificate that it made for itself.
pub(crate) fn server_config(
    alpn: &[u8],
) -> Result<(quinn::ServerConfig, rustls_pki_types::CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(120).try_into()?));
    config.transport_config(Arc::new(transport));
    Ok((config, certificate))
}

/// Serves until standard input is closed; prints [`Figures`] for each line that comes there.
pub(crate) async fn serve(dir: &Path) -> Result<()> {
    let (config, certificate) = server_config(b"bare")?;
    let endpoint = crate::target::endpoint(Some(config))?;

    let file = File::create(dir.join("log")).context("the bare relay's log file")?;
    let writers: Writers = Arc::default();
    let (groups, queue) = sync_channel(GROUPS_QUEUED_MAX);
    let figures = Arc::new(Mutex::new(Figures::default()));
    std::thread::spawn({
        let (writers, figures) = (Arc::clone(&writers), Arc::clone(&figures));
        move || commit_loop(file, &queue, &writers, &figures)
    });

    let ready = Ready { port: endpoint.local_addr()?.port(), certificate: certificate.to_vec() };
    print_line(&serde_json::to_string(&ready)?)?;

    let accepting = tokio::spawn({
        let endpoint = endpoint.clone();
        async move {
            while let Some(incoming) = endpoint.accept().await {
                let (writers, groups) = (Arc::clone(&writers), groups.clone());
                tokio::spawn(async move {
                    // A load generator that goes away ends its connection with an error; nothing to report.
                    let _ = connection(incoming, writers, groups).await;
                });
            }
        }
    });
    tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines() {
            line?;
            let now = *figures.lock().expect("the committer does not panic while it holds the lock");
            print_line(&serde_json::to_string(&now)?)?;
        }
        anyhow::Ok(())
    })
    .await??;
    endpoint.close(0u32.into(), b"done");
    Ok(accepting.await?)
}

/// One line of output, at once.
pub(crate) fn print_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn connection(incoming: quinn::Incoming, writers: Writers, groups: SyncSender<Group>) -> Result<()> {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    while buffer.len() < 4 {
        if receive.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
    let from = buffer.get_u32();
    let (sender, mut outbound) = mpsc::channel::<Bytes>(BUFFERS_QUEUED_MAX);
    writers.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?.insert(from, sender);
    tokio::spawn(async move {
        let mut chunks = Vec::new();
        while outbound.recv_many(&mut chunks, 64).await > 0 {
            if send.write_all_chunks(&mut chunks).await.is_err() {
                return;
            }
            chunks.clear();
        }
    });
    loop {
        let mut messages = Vec::new();
        while let Some(length) = buffer.first_chunk::<2>().map(|head| usize::from(u16::from_be_bytes(*head)))
        {
            if buffer.len() < 2 + length {
                break;
            }
            buffer.advance(2);
            let mut message = buffer.split_to(length).freeze();
            messages.push((message.get_u32(), message));
        }
        if !messages.is_empty() {
            let group = Group { from, messages };
            // The queue is longer than what all pairs may have outstanding, so this does not block.
            groups.send(group).context("the committer ended")?;
        }
        if receive.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

trait ReadBuf {
    async fn read_buf(&mut self, buffer: &mut BytesMut) -> Result<usize>;
}

impl ReadBuf for quinn::RecvStream {
    async fn read_buf(&mut self, buffer: &mut BytesMut) -> Result<usize> {
        Ok(tokio::io::AsyncReadExt::read_buf(self, buffer).await?)
    }
}

/// Takes all that is queued, writes it, syncs once, then acknowledges and passes on.
fn commit_loop(mut file: File, queue: &Receiver<Group>, writers: &Writers, figures: &Mutex<Figures>) {
    let mut bytes = Vec::new();
    while let Ok(first) = queue.recv() {
        let batch: Vec<Group> = std::iter::once(first).chain(queue.try_iter()).collect();
        bytes.clear();
        for (to, message) in batch.iter().flat_map(|group| &group.messages) {
            bytes.put_u32(*to);
            bytes.put_u16(u16::try_from(message.len()).expect("a message came with a length of 16 bits"));
            bytes.put_slice(message);
        }
        let start = Instant::now();
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the bare relay's disk takes the log");
        let took = start.elapsed().as_secs_f64();
        if let Ok(mut figures) = figures.lock() {
            figures.fsync_seconds += took;
        }

        let mut outbound: HashMap<u32, BytesMut> = HashMap::new();
        for group in &batch {
            let acks = outbound.entry(group.from).or_default();
            for _ in &group.messages {
                acks.put_u16(1);
                acks.put_u8(KIND_ACK);
            }
            for (to, message) in &group.messages {
                let delivery = outbound.entry(*to).or_default();
                delivery.put_u16(u16::try_from(message.len() + 1).unwrap_or(u16::MAX));
                delivery.put_u8(KIND_DELIVERY);
                delivery.put_slice(message);
            }
        }
        let writers = writers.lock().expect("no writer panics while it holds the lock");
        for (to, buffer) in outbound {
            if let Some(writer) = writers.get(&to) {
                // A receiver that is this far behind has gone away: the load generator reads all it gets.
                let _ = writer.try_send(buffer.freeze());
            }
        }
    }
}
