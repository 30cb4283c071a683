//! Whom to let in, and whom to trust at the other end of a link: certificates whose fingerprints came inside MLS, and no others.
//!
//! Each process makes a certificate for itself and forgets it when it ends. It says nothing about who it is of; that it is of a
//! certain device, that device has said in a word that the members' keys vouch for.

use crate::tls::{fingerprint_of, pinned_client, provider};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, ServerConfig, TransportConfig, VarInt};
use rcgen::CertifiedKey;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use sotto_protocol::invite::Fingerprint;
use sotto_protocol::peer::ALPN;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name in certificates and greetings: nobody's, and nobody looks at it.
pub(super) const NAME: &str = "peer.invalid";

/// Keeps NATs open, and lets either end find out soon that the other one is gone: others have its chunks.
const KEEP_ALIVE: Duration = Duration::from_millis(1_500);
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// A first packet that a NAT dropped is sent again soon: three times this, then six.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(80);

/// Questions at a time on one link.
const STREAMS_MAX: u32 = 16;

/// Over 2 MB a lossy path makes more than 1,024 gaps, which ends the connection (quinn-proto).
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// 8 MiB keep 80 MB/s going at 100 ms.
const LINK_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// This process's certificate for links.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

/// Whether a certificate is one that is waited for.
pub(super) trait Expects: fmt::Debug + Send + Sync {
    /// True if a link with it is on its way.
    fn expects(&self, fingerprint: &[u8; 32]) -> bool;
}

impl Identity {
    pub(super) fn draw() -> Result<Self, String> {
        let drawn =
            rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(|error| error.to_string())?;
        let CertifiedKey { cert, signing_key } = drawn;
        Ok(Self { certificate: cert.der().clone(), key: signing_key.serialize_der().into() })
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        fingerprint_of(&self.certificate).0
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }

    /// For letting in who is expected.
    pub(super) fn server(&self, expected: Arc<dyn Expects>) -> Result<ServerConfig, String> {
        let text = |error: rustls::Error| error.to_string();
        let provider = Arc::new(provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(text)?
            .with_client_cert_verifier(Arc::new(Expected { expected, algorithms }))
            .with_single_cert(vec![self.certificate.clone()], self.key())
            .map_err(text)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        let crypto = QuicServerConfig::try_from(config).map_err(|error| error.to_string())?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()?));
        Ok(config)
    }

    /// For dialling who shows one certificate.
    pub(super) fn client(&self, fingerprint: [u8; 32]) -> Result<ClientConfig, String> {
        let chain = vec![self.certificate.clone()];
        let mut config =
            pinned_client(Fingerprint(fingerprint), chain, self.key()).map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(config).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport()?));
        Ok(config)
    }
}

fn transport() -> Result<TransportConfig, String> {
    let mut transport = TransportConfig::default();
    let silence = SILENCE_MAX.try_into().map_err(|_| "the idle time is out of range".to_owned())?;
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(silence))
        .initial_rtt(FIRST_ROUND_TRIP)
        // The chunk that was begun first is there first: one after the other, not all of them at the end.
        .send_fairness(false)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .send_window(u64::from(LINK_WINDOW_BYTES))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    Ok(transport)
}

/// The fingerprint of the certificate that the other end of a connection showed, and has the key of.
pub(super) fn fingerprint_at(connection: &Connection) -> Option<[u8; 32]> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    shown.first().map(|certificate| fingerprint_of(certificate).0)
}

/// Lets in whoever is expected, and still checks that they hold the private key.
struct Expected {
    expected: Arc<dyn Expects>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.expected)
    }
}

impl ClientCertVerifier for Expected {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.expected.expects(&fingerprint_of(end_entity).0) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
