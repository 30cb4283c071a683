//! From what was said about a text to what it is: the line and, beside it, what else there is to show.
//!
//! Two doors lead here. Something is said about a text ([`take`]): if the text is here, it is decided at once who may, and
//! the line changes; if not, it waits in its row. Or a text comes ([`arrive`]): what waited for it is decided then. Both
//! end in the same computation over all rows of the text, which is why the order in which entries come does not matter.
//!
//! Nothing that was replaced or deleted is kept: an edited text takes the place of the old one in its row, a deleted one
//! leaves a line that says so. The store makes sure that what a row held before cannot be read again.

use super::authorise::{Act, Aim, Denied, authorise};
use super::expiry;
use super::marks::{self, Mark, MarkRow, Said};
use crate::rows::{self, HistoryRow};
use crate::view::Line;
use bincode::{Decode, Encode};
use sotto_e2ee::file::Preview;
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::body::conversation::{Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one_or;

/// Different emoji that are shown on one text: of more, the first. A screen has no room for a tenth of them.
pub(crate) const REACTIONS_SHOWN_MAX: usize = 64;

/// What decides in one conversation.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) id: ConversationId,
    pub(crate) kind: Kind,
    pub(crate) roles: &'a [(AccountId, Role)],
    /// The roles were just asked for: what they do not allow is refused.
    pub(crate) roles_are_fresh: bool,
}

impl Scene<'_> {
    /// Who is not known to be more is a member.
    pub(crate) fn role(&self, account: AccountId) -> Role {
        let known = self.roles.iter().find(|(of, _)| *of == account);
        known.map_or(Role::Member, |(_, role)| *role)
    }
}

/// What there is to a line beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AboutRow {
    pub(crate) reply_to: Option<Sequence>,
    pub(crate) mentions: Vec<AccountId>,
    pub(crate) expires_after: Option<u32>,
    pub(crate) expires_at: Option<UnixMillis>,
    pub(crate) edited_at: Option<UnixMillis>,
    /// The place of the pin that counts.
    pub(crate) pinned: Option<Sequence>,
    pub(crate) reactions: Vec<(String, Vec<AccountId>)>,
}

/// Something that an account may do only by a role that the relay is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Contested {
    pub(crate) account: AccountId,
    pub(crate) target: Sequence,
    pub(crate) said: Said,
    pub(crate) mark: Mark,
}

/// What became of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The line, or what is beside it, is another one.
    pub(crate) changed: bool,
    /// Its text is gone.
    pub(crate) deleted: bool,
    /// Whether it is pinned changed.
    pub(crate) pins: bool,
    /// To be taken again when the roles are known.
    pub(crate) contested: Vec<Contested>,
}

const ABOUT: u8 = 0x51;
const PIN: u8 = 0x52;
const PREVIEW: u8 = 0x56;

fn about_key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    rows::numbered(ABOUT, conversation, sequence.0)
}

/// What there is to a line beside it.
pub(crate) fn about(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
) -> Result<AboutRow, StoreError> {
    Ok(rows::get(tx, &about_key(conversation, sequence))?.unwrap_or_default())
}

/// The same for all lines between two places, both included.
pub(crate) fn about_between(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    first: Sequence,
    last: Sequence,
) -> Result<rows::Numbered<AboutRow>, StoreError> {
    let mut scan = Scan::prefix(rows::under(ABOUT, conversation));
    if let Some(before_first) = first.0.checked_sub(1) {
        scan = scan.after(about_key(conversation, Sequence(before_first)));
    }
    if last.0 < u64::MAX {
        scan = scan.before(about_key(conversation, last.next()));
    }
    let rows = tx.scan(&scan)?;
    one_by_one_or(rows.iter().map(|row| Ok((rows::number_of(&row.key)?, rows::decode(&row.value)?))))
}

fn keep_about(tx: &Transaction<'_>, conversation: ConversationId, sequence: Sequence, about: &AboutRow) {
    let key = about_key(conversation, sequence);
    if *about == AboutRow::default() {
        tx.delete(key);
    } else {
        rows::put(tx, key, about);
    }
}

fn preview_key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    rows::numbered(PREVIEW, conversation, sequence.0)
}

/// The small picture of a file. It stands beside its line, which is read far more often.
pub(crate) fn preview(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
) -> Result<Option<Preview>, StoreError> {
    rows::get(tx, &preview_key(conversation, sequence))
}

/// Keeps one that came with its file.
pub(crate) fn keep_preview(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
    preview: &Preview,
) {
    rows::put(tx, preview_key(conversation, sequence), preview);
}

/// What is pinned, the newest pin first.
pub(crate) fn pins(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    limit: usize,
) -> Result<Vec<Sequence>, StoreError> {
    let rows = tx.scan(&Scan::prefix(rows::under(PIN, conversation)).backwards().limit(limit))?;
    rows.iter().map(|row| rows::decode(&row.value)).collect()
}

/// What a target is to an account.
pub(crate) fn aim(line: Option<&HistoryRow>, account: AccountId) -> Aim {
    let Some(row) = line else { return Aim::Away };
    let own = row.account == account;
    match &row.line {
        line if line.is_said() => {
            if own {
                Aim::Own
            } else {
                Aim::Others
            }
        }
        Line::Deleted { .. } => Aim::Deleted { own },
        // It may be read yet.
        Line::Missing(_) | Line::Unknown => Aim::Away,
        _ => Aim::NoText,
    }
}

const fn act(mark: &Mark) -> Act {
    match mark {
        Mark::Edit(_) => Act::Edit,
        Mark::Delete => Act::Delete,
        Mark::React(_) => Act::React,
        Mark::Pin(_) => Act::Pin,
    }
}

/// An account said something about a text.
pub(crate) fn take(
    tx: &Transaction<'_>,
    scene: Scene<'_>,
    account: AccountId,
    target: Sequence,
    said: Said,
    mark: Mark,
) -> Result<Settled, StoreError> {
    let line: Option<HistoryRow> = rows::get(tx, &rows::history_key(scene.id, target))?;
    match authorise(act(&mark), aim(line.as_ref(), account), scene.kind, scene.role(account)) {
        Ok(()) | Err(Denied::Away) => {}
        Err(Denied::NeedsRole(_)) if !scene.roles_are_fresh => {
            let contested = vec![Contested { account, target, said, mark }];
            return Ok(Settled { contested, ..Settled::default() });
        }
        Err(_) => return Ok(Settled::default()),
    }
    if let Mark::Edit(edited) = &mark
        && let Some(at) = edited.expires_at
    {
        expiry::watch(tx, at, scene.id, target);
    }
    let mut row = marks::of(tx, scene.id, target, account)?;
    if !row.merge(said, mark) {
        return Ok(Settled::default());
    }
    marks::keep(tx, scene.id, target, account, &row);
    match line {
        Some(line) if aim(Some(&line), account) != Aim::Away => settle(tx, scene.id, target, line),
        _ => Ok(Settled::default()),
    }
}

/// A text came whose row was just written, with what it brought itself: what waited for it is decided.
pub(crate) fn arrive(
    tx: &Transaction<'_>,
    scene: Scene<'_>,
    target: Sequence,
    line: HistoryRow,
    about: &AboutRow,
) -> Result<Settled, StoreError> {
    keep_about(tx, scene.id, target, about);
    if let Some(at) = about.expires_at {
        expiry::watch(tx, at, scene.id, target);
    }
    let mut contested = Vec::new();
    for (account, mut row) in marks::all(tx, scene.id, target)? {
        let before = row.clone();
        let aim = aim(Some(&line), account);
        let mut refuse = |act, said, mark| match authorise(act, aim, scene.kind, scene.role(account)) {
            Ok(()) => false,
            Err(Denied::NeedsRole(_)) if !scene.roles_are_fresh => {
                contested.push(Contested { account, target, said, mark });
                true
            }
            Err(_) => true,
        };
        row.edit = row.edit.filter(|edit| !refuse(Act::Edit, edit.said, Mark::Edit(edit.what.clone())));
        row.delete = row.delete.filter(|delete| !refuse(Act::Delete, delete.said, Mark::Delete));
        row.pin = row.pin.filter(|pin| !refuse(Act::Pin, pin.said, Mark::Pin(pin.what)));
        if row != before {
            marks::keep(tx, scene.id, target, account, &row);
        }
    }
    let settled = settle(tx, scene.id, target, line)?;
    Ok(Settled { contested, ..settled })
}

/// What a text is, by all that counts of what was said about it.
fn settle(
    tx: &Transaction<'_>,
    id: ConversationId,
    target: Sequence,
    mut line: HistoryRow,
) -> Result<Settled, StoreError> {
    let mut rows = marks::all(tx, id, target)?;
    let before = about(tx, id, target)?;
    let old_line = line.line.clone();
    let mut now = before.clone();
    let deleted = first_delete(&rows);
    if let Some(by) = deleted {
        line.line = Line::Deleted { by };
        tx.delete(preview_key(id, target));
        // The line that is left goes when the text would have gone.
        now = AboutRow { expires_at: before.expires_at, ..AboutRow::default() };
        for (account, row) in &rows {
            let only = MarkRow { delete: row.delete.clone(), ..MarkRow::default() };
            marks::keep(tx, id, target, *account, &only);
        }
    } else {
        let author = line.account;
        if let Some((_, row)) = rows.iter_mut().find(|(account, _)| *account == author)
            && let Some(edit) = &mut row.edit
            && let Some(text) = edit.what.text.take()
        {
            line.line = match line.line {
                // What is edited of a file is what was said about it.
                Line::File { about, .. } => Line::File { about, caption: text.body },
                _ => Line::Text(text.body),
            };
            now.mentions = text.mentions;
            now.edited_at = Some(edit.said.time);
            marks::keep(tx, id, target, author, row);
        }
        now.pinned = last_pin(&rows);
        now.reactions = reactions(&rows);
    }
    if let Some(place) = before.pinned.filter(|_| now.pinned != before.pinned) {
        tx.delete(rows::numbered(PIN, id, place.0));
    }
    if let Some(place) = now.pinned.filter(|_| now.pinned != before.pinned) {
        rows::put(tx, rows::numbered(PIN, id, place.0), &target);
    }
    let line_changed = line.line != old_line;
    if line_changed {
        rows::put(tx, rows::history_key(id, target), &line);
    }
    if now != before {
        keep_about(tx, id, target, &now);
    }
    Ok(Settled {
        changed: line_changed || now != before,
        deleted: line_changed && deleted.is_some(),
        pins: now.pinned != before.pinned,
        contested: Vec::new(),
    })
}

fn first_delete(rows: &[(AccountId, MarkRow)]) -> Option<AccountId> {
    let deletes =
        rows.iter().filter_map(|(account, row)| Some((row.delete.as_ref()?.said.sequence, *account)));
    deletes.min().map(|(_, account)| account)
}

/// The place of the newest word on pinning, if it is to pin.
fn last_pin(rows: &[(AccountId, MarkRow)]) -> Option<Sequence> {
    let pins = rows.iter().filter_map(|(_, row)| row.pin.as_ref());
    pins.max_by_key(|pin| pin.said.sequence).filter(|pin| pin.what).map(|pin| pin.said.sequence)
}

fn reactions(rows: &[(AccountId, MarkRow)]) -> Vec<(String, Vec<AccountId>)> {
    let mut on: Vec<(Sequence, &str, AccountId)> = rows
        .iter()
        .flat_map(|(account, row)| row.reactions.iter().map(move |toggle| (account, toggle)))
        .filter(|(_, toggle)| toggle.what.on)
        .map(|(account, toggle)| (toggle.said.sequence, toggle.what.emoji.as_str(), *account))
        .collect();
    on.sort_unstable();
    let mut shown: Vec<(String, Vec<AccountId>)> = Vec::new();
    for (_, emoji, account) in on {
        if let Some((_, accounts)) = shown.iter_mut().find(|(known, _)| known == emoji) {
            accounts.push(account);
        } else if shown.len() < REACTIONS_SHOWN_MAX {
            shown.push((emoji.to_owned(), vec![account]));
        }
    }
    shown
}

/// Erases a text whose time has come, with all that was said about it; `None` if there is nothing whose time has come.
/// An edit that waits for its text goes by itself.
pub(crate) fn expire(
    tx: &Transaction<'_>,
    id: ConversationId,
    target: Sequence,
    now: UnixMillis,
) -> Result<Option<HistoryRow>, StoreError> {
    let due = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
    let about = about(tx, id, target)?;
    let marks = marks::all(tx, id, target)?;
    if !due(about.expires_at) {
        for (account, mut row) in marks {
            if row.edit.as_ref().is_some_and(|edit| edit.what.text.is_some() && due(edit.what.expires_at)) {
                row.edit = None;
                marks::keep(tx, id, target, account, &row);
            }
        }
        return Ok(None);
    }
    erase_about(tx, id, target)?;
    let key = rows::history_key(id, target);
    let line = rows::get(tx, &key)?;
    tx.delete(key);
    Ok(line)
}

/// Erases what is kept about a text that is not.
pub(crate) fn erase_about(
    tx: &Transaction<'_>,
    id: ConversationId,
    target: Sequence,
) -> Result<(), StoreError> {
    if let Some(place) = about(tx, id, target)?.pinned {
        tx.delete(rows::numbered(PIN, id, place.0));
    }
    tx.delete(about_key(id, target));
    tx.delete(preview_key(id, target));
    for (account, _) in marks::all(tx, id, target)? {
        marks::keep(tx, id, target, account, &MarkRow::default());
    }
    Ok(())
}
