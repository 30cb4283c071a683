//! What is measured: a relay that can be started, connected to and stopped.

use crate::drive::{Dialect, Link};
use anyhow::Result;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

/// What a relay counts itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Seconds spent in fsync.
    pub(crate) fsync_seconds: f64,
}

/// A running relay of one kind.
pub(crate) trait Target: Sized {
    type Dialect: Dialect;
    /// For the table.
    const NAME: &'static str;

    /// Its process.
    fn pid(&self) -> u32;
    /// Connects `count` pairs whose sides can write to each other.
    async fn pairs(
        &mut self,
        endpoints: &[quinn::Endpoint],
        count: usize,
    ) -> Result<Vec<(Link<Self::Dialect>, Link<Self::Dialect>)>>;
    /// Makes ready for `count` idle devices (accounts, keys) and gives the relay's memory before they connect, in KiB.
    async fn prepare_idle(&mut self, count: usize) -> Result<u64>;
    /// Connects `count` devices that do nothing.
    async fn idle(&mut self, endpoints: &[quinn::Endpoint], count: usize)
    -> Result<Vec<Link<Self::Dialect>>>;
    /// What it counted so far.
    async fn totals(&mut self) -> Result<Totals>;
    /// Stops it.
    async fn finish(self) -> Result<()>;
}

/// A QUIC client that trusts exactly one certificate, which names `localhost`.
pub(crate) fn client_config(certificate: &[u8], alpn: &[u8]) -> Result<quinn::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.to_vec()))?;
    let mut tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(sotto_loadtest::raw::signs_of_life());
    Ok(client)
}

/// Space for datagrams that wait, the same for the load generator, the bare relay and (`sotto_relay::sockets`)
/// ours. With Linux's default of 208 KiB the bare relay lost 4 % of the packets at 16 outstanding: connections
/// that waited for a retransmission left the disk to the others, which halved its median and made its p99 ten
/// times ours.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A QUIC endpoint on a free port of loopback.
pub(crate) fn endpoint(config: Option<quinn::ServerConfig>) -> Result<quinn::Endpoint> {
    let socket = socket2::Socket::from(std::net::UdpSocket::bind(("127.0.0.1", 0))?);
    socket.set_recv_buffer_size(UDP_BUFFER_BYTES)?;
    socket.set_send_buffer_size(UDP_BUFFER_BYTES)?;
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(quinn::Endpoint::new(quinn::EndpointConfig::default(), config, socket.into(), runtime)?)
}

/// The load generator's own sockets. Several, so that one endpoint's driver is not the limit.
pub(crate) fn endpoints() -> Result<Vec<quinn::Endpoint>> {
    (0..4).map(|_| endpoint(None)).collect()
}
