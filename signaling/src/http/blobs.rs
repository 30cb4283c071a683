//! `/api/v1/blobs`: encrypted files, in chunks that the relay verifies and cannot read.
//!
//! ```text
//! PUT  blobs/CONVERSATION/ROOT?size=N        the chunk list; answers which chunks are there
//! PUT  blobs/CONVERSATION/ROOT/chunks/N      each chunk that is not, several at once
//! POST blobs/CONVERSATION/ROOT/complete      now the members can read
//! GET  blobs/CONVERSATION/ROOT/list          the chunk list, to verify against the root
//! GET  blobs/CONVERSATION/ROOT/chunks/N      each chunk, to verify against the list
//! ```

use super::Api;
use super::bodies::field;
use super::document::Refusals;
use super::extract::{Asked, Who};
use crate::blobs::{BlobBytes, BlobLimits, BlobPart, BlobState};
use crate::problem::{Problem, ProblemCode};
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use sotto_protocol::blob::{BlobPlace, BlobSize};
use sotto_protocol::ids::AccountId;
use std::str::FromStr;
use utoipa::ToSchema;

/// The route of chunks: there are thousands of them in a file, so they have a rate and a time of their own.
pub(super) const CHUNK_ROUTE: &str = "/api/v1/blobs/{conversation}/{root}/chunks/{chunk}";

/// Chunks never change, and belong to whoever was given them: a browser may keep them, a proxy may not.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// Whether a request is for a chunk.
pub(super) fn is_chunk(extensions: &http::Extensions) -> bool {
    extensions.get::<MatchedPath>().is_some_and(|path| path.as_str() == CHUNK_ROUTE)
}

/// Who asks, for which blob.
pub(super) struct Asks {
    who: AccountId,
    place: BlobPlace,
    chunk: u32,
}

impl FromRequestParts<Api> for Asks {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Who(who) = Who::from_request_parts(parts, api).await?;
        #[derive(Deserialize)]
        struct Names {
            conversation: String,
            root: String,
            #[serde(default)]
            chunk: String,
        }
        let Path(names) = Path::<Names>::from_request_parts(parts, api)
            .await
            .map_err(|_| Problem::new(ProblemCode::Malformed, "the path of this file does not read"))?;
        let place = BlobPlace {
            conversation: field("conversation", &names.conversation)?,
            root: field("root", &names.root)?,
        };
        let chunk = if names.chunk.is_empty() {
            0
        } else {
            u32::from_str(&names.chunk)
                .map_err(|_| Problem::field("chunk", "a chunk is named by its number"))?
        };
        Ok(Self { who: who.account, place, chunk })
    }
}

/// How large the blob will be.
#[derive(Deserialize)]
pub(super) struct SizeQuery {
    size: u64,
}

/// How an upload stands.
#[derive(Serialize, ToSchema)]
pub(super) struct BlobJson {
    /// Bytes of all chunks together.
    size: u64,
    /// How many they are: of 1 MiB, but the last one.
    chunks: u32,
    /// Whether the members can read it.
    complete: bool,
    /// Base64 of one bit for each chunk that is there, the first in the highest bit of the first byte.
    present: String,
    /// RFC 3339; `null` for never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<BlobState> for Json<BlobJson> {
    fn from(state: BlobState) -> Self {
        Self(BlobJson {
            size: state.size.bytes(),
            chunks: state.size.chunks(),
            complete: state.is_whole,
            present: BASE64.encode(state.present.as_bytes()),
            expires_at: state.expires.map(super::answers::moment),
        })
    }
}

/// What you may keep.
#[derive(Serialize, ToSchema)]
pub(super) struct BlobLimitsJson {
    /// Bytes of the largest file, encrypted.
    largest_bytes: u64,
    /// What you have, half uploads included.
    used_bytes: u64,
    /// What you may have; `null` for no limit.
    limit_bytes: Option<u64>,
}

/// Ask how much you may keep
#[utoipa::path(
    get, path = "/api/v1/blobs", tag = "files", security(("bearer" = [])),
    responses((status = 200, description = "Limits of this relay", body = BlobLimitsJson), Refusals)
)]
pub(super) async fn limits(State(api): State<Api>, Who(who): Who) -> Result<Json<BlobLimitsJson>, Problem> {
    let BlobLimits { largest_bytes, used_bytes, limit_bytes } = api.blobs()?.limits(who.account)?;
    Ok(Json(BlobLimitsJson { largest_bytes, used_bytes, limit_bytes }))
}

/// Begin an upload, or go on with one
///
/// The body is the chunk list: the BLAKE3 chaining value of each chunk of 1 MiB, 32 bytes each, whose tree has the root in the path
/// (of a single chunk, the root). The quota counts all of it from now on. Say it again after an interruption: the answer tells
/// which chunks are there.
#[utoipa::path(
    put, path = "/api/v1/blobs/{conversation}/{root}", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"),
        ("root" = String, Path, description = "BLAKE3 of the whole encrypted file, 64 hex digits"),
        ("size" = u64, Query, description = "Bytes of all chunks together")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "How it stands", body = BlobJson), Refusals)
)]
pub(super) async fn begin(
    State(api): State<Api>,
    asks: Asks,
    Asked(SizeQuery { size }): Asked<SizeQuery>,
    request: Request,
) -> Result<Json<BlobJson>, Problem> {
    let size = BlobSize::new(size).map_err(|error| Problem::field("size", error))?;
    Ok(api.blobs()?.begin(asks.who, asks.place, size, body(request)).await?.into())
}

/// See which chunks are there
#[utoipa::path(
    get, path = "/api/v1/blobs/{conversation}/{root}", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which")),
    responses((status = 200, description = "How it stands", body = BlobJson), Refusals)
)]
pub(super) async fn state(State(api): State<Api>, asks: Asks) -> Result<Json<BlobJson>, Problem> {
    Ok(api.blobs()?.state(asks.who, asks.place).await?.into())
}

/// Put a chunk
///
/// It is kept if it is the one that the list has, and on the disk when this answers. Chunks may come in any order and several at once.
#[utoipa::path(
    put, path = "/api/v1/blobs/{conversation}/{root}/chunks/{chunk}", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which"),
        ("chunk" = u32, Path, description = "Its number, from 0 on")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204, description = "Kept"), Refusals)
)]
pub(super) async fn put(State(api): State<Api>, asks: Asks, request: Request) -> Result<StatusCode, Problem> {
    api.blobs()?.put(asks.who, asks.place, asks.chunk, body(request)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that all chunks are there
///
/// From now on the members of the conversation can read it.
#[utoipa::path(
    post, path = "/api/v1/blobs/{conversation}/{root}/complete", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which")),
    responses((status = 200, description = "It is whole", body = BlobJson), Refusals)
)]
pub(super) async fn complete(State(api): State<Api>, asks: Asks) -> Result<Json<BlobJson>, Problem> {
    Ok(api.blobs()?.complete(asks.who, asks.place).await?.into())
}

/// Read the chunk list
#[utoipa::path(
    get, path = "/api/v1/blobs/{conversation}/{root}/list", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which")),
    responses((status = 200, description = "32 bytes for each chunk", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn list(State(api): State<Api>, asks: Asks) -> Result<Response, Problem> {
    Ok(part(api.blobs()?.list(asks.who, asks.place).await?))
}

/// Read a chunk
#[utoipa::path(
    get, path = "/api/v1/blobs/{conversation}/{root}/chunks/{chunk}", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which"),
        ("chunk" = u32, Path, description = "Its number, from 0 on")),
    responses((status = 200, description = "The chunk", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn chunk(State(api): State<Api>, asks: Asks) -> Result<Response, Problem> {
    Ok(part(api.blobs()?.chunk(asks.who, asks.place, asks.chunk).await?))
}

/// Delete a file of yours, whole or half
#[utoipa::path(
    delete, path = "/api/v1/blobs/{conversation}/{root}", tag = "files", security(("bearer" = [])),
    params(("conversation" = String, Path, description = "Whose members read it"), ("root" = String, Path, description = "Which")),
    responses((status = 204, description = "Gone"), Refusals)
)]
pub(super) async fn delete(State(api): State<Api>, asks: Asks) -> Result<StatusCode, Problem> {
    api.blobs()?.delete(asks.who, asks.place).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn body(request: Request) -> BlobBytes {
    request.into_body().into_data_stream().map(|piece| piece.map_err(std::io::Error::other)).boxed()
}

fn part(part: BlobPart) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, part.bytes.to_string()),
        (CACHE_CONTROL, FOR_EVER.to_owned()),
    ];
    (headers, Body::from_stream(part.content)).into_response()
}
