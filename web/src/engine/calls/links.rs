//! Direct links between browsers: what the page that makes them says, and what it is told. See `web/ui/src/files/links.ts`.

use super::asked::Linking;
use super::voice::{candidates, negotiation};
use super::{CallError, args, invalid};
use serde_json::{Value, json};
use sotto_node_core::command::Command;
use sotto_node_core::peers::{Asked, ChannelCommand, PeerCommand, PeerEvent, Reach};

/// The command of a method about links; `None` for a method about something else.
pub(super) fn command(method: &str, given: &str) -> Result<Option<Command>, CallError> {
    if !method.starts_with("link") {
        return Ok(None);
    }
    let command = read(method, args(given)?);
    command
        .map(|command| Some(Command::Peer(command)))
        .ok_or_else(|| invalid("this says nothing about links"))
}

fn read(method: &str, given: Linking) -> Option<PeerCommand> {
    let Linking { on, again, link, ask, conversation, root, device, routed, round, sdp, list } = given;
    let root = root.and_then(|root| root.parse().ok());
    Some(match method {
        "links" => PeerCommand::Network(on?.then_some(Reach::Channels)),
        "link_want" => PeerCommand::Want { ask: ask?, conversation: conversation?, root: root? },
        "link_route" => PeerCommand::Route { ask: ask? },
        "link_end_want" => PeerCommand::EndWant { ask: ask? },
        _ => PeerCommand::Channel(match method {
            "link_holds" => ChannelCommand::Holds { conversation: conversation?, root: root? },
            "link_offer" => {
                let asked = Asked {
                    ask: ask?,
                    conversation: conversation?,
                    root: root?,
                    by: device?,
                    channel: true,
                    routed: routed?,
                };
                ChannelCommand::Offer { link: link?, asked, round: round?, sdp: sdp? }
            }
            "link_answer" => ChannelCommand::Answer { link: link?, round: round?, sdp: sdp? },
            "link_candidates" => {
                ChannelCommand::Candidates { link: link?, round: round?, list: candidates(list?) }
            }
            "link_close" => ChannelCommand::Close { link: link?, again: again? },
            _ => return None,
        }),
    })
}

/// What a page is told of links.
pub(in super::super) fn event(event: &PeerEvent) -> Option<Value> {
    match event {
        PeerEvent::Asked(Asked { ask, conversation, root, by, routed, .. }) => Some(json!({
            "type": "link_asked",
            "ask": ask,
            "conversation": conversation,
            "root": root,
            "device": by,
            "routed": routed,
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
