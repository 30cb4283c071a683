//! Two nodes' links over loopback, with certificates that were promised and others.

use super::*;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sotto_node_core::peers::plan::steps;
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, LinkId};
use sotto_protocol::peer::{Question, Wanted};

/// Gives the number of the chunk that is asked for.
struct Numbers;

impl Gives for Numbers {
    fn give(&self, _: ConversationId, question: Question) -> BoxFuture<'static, Option<Bytes>> {
        let given = match question.wanted {
            Wanted::List | Wanted::Present => None,
            Wanted::Chunk(chunk) => Some(Bytes::copy_from_slice(&chunk.to_be_bytes())),
        };
        std::future::ready(given).boxed()
    }
}

/// A hub that listens, and the way to it.
fn hub() -> (Hub, Way) {
    let hub = Hub::new();
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let socket = Socket::bind(nobody).unwrap();
    let port = socket.endpoint().local_addr().unwrap().port();
    hub.attach(Some(socket));
    let way = hub.way(&format!("127.0.0.1:{port}")).unwrap();
    assert_eq!(way.addresses.len(), 1);
    (hub, way)
}

/// What comes of a meeting in which each was promised these certificates; `false` lets the taker dial first.
async fn meet(to_taker: Option<[u8; 32]>, to_giver: Option<[u8; 32]>, giver_dials: bool) -> News {
    let ((taker, takers), (giver, givers)) = (hub(), hub());
    let (low, high) = (DeviceId([1; 16]), DeviceId([2; 16]));
    let (taker_id, giver_id) = if giver_dials { (low, high) } else { (high, low) };
    let (ask, link) = (AskId([3; 16]), LinkId([4; 16]));
    let meeting = |ask, own, device, way: Way, promised: Option<[u8; 32]>| Meeting {
        link,
        conversation: ConversationId([5; 16]),
        ask,
        account: AccountId([6; 16]),
        device,
        fingerprint: promised.unwrap_or(way.fingerprint),
        addresses: way.addresses,
        steps: steps(own, device),
    };
    let mut news = taker.asking(ask);
    giver.give_from(Arc::new(Numbers));
    giver.meet(meeting(None, giver_id, taker_id, takers, to_giver));
    taker.meet(meeting(Some(ask), taker_id, giver_id, givers, to_taker));
    assert!(matches!(news.recv().await, Some(News::Coming)));
    let met = news.recv().await.expect("something comes of it");
    if let News::Link(link) = &met {
        let root = BlobRoot([7; 32]);
        assert_eq!(link.take(root, Wanted::Chunk(9), 4).await.as_deref(), Ok(&[0, 0, 0, 9][..]));
        assert_eq!(link.take(root, Wanted::List, 4).await, Err(TakeError::Gone));
        let broke = |text| Err(TakeError::Broke(text));
        assert_eq!(link.take(root, Wanted::Chunk(9), 5).await, broke("it sent less than the piece has"));
        assert_eq!(link.take(root, Wanted::Chunk(9), 3).await, broke("it sent more than the piece has"));
        giver.close();
        assert_eq!(link.take(root, Wanted::Chunk(9), 4).await, Err(TakeError::Lost));
    }
    met
}

/// P-074.
#[tokio::test]
async fn another_certificate_than_the_promised_one_gets_no_link_at_either_end() {
    let other = Some([9; 32]);
    let met = tokio::join!(
        meet(None, None, false),
        meet(None, None, true),
        meet(other, None, false),
        meet(other, None, true),
        meet(None, other, false),
        meet(None, other, true),
    );
    let links = [met.0, met.1, met.2, met.3, met.4, met.5].map(|news| matches!(news, News::Link(_)));
    assert_eq!(links, [true, true, false, false, false, false]);
}

#[tokio::test]
async fn a_node_that_waits_for_nobody_answers_nobody() {
    let ((_listening, way), (dialling, _)) = (hub(), hub());
    let config = dialling.0.identity.as_ref().unwrap().client(way.fingerprint).unwrap();
    let socket = Socket::bind(way.addresses[0]).unwrap();
    let dialled = socket.endpoint().connect_with(config, way.addresses[0], tls::NAME).unwrap();
    let answered = tokio::time::timeout(std::time::Duration::from_secs(1), dialled).await;
    assert!(answered.is_err(), "not even a refusal: {answered:?}");
}
