//! HTTPS towards the authority: one connection for each of its few requests.

use super::AcmeError;
use crate::config::AcmeConfig;
use crate::tls;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Limited;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One request.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: a chain of certificates has a few KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What goes wrong on the way, for the library.
type Lost = Box<dyn std::error::Error + Send + Sync>;

/// See the module.
pub(super) struct Https(Arc<rustls::ClientConfig>);

impl Https {
    /// Trusts the authorities of this machine, or those of `acme.root`.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, AcmeError> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(tls::provider()))
            .with_safe_default_protocol_versions()?;
        let Some(path) = &config.root else {
            return Ok(Self(Arc::new(builder.with_platform_verifier()?.with_no_client_auth())));
        };
        let bad = |reason: String| AcmeError::Roots { path: path.clone(), reason };
        let mut roots = rustls::RootCertStore::empty();
        let found = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
        for root in found {
            roots.add(root.map_err(|error| bad(error.to_string()))?)?;
        }
        if roots.is_empty() {
            return Err(bad("it holds no certificate".to_owned()));
        }
        Ok(Self(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = ask(self.0.clone(), request);
        Box::pin(async move {
            let answered = tokio::time::timeout(PATIENCE, asked).await;
            answered.unwrap_or_else(|_| Err("no answer in time".into())).map_err(Error::Other)
        })
    }
}

async fn ask(
    config: Arc<rustls::ClientConfig>,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Lost> {
    let uri = request.uri().clone();
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{uri} is no https address").into());
    };
    // An IPv6 address stands in brackets there.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = tokio::net::TcpStream::connect((host.as_str(), authority.port_u16().unwrap_or(443))).await?;
    let name = ServerName::try_from(host)?;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its only request.
    tokio::spawn(connection);
    request.headers_mut().insert(header::HOST, authority.as_str().parse()?);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let answer = sender.send_request(request).await?;
    Ok(BytesResponse::from(answer.map(|body| Limited::new(body, ANSWER_BYTES_MAX))))
}
