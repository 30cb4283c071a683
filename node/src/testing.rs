//! Small servers for tests: an HTTPS server with one answer, and echoes of frames over QUIC and WebSocket.

use crate::http::AccountApi;
use crate::tls::{Trust, fingerprint_of};
use futures_util::{SinkExt as _, StreamExt as _};
use quinn::crypto::rustls::QuicServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sotto_protocol::invite::{Fingerprint, RelayAddress};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What the HTTPS server says to everything.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: "content-type: application/json\r\n".to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }
}

/// A server on a loopback port. It ends with the test's runtime.
pub(crate) struct Server {
    port: u16,
    certificate: CertificateDer<'static>,
    request: Arc<Mutex<String>>,
    group: Arc<Mutex<String>>,
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    Identity {
        certificate: made.cert.der().clone(),
        key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
    }
}

/// rustls itself refuses a certificate with another key, so the impostor brings its own resolver.
#[derive(Debug)]
struct Impostor(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Impostor {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn config(identity: &Identity, alpn: &[u8]) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(identity.key.clone_key()).expect("a key");
    let certified = rustls::sign::CertifiedKey::new(vec![identity.certificate.clone()], key);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Impostor(Arc::new(certified))));
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

impl Server {
    /// HTTPS with one answer.
    pub(crate) async fn http(answer: Answer) -> Self {
        let identity = identity();
        let (server, listener) = Self::listen(&identity).await;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config(&identity, b"http/1.1")));
        let seen = server.request.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                while !whole(&request) {
                    match stream.read(&mut chunk).await {
                        Ok(n) if n > 0 => {
                            request.extend_from_slice(chunk.get(..n).expect("within the chunk"))
                        }
                        _ => break,
                    }
                }
                *seen.lock().expect("nobody panicked") = String::from_utf8_lossy(&request).into_owned();
                let head = format!(
                    "HTTP/1.1 {} X\r\n{}content-length: {}\r\n\r\n",
                    answer.status,
                    answer.headers,
                    answer.body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&answer.body).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    /// QUIC and WebSocket on the same port.
    pub(crate) async fn both() -> Self {
        Self::echo(identity(), true).await
    }

    /// WebSocket only.
    pub(crate) async fn websocket() -> Self {
        Self::echo(identity(), false).await
    }

    /// Shows the certificate of another server and has another key.
    pub(crate) async fn with_certificate_of(other: &Self) -> Self {
        let own = identity();
        Self::echo(Identity { certificate: other.certificate.clone(), key: own.key }, true).await
    }

    async fn echo(identity: Identity, udp: bool) -> Self {
        let (server, listener) = Self::listen(&identity).await;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config(&identity, b"http/1.1")));
        let group = server.group.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                if let Some(negotiated) = stream.get_ref().1.negotiated_key_exchange_group() {
                    *group.lock().expect("nobody panicked") = format!("{:?}", negotiated.name());
                }
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
                tokio::spawn(async move {
                    while let Some(Ok(message)) = socket.next().await {
                        if message.is_binary() && socket.send(message).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        if udp {
            let crypto = QuicServerConfig::try_from(config(&identity, b"sotto/1")).expect("a QUIC suite");
            let endpoint = quinn::Endpoint::server(
                quinn::ServerConfig::with_crypto(Arc::new(crypto)),
                ([127, 0, 0, 1], server.port).into(),
            )
            .expect("the UDP port of the same number");
            tokio::spawn(async move {
                while let Some(incoming) = endpoint.accept().await {
                    let Ok(connection) = incoming.await else { continue };
                    tokio::spawn(async move {
                        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                            while let Ok(Some(chunk)) = recv.read_chunk(65_536, true).await {
                                if send.write_chunk(chunk.bytes).await.is_err() {
                                    break;
                                }
                            }
                            let _ = send.finish();
                        }
                    });
                }
            });
        }
        server
    }

    async fn listen(identity: &Identity) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let certificate = identity.certificate.clone();
        (Self { port, certificate, request: Arc::default(), group: Arc::default() }, listener)
    }

    pub(crate) fn address(&self) -> RelayAddress {
        RelayAddress { host: "127.0.0.1".to_owned(), port: self.port }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.certificate)
    }

    pub(crate) fn api(&self) -> AccountApi {
        crate::http::api(self.address(), Trust::new(Some(self.fingerprint())).expect("a provider"))
    }

    pub(crate) fn last_request(&self) -> String {
        self.request.lock().expect("nobody panicked").clone()
    }

    pub(crate) fn group(&self) -> String {
        self.group.lock().expect("nobody panicked").clone()
    }
}

/// Whether a request has its head and as many bytes of body as it says.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap_or(0))
    });
    body.len() >= length.unwrap_or(0)
}
