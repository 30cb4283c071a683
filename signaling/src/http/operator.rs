//! `/api/v1/operator`: the relay's accounts, invites, rooms and figures, for operators only. They read no more of what people say
//! than anybody else: the relay cannot.

use super::Api;
use super::answers::{MadeInviteJson, moment};
use super::bodies::{Body, InviteBody, field};
use super::document::Refusals;
use super::extract::{Asked, Checked, Operator, PathId};
use crate::hooks::{Figures, Room};
use crate::problem::Problem;
use crate::service::{AccountChange, Census};
use crate::store::AccountSummary;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::AccountId;
use sotto_signaling_core::account::Role;
use sotto_signaling_core::invite::{Invite, InviteId};
use utoipa::ToSchema;

/// Accounts of one answer if nobody says how many.
const ACCOUNTS: usize = 50;
/// And at most.
const ACCOUNTS_MAX: usize = 200;
/// Bytes of what is looked for: the longest address.
const WANTED_BYTES_MAX: usize = 254;

/// The relay in figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsJson {
    /// Accounts, disabled ones too.
    accounts: u64,
    /// Devices of them.
    devices: u64,
    /// Devices that are connected now.
    connections: u64,
    /// Rooms, groups and direct conversations.
    conversations: u64,
    /// Entries of their logs that are kept.
    messages: u64,
    /// Bytes that everything takes on the disk.
    storage_bytes: u64,
    /// Bytes that are free there.
    disk_free_bytes: u64,
    /// How long the relay has been running.
    uptime_seconds: u64,
    /// Messages made durable in a second, over the last ten.
    messages_per_second: f64,
    /// The version of the relay program.
    version: &'static str,
}

impl StatsJson {
    fn new(census: Census, figures: Figures) -> Self {
        Self {
            accounts: census.accounts,
            devices: census.devices,
            connections: figures.connections,
            conversations: figures.conversations,
            messages: figures.messages,
            storage_bytes: figures.storage_bytes,
            disk_free_bytes: figures.disk_free_bytes,
            uptime_seconds: figures.uptime.as_secs(),
            messages_per_second: figures.messages_per_second,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// An account as operators see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountJson {
    /// 32 hex digits.
    id: String,
    /// The public name.
    username: String,
    /// As given; not verified.
    email: String,
    /// What the account may do on this relay.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// Whether it is kept out.
    disabled: bool,
    /// When it registered.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many devices it has.
    devices: usize,
}

impl From<&AccountSummary> for AccountJson {
    fn from(row: &AccountSummary) -> Self {
        Self {
            id: row.account.id.to_string(),
            username: row.account.username.as_str().to_owned(),
            email: row.account.email.as_str().to_owned(),
            role: row.account.role,
            disabled: row.account.disabled.is_some(),
            created_at: moment(row.account.created),
            devices: row.devices,
        }
    }
}

/// Some accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountsJson {
    accounts: Vec<AccountJson>,
    /// The `cursor` to go on with; `null` at the end.
    next: Option<String>,
}

/// Which accounts.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountsQuery {
    /// `next` of the answer before.
    cursor: Option<String>,
    /// How many, 1 to 200; 50 if not said.
    limit: Option<usize>,
    /// Part of a name or an address.
    q: Option<String>,
}

/// Changes an account. At least one of both is needed.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AccountBody {
    /// `user` or `operator`.
    #[schema(nullable = true, example = "operator")]
    role: Option<String>,
    /// `true` keeps it out: its sessions end, its connections close, nobody signs in to it.
    #[schema(nullable = true)]
    disabled: Option<bool>,
}

impl Body for AccountBody {
    type Checked = AccountChange;

    fn check(self) -> Result<AccountChange, Problem> {
        let role = match self.role.as_deref() {
            None => None,
            Some("user") => Some(Role::User),
            Some("operator") => Some(Role::Operator),
            Some(_) => return Err(Problem::field("role", "a role is user or operator")),
        };
        if role.is_none() && self.disabled.is_none() {
            return Err(Problem::field("role", "say what to change: \"role\", \"disabled\" or both"));
        }
        Ok(AccountChange { role, disabled: self.disabled })
    }
}

/// An invite as operators see it. The relay keeps a hash of its code: nobody can show it again.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorInviteJson {
    /// 32 hex digits; not the code.
    id: String,
    /// The account that made it; `null` for the operator's console.
    by: Option<String>,
    /// The conversation that it admits to.
    conversation: Option<String>,
    /// Whether it lets somebody register where an invite is needed for that.
    registers: bool,
    /// How many more may redeem it.
    uses_left: u32,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<&Invite> for OperatorInviteJson {
    fn from(invite: &Invite) -> Self {
        Self {
            id: invite.id.to_string(),
            by: invite.by.map(|account| account.to_string()),
            conversation: invite.conversation.map(|conversation| conversation.to_string()),
            registers: invite.registers,
            uses_left: invite.uses_left,
            created_at: moment(invite.created),
            expires_at: moment(invite.expires),
        }
    }
}

/// Some invites.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorInvitesJson {
    invites: Vec<OperatorInviteJson>,
    /// The `cursor` to go on with; `null` at the end.
    next: Option<String>,
}

/// Where a list goes on.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `next` of the answer before.
    cursor: Option<String>,
}

/// A room as operators may know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomJson {
    /// 32 hex digits.
    id: String,
    /// The public name of a listed room; other names are between the members.
    name: Option<String>,
    /// Accounts that are members.
    members: usize,
    /// Entries that are kept.
    messages: u64,
}

impl From<Room> for RoomJson {
    fn from(room: Room) -> Self {
        Self {
            id: room.conversation.to_string(),
            name: room.name,
            members: room.members,
            messages: room.entries,
        }
    }
}

/// Some rooms.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomsJson {
    rooms: Vec<RoomJson>,
    /// The `cursor` to go on with; `null` at the end.
    next: Option<String>,
}

/// The relay in figures
#[utoipa::path(
    get, path = "/api/v1/operator/stats", tag = "operator", security(("bearer" = [])),
    responses((status = 200, description = "As they are now", body = StatsJson), Refusals)
)]
pub(super) async fn stats(State(api): State<Api>, _: Operator) -> Result<Json<StatsJson>, Problem> {
    let census = api.signaling.census().await?;
    Ok(Json(StatsJson::new(census, api.signaling.figures().await?)))
}

/// List or find accounts
#[utoipa::path(
    get, path = "/api/v1/operator/accounts", tag = "operator", security(("bearer" = [])), params(AccountsQuery),
    responses((status = 200, description = "In the order of their ids", body = AccountsJson), Refusals)
)]
pub(super) async fn accounts(
    State(api): State<Api>,
    _: Operator,
    Asked(query): Asked<AccountsQuery>,
) -> Result<Json<AccountsJson>, Problem> {
    let after = query.cursor.as_deref().map(|text| field::<AccountId>("cursor", text)).transpose()?;
    let limit = query.limit.unwrap_or(ACCOUNTS);
    if !(1..=ACCOUNTS_MAX).contains(&limit) {
        return Err(Problem::field("limit", format!("a list has 1 to {ACCOUNTS_MAX} rows")));
    }
    let wanted = query.q.unwrap_or_default();
    if wanted.len() > WANTED_BYTES_MAX {
        return Err(Problem::field("q", format!("what is looked for has at most {WANTED_BYTES_MAX} bytes")));
    }
    let page = api.signaling.find_accounts(after, wanted.trim(), limit).await?;
    let accounts = page.accounts.iter().map(Into::into).collect();
    Ok(Json(AccountsJson { accounts, next: page.next.map(|id| id.to_string()) }))
}

/// Give an account a role, or keep it out
///
/// The last operator who can sign in stays one; at the relay's console anything goes.
#[utoipa::path(
    patch, path = "/api/v1/operator/accounts/{id}", tag = "operator", security(("bearer" = [])),
    params(("id" = String, Path, description = "The account's id")), request_body = AccountBody,
    responses((status = 200, description = "As it is now", body = AccountJson), Refusals)
)]
pub(super) async fn change_account(
    State(api): State<Api>,
    _: Operator,
    PathId(id): PathId<AccountId>,
    Checked(change): Checked<AccountBody>,
) -> Result<Json<AccountJson>, Problem> {
    Ok(Json((&api.signaling.change_account(id, change).await?).into()))
}

/// List the live invites of everybody
#[utoipa::path(
    get, path = "/api/v1/operator/invites", tag = "operator", security(("bearer" = [])), params(Page),
    responses((status = 200, description = "Without their codes", body = OperatorInvitesJson), Refusals)
)]
pub(super) async fn invites(
    State(api): State<Api>,
    _: Operator,
    Asked(query): Asked<Page>,
) -> Result<Json<OperatorInvitesJson>, Problem> {
    let after = query.cursor.as_deref().map(place).transpose()?;
    let page = api.signaling.all_invites(after).await?;
    let next = page.next.map(|(maker, invite)| format!("{maker}{invite}"));
    Ok(Json(OperatorInvitesJson { invites: page.invites.iter().map(Into::into).collect(), next }))
}

/// A maker and an invite, 32 hex digits each.
fn place(text: &str) -> Result<(AccountId, InviteId), Problem> {
    let (maker, invite) = text.split_at_checked(32).unwrap_or((text, ""));
    Ok((field("cursor", maker)?, field("cursor", invite)?))
}

/// Make an invite to register
///
/// As at the console: it works whatever `invites` says. Its code is shown this once.
#[utoipa::path(
    post, path = "/api/v1/operator/invites", tag = "operator", security(("bearer" = [])), request_body = InviteBody,
    responses((status = 201, description = "Made", body = MadeInviteJson), Refusals)
)]
pub(super) async fn make_invite(
    State(api): State<Api>,
    _: Operator,
    Checked(wish): Checked<InviteBody>,
) -> Result<(StatusCode, Json<MadeInviteJson>), Problem> {
    if wish.conversation.is_some() {
        // Operators are no members: only those admit to a conversation.
        return Err(Problem::field("conversation", "invites into a conversation are made by its members"));
    }
    let made = api.signaling.make_operator_invite(wish).await?;
    Ok((StatusCode::CREATED, Json((&made).into())))
}

/// Take an invite back, whoever made it
#[utoipa::path(
    delete, path = "/api/v1/operator/invites/{id}", tag = "operator", security(("bearer" = [])),
    params(("id" = String, Path, description = "The invite's id, not its code")),
    responses((status = 204, description = "Taken back; who redeemed it stays"), Refusals)
)]
pub(super) async fn remove_invite(
    State(api): State<Api>,
    _: Operator,
    PathId(id): PathId<InviteId>,
) -> Result<StatusCode, Problem> {
    api.signaling.revoke_invite(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List rooms
#[utoipa::path(
    get, path = "/api/v1/operator/rooms", tag = "operator", security(("bearer" = [])), params(Page),
    responses((status = 200, description = "In the order in which they were made", body = RoomsJson), Refusals)
)]
pub(super) async fn rooms(
    State(api): State<Api>,
    _: Operator,
    Asked(query): Asked<Page>,
) -> Result<Json<RoomsJson>, Problem> {
    let from = query.cursor.as_deref().map(|text| field::<usize>("cursor", text)).transpose()?;
    let page = api.signaling.rooms(from.unwrap_or(0)).await;
    let rooms = page.rooms.into_iter().map(Into::into).collect();
    Ok(Json(RoomsJson { rooms, next: page.next.map(|from| from.to_string()) }))
}
