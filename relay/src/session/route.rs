//! What to do with a frame of a connection that is ready.

use sotto_protocol::body::KINDS;
use sotto_protocol::body::connection::{Authenticate, Ping};
use sotto_protocol::body::directory::{ClaimKeyPackages, LookUp, PublishKeyPackages};
use sotto_protocol::frame::{Body, FrameKind, Header, VERSION};

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Conversations and their log.
    Engine,
    /// Key packages and accounts.
    Directory,
    /// Answered at once.
    Ping,
    /// A proof with a fresh token.
    Authenticate,
    /// A known kind that a device has no reason to send now.
    Unexpected,
    /// A kind, or a version of it, that this relay does not know: skipped by its length.
    Unsupported,
}

/// The kinds that the engine answers.
const ENGINE_KINDS: std::ops::RangeInclusive<u16> = 0x20..=0x3a;

/// Decides by the header alone.
#[must_use]
pub fn route(header: &Header) -> Route {
    let kind = header.kind;
    if header.version != VERSION {
        return Route::Unsupported;
    }
    if ENGINE_KINDS.contains(&kind.0) {
        return Route::Engine;
    }
    const PUBLISH: FrameKind = PublishKeyPackages::KIND;
    const CLAIM: FrameKind = ClaimKeyPackages::KIND;
    const LOOK_UP: FrameKind = LookUp::KIND;
    const PING: FrameKind = Ping::KIND;
    const AUTHENTICATE: FrameKind = Authenticate::KIND;
    match kind {
        PUBLISH | CLAIM | LOOK_UP => Route::Directory,
        PING => Route::Ping,
        AUTHENTICATE => Route::Authenticate,
        _ if KINDS.iter().any(|(known, _)| *known == kind) => Route::Unexpected,
        _ => Route::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::body::connection::{Hello, Pong};
    use sotto_protocol::body::{log::Append, push::Delivered};
    use sotto_protocol::ids::RequestId;

    #[test]
    fn each_kind_goes_where_it_is_answered() {
        let header = |kind, version| Header { version, kind, id: RequestId(1), length: 0 };
        for (kind, expected) in [
            (Append::KIND, Route::Engine),
            (LookUp::KIND, Route::Directory),
            (Ping::KIND, Route::Ping),
            (Authenticate::KIND, Route::Authenticate),
            (Hello::KIND, Route::Unexpected),
            (Pong::KIND, Route::Unexpected),
            (Delivered::KIND, Route::Unexpected),
            (FrameKind(0x7fff), Route::Unsupported),
        ] {
            assert_eq!(route(&header(kind, VERSION)), expected, "{kind:?}");
            assert_eq!(route(&header(kind, VERSION + 1)), Route::Unsupported, "{kind:?}");
        }
    }
}
