//! Direct links between browsers: what the page that makes them says, and what it is told. See `web/ui/src/files/links.ts`.

use super::asked::{Closed, Held, LinkAnswer, LinkFound, LinkOffer, OneAsk, Seeking, Switch};
use super::voice::{candidates, negotiation};
use super::{CallError, args};
use serde_json::{Value, json};
use sotto_node_core::command::Command;
use sotto_node_core::peers::{Asked, ChannelCommand, PeerCommand, PeerEvent, Reach};

/// The command of a method about links; `None` for a method about something else.
pub(super) fn command(method: &str, given: &str) -> Result<Option<Command>, CallError> {
    Ok(Some(Command::Peer(match method {
        "links" => PeerCommand::Network(args::<Switch>(given)?.on.then_some(Reach::Channels)),
        "link_want" => {
            let Seeking { ask, conversation, root } = args(given)?;
            PeerCommand::Want { ask, conversation, root }
        }
        "link_end_want" => PeerCommand::EndWant { ask: args::<OneAsk>(given)?.ask },
        _ => PeerCommand::Channel(match method {
            "link_holds" => {
                let Held { conversation, root } = args(given)?;
                ChannelCommand::Holds { conversation, root }
            }
            "link_offer" => {
                let LinkOffer { link, ask, conversation, root, device, round, sdp } = args(given)?;
                let asked = Asked { ask, conversation, root, by: device };
                ChannelCommand::Offer { link, asked, round, sdp }
            }
            "link_answer" => {
                let LinkAnswer { link, round, sdp } = args(given)?;
                ChannelCommand::Answer { link, round, sdp }
            }
            "link_candidates" => {
                let LinkFound { link, round, list } = args(given)?;
                ChannelCommand::Candidates { link, round, list: candidates(list) }
            }
            "link_close" => {
                let Closed { link, again } = args(given)?;
                ChannelCommand::Close { link, again }
            }
            _ => return Ok(None),
        }),
    })))
}

/// What a page is told of links.
pub(in super::super) fn event(event: &PeerEvent) -> Option<Value> {
    match event {
        PeerEvent::Asked(Asked { ask, conversation, root, by }) => Some(json!({
            "type": "link_asked",
            "ask": ask,
            "conversation": conversation,
            "root": root,
            "device": by,
        })),
        PeerEvent::Channel(news) => {
            let whose = json!({
                "type": "link_negotiate",
                "link": news.link,
                "ask": news.ask,
                "account": news.account,
            });
            Some(negotiation(whose, &news.what))
        }
        // Of nodes.
        PeerEvent::Meet(_) => None,
    }
}
