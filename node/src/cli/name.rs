//! What NAME means: @username, an id, or what a conversation is called.

use super::exit::{Exit, Failed};
use super::open::{RunningNode, answered, ready};
use sotto_e2ee::conversation::Suite;
use sotto_node_core::client::Client;
use sotto_node_core::command::Command;
use sotto_node_core::event::Outcome;
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{ConversationView, Standing};
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::ids::ConversationId;

/// A conversation that this device has; a direct one is opened if there is none and the relay answers.
pub(crate) async fn conversation_or_open(node: &RunningNode, name: &str) -> Result<ConversationView, Failed> {
    let views = views(node).await?;
    if let Some(found) = find(&views, node_username(node).await?.as_str(), name)? {
        return Ok(found.clone());
    }
    let Some(username) = name.strip_prefix('@') else { return Err(unknown(name)) };
    if let Err(failed) = ready(node).await {
        let sentence = format!(
            "there is no conversation with {} on this device yet, so nothing was queued: {}",
            harmless_line(username),
            failed.sentence
        );
        return Err(Failed { sentence, ..failed });
    }
    let open = Command::OpenDirect { username: username.to_owned(), suite: Suite::default() };
    match answered(node, open).await? {
        Outcome::Conversation(id) => by_id(node, id).await,
        other => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
    }
}

/// A conversation that this device has.
pub(crate) async fn conversation(node: &RunningNode, name: &str) -> Result<ConversationView, Failed> {
    let views = views(node).await?;
    find(&views, node_username(node).await?.as_str(), name)?.cloned().ok_or_else(|| unknown(name))
}

pub(crate) async fn by_id(node: &RunningNode, id: ConversationId) -> Result<ConversationView, Failed> {
    node.ask(move |client| client.conversation(id)).await??.ok_or_else(|| unknown(&id.to_string()))
}

pub(crate) async fn views(node: &RunningNode) -> Result<Vec<ConversationView>, Failed> {
    Ok(node.ask(Client::conversations).await??)
}

async fn node_username(node: &RunningNode) -> Result<String, Failed> {
    Ok(node.ask(|client| client.username().to_owned()).await?)
}

fn unknown(name: &str) -> Failed {
    let sentence = format!(
        "no conversation is called {}; `sotto rooms` lists them, and @username starts a direct one",
        harmless_line(name)
    );
    Failed::new(Exit::NotFound, "unknown_conversation", sentence)
}

/// Looks a name up. One that fits several is refused rather than guessed: a message must not go to the wrong people.
fn find<'a>(
    views: &'a [ConversationView],
    own: &str,
    name: &str,
) -> Result<Option<&'a ConversationView>, Failed> {
    if let Ok(id) = name.parse::<ConversationId>() {
        return Ok(views.iter().find(|view| view.conversation == id));
    }
    let direct_with = |view: &&ConversationView, username: &str| {
        view.kind == Kind::Direct
            && view.members.iter().any(|member| member.username == username)
            && (username != own)
    };
    let fits = |view: &&ConversationView| match name.strip_prefix('@') {
        Some(username) => direct_with(view, username),
        None => view.name == name || view.title == name,
    };
    // What one has left counts only if nothing else fits.
    let present: Vec<_> = views.iter().filter(|view| view.standing != Standing::Gone).filter(fits).collect();
    let found = if present.is_empty() { views.iter().filter(fits).collect() } else { present };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let ids: Vec<_> = several.iter().map(|view| view.conversation.to_string()).collect();
            let sentence = format!(
                "{} conversations are called {}; use an id: {}",
                several.len(),
                harmless_line(name),
                ids.join(" ")
            );
            Err(Failed::new(Exit::Usage, "ambiguous", sentence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_node_core::view::MemberView;
    use sotto_protocol::body::conversation::HistoryPolicy;
    use sotto_protocol::ids::{AccountId, Sequence};

    fn view(id: u8, kind: Kind, name: &str, members: &[&str], standing: Standing) -> ConversationView {
        let member = |(place, username): (u8, &&str)| MemberView {
            account: AccountId([place; 16]),
            username: (*username).to_owned(),
            role: None,
            devices: vec![],
            verified: false,
        };
        ConversationView {
            conversation: ConversationId([id; 16]),
            kind,
            history: HistoryPolicy::SinceJoining,
            title: if name.is_empty() { members.join(", ") } else { name.to_owned() },
            name: name.to_owned(),
            standing,
            suite: None,
            epoch: None,
            cursor: Sequence(0),
            unread: 0,
            last: None,
            queued: 0,
            members: (0..).zip(members).map(member).collect(),
            timer: None,
            pins: vec![],
        }
    }

    #[test]
    fn a_name_finds_one_conversation_or_none_and_is_never_guessed() {
        let views = [
            view(1, Kind::Direct, "", &["alice", "bob"], Standing::Member),
            view(2, Kind::Group, "bob", &["alice", "carol"], Standing::Member),
            view(3, Kind::Group, "twice", &["alice"], Standing::Member),
            view(4, Kind::Group, "twice", &["alice"], Standing::Member),
            view(5, Kind::Group, "old", &["alice"], Standing::Gone),
            view(6, Kind::Group, "old", &["alice"], Standing::Member),
            view(7, Kind::Group, "left", &["alice"], Standing::Gone),
        ];
        let id =
            |name: &str| find(&views, "alice", name).map(|found| found.map(|view| view.conversation.0[0]));
        assert_eq!(id("@bob").ok(), Some(Some(1)), "@ is the person");
        assert_eq!(id("bob").ok(), Some(Some(2)), "a bare name is the conversation");
        assert_eq!(id("@carol").ok(), Some(None), "in a group with carol is not with carol");
        assert_eq!(id("@alice").ok(), Some(None), "oneself is no peer");
        assert_eq!(id("twice").err().map(|failed| failed.exit), Some(Exit::Usage));
        assert_eq!(id("old").ok(), Some(Some(6)), "what was left does not make a name ambiguous");
        assert_eq!(id("left").ok(), Some(Some(7)), "its history can still be read");
        assert_eq!(id(&ConversationId([4; 16]).to_string()).ok(), Some(Some(4)));
        assert_eq!(id("nothing").ok(), Some(None));
    }
}
