//! What the relay lends to those who look for a way to each other: its servers and, where no UDP goes out, its streams.

use super::tunnel::{Load, Tunnel};
use super::ways::Lent;
use crate::node::Node;
use sotto_e2ee::store::Store;
use sotto_node_core::account::Method;
use std::time::Duration;
use tokio::time::timeout;
use webrtc::peer_connection::RTCIceServer;

/// How long the relay is waited for when it is asked for servers. A direct way needs none.
const LEND: Duration = Duration::from_secs(3);

/// STUN, and TURN over UDP; `None` if the relay does not say.
pub(crate) async fn servers<S: Store + Send + 'static>(node: &Node<S>) -> Option<Vec<RTCIceServer>> {
    let ask = async {
        let access = node.access_token().await?;
        node.api().call(Method::Get, "/ice", Some(&access), None).await
    };
    let answer = match timeout(LEND, ask).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the relay lends nothing");
            return None;
        }
        Err(_) => return None,
    };
    match serde_json::from_slice::<Lent>(&answer) {
        Ok(lent) => Some(lent.usable()),
        Err(error) => {
            tracing::debug!(%error, "what the relay lends is not understood");
            None
        }
    }
}

/// Those that find out where this device is, without those that would carry something; `None` if the relay does not say.
pub(crate) async fn stun_servers<S: Store + Send + 'static>(node: &Node<S>) -> Option<Vec<RTCIceServer>> {
    let mut servers = servers(node).await?;
    servers.iter_mut().for_each(|server| server.urls.retain(|url| url.starts_with("stun:")));
    servers.retain(|server| !server.urls.is_empty());
    Some(servers)
}

/// TURN on a stream that the relay routes.
pub(crate) async fn tunnel<S: Store + Send + 'static>(node: &Node<S>, load: Load) -> Option<Tunnel> {
    let node = node.clone();
    let dial = move || {
        let node = node.clone();
        async move { node.api().0.route_turn(&node.access_token().await?).await }
    };
    let opened = Tunnel::open(load, dial).await;
    opened.inspect_err(|error| tracing::warn!(%error, "no way through the relay's stream")).ok()
}

/// The servers that a connection is told of: those that were lent and, where there is a tunnel, its near end.
pub(crate) fn named(servers: &[RTCIceServer], tunnel: Option<&Tunnel>) -> Vec<RTCIceServer> {
    let routed = tunnel.and_then(|tunnel| tunnel.server(servers));
    servers.iter().cloned().chain(routed).collect()
}
