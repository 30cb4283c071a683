//! HTTP on TCP: over TLS on the public port, in plain on loopback. Both serve the router they are given.
//!
//! hyper does the protocol; this adds what a public port needs: a time limit for handshakes and headers, a
//! limit on connections, and an end in good order.

use crate::admission::Admission;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::TcpKeepalive;
use sotto_protocol::limits::{KEEP_ALIVE_MS, SILENCE_MS_MAX};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Time for a TLS handshake, and for the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What accepting waits after the operating system had no room for one more connection.
const OUT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` turns true, then until every connection has ended.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    admission: Admission,
    stop: watch::Receiver<bool>,
) {
    accept(listener, tls, admission, "HTTP", stop, move |Accepted { stream, remote, stop, .. }| {
        connection(stream, remote, router.clone(), stop)
    })
    .await;
}

/// A connection that may stay.
pub(crate) struct Accepted {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) remote: SocketAddr,
    /// Whether the stream is TLS.
    pub(crate) encrypted: bool,
    /// Turns true when the relay ends.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Accepts until `stop` turns true and gives each connection that may stay to `serve`; then waits until every one
/// has ended. `purpose` is named in the logs.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    admission: Admission,
    purpose: &'static str,
    mut stop: watch::Receiver<bool>,
    serve: impl Fn(Accepted) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let open = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a connection that was gone before it was accepted.
                tracing::warn!(%error, purpose, "cannot accept a TCP connection");
                tokio::time::sleep(OUT_OF_DESCRIPTORS_PAUSE).await;
                continue;
            }
        };
        let Some(permit) = admission.admit(remote.ip()) else {
            metrics::counter!(crate::metrics::CONNECTIONS_REFUSED, "reason" => "limit").increment(1);
            continue;
        };
        // Small frames must not wait for more to come. An error means that the connection is gone.
        let _ = stream.set_nodelay(true);
        let _ = keep_alive(&stream);
        let (tls, serve, stop) = (tls.clone(), serve.clone(), stop.clone());
        open.spawn(async move {
            let encrypted = tls.is_some();
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some(tls) => match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => return tracing::debug!(%remote, %error, purpose, "no TLS"),
                    Err(_) => {
                        return tracing::debug!(%remote, purpose, "the TLS handshake did not come in time");
                    }
                },
            };
            serve(Accepted { stream, remote, encrypted, stop }).await;
            drop(permit);
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Has the operating system find out that the other side vanished, in about the time that QUIC takes: it probes an idle
/// connection, and gives one up whose data stays unacknowledged. It sees acknowledgements and not messages, so a slow
/// link with much to carry is not taken for a dead one.
fn keep_alive(stream: &tokio::net::TcpStream) -> std::io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    let every = Duration::from_millis(KEEP_ALIVE_MS);
    let probes = TcpKeepalive::new().with_time(every).with_interval(every);
    #[cfg(target_os = "linux")]
    let probes = {
        let silence_max = Duration::from_millis(SILENCE_MS_MAX);
        let retries = u32::try_from(SILENCE_MS_MAX / KEEP_ALIVE_MS).unwrap_or(u32::MAX);
        socket.set_tcp_user_timeout(Some(silence_max))?;
        probes.with_retries(retries)
    };
    socket.set_tcp_keepalive(&probes)
}

/// Resolves when the flag is raised, or whoever could raise it is gone.
pub(crate) async fn told(flag: &mut watch::Receiver<bool>) {
    // What is waited for holds a lock while it lives; nothing of it may outlive this line.
    let _ = flag.wait_for(|raised| *raised).await;
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    remote: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = router.map_request(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(remote));
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, %error, "an HTTP connection failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-063.
    #[tokio::test]
    async fn a_tcp_connection_that_vanished_is_noticed_by_the_operating_system_as_soon_as_over_quic() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _device = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        keep_alive(&stream).unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_millis(KEEP_ALIVE_MS));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(SILENCE_MS_MAX)));
    }
}
