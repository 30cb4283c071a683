//! What the OpenAPI document says beside the routes.

use crate::problem::ProblemBody;
use std::collections::BTreeMap;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi as _};

/// Every operation may be refused, and always in the same shape.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = Ref::from_schema_name("ProblemBody");
        let refusal = ResponseBuilder::new()
            .description("Refused. `code` says why; the list of codes is in the schema.")
            .content("application/problem+json", Content::new(Some(body)))
            .build();
        BTreeMap::from([("default".to_owned(), refusal.into())])
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Sotto relay",
        description = "Accounts, devices and invites of a relay. Messages travel as frames, over QUIC or the \
                       WebSocket here, and the relay cannot read them. Every refusal is an \
                       `application/problem+json` with a `code` for programs and a `detail` for people.",
        license(name = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemBody)),
    modifiers(&Bearer),
    tags(
        (name = "accounts", description = "Register, sign in, refresh, sign out"),
        (name = "sessions", description = "Where an account is signed in"),
        (name = "devices", description = "Installations of a client, each with its own keys"),
        (name = "invites", description = "One-time codes to register or to join a conversation"),
        (name = "vault", description = "The account's keys, sealed under its recovery words"),
        (name = "files", description = "Encrypted files of conversations, in chunks that the relay verifies and cannot read"),
        (name = "calls", description = "Ways through NATs, for calls and files"),
        (name = "gateway", description = "Frames over a WebSocket"),
        (name = "operator", description = "The relay's accounts, invites, rooms and figures, for its operators"),
        (name = "relay", description = "The relay itself"),
    )
)]
struct Head;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document without its paths.
pub(crate) fn head() -> OpenApi {
    Head::openapi()
}
