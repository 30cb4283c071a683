//! The HTTP API: thin handlers around [`Signaling`], and the document that describes them.
//!
//! A request passes `layer::observe` (trace id, address, rate, time limit, log line), then a handler
//! whose arguments are already checked (`extract`), and leaves as JSON or as a problem.

pub mod bodies;

mod answers;
mod auth;
mod blobs;
mod devices;
mod document;
mod extract;
mod ice;
mod invites;
mod layer;
mod meta;
mod operator;
mod sessions;
mod vault;
mod websocket;

pub use layer::refuse;

use crate::blobs::Blobs;
use crate::gateway::Gateway;
use crate::problem::{Problem, ProblemCode};
use crate::service::Signaling;
use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What handlers share.
#[derive(Clone)]
struct Api {
    signaling: Signaling,
    gateway: Arc<dyn Gateway>,
    blobs: Option<Arc<dyn Blobs>>,
    document: Bytes,
}

impl Api {
    /// Whoever keeps files.
    fn blobs(&self) -> Result<&dyn Blobs, Problem> {
        let none = "this relay keeps no files; its operator sets `files.enabled`";
        self.blobs.as_deref().ok_or_else(|| Problem::new(ProblemCode::Forbidden, none))
    }
}

impl FromRef<Api> for Signaling {
    fn from_ref(api: &Api) -> Self {
        api.signaling.clone()
    }
}

/// Everything under `/api` and `/.well-known`, for the relay to serve on any listener. The listener tells the
/// peer's address as [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo). Without `blobs` there are no files.
pub fn router(signaling: Signaling, gateway: Arc<dyn Gateway>, blobs: Option<Arc<dyn Blobs>>) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = document.to_json().expect("a document of our own making is JSON");
    let api = Api { signaling: signaling.clone(), gateway, blobs, document: document.into() };
    router
        .fallback(async || Problem::new(ProblemCode::NotFound, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemCode::MethodNotAllowed, "this path does not take this method")
        })
        .layer(from_fn_with_state(signaling, layer::observe))
        .with_state(api)
}

/// Every route with its description: there is no other way to add one, so the document lists them all.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::head())
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::usage))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(devices::register, devices::list))
        .routes(routes!(devices::remove))
        .routes(routes!(invites::make, invites::list))
        .routes(routes!(invites::redeem))
        .routes(routes!(invites::remove))
        .routes(routes!(vault::get, vault::put))
        .routes(routes!(blobs::limits))
        .routes(routes!(blobs::begin, blobs::state, blobs::delete))
        .routes(routes!(blobs::list))
        .routes(routes!(blobs::put, blobs::chunk))
        .routes(routes!(blobs::complete))
        .routes(routes!(ice::get))
        .routes(routes!(ice::route))
        .routes(routes!(websocket::open))
        .routes(routes!(operator::stats))
        .routes(routes!(operator::accounts))
        .routes(routes!(operator::change_account))
        .routes(routes!(operator::invites, operator::make_invite))
        .routes(routes!(operator::remove_invite))
        .routes(routes!(operator::rooms))
        .routes(routes!(meta::health))
        .routes(routes!(meta::about))
        .routes(routes!(meta::csp_reports))
        .routes(routes!(meta::ready))
        .routes(routes!(meta::jwks))
        .routes(routes!(meta::openapi))
        .routes(routes!(meta::docs))
        .routes(routes!(meta::docs_script))
        .routes(routes!(meta::docs_style))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The API of `docs/protocol.md` and of every client; a route that is missing here is news to them.
    const ROUTES: [(&str, &[&str]); 36] = [
        ("/.well-known/jwks.json", &["get"]),
        ("/api/docs", &["get"]),
        ("/api/docs/docs.css", &["get"]),
        ("/api/docs/docs.js", &["get"]),
        ("/api/v1/about", &["get"]),
        ("/api/v1/account/usage", &["get"]),
        ("/api/v1/auth/login", &["post"]),
        ("/api/v1/auth/logout", &["post"]),
        ("/api/v1/auth/me", &["get"]),
        ("/api/v1/auth/refresh", &["post"]),
        ("/api/v1/auth/register", &["post"]),
        ("/api/v1/blobs", &["get"]),
        ("/api/v1/blobs/{conversation}/{root}", &["delete", "get", "put"]),
        ("/api/v1/blobs/{conversation}/{root}/chunks/{chunk}", &["get", "put"]),
        ("/api/v1/blobs/{conversation}/{root}/complete", &["post"]),
        ("/api/v1/blobs/{conversation}/{root}/list", &["get"]),
        ("/api/v1/csp-reports", &["post"]),
        ("/api/v1/devices", &["get", "post"]),
        ("/api/v1/devices/{id}", &["delete"]),
        ("/api/v1/health", &["get"]),
        ("/api/v1/ice", &["get"]),
        ("/api/v1/invites", &["get", "post"]),
        ("/api/v1/invites/redeem", &["post"]),
        ("/api/v1/invites/{id}", &["delete"]),
        ("/api/v1/openapi.json", &["get"]),
        ("/api/v1/operator/accounts", &["get"]),
        ("/api/v1/operator/accounts/{id}", &["patch"]),
        ("/api/v1/operator/invites", &["get", "post"]),
        ("/api/v1/operator/invites/{id}", &["delete"]),
        ("/api/v1/operator/rooms", &["get"]),
        ("/api/v1/operator/stats", &["get"]),
        ("/api/v1/ready", &["get"]),
        ("/api/v1/sessions", &["get"]),
        ("/api/v1/sessions/{id}", &["delete"]),
        ("/api/v1/turn", &["get"]),
        ("/api/v1/vault", &["get", "put"]),
    ];

    #[test]
    fn the_document_lists_every_route_and_no_other() {
        let document = serde_json::to_value(routes().into_openapi()).expect("json");
        let mut listed = document["paths"].as_object().expect("paths").clone();
        for (path, methods) in ROUTES {
            let item = listed.remove(path).unwrap_or_else(|| panic!("{path} is not in the document"));
            let item = item.as_object().expect("a path item");
            let names: Vec<&str> = item.keys().map(String::as_str).collect();
            assert_eq!(names, methods, "{path}");
        }
        let rest: Vec<&String> = listed.keys().collect();
        assert_eq!(rest, ["/api/v1/ws"], "not in the table");
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = serde_json::to_value(routes().into_openapi()).expect("json");
        assert_eq!(document["openapi"], "3.1.0");
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn every_operation_says_what_it_does_and_how_it_refuses() {
        let document = serde_json::to_value(routes().into_openapi()).expect("json");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("a path item") {
                assert!(
                    operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path}"
                );
                assert!(operation["responses"]["default"].is_object(), "{method} {path} refuses somehow");
                assert!(operation["tags"][0].is_string(), "{method} {path} has a chapter");
            }
        }
    }

    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(target) if name == "$ref" => found.push(target.to_owned()),
                        _ => collect(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
}
