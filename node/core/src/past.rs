//! Lines of the past that a person brings along, as from an export of another device.
//!
//! They are the person's word and nobody else's: no signature stands behind them, so they say so ([`Origin::Imported`])
//! and never replace what this device has by itself.

use crate::command::{PastConversation, PastLine, Token};
use crate::core::{Convo, Core, Ctx};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::rows::{self, HistoryRow};
use crate::view::{Line, Origin, Standing};
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_e2ee::store::StoreError;
use sotto_protocol::ids::{Epoch, Sequence};

/// Lines of one command: what one commit of the store holds at most.
pub const PAST_LINES_MAX: usize = 500;

/// No log is so long; beyond this a sequence is a mistake, and would hide what comes.
const SEQUENCE_MAX: u64 = 1 << 48;

impl Core {
    pub(crate) fn import_history(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        past: &PastConversation,
        lines: &[PastLine],
    ) -> Result<(), StoreError> {
        let sound = |line: &PastLine| {
            (1..SEQUENCE_MAX).contains(&line.sequence.0) && line.text.len() <= TEXT_BYTES_MAX
        };
        if lines.len() > PAST_LINES_MAX || !lines.iter().all(sound) {
            let text = "these are no lines of a history: a place or a text is out of all bounds";
            ctx.failed(Some(token), Failure::new(FailureCode::Invalid, text));
            return Ok(());
        }
        let id = past.conversation;
        if !self.convos.contains_key(&id) {
            // One that this device is not in: its past can be read, and nothing be said there.
            let mut row = self.new_row(past.kind, past.history, ctx.now);
            row.standing = Standing::Gone;
            row.name.clone_from(&past.name);
            row.peer = past.peer;
            self.add_convo(Convo::new(id, row));
        }
        for line in lines {
            if !self.accounts.contains_key(&line.account) && line.account != self.me.account() {
                self.learn_name(ctx, line.account, &line.username);
            }
        }
        let added = self.with(id, |core, convo| {
            let mut added = 0;
            let gone = convo.row().standing == Standing::Gone;
            // In a conversation that goes on, what comes next is the log's and not the past's.
            let cursor = convo.cursor();
            let before = |line: &&PastLine| gone || line.sequence <= cursor;
            for line in lines.iter().filter(before) {
                let known: Option<HistoryRow> = rows::get(ctx.tx, &rows::history_key(id, line.sequence))?;
                if known.is_some_and(|known| !matches!(known.line, Line::Missing(_))) {
                    continue;
                }
                let row = HistoryRow {
                    time: line.time,
                    sent_at: line.sent_at,
                    account: line.account,
                    device: line.device,
                    number: line.number,
                    epoch: Epoch(0),
                    line: Line::Text(line.text.clone()),
                    origin: Origin::Imported,
                };
                core.past_text(ctx, convo, line.sequence, row)?;
                added += 1;
            }
            let last = lines.iter().filter(before).map(|line| line.sequence).max().unwrap_or(Sequence(0));
            if convo.row().name.is_empty() && !past.name.is_empty() {
                convo.row_mut().name.clone_from(&past.name);
            }
            if convo.row().last_line < last {
                convo.row_mut().last_line = last;
            }
            if gone && convo.row().read_upto < last {
                convo.row_mut().read_upto = last;
            }
            Ok(added)
        })?;
        let added = added.unwrap_or(0);
        if added > 0 {
            ctx.event(Event::HistoryAdded { conversation: id, lines: added });
        }
        ctx.done(Some(token), Outcome::History { conversation: id, added, next: None });
        Ok(())
    }
}
