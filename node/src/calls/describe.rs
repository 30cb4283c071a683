//! The steps by which two connections of WebRTC describe themselves to each other; candidates go out by themselves, as they are found.

use super::ways::without_candidates;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use sotto_node_core::calls::Candidate;
use webrtc::error::Result;
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};

/// An offer; of a further attempt with other ICE credentials.
pub(crate) async fn offer(pc: &dyn PeerConnection, again: bool) -> Result<String> {
    let options = again.then_some(RTCOfferOptions { ice_restart: true });
    let offer = pc.create_offer(options).await?;
    let sdp = without_candidates(&offer.sdp);
    pc.set_local_description(offer).await?;
    Ok(sdp)
}

/// The answer to the offer that was set.
pub(crate) async fn answer(pc: &dyn PeerConnection) -> Result<String> {
    let answer = pc.create_answer(None).await?;
    let sdp = without_candidates(&answer.sdp);
    pc.set_local_description(answer).await?;
    Ok(sdp)
}

/// The other one's offer.
pub(crate) async fn offered(pc: &dyn PeerConnection, sdp: String) -> Result<()> {
    pc.set_remote_description(RTCSessionDescription::offer(sdp)?).await
}

/// The other one's answer.
pub(crate) async fn answered(pc: &dyn PeerConnection, sdp: String) -> Result<()> {
    pc.set_remote_description(RTCSessionDescription::answer(sdp)?).await
}

/// A way to the other one. One that cannot be used is no loss.
pub(crate) async fn try_way(pc: &dyn PeerConnection, candidate: Candidate) {
    if candidate.line.is_empty() {
        return; // The end of them, which nobody here waits for.
    }
    let candidate = RTCIceCandidateInit {
        candidate: candidate.line,
        sdp_mid: candidate.mid,
        sdp_mline_index: candidate.section,
        ..RTCIceCandidateInit::default()
    };
    if let Err(error) = pc.add_ice_candidate(candidate).await {
        tracing::debug!(%error, "a way that is none");
    }
}
