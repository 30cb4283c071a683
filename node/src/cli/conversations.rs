//! `create`, `invite`, `join`, `leave`, `rooms`, `members`, `remove`.

use super::args::{Create, Global, InviteArgs, Join, Leave, Members, Remove, Rooms};
use super::exit::{Exit, Failed};
use super::name;
use super::open::{self, RunningNode};
use super::output::Printer;
use super::presence;
use serde_json::{Value, json};
use sotto_node::node::Session;
use sotto_node_core::command::{Command, NewConversation, Who};
use sotto_node_core::event::{Event, Outcome, Room};
use sotto_node_core::format::harmless_line;
use sotto_node_core::json::{conversation_json, history_name, kind_name, role_name, standing_name};
use sotto_node_core::view::{ConversationView, MemberView, Standing};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::{AccountId, ConversationId};
use sotto_protocol::invite::{Invite, InviteCode};
use tokio::sync::broadcast::error::TryRecvError;

pub(crate) async fn create(global: &Global, printer: &Printer, args: Create) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let default = if args.room { HistoryPolicy::All } else { HistoryPolicy::SinceJoining };
        let members: Vec<_> = args.users.iter().map(|user| plain_username(user)).collect();
        let created = new_conversation(
            node,
            NewConversation {
                name: args.name.clone(),
                room: args.room,
                listed_name: args.listed.then(|| args.name.clone()),
                history: args.history.map_or(default, Into::into),
                suite: args.suite,
                members,
            },
        );
        let (view, missing) = created.await?;
        let (id, name, kind) = (view.conversation, harmless_line(&args.name), kind_name(view.kind));
        let lines = format!("Created the {kind} {name} ({id}) with {} members.", view.members.len());
        printer.result(&created_json(&view, &missing), &lines)?;
        if !missing.is_empty() {
            printer.remark(&format!(
                "{} of the users have not signed in on any device yet and were not added; try `sotto invite {name} USER` later.",
                missing.len()
            ));
        }
        Ok(())
    })
    .await
}

/// Makes a conversation; gives also the accounts that have no keys to be added by yet.
pub(crate) async fn new_conversation(
    node: &RunningNode,
    new: NewConversation,
) -> Result<(ConversationView, Vec<AccountId>), Failed> {
    let mut events = node.events();
    let outcome = open::answered(node, Command::CreateConversation(new)).await?;
    let Outcome::Conversation(id) = outcome else { return Err(unexpected(&outcome)) };
    let mut missing = Vec::new();
    loop {
        match events.try_recv() {
            Ok(Event::NotAdded { conversation, accounts }) if conversation == id => missing.extend(accounts),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Ok((name::by_id(node, id).await?, missing))
}

/// A conversation that was just made.
pub(crate) fn created_json(view: &ConversationView, missing: &[AccountId]) -> Value {
    let mut object = conversation_json(view);
    if let Some(object) = object.as_object_mut() {
        object.insert("not_added".to_owned(), json!(missing));
    }
    object
}

pub(crate) async fn invite(global: &Global, printer: &Printer, args: InviteArgs) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        match (&args.name, &args.user) {
            (Some(name), Some(user)) => add(node, printer, name, user).await,
            (Some(name), None) => {
                let view = name::conversation(node, name).await?;
                if view.kind == Kind::Direct {
                    return Err(no_link_for_two());
                }
                link(node, printer, &args, Some(view.conversation)).await
            }
            (None, _) => link(node, printer, &args, None).await,
        }
    })
    .await
}

async fn add(node: &RunningNode, printer: &Printer, name: &str, user: &str) -> Result<(), Failed> {
    let view = name::conversation(node, name).await?;
    let user = plain_username(user);
    let added = add_user(node, view.conversation, &user).await?;
    let object = json!({ "type": "added", "conversation": view.conversation, "accounts": added });
    printer.result(&object, &format!("{user} is in {} now.", harmless_line(&view.title)))
}

/// Adds a user by name; gives the accounts that came in.
pub(crate) async fn add_user(
    node: &RunningNode,
    conversation: ConversationId,
    username: &str,
) -> Result<Vec<AccountId>, Failed> {
    let add = Command::AddMembers { conversation, usernames: vec![username.to_owned()] };
    let outcome = open::answered(node, add).await?;
    let Outcome::Added { added, without_device } = outcome else { return Err(unexpected(&outcome)) };
    if added.is_empty() && !without_device.is_empty() {
        let sentence = format!(
            "{username} has not signed in on any device yet, so there are no keys to add; try again later"
        );
        return Err(Failed::new(Exit::Refused, "no_device", sentence));
    }
    Ok(added)
}

async fn link(
    node: &RunningNode,
    printer: &Printer,
    args: &InviteArgs,
    conversation: Option<ConversationId>,
) -> Result<(), Failed> {
    let made = make_link(node, conversation, args.uses, args.hours).await?;
    let object = json!({ "type": "invite", "conversation": conversation, "link": made });
    printer.result(&object, &harmless_line(&made))?;
    printer.remark(match conversation {
        Some(_) => "Whoever has this link may enter, after registering on the relay: sotto join 'LINK'",
        None => "Whoever has this link may register: sotto register --relay 'LINK' --username NAME --email ADDRESS",
    });
    Ok(())
}

/// A direct conversation has no third member.
pub(crate) fn no_link_for_two() -> Failed {
    Failed::usage("a direct conversation is for two; `sotto create` makes a group")
}

/// A link into a conversation, or to the relay.
pub(crate) async fn make_link(
    node: &RunningNode,
    conversation: Option<ConversationId>,
    uses: Option<u32>,
    hours: Option<u64>,
) -> Result<String, Failed> {
    let access = node.access_token().await?;
    let expires_in = hours.map(|hours| hours.saturating_mul(3600));
    Ok(node.api().invite(&access, conversation, uses, expires_in).await?.link)
}

pub(crate) async fn join(global: &Global, printer: &Printer, args: Join) -> Result<(), Failed> {
    let entrance = Entrance::parse(&args.what)?;
    let start = open::start(global, printer).await?;
    entrance.is_here(&start.session)?;
    let node = open::begin(start, printer)?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = enter(node, &entrance).await?;
        let (id, title) = (view.conversation, harmless_line(&view.title));
        printer
            .result(&conversation_json(&view), &format!("You are in {title} ({id}). Next: sotto chat {id}"))
    })
    .await
}

/// What one enters a conversation by.
pub(crate) enum Entrance {
    /// An invite link.
    Link(Invite),
    /// The public name of a listed room.
    Listed(String),
}

impl Entrance {
    pub(crate) fn parse(what: &str) -> Result<Self, Failed> {
        if what.contains("://") {
            let link =
                what.parse().map_err(|error| Failed::usage(format!("the link is not one: {error}")))?;
            Ok(Self::Link(link))
        } else {
            Ok(Self::Listed(what.to_owned()))
        }
    }

    /// A link leads to this profile's relay, or nowhere from here.
    pub(crate) fn is_here(&self, session: &Session) -> Result<(), Failed> {
        let Self::Link(link) = self else { return Ok(()) };
        let known = session.link().map_err(|error| Failed::usage(error.to_string()))?;
        // One certificate is one relay, whatever it is called; without fingerprints the address decides.
        let same = match (known.fingerprint, link.fingerprint) {
            (Some(known), Some(other)) => known == other,
            _ => known.relay == link.relay,
        };
        if same {
            return Ok(());
        }
        Err(Failed::usage(
            "this invite is for another relay than this profile's; register there with another --profile and \
             --relay 'LINK', then join",
        ))
    }
}

/// Goes in; gives what one is in then.
pub(crate) async fn enter(node: &RunningNode, entrance: &Entrance) -> Result<ConversationView, Failed> {
    let command = match entrance {
        Entrance::Link(Invite { code: Some(code), .. }) => {
            Command::Join { conversation: redeem(node, code).await? }
        }
        Entrance::Link(_) => return Err(Failed::usage("this link names a relay and holds no invite")),
        Entrance::Listed(name) => Command::JoinListed { name: name.clone() },
    };
    let outcome = open::answered(node, command).await?;
    let Outcome::Conversation(id) = outcome else { return Err(unexpected(&outcome)) };
    name::by_id(node, id).await
}

async fn redeem(node: &RunningNode, code: &InviteCode) -> Result<ConversationId, Failed> {
    let access = node.access_token().await?;
    let redeemed = node.api().redeem(&access, code.as_str()).await?;
    redeemed
        .conversation
        .ok_or_else(|| Failed::usage("this invite is for registering on the relay; there is nothing to join"))
}

pub(crate) async fn leave(global: &Global, printer: &Printer, args: Leave) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation(node, &args.name).await?;
        node.command(Command::Leave { conversation: view.conversation }).await?;
        let object = json!({ "type": "left", "conversation": view.conversation });
        printer.result(
            &object,
            &format!("You left {}. Its history stays on this device.", harmless_line(&view.title)),
        )
    })
    .await
}

pub(crate) async fn rooms(global: &Global, printer: &Printer, args: Rooms) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        if args.listed {
            open::ready(node).await?;
            for room in listed_rooms(node).await? {
                let lines = format!("{}  {}", room.conversation, harmless_line(&room.name));
                printer.result(&listed_json(&room), &lines)?;
            }
            return Ok(());
        }
        open::caught_up_if_reachable(node, printer).await?;
        for view in name::views(node).await? {
            let present = match view.standing {
                Standing::Member => presence::count(node, view.conversation).await?,
                _ => None,
            };
            let note =
                |count: u64, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
            let queued = u64::try_from(view.queued).unwrap_or(u64::MAX);
            let lines = format!(
                "{}  {:6} {}  ({}, {} members{}, history {}{}{})",
                view.conversation,
                kind_name(view.kind),
                harmless_line(&view.title),
                standing_name(view.standing),
                view.members.len(),
                note(u64::from(present.unwrap_or(0)), "here"),
                history_name(view.history),
                note(u64::from(view.unread), "unread"),
                note(queued, "in the outbox")
            );
            let mut object = conversation_json(&view);
            if let (Some(object), Some(present)) = (object.as_object_mut(), present) {
                object.insert("present".to_owned(), present.into());
            }
            printer.result(&object, &lines)?;
        }
        Ok(())
    })
    .await
}

pub(crate) async fn members(global: &Global, printer: &Printer, args: Members) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up_if_reachable(node, printer).await?;
        let view = name::conversation(node, &args.name).await?;
        let present = presence::here(node, view.conversation).await?;
        for member in view.members {
            let here = present.is_here(member.account);
            let lines = format!(
                "{}  {}  {}, {} devices{}{}",
                member.account,
                harmless_line(&member.username),
                member.role.map_or("role unknown", role_name),
                member.devices.len(),
                if member.verified { ", verified" } else { "" },
                if here == Some(true) { ", here" } else { "" }
            );
            let mut object = member_json(&member);
            object["here"] = json!(here);
            printer.result(&object, &lines)?;
        }
        if let Some(count) = present.count.filter(|_| present.named.is_none()) {
            printer.remark(&format!("({count} of the members are here)"));
        }
        Ok(())
    })
    .await
}

pub(crate) async fn remove(global: &Global, printer: &Printer, args: Remove) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation(node, &args.name).await?;
        let username = plain_username(&args.user);
        let account = remove_user(node, &view, &username).await?;
        let object = json!({ "type": "removed", "conversation": view.conversation, "account": account });
        let lines =
            format!("{username} is out of {} and reads nothing from now on.", harmless_line(&view.title));
        printer.result(&object, &lines)
    })
    .await
}

/// Puts a user out; gives the account.
pub(crate) async fn remove_user(
    node: &RunningNode,
    view: &ConversationView,
    username: &str,
) -> Result<AccountId, Failed> {
    let Some(member) = view.members.iter().find(|member| member.username == username) else {
        let sentence = format!("{username} is not a member of {}", harmless_line(&view.title));
        return Err(Failed::new(Exit::NotFound, "not_a_member", sentence));
    };
    let who = Who::Account(member.account);
    open::answered(node, Command::RemoveMember { conversation: view.conversation, who }).await?;
    Ok(member.account)
}

/// The rooms that anybody on the relay may join.
pub(crate) async fn listed_rooms(node: &RunningNode) -> Result<Vec<Room>, Failed> {
    match open::answered(node, Command::ListRooms).await? {
        Outcome::Rooms(rooms) => Ok(rooms),
        other => Err(unexpected(&other)),
    }
}

/// A room of the relay.
pub(crate) fn listed_json(room: &Room) -> Value {
    json!({
        "type": "listed_room",
        "conversation": room.conversation,
        "name": room.name,
        "members": room.members,
    })
}

/// A member.
pub(crate) fn member_json(member: &MemberView) -> Value {
    json!({
        "type": "member",
        "account": member.account,
        "username": member.username,
        "role": member.role.map(role_name),
        "devices": member.devices,
        "verified": member.verified,
    })
}

/// People write user names with and without the @.
pub(crate) fn plain_username(user: &str) -> String {
    user.strip_prefix('@').unwrap_or(user).to_owned()
}

fn unexpected(outcome: &Outcome) -> Failed {
    Failed::internal(format!("an unexpected outcome: {outcome:?}"))
}
