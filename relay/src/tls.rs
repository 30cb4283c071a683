//! The relay's certificate and its TLS: version 1.3 only, the post-quantum hybrid first.
//!
//! Without a certificate of the operator's own, the relay makes one at its first start and keeps it. Devices
//! find it by the fingerprint that links and invites carry, so no authority has to vouch for it and it need
//! not expire soon.

use crate::config::CertificateFiles;
use crate::folder::{DataFolder, FolderError};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sotto_protocol::invite::Fingerprint;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// ALPN of the frames over QUIC.
pub const ALPN_SOTTO: &[u8] = b"sotto/1";

const CHAIN_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "certificate.key";

/// A certificate chain with its key and its fingerprint.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// SHA-256 of the relay's own certificate.
    pub fingerprint: Fingerprint,
    /// Whether the relay made it itself: a client must be told the fingerprint then.
    pub self_signed: bool,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The data folder fails.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A PEM file cannot be read as what it should be.
    #[error("cannot read {what} from {}: {reason}", path.display())]
    Pem {
        /// A certificate chain, or a private key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// Certificate and key do not fit, or rustls cannot use them.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// Making a certificate failed.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// No cipher suite for QUIC. A fault of this program.
    #[error("the TLS provider has no cipher suite for QUIC")]
    NoInitialSuite,
}

/// The one cryptographic provider of the process: aws-lc-rs, X25519MLKEM768 before everything else.
#[must_use]
pub fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

/// Makes it the default of the process. The first call wins, and all of them bring the same.
pub fn install_provider() {
    let _ = provider().install_default();
}

impl Identity {
    /// The operator's certificate, or the relay's own, made at first start.
    ///
    /// # Errors
    /// If a file cannot be read or written, or holds something else.
    pub fn load(
        folder: &DataFolder,
        files: Option<&CertificateFiles>,
        names: Vec<String>,
    ) -> Result<Self, TlsError> {
        match files {
            Some(files) => Self::read(&files.chain, &files.key, false),
            None => {
                if folder.read(CHAIN_FILE)?.is_none() {
                    let (chain, key) = generate(names)?;
                    // The key first: a chain without its key would be found at the next start.
                    folder.write(KEY_FILE, &key)?;
                    folder.write(CHAIN_FILE, &chain)?;
                }
                Self::read(&folder.join(CHAIN_FILE), &folder.join(KEY_FILE), true)
            }
        }
    }

    fn read(chain_path: &Path, key_path: &Path, self_signed: bool) -> Result<Self, TlsError> {
        let bad = |what, path: &Path, reason: String| TlsError::Pem { what, path: path.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(chain_path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad("a certificate chain", chain_path, error.to_string()))?;
        let Some(own) = chain.first() else {
            return Err(bad("a certificate chain", chain_path, "it holds no certificate".to_owned()));
        };
        let digest = sha256(own);
        let key = PrivateKeyDer::from_pem_file(key_path)
            .map_err(|error| bad("a private key", key_path, error.to_string()))?;
        Ok(Self { chain, key, fingerprint: Fingerprint(digest), self_signed })
    }

    /// TLS for HTTPS and WebSockets on TCP.
    ///
    /// # Errors
    /// If key and certificate do not fit.
    pub fn for_https(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        Ok(Arc::new(self.server_config(&[b"http/1.1"])?))
    }

    /// TLS for QUIC.
    ///
    /// # Errors
    /// If key and certificate do not fit.
    pub fn for_quic(&self) -> Result<quinn::crypto::rustls::QuicServerConfig, TlsError> {
        let mut config = self.server_config(&[ALPN_SOTTO])?;
        // Tickets save a device one signature when it comes back; one is enough. No early data: the first
        // thing that counts is a proof that is bound to this very connection.
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        config.try_into().map_err(|_| TlsError::NoInitialSuite)
    }

    fn server_config(&self, protocols: &[&[u8]]) -> Result<rustls::ServerConfig, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// A self-signed ECDSA P-256 certificate, the kind that every TLS library takes, and its key; both PEM.
fn generate(names: Vec<String>) -> Result<(String, String), TlsError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = rcgen::CertificateParams::new(names)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, "Sotto relay");
    parameters.distinguished_name = name;
    // Trusted by fingerprint, for as long as the operator keeps it. Fixed dates, so that a wrong clock at
    // first start does no harm.
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_the_first_start_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(home.path()).unwrap();
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = Identity::load(&folder, None, names()).unwrap();
        let second = Identity::load(&folder, None, names()).unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
        assert!(first.self_signed);
        first.for_https().unwrap();
        first.for_quic().unwrap();
    }

    #[test]
    fn a_certificate_with_another_key_or_no_certificate_is_refused_with_the_file() {
        let home = tempfile::tempdir().unwrap();
        let (chain, _) = generate(vec!["a".to_owned()]).unwrap();
        let (_, key) = generate(vec!["a".to_owned()]).unwrap();
        let files =
            CertificateFiles { chain: home.path().join("chain.pem"), key: home.path().join("key.pem") };
        std::fs::write(&files.chain, chain).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let folder = DataFolder::open(&home.path().join("data")).unwrap();
        let identity = Identity::load(&folder, Some(&files), vec![]).unwrap();
        assert!(matches!(identity.for_https(), Err(TlsError::Unusable(_))));

        std::fs::write(&files.chain, "hello").unwrap();
        let error = Identity::load(&folder, Some(&files), vec![]).unwrap_err().to_string();
        assert!(error.contains("chain.pem"), "{error}");
    }

    #[test]
    fn the_post_quantum_hybrid_is_offered_first() {
        assert_eq!(
            provider().kx_groups.first().map(|group| group.name()),
            Some(rustls::NamedGroup::X25519MLKEM768)
        );
    }
}
