//! Two ends of a channel over loopback, of which one does what no honest device does.

use super::*;
use crate::peers::{Gives, TakeError};
use bytes::{Bytes, BytesMut};
use sotto_node_core::peers::asking::AT_ONCE;
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::ConversationId;
use sotto_protocol::peer::{MESSAGE_BYTES_MAX, Question, Wanted, answering, asking};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection with its channel, which is open.
struct End {
    connection: Connection,
    channel: Arc<dyn DataChannel>,
}

/// Gives chunk 1, and never comes to an end with others.
struct One;

impl Gives for One {
    fn give(&self, _: ConversationId, question: Question) -> BoxFuture<'static, Option<Bytes>> {
        match question.wanted {
            Wanted::Chunk(1) => std::future::ready(Some(chunk())).boxed(),
            Wanted::Chunk(2) => std::future::ready(None).boxed(),
            _ => std::future::pending().boxed(),
        }
    }
}

fn chunk() -> Bytes {
    (0..1_000_000_u32).map(|place| place.to_le_bytes()[0]).collect()
}

fn question(chunk: u32) -> Question {
    Question { root: BlobRoot([7; 32]), wanted: Wanted::Chunk(chunk) }
}

async fn opened(connection: Connection, channel: Arc<dyn DataChannel>) -> End {
    assert!(opening(Some(&channel)).await);
    End { connection, channel }
}

async fn end() -> (Connection, UnboundedReceiver<Told>) {
    let ways = Ways::new(true);
    ways.lead(&[], ("127.0.0.1", 9), None).await;
    let (tell, told) = unbounded_channel();
    (Connection::open(Vec::new(), ways, false, tell).await.expect("a connection"), told)
}

async fn next(told: &mut UnboundedReceiver<Told>) -> Told {
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("something in time").expect("something")
}

/// Who gives, and who takes.
async fn linked() -> (End, End) {
    let ((giver, mut giver_told), (taker, mut taker_told)) = (end().await, end().await);
    let made = giver.channel().await.expect("a channel");
    let answer = taker.answer(giver.offer(false).await.expect("an offer")).await.expect("an answer");
    giver.answered(answer).await.expect("it is taken");
    let mut came = None;
    while came.is_none() {
        tokio::select! {
            told = next(&mut giver_told) => if let Told::Found(way) = told { taker.try_way(way).await },
            told = next(&mut taker_told) => match told {
                Told::Found(way) => giver.try_way(way).await,
                Told::Channel(channel) => came = Some(channel),
                Told::State(_) => {}
            },
        }
    }
    let came = came.expect("it came");
    assert_eq!(came.label().await.expect("a label"), CHANNEL);
    tokio::join!(opened(giver, made), opened(taker, came))
}

fn giver() -> Giver {
    Giver { conversation: ConversationId([5; 16]), gives: Some(Arc::new(One)), hub: Hub::new() }
}

#[tokio::test]
async fn pieces_come_over_a_channel_whole_and_what_is_not_there_is_said_so() {
    let (gives, takes) = linked().await;
    assert!(takes.connection.standing().await.round_trip.is_none_or(|away| away < PATIENCE));
    let giving = tokio::spawn(give::serve(giver(), gives.channel));
    let (taking, wishes) = take::taking(None, false);
    let taken = tokio::spawn(take::serve(wishes, takes.channel));
    assert_eq!(taking.ask(question(1), 1_000_000).await, Ok(chunk().to_vec()));
    assert_eq!(taking.ask(question(2), 10).await, Err(TakeError::Gone));
    let broke = taking.ask(question(1), 999_999).await;
    assert!(matches!(broke, Err(TakeError::Broke(_))), "more than there is: {broke:?}");
    assert!(!taken.await.expect("it ends"), "it is not asked again");
    assert_eq!(
        taking.ask(question(1), 10).await,
        Err(TakeError::Broke("it sent what is no answer to what it was asked"))
    );
    giving.abort();
}

/// P-075.
#[tokio::test]
async fn who_answers_what_was_not_asked_or_nothing_gives_nothing_more() {
    for answer in [answering(1, Some(&[1])), answering(0, Some(&[])), vec![9; 3]] {
        let (gives, takes) = linked().await;
        let (taking, wishes) = take::taking(None, false);
        let taken = tokio::spawn(take::serve(wishes, takes.channel));
        let asked = tokio::spawn({
            let taking = taking.clone();
            async move { taking.ask(question(1), MESSAGE_BYTES_MAX).await }
        });
        gives.channel.send(BytesMut::from(answer.as_slice())).await.expect("it goes out");
        let came = asked.await.expect("it ends");
        assert!(matches!(came, Err(TakeError::Broke(_))), "{came:?}");
        assert!(!taken.await.expect("it ends"));
    }
}

#[tokio::test]
async fn who_asks_too_much_at_once_or_what_is_no_question_is_not_served_any_more() {
    let many = (0..=AT_ONCE).map(|number| asking(u32::try_from(number).expect("few"), question(9)));
    for asked in [many.collect(), vec![vec![1, 2, 3]]] {
        let (gives, takes) = linked().await;
        let giving = tokio::spawn(give::serve(giver(), gives.channel));
        for message in asked {
            takes.channel.send(BytesMut::from(message.as_slice())).await.expect("it goes out");
        }
        tokio::time::timeout(PATIENCE, giving).await.expect("it ends in time").expect("it ends");
    }
}
