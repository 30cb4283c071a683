//! Whom to trust: the certificate with the fingerprint of the link, or the authorities that this machine trusts.
//!
//! TLS 1.3 only, with the X25519MLKEM768 hybrid first. A relay with a self-signed certificate is known by its
//! fingerprint, which links and invites carry. A different certificate is refused *before* anything is sent,
//! and both fingerprints are shown: it is either a renewed certificate or somebody in between.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::BuilderVerifierExt as _;
use sha2::{Digest as _, Sha256};
use sotto_protocol::invite::Fingerprint;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The relay showed another certificate than the link names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "WRONG FINGERPRINT: this is not the relay of your link, or its certificate was replaced.\n  expected {expected}\n  got      {got}\n\
     Nothing was sent. Ask the relay's operator for the new fingerprint by another way than this network; \
     if it is confirmed, run the command again with --relay and the new link"
)]
pub struct WrongFingerprint {
    /// What the link says.
    pub expected: Fingerprint,
    /// What the other side showed.
    pub got: Fingerprint,
}

/// TLS settings that make one kind of connection, and the wrong fingerprint if one was seen.
#[derive(Clone)]
pub struct Trust {
    config: ClientConfig,
    pinned: Option<Arc<Pinned>>,
}

impl Trust {
    /// Trusts the certificate with this fingerprint, or without one the authorities of this machine.
    ///
    /// # Errors
    /// If this machine's authorities cannot be read.
    pub fn new(fingerprint: Option<Fingerprint>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        Ok(match fingerprint {
            Some(expected) => {
                let pinned = Arc::new(Pinned { expected, algorithms, seen: Mutex::new(None) });
                let config = builder
                    .dangerous()
                    .with_custom_certificate_verifier(pinned.clone())
                    .with_no_client_auth();
                Self { config, pinned: Some(pinned) }
            }
            None => Self { config: builder.with_platform_verifier()?.with_no_client_auth(), pinned: None },
        })
    }

    /// The settings for connections that speak one of these protocols.
    #[must_use]
    pub fn config(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// Whether one certificate is pinned.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// The wrong fingerprint of the last refused handshake: libraries between here and the verifier keep only its text.
    #[must_use]
    pub fn wrong_fingerprint(&self) -> Option<WrongFingerprint> {
        let pinned = self.pinned.as_ref()?;
        let seen = *pinned.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map(|got| WrongFingerprint { expected: pinned.expected, got })
    }
}

/// Settings for a connection to who shows one certificate, and who asks for this one. No session is resumed.
pub(crate) fn pinned_client(
    expected: Fingerprint,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(provider());
    let algorithms = provider.signature_verification_algorithms;
    let pinned = Arc::new(Pinned { expected, algorithms, seen: Mutex::new(None) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_client_auth_cert(chain, key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// aws-lc-rs with the hybrid first; a relay without it is still reached over X25519.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// The SHA-256 of a certificate.
#[must_use]
pub fn fingerprint_of(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// The name that a certificate is asked for under; irrelevant where a fingerprint is pinned.
///
/// # Errors
/// If the host is neither a DNS name nor an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, rustls_pki_types::InvalidDnsNameError> {
    ServerName::try_from(host.to_owned())
}

/// Accepts exactly one certificate, and still checks that the other side holds its private key.
struct Pinned {
    expected: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Option<Fingerprint>>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.expected)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let got = fingerprint_of(end_entity);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if got == self.expected {
            *seen = None;
            Ok(ServerCertVerified::assertion())
        } else {
            *seen = Some(got);
            let wrong = WrongFingerprint { expected: self.expected, got };
            Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
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
