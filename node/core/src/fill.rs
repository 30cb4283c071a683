//! Long histories without the years that they take, for measuring: feature `fill`.

use crate::client::Client;
use crate::core::Convo;
use crate::rows::HistoryRow;
use crate::view::{Line, Origin, Standing};
use rand_core::CryptoRng;
use sotto_e2ee::store::Store;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};

impl<S: Store> Client<S> {
    /// Adds texts to the local history of a conversation, by the path that every line takes. One input, so one commit.
    /// A conversation that is not known becomes one that this device has left. False if the store failed.
    pub fn fill(
        &mut self,
        conversation: ConversationId,
        texts: impl IntoIterator<Item = (Sequence, UnixMillis, String)>,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> bool {
        self.input(now, rng, |core, ctx| {
            if !core.convos.contains_key(&conversation) {
                let mut row = core.new_row(Kind::Group, HistoryPolicy::All, now);
                row.standing = Standing::Gone;
                core.add_convo(Convo::new(conversation, row));
            }
            core.with(conversation, |core, convo| {
                for (sequence, time, text) in texts {
                    let line = HistoryRow {
                        time,
                        sent_at: time,
                        account: core.me.account(),
                        device: core.me.device(),
                        number: MessageNumber(sequence.0),
                        epoch: Epoch(1),
                        line: Line::Text(text),
                        origin: Origin::Own,
                    };
                    core.add_line(ctx, convo, sequence, &line, false)?;
                }
                Ok(())
            })?;
            Ok(())
        })
    }
}
