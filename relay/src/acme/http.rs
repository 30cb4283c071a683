//! HTTPS towards the authority: one connection for each of its few requests.

use super::AcmeError;
use crate::config::AcmeConfig;
use crate::outgoing::{self, Lost};
use crate::tls;
use bytes::Bytes;
use http::Request;
use http_body_util::Limited;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One request.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: a chain of certificates has a few KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
pub(super) struct Https(Arc<rustls::ClientConfig>);

impl Https {
    /// Trusts the authorities of this machine, or those of `acme.root`.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, AcmeError> {
        let Some(path) = &config.root else {
            return Ok(Self(Arc::new(outgoing::trusting_the_machine()?)));
        };
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(tls::provider()))
            .with_safe_default_protocol_versions()?;
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
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Lost> {
    if request.uri().scheme_str() != Some("https") {
        return Err(format!("{} is no https address", request.uri()).into());
    }
    let answer = outgoing::ask(config, request).await?;
    Ok(BytesResponse::from(answer.map(|body| Limited::new(body, ANSWER_BYTES_MAX))))
}
