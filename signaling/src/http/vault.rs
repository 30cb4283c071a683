//! `/api/v1/vault`: one sealed box per account.

use super::Api;
use super::answers::{VaultJson, VaultVersionJson};
use super::bodies::VaultBody;
use super::document::Refusals;
use super::extract::{Checked, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;

/// Read your vault
#[utoipa::path(
    get, path = "/api/v1/vault", tag = "vault", security(("bearer" = [])),
    responses((status = 200, description = "What is there", body = VaultJson), Refusals)
)]
pub(super) async fn get(State(api): State<Api>, Who(who): Who) -> Result<Json<VaultJson>, Problem> {
    Ok(Json(VaultJson::new(&api.signaling.vault(who).await?)))
}

/// Replace your vault
///
/// `version` is the version you read (0 for none). If another device was faster, the answer is `conflict` with
/// the version that is there.
#[utoipa::path(
    put, path = "/api/v1/vault", tag = "vault", security(("bearer" = [])), request_body = VaultBody,
    responses((status = 200, description = "Replaced", body = VaultVersionJson), Refusals)
)]
pub(super) async fn put(
    State(api): State<Api>,
    Who(who): Who,
    Checked(request): Checked<VaultBody>,
) -> Result<Json<VaultVersionJson>, Problem> {
    let version = api.signaling.put_vault(who, request.replaces, request.data).await?;
    Ok(Json(VaultVersionJson { version }))
}
