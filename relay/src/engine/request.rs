//! Requests of sessions: decoded from frames before they are queued, so that hostile bytes and the cost of
//! decoding stay on the session's own task.

use sotto_protocol::body::conversation::{Create, GetGroup, GetWelcomes, Leave, List, SetRole, WelcomeTaken};
use sotto_protocol::body::log::{Append, Commit, Fetch, FetchArchive, Follow, SendEphemeral, SetPresence};
use sotto_protocol::body::{Extensions, KINDS};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body, Frame, FrameError, FrameKind};
use sotto_protocol::limits::{
    APPLICATION_BYTES_MAX, ARCHIVE_BYTES_MAX, COMMIT_BYTES_MAX, CONVERSATIONS_PER_DEVICE_MAX,
    EPHEMERAL_BYTES_MAX, GROUP_INFO_BYTES_MAX, NAME_BYTES_MAX, TREE_BYTES_MAX, WELCOME_BYTES_MAX,
};
use sotto_protocol::payload::Payload;

/// A request whose sizes are within the limits. Nothing else about it is checked yet.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    Ephemeral(SendEphemeral),
    Follow(Follow),
    SetPresence(SetPresence),
    Fetch(Fetch),
    FetchArchive(FetchArchive),
    List(List),
    GetGroup(GetGroup),
    GetWelcomes,
    WelcomeTaken(WelcomeTaken),
    SetRole(SetRole),
    Create(Box<Create>),
    Commit(Box<Commit>),
    Leave(Box<Leave>),
}

impl Request {
    /// Whether it is answered by another thread, at a cost that a session may ask for a few times at once only.
    pub(super) const fn is_slow(&self) -> bool {
        match self {
            Self::Append(_)
            | Self::Ephemeral(_)
            | Self::Follow(_)
            | Self::SetPresence(_)
            | Self::WelcomeTaken(_)
            | Self::SetRole(_) => false,
            Self::Fetch(_)
            | Self::FetchArchive(_)
            | Self::List(_)
            | Self::GetGroup(_)
            | Self::GetWelcomes
            | Self::Create(_)
            | Self::Commit(_)
            | Self::Leave(_) => true,
        }
    }
}

/// Reads a request.
///
/// # Errors
/// With the answer for the sender.
pub(super) fn read(frame: &Frame) -> Result<Request, WireError> {
    let kind = frame.header.kind;
    // The order is that of frequency.
    if kind == Append::KIND {
        let body = decode(frame, |body: &Append| &body.extensions)?;
        at_most("the message", body.message.len(), APPLICATION_BYTES_MAX)?;
        at_most("the archive copy", body.archive.len(), ARCHIVE_BYTES_MAX)?;
        return Ok(Request::Append(body));
    }
    if kind == SendEphemeral::KIND {
        let body = decode(frame, |body: &SendEphemeral| &body.extensions)?;
        at_most("the ephemeral", body.sealed.len(), EPHEMERAL_BYTES_MAX)?;
        return Ok(Request::Ephemeral(body));
    }
    if kind == Fetch::KIND {
        return Ok(Request::Fetch(decode(frame, |body: &Fetch| &body.extensions)?));
    }
    if kind == Follow::KIND {
        let body = decode(frame, |body: &Follow| &body.extensions)?;
        at_most("the list of conversations", body.conversations.len(), CONVERSATIONS_PER_DEVICE_MAX)?;
        return Ok(Request::Follow(body));
    }
    if kind == SetPresence::KIND {
        return Ok(Request::SetPresence(decode(frame, |body: &SetPresence| &body.extensions)?));
    }
    if kind == FetchArchive::KIND {
        return Ok(Request::FetchArchive(decode(frame, |body: &FetchArchive| &body.extensions)?));
    }
    if kind == Commit::KIND {
        let body = decode(frame, |body: &Commit| &body.extensions)?;
        at_most("the commit", body.commit.len(), COMMIT_BYTES_MAX)?;
        at_most("the group info", body.group_info.len(), GROUP_INFO_BYTES_MAX)?;
        at_most("the welcome", body.welcome.as_ref().map_or(0, Payload::len), WELCOME_BYTES_MAX)?;
        return Ok(Request::Commit(Box::new(body)));
    }
    if kind == Create::KIND {
        let body = decode(frame, |body: &Create| &body.extensions)?;
        at_most("the group info", body.group_info.len(), GROUP_INFO_BYTES_MAX)?;
        at_most("the tree", body.tree.len(), TREE_BYTES_MAX)?;
        at_most("the name", body.listed_name.as_ref().map_or(0, String::len), NAME_BYTES_MAX)?;
        return Ok(Request::Create(Box::new(body)));
    }
    if kind == List::KIND {
        return Ok(Request::List(decode(frame, |body: &List| &body.extensions)?));
    }
    if kind == GetGroup::KIND {
        return Ok(Request::GetGroup(decode(frame, |body: &GetGroup| &body.extensions)?));
    }
    if kind == GetWelcomes::KIND {
        decode(frame, |body: &GetWelcomes| &body.extensions)?;
        return Ok(Request::GetWelcomes);
    }
    if kind == WelcomeTaken::KIND {
        return Ok(Request::WelcomeTaken(decode(frame, |body: &WelcomeTaken| &body.extensions)?));
    }
    if kind == SetRole::KIND {
        return Ok(Request::SetRole(decode(frame, |body: &SetRole| &body.extensions)?));
    }
    if kind == Leave::KIND {
        return Ok(Request::Leave(Box::new(decode(frame, |body: &Leave| &body.extensions)?)));
    }
    Err(no_request(kind))
}

fn decode<B: Body>(frame: &Frame, extensions: impl Fn(&B) -> &Extensions) -> Result<B, WireError> {
    let body: B = frame
        .decode()
        .map_err(|error: FrameError| WireError::new(ErrorCode::Malformed, error.to_string()))?;
    if extensions(&body).within_limits() {
        Ok(body)
    } else {
        Err(WireError::new(ErrorCode::TooLarge, "the extensions of the body are over their limit"))
    }
}

fn at_most(what: &str, size: usize, limit: usize) -> Result<(), WireError> {
    if size <= limit {
        return Ok(());
    }
    Err(WireError::new(ErrorCode::TooLarge, format!("{what} has a size of {size}, the limit is {limit}")))
}

fn no_request(kind: FrameKind) -> WireError {
    if KINDS.iter().any(|(known, _)| *known == kind) {
        return WireError::new(ErrorCode::Unexpected, "this kind of frame is no request");
    }
    WireError::new(ErrorCode::Unsupported, format!("this relay does not know frames of kind {:#06x}", kind.0))
}
