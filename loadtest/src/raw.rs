//! Devices without a client: they prove themselves, then speak frames as they like.
//!
//! A whole client encrypts, and on two cores its work would hide the relay's. So these devices make a real MLS
//! group once (the relay verifies it), and then append messages with a true MLS header over filler, which the
//! relay cannot tell from ciphertext. Fault tests use them too, to know exactly what was acknowledged.

use crate::drive::{Dialect, Link, MESSAGE_BYTES, Seen};
use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sotto_e2ee::conversation::{Change, Conversation};
use sotto_e2ee::identity::{AccountIdentity, LocalDevice};
use sotto_e2ee::key_package;
use sotto_e2ee::store::{MemoryStore, Store, Transaction};
use sotto_mls::suite::Suite;
use sotto_node::http::AccountApi;
use sotto_node::tls::Trust;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{
    Authenticate, Challenge, ChannelBinding, EXPORTER_LABEL, Hello, Ready, authentication_bytes,
};
use sotto_protocol::body::conversation::{Create, HistoryPolicy, Kind, State};
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::body::log::{Append, Appended, Commit, Entries, Fetch, Follow, Followed};
use sotto_protocol::body::push::Delivered;
use sotto_protocol::error::WireError;
use sotto_protocol::frame::{self, Body, Frame};
use sotto_protocol::ids::{ConversationId, DeviceId, Epoch, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_protocol::invite::Invite;
use sotto_protocol::limits::{FRAME_BODY_BYTES_MAX, KEEP_ALIVE_MS};
use sotto_protocol::mls_header::private_application_prefix;
use sotto_protocol::payload::Payload;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncReadExt;

/// Bytes of the MLS header that opens each message.
const PREFIX_BYTES: usize = 30;

/// A relay to talk to.
#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    api: AccountApi,
    client: quinn::ClientConfig,
}

/// A signed-in device with its keys.
pub struct Device {
    local: LocalDevice,
    access_token: String,
}

/// An account whose devices are made here.
pub struct Account {
    identity: AccountIdentity,
    id: sotto_protocol::ids::AccountId,
    access_token: String,
    rng: ChaCha20Rng,
}

impl Account {
    /// What its requests over HTTP are signed with.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }
}

/// One proved connection.
pub struct RawConnection {
    /// The QUIC connection.
    pub connection: quinn::Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
    buffer: BytesMut,
    next_request: u32,
}

/// The time of this machine.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Relay {
    /// The relay of a link such as it prints at its start.
    ///
    /// # Errors
    /// If the text is no link, or names no address of this machine.
    pub fn from_link(link: &str) -> Result<Self> {
        let invite: Invite = link.parse()?;
        let address =
            std::net::ToSocketAddrs::to_socket_addrs(&(invite.relay.host.as_str(), invite.relay.port))?
                .next()
                .context("the relay's host has no address")?;
        // Only what is this machine's own can be bound.
        let is_here = std::net::UdpSocket::bind((address.ip(), 0)).is_ok();
        anyhow::ensure!(is_here, "loads are for relays on this machine, not for {address}");
        let trust = Trust::new(invite.fingerprint)?;
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(trust.config(&[b"sotto/1"]))?;
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        client.transport_config(signs_of_life());
        Ok(Self { address, api: sotto_node::http::api(invite.relay, trust), client })
    }

    /// Registers an account under a name that nobody has.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn account(&self, name: &str) -> Result<Account> {
        let password = "a password for loads and tests only";
        let signed_in = self.api.register(&format!("{name}@example.org"), name, password, None).await?;
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        Ok(Account {
            identity: AccountIdentity::generate(&mut rng),
            id: signed_in.user.id,
            access_token: signed_in.tokens.access_token,
            rng,
        })
    }

    /// Registers a further device of an account.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn device(&self, account: &mut Account) -> Result<Device> {
        let id = DeviceId(rand::random());
        let local = account.identity.issue_device(&mut account.rng, account.id, id, now());
        self.api.add_device(&account.access_token, id, "load", &local.certificate_bytes()).await?;
        Ok(Device { local, access_token: account.access_token.clone() })
    }

    /// Connects a device and proves it.
    ///
    /// # Errors
    /// If the relay cannot be reached or refuses.
    pub async fn connect(&self, endpoint: &quinn::Endpoint, device: &Device) -> Result<RawConnection> {
        let connection = endpoint.connect_with(self.client.clone(), self.address, "localhost")?.await?;
        let (send, receive) = connection.open_bi().await?;
        let mut exported = [0; 32];
        connection
            .export_keying_material(&mut exported, EXPORTER_LABEL, b"")
            .map_err(|_| anyhow::anyhow!("TLS gives no exporter"))?;
        let mut raw = RawConnection { connection, send, receive, buffer: BytesMut::new(), next_request: 1 };
        raw.write(frame::encode(RequestId::PUSH, &Hello::new("sotto-loadtest"))).await?;
        raw.expect::<Hello>().await?;
        let challenge: Challenge = raw.expect().await?;
        let binding = ChannelBinding::TlsExporter(exported);
        let id = device.local.device();
        let proof = Authenticate {
            access_token: device.access_token.clone(),
            device: id,
            signature: device.local.sign(&authentication_bytes(&challenge.nonce, &binding, id)),
            extensions: Extensions::default(),
        };
        let _: Ready = raw.ask(&proof).await?;
        Ok(raw)
    }
}

impl Device {
    /// Its keys and certificate.
    #[must_use]
    pub const fn local(&self) -> &LocalDevice {
        &self.local
    }
}

impl RawConnection {
    /// Sends a request and waits for its answer; what is pushed meanwhile is dropped.
    ///
    /// # Errors
    /// If the relay refuses (a [`WireError`]) or the connection ends.
    pub async fn ask<A: Body>(&mut self, request: &impl Body) -> Result<A> {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.write(frame::encode(id, request)).await?;
        loop {
            let frame = self.read().await?;
            if frame.header.id == id {
                return answer(&frame);
            }
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection ended.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        Ok(self.send.write_chunk(bytes).await?)
    }

    /// The next frame, whatever it is.
    ///
    /// # Errors
    /// If the connection ended or the bytes are no frame.
    pub async fn read(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer, FRAME_BODY_BYTES_MAX)? {
                return Ok(frame);
            }
            if self.receive.read_buf(&mut self.buffer).await? == 0 {
                bail!("the relay closed the stream");
            }
        }
    }

    async fn expect<A: Body>(&mut self) -> Result<A> {
        answer(&self.read().await?)
    }

    /// All entries after a cursor, in as many fetches as it takes.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn fetch_all(
        &mut self,
        conversation: ConversationId,
        mut after: Sequence,
    ) -> Result<Vec<sotto_protocol::body::log::Entry>> {
        let mut all = Vec::new();
        loop {
            let fetch = Fetch { conversation, after, limit: 512, extensions: Extensions::default() };
            let got: Entries = self.ask(&fetch).await?;
            let Some(last) = got.entries.last() else {
                return Ok(all);
            };
            after = last.sequence;
            all.extend(got.entries);
        }
    }

    /// Has new entries of a conversation pushed from now on.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn follow(&mut self, conversation: ConversationId) -> Result<Followed> {
        self.ask(&Follow { conversations: vec![conversation], extensions: Extensions::default() }).await
    }

    /// Goes on as one end of a pair that talks in `conversation`.
    #[must_use]
    pub fn into_link(self, conversation: ConversationId, epoch: Epoch) -> Link<SottoDialect> {
        let prefix = private_application_prefix(conversation.as_bytes(), epoch.0);
        let dialect =
            SottoDialect { conversation, prefix, number: MessageNumber(0), frames: BytesMut::new() };
        Link {
            connection: self.connection,
            send: self.send,
            receive: self.receive,
            buffer: self.buffer,
            dialect,
        }
    }
}

fn answer<A: Body>(frame: &Frame) -> Result<A> {
    if frame.header.kind == WireError::KIND {
        return Err(frame.decode::<WireError>()?.into());
    }
    Ok(frame.decode()?)
}

/// Makes a group of two devices without an archive; gives its id and the epoch in which both are members.
///
/// # Errors
/// If the relay refuses.
pub async fn pair(
    one: (&mut RawConnection, &Device),
    other: &Device,
    suite: Suite,
) -> Result<(ConversationId, Epoch)> {
    let (connection, device) = one;
    let id = ConversationId(rand::random());
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let (mut store, other_store) = (MemoryStore::new(), MemoryStore::new());

    let tx = Transaction::new(&store);
    let (mut conversation, genesis) =
        Conversation::create(&tx, &mut rng, &device.local, id, suite, HistoryPolicy::None, now())?;
    let batch = tx.into_batch();
    store.commit(batch)?;
    let create = Create {
        conversation: id,
        kind: Kind::Group,
        history: HistoryPolicy::None,
        peer: None,
        listed_name: None,
        group_info: genesis.group_info,
        tree: genesis.tree,
        extensions: Extensions::default(),
    };
    let _: State = connection.ask(&create).await?;

    let other_tx = Transaction::new(&other_store);
    let package = key_package::generate(&other_tx, &mut rng, &other.local, suite, 1, now())?
        .pop()
        .context("one key package was asked for")?;
    let claimed = ClaimedKeyPackage { device: other.local.device(), package, last_resort: false };
    let verified = key_package::verify(&claimed, other.local.account(), suite, now())?;
    let tx = Transaction::new(&store);
    let staged = conversation.stage(&tx, &mut rng, &device.local, Change::Add(vec![verified]), now())?;
    let commit = Commit {
        conversation: id,
        commit: staged.commit,
        group_info: staged.group_info,
        welcome: staged.welcome,
        extensions: Extensions::default(),
    };
    let _: Appended = connection.ask(&commit).await?;
    Ok((id, Epoch(1)))
}

/// A message of the current epoch as the relay sees one: a true header, then `body`.
#[must_use]
pub fn message(prefix: &[u8; PREFIX_BYTES], body: &[u8]) -> Payload {
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + body.len());
    bytes.put_slice(prefix);
    bytes.put_slice(body);
    bytes.freeze().into()
}

/// How a connection to Sotto speaks while a load runs.
pub struct SottoDialect {
    conversation: ConversationId,
    prefix: [u8; PREFIX_BYTES],
    number: MessageNumber,
    frames: BytesMut,
}

impl Dialect for SottoDialect {
    fn write_message(&mut self, out: &mut BytesMut, sent_at_us: u64) {
        self.number = self.number.next();
        self.frames.put_slice(&self.prefix);
        self.frames.put_u64(sent_at_us);
        self.frames.put_bytes(0x5a, MESSAGE_BYTES - PREFIX_BYTES - 8);
        let append = Append {
            conversation: self.conversation,
            number: self.number,
            message: self.frames.split().freeze().into(),
            archive: Payload::default(),
            extensions: Extensions::default(),
        };
        let id = RequestId(u32::try_from(self.number.0).unwrap_or(u32::MAX));
        frame::encode_into(out, id, &append);
    }

    fn read(&mut self, buffer: &mut BytesMut, seen: &mut Vec<Seen>) -> Result<()> {
        while let Some(frame) = Frame::take(buffer, FRAME_BODY_BYTES_MAX)? {
            if frame.header.kind == Appended::KIND {
                seen.push(Seen::Acknowledged);
            } else if frame.header.kind == Delivered::KIND {
                for entry in frame.decode::<Delivered>()?.entries {
                    let stamp =
                        entry.message.as_slice().get(PREFIX_BYTES..).and_then(|body| body.first_chunk());
                    seen.push(Seen::Delivered(u64::from_be_bytes(
                        *stamp.context("a message without its time")?,
                    )));
                }
            } else if frame.header.kind == WireError::KIND {
                return Err(frame.decode::<WireError>()?.into());
            } else {
                bail!("an unexpected frame: {}", sotto_protocol::body::kind_name(frame.header.kind));
            }
        }
        Ok(())
    }
}

/// A connection that has nothing to say lets hear of itself as often as one of a node does.
#[must_use]
pub fn signs_of_life() -> Arc<quinn::TransportConfig> {
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)));
    Arc::new(transport)
}
