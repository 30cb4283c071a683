//! Archive copies and ephemerals: signed by the device, sealed under a key of the epoch.
use crate::content::{Content, Head};
use crate::conversation::Sender;

/// A content whose seal, signature and certificate were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub sender: Sender,
    pub head: Head,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    #[error("no key of that epoch is at hand")]
    NoKey,
    #[error("the copy was altered, or belongs elsewhere")]
    Altered,
    #[error("the signature is forged")]
    ForgedSignature,
    #[error("the sender's certificate is forged")]
    ForgedCertificate,
    #[error("the relay names another sender than the signature does")]
    SpoofedSender,
    #[error("malformed")]
    Malformed,
}
