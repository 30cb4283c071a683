//! What calls take: the first halves of `Calls` in `web/ui/src/engine/api.ts`.

use super::{
    AccountId, CallError, ConversationId, Deserialize, DeviceId, HistoryPolicy, NewConversation, Role,
    Sequence, Suite, Value, invalid,
};
use sotto_protocol::ids::{AskId, LinkId};

/// Declares the arguments of calls, field by field. Unknown fields are a mistake of the interface's.
macro_rules! asked {
    ($($name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(pub(super) $field: $kind,)*
        }
    )*};
}

asked! {
    One { conversation: ConversationId }
    OneText { text: String }
    OneName { username: String }
    OneAccount { account: AccountId }
    OneDevice { device: DeviceId }
    OneSession { id: String }
    Named { name: String }
    Switch { on: bool }
    History { conversation: ConversationId, before: Option<Sequence>, limit: usize }
    HistoryAfter { conversation: ConversationId, after: Sequence, limit: usize }
    LineAt { conversation: ConversationId, sequence: Sequence }
    Search { words: String, conversation: Option<ConversationId>, before: Option<String>, limit: usize }
    Draft { conversation: ConversationId, text: String }
    Compared { account: AccountId, identity_key: String }
    Registration { username: String, email: String, password: String, invite: Option<String> }
    SignIn { name: String, password: String, words: Option<String> }
    Http { method: String, path: String, body: Option<Value> }
    Inviting { conversation: Option<ConversationId>, uses: Option<u32>, expires_in: Option<u64> }
    Redeeming { code: String }
    FileSending {
        conversation: ConversationId,
        file: String,
        caption: String,
        reply_to: Option<Sequence>,
        preview: Option<SmallPicture>,
    }
    SmallPicture { width: u32, height: u32, jpeg: String }
    Texting { conversation: ConversationId, text: String, reply_to: Option<Sequence> }
    Editing { conversation: ConversationId, target: Sequence, text: String }
    At { conversation: ConversationId, target: Sequence }
    Reacting { conversation: ConversationId, target: Sequence, emoji: String, on: bool }
    Pinning { conversation: ConversationId, target: Sequence, on: bool }
    Timing { conversation: ConversationId, seconds: Option<u32> }
    Reading { conversation: ConversationId, upto: Sequence }
    Renaming { conversation: ConversationId, name: String }
    Adding { conversation: ConversationId, usernames: Vec<String> }
    Member { conversation: ConversationId, account: AccountId }
    Roles { conversation: ConversationId, account: AccountId, role: String }
    Calling { conversation: ConversationId, video: bool }
    OneCall { call: String }
    Taking { call: String, video: bool }
    Described { call: String, round: u32, sdp: String }
    Way { line: String, mid: Option<String>, section: Option<u16> }
    Found { call: String, round: u32, list: Vec<Way> }
    Reported { call: String, media: String, fingerprint: Option<String> }
    Sending { call: String, muted: bool, camera: bool, held: bool, screen: bool }
    Creating {
        name: String,
        room: bool,
        listed_name: Option<String>,
        history: String,
        members: Vec<String>,
    }
}

/// What calls about links take: each some of it. One for all, since each type that is read is more to download.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Linking {
    pub(super) on: Option<bool>,
    pub(super) again: Option<bool>,
    pub(super) link: Option<LinkId>,
    pub(super) ask: Option<AskId>,
    pub(super) conversation: Option<ConversationId>,
    pub(super) root: Option<String>,
    pub(super) device: Option<DeviceId>,
    pub(super) routed: Option<bool>,
    pub(super) round: Option<u32>,
    pub(super) sdp: Option<String>,
    pub(super) list: Option<Vec<Way>>,
}

/// What calls about calls of groups take: each some of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grouping {
    pub(super) conversation: Option<ConversationId>,
    pub(super) call: Option<String>,
    pub(super) video: Option<bool>,
    pub(super) device: Option<DeviceId>,
    pub(super) round: Option<u32>,
    pub(super) sdp: Option<String>,
    pub(super) list: Option<Vec<Way>>,
    pub(super) media: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) muted: Option<bool>,
    pub(super) camera: Option<bool>,
    pub(super) held: Option<bool>,
    pub(super) screen: Option<bool>,
}

impl Creating {
    pub(super) fn command(self) -> Result<NewConversation, CallError> {
        let history = match self.history.as_str() {
            "none" => HistoryPolicy::None,
            "since-joining" => HistoryPolicy::SinceJoining,
            "all" => HistoryPolicy::All,
            other => return Err(invalid(format!("{other} is no history policy"))),
        };
        Ok(NewConversation {
            name: self.name,
            room: self.room,
            listed_name: self.listed_name,
            history,
            suite: Suite::XWing,
            members: self.members,
        })
    }
}

pub(super) fn role_of(name: &str) -> Result<Role, CallError> {
    match name {
        "member" => Ok(Role::Member),
        "moderator" => Ok(Role::Moderator),
        "owner" => Ok(Role::Owner),
        other => Err(invalid(format!("{other} is no role"))),
    }
}
