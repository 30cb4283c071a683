//! `/api/v1/devices`: installations of a client.

use super::Api;
use super::answers::{DeviceJson, DevicesJson};
use super::bodies::DeviceBody;
use super::document::Refusals;
use super::extract::{Checked, PathId, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use data_encoding::HEXLOWER;
use http::StatusCode;
use sotto_protocol::ids::DeviceId;

/// Register this device
///
/// The first device sets the account's identity key; the certificates of later ones must be by the same key.
/// Registering the same certificate again changes the name and ties the device to the session that asks.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", security(("bearer" = [])), request_body = DeviceBody,
    responses(
        (status = 201, description = "Registered", body = DeviceJson),
        (status = 200, description = "It had been registered before", body = DeviceJson),
        Refusals,
    )
)]
pub(super) async fn register(
    State(api): State<Api>,
    Who(who): Who,
    Checked(request): Checked<DeviceBody>,
) -> Result<(StatusCode, Json<DeviceJson>), Problem> {
    let registered = api.signaling.register_device(who, request).await?;
    let status = if registered.again { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json((&registered.device).into())))
}

/// List your devices
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", security(("bearer" = [])),
    responses((status = 200, description = "The oldest first", body = DevicesJson), Refusals)
)]
pub(super) async fn list(State(api): State<Api>, Who(who): Who) -> Result<Json<DevicesJson>, Problem> {
    let devices = api.signaling.devices(who.account).await?;
    let account = api.signaling.me(who).await?;
    Ok(Json(DevicesJson {
        devices: devices.iter().map(DeviceJson::from).collect(),
        identity_key: account.identity_key.map(|key| HEXLOWER.encode(&key)),
    }))
}

/// Remove a device
///
/// Its key packages are dropped, its sessions end and its connections are closed. The other members of its
/// conversations remove it from them.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}", tag = "devices", security(("bearer" = [])),
    params(("id" = String, Path, description = "The device")),
    responses((status = 204, description = "Removed"), Refusals)
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Who(who): Who,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, Problem> {
    api.signaling.remove_device(who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
