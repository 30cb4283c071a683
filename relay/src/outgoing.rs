//! HTTP requests of the relay's own: one connection for each of the few that it makes, encrypted where the address says so.

use crate::tls;
use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What goes wrong on the way.
pub(crate) type Lost = Box<dyn std::error::Error + Send + Sync>;

/// TLS that trusts the authorities of this machine.
pub(crate) fn trusting_the_machine() -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(tls::provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth())
}

/// Asks a server; the address is the request's.
pub(crate) async fn ask<B>(tls: Arc<ClientConfig>, request: Request<B>) -> Result<Response<Incoming>, Lost>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Lost>,
{
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or_else(|| format!("{uri} names no server"))?;
    // An IPv6 address stands in brackets there.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let connect = |port| TcpStream::connect((host.as_str(), authority.port_u16().unwrap_or(port)));
    match uri.scheme_str() {
        Some("http") => over(connect(80).await?, request, &uri).await,
        Some("https") => {
            let stream = connect(443).await?;
            let name = ServerName::try_from(host.clone())?;
            over(tokio_rustls::TlsConnector::from(tls).connect(name, stream).await?, request, &uri).await
        }
        _ => Err(format!("{uri} is no http or https address").into()),
    }
}

async fn over<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<B>,
    uri: &Uri,
) -> Result<Response<Incoming>, Lost>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Lost>,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its only request.
    tokio::spawn(connection);
    let host = uri.authority().map_or("", http::uri::Authority::as_str);
    request.headers_mut().insert(header::HOST, host.parse()?);
    *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
    Ok(sender.send_request(request).await?)
}

/// An answer, whole.
pub(crate) async fn whole(answer: Response<Incoming>, bytes_max: usize) -> Result<Response<Bytes>, Lost> {
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, Limited::new(body, bytes_max).collect().await?.to_bytes()))
}
