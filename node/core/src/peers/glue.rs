//! Links and the rest of the client: words in and out, events for the shell.

use super::PeerCommand;
use super::machine::{Act, Heard};
use crate::account::shared;
use crate::command::Token;
use crate::core::{Convo, Core, Ctx};
use crate::event::{Event, Outcome};
use crate::rows;
use sotto_e2ee::content::Ephemeral;
use sotto_e2ee::content::peer::{PeerSignal, PeerWord};
use sotto_e2ee::conversation::Sender;
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::ids::ConversationId;

/// Whether the store remembers where files lie on a disk. A browser's does not: its pages say what they hold.
const KEEPS: bool = !cfg!(target_family = "wasm");

/// The row that is there when the person wants no links.
const RELAY_ONLY: u8 = 0x60;

/// Whether the person wants no links.
pub(crate) fn relay_only(tx: &Transaction<'_>) -> Result<bool, StoreError> {
    Ok(tx.get(&[RELAY_ONLY])?.is_some())
}

/// Rooms are for whoever comes in; where a device is, is for people who were invited.
fn makes_links(convo: &Convo) -> bool {
    convo.row().kind != Kind::Room
}

impl Core {
    /// A member said something about a link.
    pub(crate) fn peer_word(
        &mut self,
        ctx: &mut Ctx<'_>,
        conversation: ConversationId,
        sender: &Sender,
        signal: PeerSignal,
    ) -> Result<(), StoreError> {
        let is_kept = match &signal.word {
            PeerWord::Wanted { root, .. } | PeerWord::Sought { root, .. } if KEEPS => {
                ctx.tx.get(&shared::key(conversation, *root))?.is_some()
            }
            _ => false,
        };
        let Some(convo) = self.convos.get(&conversation).filter(|convo| makes_links(convo)) else {
            return Ok(());
        };
        let members = convo.members().len();
        let Sender { account, device, .. } = *sender;
        let heard = Heard { conversation, account, device, signal, is_kept, members };
        self.peers.heard(heard, ctx.now, ctx.rng);
        self.peer_acts(ctx)
    }

    pub(crate) fn peer_command(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        command: PeerCommand,
    ) -> Result<(), StoreError> {
        let mut done = Ok(());
        match command {
            PeerCommand::Network(reach) => {
                let reach = reach.filter(|_| !self.settings.relay_only && self.link.is_ready());
                self.peers.network(reach, ctx.now);
            }
            PeerCommand::Serve => self.peers.serve(),
            PeerCommand::SetRelayOnly(relay_only) => {
                self.peers.set_relay_only(relay_only);
                if relay_only {
                    rows::put(ctx.tx, vec![RELAY_ONLY], &());
                } else {
                    ctx.tx.delete(vec![RELAY_ONLY]);
                }
            }
            PeerCommand::Want { ask, conversation, root } => {
                if self.convos.get(&conversation).is_some_and(|convo| makes_links(convo)) {
                    done = self.peers.want(ask, conversation, root, ctx.now);
                }
            }
            PeerCommand::HasSome { ask } => self.peers.has_some(ask),
            PeerCommand::Route { ask } => self.peers.route(ask, ctx.now),
            PeerCommand::EndWant { ask } => self.peers.end_want(ask),
            PeerCommand::Lost { ask, device } => self.peers.lost(ask, device),
            PeerCommand::Offer(asked) => self.peers.offer(asked, ctx.now, ctx.rng),
            PeerCommand::Channel(command) => done = self.peers.channel_command(command, ctx.now),
        }
        match done {
            Ok(()) => ctx.done(Some(token), Outcome::Nothing),
            Err(failure) => ctx.failed(Some(token), failure),
        }
        self.peer_acts(ctx)
    }

    /// Time has passed for links.
    pub(crate) fn peers_due(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.peers.on_time(ctx.now);
        self.peer_acts(ctx)
    }

    fn peer_acts(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        for act in self.peers.take_acts() {
            match act {
                // What cannot be sent now is asked again, or the file comes from the relay.
                Act::Send(id, signal) => {
                    self.with(id, |core, convo| {
                        core.send_ephemeral(ctx, convo, Ephemeral::Peer(signal));
                        Ok(())
                    })?;
                }
                Act::Tell(event) => ctx.event(Event::Peer(event)),
            }
        }
        Ok(())
    }
}
