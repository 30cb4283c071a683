//! The relay's certificate and its TLS: version 1.3 only, the post-quantum hybrid first.
//! Browsers on QUIC are shown another one where no authority vouches for it ([`crate::webtransport::certificate`]).
//!
//! Without a certificate of the operator's own, the relay makes one at its first start and keeps it. Devices
//! find it by the fingerprint that links and invites carry, so no authority has to vouch for it and it need
//! not expire soon. One of the operator's own can be replaced while the relay runs: connections that stand stay.

use crate::acme;
use crate::config::CertificateFiles;
use crate::folder::{DataFolder, FolderError};
use crate::webtransport::ALPN_H3;
use crate::webtransport::certificate::ShortLived;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sotto_protocol::invite::Fingerprint;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use time::OffsetDateTime;

/// ALPN of the frames over QUIC.
pub const ALPN_SOTTO: &[u8] = b"sotto/1";

/// ALPN of TURN (RFC 7443); who names none is served too.
const ALPN_TURN: &[u8] = b"stun.turn";

const CHAIN_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "certificate.key";

/// What the relay shows itself with: a certificate chain with its key, which may be replaced while it serves.
#[derive(Debug)]
pub struct Identity {
    serving: Arc<Serving>,
    /// Where it is read again from; `None` for the relay's own.
    files: Option<CertificateFiles>,
    is_pinned: bool,
}

/// What handshakes take at their moment.
#[derive(Debug)]
struct Serving(RwLock<Shown>);

/// A chain with its key.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) fingerprint: Fingerprint,
    /// The relay's own, until the authority has given one.
    is_stand_in: bool,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// The relay makes one, once.
    Own,
    /// The operator brings one.
    Files {
        /// Where it lies.
        files: &'a CertificateFiles,
        /// Whether links carry its fingerprint.
        is_pinned: bool,
    },
    /// An authority gives one; until it has, and should it not read, the relay's own is shown.
    Authority,
}

impl Serving {
    fn now(&self) -> Shown {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now().key)
    }
}

/// On QUIC: who speaks HTTP/3 is a browser.
#[derive(Debug)]
struct ByProtocol {
    serving: Arc<Serving>,
    is_pinned: bool,
    browsers: Arc<ShortLived>,
}

impl ResolvesServerCert for ByProtocol {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_browser = hello.alpn().is_some_and(|mut names| names.any(|name| name == ALPN_H3));
        let shown = self.serving.now();
        Some(if is_browser && !shown.is_trusted(self.is_pinned) { self.browsers.served() } else { shown.key })
    }
}

impl Shown {
    /// Whether an authority that everybody trusts vouches for it, as far as the relay knows.
    const fn is_trusted(&self, is_pinned: bool) -> bool {
        !is_pinned && !self.is_stand_in
    }
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
    /// Every link and every device would stop working.
    #[error(
        "another certificate was not taken: links and devices hold the fingerprint of the one that is served. Restart the relay to \
         serve it and pass on new links; with `certificate_pinned = \"false\"` links carry none, and a renewed one is taken"
    )]
    Pinned,
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
    /// If a file cannot be read or written, or holds something else, or certificate and key do not fit.
    pub fn load(folder: &DataFolder, origin: Origin<'_>, names: Vec<String>) -> Result<Self, TlsError> {
        let (shown, files, is_pinned) = match origin {
            Origin::Own => (own(folder, names)?, None, true),
            Origin::Files { files, is_pinned } => (read(files)?, Some(files.clone()), is_pinned),
            Origin::Authority => {
                let file = folder.join(acme::CERTIFICATE_FILE);
                let files = CertificateFiles { chain: file.clone(), key: file };
                let given = files.chain.exists().then(|| read(&files));
                let shown = match given {
                    Some(Ok(shown)) => shown,
                    None => Shown { is_stand_in: true, ..own(folder, names)? },
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a new certificate is ordered");
                        Shown { is_stand_in: true, ..own(folder, names)? }
                    }
                };
                (shown, Some(files), false)
            }
        };
        Ok(Self { serving: Arc::new(Serving(RwLock::new(shown))), files, is_pinned })
    }

    /// The certificate that the authority gave, or the operator; `None` while the relay's own stands in.
    #[must_use]
    pub fn of_the_authority(&self) -> Option<CertificateDer<'static>> {
        let shown = self.serving.now();
        shown.key.cert.first().filter(|_| !shown.is_stand_in).cloned()
    }

    /// SHA-256 of the certificate that is served now.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.serving.now().fingerprint
    }

    /// What links carry: nothing where an authority that everybody trusts vouches for the certificate.
    #[must_use]
    pub fn pinned(&self) -> Option<Fingerprint> {
        self.is_pinned.then(|| self.fingerprint())
    }

    /// Whether browsers take it by themselves.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.serving.now().is_trusted(self.is_pinned)
    }

    /// Reads the operator's certificate again; handshakes take it from now on. Whether it is another one.
    ///
    /// # Errors
    /// If it is not one, or may not be replaced. What was served goes on being served.
    pub fn reload(&self) -> Result<bool, TlsError> {
        // The relay's own stays for good.
        let Some(files) = &self.files else { return Ok(false) };
        let next = read(files)?;
        let is_new = next.fingerprint != self.fingerprint();
        if is_new && self.is_pinned {
            return Err(TlsError::Pinned);
        }
        *self.serving.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(is_new)
    }

    /// TLS for HTTPS and WebSockets on TCP.
    ///
    /// # Errors
    /// If the provider lacks what TLS 1.3 needs.
    pub fn for_https(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        Ok(Arc::new(server_config(self.serving.clone(), &[b"http/1.1"])?))
    }

    /// TLS for TURN on TCP.
    ///
    /// # Errors
    /// If the provider lacks what TLS 1.3 needs.
    pub fn for_turn(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        Ok(Arc::new(server_config(self.serving.clone(), &[ALPN_TURN])?))
    }

    /// TLS for QUIC: nodes by `sotto/1`, browsers by HTTP/3.
    ///
    /// # Errors
    /// If the provider lacks what TLS 1.3 needs.
    pub fn for_quic(
        &self,
        browsers: Arc<ShortLived>,
    ) -> Result<quinn::crypto::rustls::QuicServerConfig, TlsError> {
        let resolver = ByProtocol { serving: self.serving.clone(), is_pinned: self.is_pinned, browsers };
        let mut config = server_config(Arc::new(resolver), &[ALPN_SOTTO, ALPN_H3])?;
        // Tickets save a device one signature when it comes back; one is enough. No early data: the first
        // thing that counts is a proof that is bound to this very connection.
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        config.try_into().map_err(|_| TlsError::NoInitialSuite)
    }
}

fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<rustls::ServerConfig, TlsError> {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// The certificate of the first start.
fn own(folder: &DataFolder, names: Vec<String>) -> Result<Shown, TlsError> {
    if folder.read(CHAIN_FILE)?.is_none() {
        // Trusted by fingerprint, for as long as the operator keeps it. Fixed dates, so that a wrong clock at
        // first start does no harm.
        let (chain, key) =
            generate(names, rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2120, 1, 1))?;
        // The key first: a chain without its key would be found at the next start.
        folder.write(KEY_FILE, &key)?;
        folder.write(CHAIN_FILE, &chain)?;
    }
    read(&CertificateFiles { chain: folder.join(CHAIN_FILE), key: folder.join(KEY_FILE) })
}

/// Reads a chain and its key from one file.
pub(crate) fn read_one_file(file: &Path) -> Result<Shown, TlsError> {
    read(&CertificateFiles { chain: file.to_owned(), key: file.to_owned() })
}

/// Reads a chain and its key, and holds one against the other.
fn read(files: &CertificateFiles) -> Result<Shown, TlsError> {
    let bad = |what, path: &Path, reason: String| TlsError::Pem { what, path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad("a certificate chain", &files.chain, error.to_string()))?;
    let Some(own) = chain.first() else {
        return Err(bad("a certificate chain", &files.chain, "it holds no certificate".to_owned()));
    };
    let fingerprint = Fingerprint(sha256(own));
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| bad("a private key", &files.key, error.to_string()))?;
    let key = CertifiedKey::from_der(chain, key, &provider())?;
    Ok(Shown { key: Arc::new(key), fingerprint, is_stand_in: false })
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// A self-signed ECDSA P-256 certificate, the kind that every TLS library takes, and its key; both PEM.
pub(crate) fn generate(
    names: Vec<String>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<(String, String), TlsError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = rcgen::CertificateParams::new(names)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, "Sotto relay");
    parameters.distinguished_name = name;
    parameters.not_before = not_before;
    parameters.not_after = not_after;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let year = |year| rcgen::date_time_ymd(year, 1, 1);
        generate(vec!["a".to_owned()], year(2020), year(2120)).unwrap()
    }

    #[test]
    fn the_certificate_of_the_first_start_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(home.path()).unwrap();
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = Identity::load(&folder, Origin::Own, names()).unwrap();
        let second = Identity::load(&folder, Origin::Own, names()).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.pinned(), Some(first.fingerprint()));
        assert!(!first.reload().unwrap(), "the relay's own stays");
        first.for_https().unwrap();
        assert!(!first.is_trusted(), "nobody vouches for it");
    }

    #[test]
    fn a_certificate_with_another_key_or_no_certificate_is_refused_with_the_file() {
        let home = tempfile::tempdir().unwrap();
        let (chain, _) = made();
        let (_, key) = made();
        let files =
            CertificateFiles { chain: home.path().join("chain.pem"), key: home.path().join("key.pem") };
        std::fs::write(&files.chain, chain).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let folder = DataFolder::open(&home.path().join("data")).unwrap();
        let error =
            Identity::load(&folder, Origin::Files { files: &files, is_pinned: true }, vec![]).unwrap_err();
        assert!(matches!(error, TlsError::Unusable(_)), "{error}");

        std::fs::write(&files.chain, "hello").unwrap();
        let error = Identity::load(&folder, Origin::Files { files: &files, is_pinned: true }, vec![])
            .unwrap_err()
            .to_string();
        assert!(error.contains("chain.pem"), "{error}");
    }

    #[test]
    fn another_certificate_is_taken_unless_the_old_one_is_pinned_and_a_broken_one_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let files =
            CertificateFiles { chain: home.path().join("chain.pem"), key: home.path().join("key.pem") };
        let renew = || {
            let (chain, key) = made();
            std::fs::write(&files.chain, chain).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        renew();
        let folder = DataFolder::open(&home.path().join("data")).unwrap();
        let load =
            |is_pinned| Identity::load(&folder, Origin::Files { files: &files, is_pinned }, vec![]).unwrap();
        let (pinned, free) = (load(true), load(false));
        let first = free.fingerprint();
        assert_eq!((pinned.pinned(), free.pinned()), (Some(first), None));
        assert!(!pinned.reload().unwrap(), "the same one is no other");
        renew();
        assert!(matches!(pinned.reload(), Err(TlsError::Pinned)));
        assert_eq!(pinned.fingerprint(), first);
        assert!(free.reload().unwrap());
        let second = free.fingerprint();
        assert_ne!(second, first);
        std::fs::write(&files.key, "half a file").unwrap();
        assert!(free.reload().is_err());
        assert_eq!(free.fingerprint(), second, "what was served goes on being served");
    }

    #[test]
    fn the_post_quantum_hybrid_is_offered_first() {
        assert_eq!(
            provider().kx_groups.first().map(|group| group.name()),
            Some(rustls::NamedGroup::X25519MLKEM768)
        );
    }
}
