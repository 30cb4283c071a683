//! A device's end of the wire, over QUIC, WebSocket or WebTransport: frames in, frames out, nothing clever.

use crate::world::{Person, TestRelay};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use openmls_traits::signatures::Signer as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use sha2::Digest as _;
use sotto_mls::test_group::TestDevice;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{
    Authenticate, Challenge, ChannelBinding, EXPORTER_LABEL, Goodbye, Hello, Ready, authentication_bytes,
};
use sotto_protocol::error::WireError;
use sotto_protocol::frame::{self, Body, Frame};
use sotto_protocol::ids::RequestId;
use sotto_relay::tls::ALPN_SOTTO;
use sotto_relay::webtransport::ALPN_H3;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use web_transport_proto::{ConnectRequest, ConnectResponse, Frame as WireKind, Settings, VarInt as Number};

/// Longer than anything should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    out: mpsc::Sender<Bytes>,
    incoming: mpsc::Receiver<Bytes>,
    binding: ChannelBinding,
    buffer: BytesMut,
    next_id: u32,
}

impl Client {
    /// Opens a QUIC connection and its stream; says nothing yet.
    pub(crate) async fn quic(relay: &TestRelay) -> Self {
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quic_config(relay.relay.fingerprint().0, ALPN_SOTTO));
        let address = relay.relay.addresses().quic;
        let connection = endpoint.connect(address, "relay").unwrap().await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        let mut exported = [0; 32];
        connection.export_keying_material(&mut exported, EXPORTER_LABEL, b"").unwrap();
        Self::over(send, recv, ChannelBinding::TlsExporter(exported), (endpoint, connection))
    }

    /// Opens a WebTransport session as a browser does; says nothing yet.
    pub(crate) async fn webtransport(relay: &TestRelay) -> Self {
        Self::try_webtransport(relay, "/api/v1/wt").await.unwrap()
    }

    /// The same at any path; the error is the relay's answer.
    pub(crate) async fn try_webtransport(relay: &TestRelay, path: &str) -> Result<Self, String> {
        let connection = h3_connection(relay).await;
        let mut settings = Settings::default();
        settings.enable_webtransport(1);
        let mut control = connection.open_uni().await.unwrap();
        settings.write(&mut control).await.unwrap();
        // QPACK's two, as browsers open them, and one that means nothing.
        let mut others = Vec::new();
        for kind in [2, 3, 0x21] {
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(&[kind]).await.unwrap();
            others.push(stream);
        }
        let mut theirs = connection.accept_uni().await.unwrap();
        assert_eq!(Settings::read(&mut theirs).await.unwrap().supports_webtransport(), 1);
        let (mut request, mut answer) = connection.open_bi().await.unwrap();
        let url: url::Url =
            format!("https://127.0.0.1:{}{path}", relay.relay.addresses().quic.port()).parse().unwrap();
        ConnectRequest::new(url).write(&mut request).await.unwrap();
        ConnectResponse::read(&mut answer).await.map_err(|error| format!("{error:?}"))?;
        let (mut send, recv) = connection.open_bi().await.unwrap();
        let mut head = Vec::new();
        WireKind::WEBTRANSPORT.encode(&mut head);
        Number::try_from(u64::from(quinn::VarInt::from(request.id()))).unwrap().encode(&mut head);
        send.write_all(&head).await.unwrap();
        let kept = (connection, control, others, theirs, request, answer);
        Ok(Self::over(send, recv, ChannelBinding::NonceOnly, kept))
    }

    /// Frames over a stream of QUIC. What is kept lives as long as somebody reads.
    fn over(
        mut send: quinn::SendStream,
        mut recv: quinn::RecvStream,
        binding: ChannelBinding,
        kept: impl Send + 'static,
    ) -> Self {
        let (out, mut to_send) = mpsc::channel::<Bytes>(64);
        let (received, incoming) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(bytes) = to_send.recv().await {
                if send.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let _ = send.finish();
        });
        tokio::spawn(async move {
            let _kept = kept;
            while let Ok(Some(chunk)) = recv.read_chunk(64 * 1024, true).await {
                if received.send(chunk.bytes).await.is_err() {
                    break;
                }
            }
        });
        Self { out, incoming, binding, buffer: BytesMut::new(), next_id: 1 }
    }

    /// Opens a WebSocket on the plain listener; says nothing yet.
    pub(crate) async fn websocket(relay: &TestRelay) -> Self {
        let url = format!("ws://{}/api/v1/ws", relay.http());
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let (mut sink, mut stream) = socket.split();
        let (out, mut to_send) = mpsc::channel::<Bytes>(64);
        let (received, incoming) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(bytes) = to_send.recv().await {
                if sink.send(Message::Binary(bytes)).await.is_err() {
                    break;
                }
            }
            let _ = sink.close().await;
        });
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Binary(bytes) = message
                    && received.send(bytes).await.is_err()
                {
                    break;
                }
            }
        });
        Self { out, incoming, binding: ChannelBinding::NonceOnly, buffer: BytesMut::new(), next_id: 1 }
    }

    /// Sends bytes as they are. An error means that the relay has closed, which the test will see by reading.
    pub(crate) async fn send_raw(&self, bytes: impl Into<Bytes>) {
        let _ = self.out.send(bytes.into()).await;
    }

    pub(crate) async fn send<B: Body>(&mut self, body: &B) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.send_raw(frame::encode(id, body)).await;
        id
    }

    /// The next frame; `None` when the relay has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer, 8 << 20).unwrap() {
                return Some(frame);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.incoming.recv()).await.expect("in time")?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The next frame that is no push, which must be a `B`.
    pub(crate) async fn expect<B: Body>(&mut self) -> B {
        loop {
            let frame = self.next().await.expect("the relay closed where an answer was due");
            if let Ok(error) = frame.decode::<WireError>() {
                panic!("refused: {error}");
            }
            if frame.header.id != RequestId::PUSH {
                return frame.decode().expect("the kind that was due");
            }
        }
    }

    pub(crate) async fn request<Q: Body, A: Body>(&mut self, body: &Q) -> A {
        self.send(body).await;
        self.expect().await
    }

    pub(crate) async fn expect_error(&mut self) -> WireError {
        loop {
            let frame = self.next().await.expect("the relay closed where an error was due");
            if let Ok(error) = frame.decode() {
                return error;
            }
        }
    }

    pub(crate) async fn expect_goodbye(&mut self) -> Goodbye {
        loop {
            let frame = self.next().await.expect("the relay closed where a goodbye was due");
            if let Ok(goodbye) = frame.decode() {
                return goodbye;
            }
        }
    }

    pub(crate) async fn expect_end(&mut self) {
        while let Some(frame) = self.next().await {
            assert_eq!(frame.header.id, RequestId::PUSH, "an answer where the end was due: {frame:?}");
        }
    }

    pub(crate) async fn challenge(&mut self) -> [u8; 32] {
        self.request::<_, Hello>(&Hello::new("test/1")).await;
        self.expect::<Challenge>().await.nonce
    }

    pub(crate) fn proof(&self, device: &TestDevice, token: &str, nonce: &[u8; 32]) -> Authenticate {
        let id = device.certificate.device();
        let signed = device.sign(&authentication_bytes(nonce, &self.binding, id)).unwrap();
        Authenticate {
            access_token: token.to_owned(),
            device: id,
            signature: signed.try_into().unwrap(),
            extensions: Extensions::default(),
        }
    }

    /// From the hello to ready.
    pub(crate) async fn sign_in(mut self, device: &TestDevice, token: &str) -> Self {
        let nonce = self.challenge().await;
        let proof = self.proof(device, token, &nonce);
        self.request::<_, Ready>(&proof).await;
        self
    }

    pub(crate) async fn of(relay: &TestRelay, person: &Person) -> Self {
        Self::quic(relay).await.sign_in(&person.device, &person.token).await
    }
}

/// TLS that takes the one certificate.
pub(crate) fn tls_config(fingerprint: [u8; 32], protocol: &[u8]) -> rustls::ClientConfig {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(sotto_relay::tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(fingerprint)))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

/// A connection on which HTTP/3 was agreed, to a relay whose certificate is known by what it tells browsers.
pub(crate) async fn h3_connection(relay: &TestRelay) -> quinn::Connection {
    let (_, about) = relay.get("/api/v1/about", None).await;
    let hash = about["webtransport"]["certificate_hashes"][0].as_str().unwrap();
    let hash = data_encoding::BASE64.decode(hash.as_bytes()).unwrap().try_into().unwrap();
    h3_connection_to(relay, hash).await.unwrap()
}

/// The same, if the relay shows the one certificate.
pub(crate) async fn h3_connection_to(
    relay: &TestRelay,
    hash: [u8; 32],
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quic_config(hash, ALPN_H3));
    endpoint.connect(relay.relay.addresses().quic, "127.0.0.1").unwrap().await
}

fn quic_config(fingerprint: [u8; 32], protocol: &[u8]) -> quinn::ClientConfig {
    let config = tls_config(fingerprint, protocol);
    let config: quinn::crypto::rustls::QuicClientConfig = config.try_into().unwrap();
    quinn::ClientConfig::new(Arc::new(config))
}

/// Trusts the one certificate whose fingerprint is known.
#[derive(Debug)]
struct Pinned([u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if <[u8; 32]>::from(sha2::Sha256::digest(certificate)) == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate than expected".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = sotto_relay::tls::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        sotto_relay::tls::provider().signature_verification_algorithms.supported_schemes()
    }
}
