//! A relay that lies to a browser: it passes everything between the browser and a real relay, and tells one lie at a time.
//!
//! ```text
//! browser --HTTP--> as it is, but WebTransport is not offered --> the real relay
//!         --WebSocket--> frame by frame, through `lies` ------>
//! ```
//! Started with the real relay's address. Hears a line at a time: the name of the lie to tell from now on, or `cut`, which ends every
//! connection. Prints `port N`, then `now LINE` for each line that it heard and `told NAME` for each lie that it told. Ends with its
//! standard input.

mod lies;

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use lies::{Conversation, Lie};
use sotto_protocol::frame::Frame;
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Error, Message};

const WEBSOCKET: &[u8] = b"GET /api/v1/ws ";

/// Longer than any head that a browser sends.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What all connections are told: the lie of now, and how often they were cut.
type Orders = watch::Receiver<(Lie, u32)>;

#[tokio::main]
async fn main() -> Result<()> {
    let relay = std::env::args().nth(1).context("the real relay's address")?;
    let door = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("port {}", door.local_addr()?.port()))?;
    let (order, orders) = watch::channel((Lie::None, 0));
    tokio::spawn(async move {
        while let Ok((browser, _)) = door.accept().await {
            let (relay, orders) = (relay.clone(), orders.clone());
            tokio::spawn(async move {
                if let Err(error) = serve(browser, &relay, orders).await {
                    eprintln!("a connection ended: {error:#}");
                }
            });
        }
    });
    tokio::task::spawn_blocking(move || hear(&order)).await?
}

/// Hears what to do until nobody says anything any more. Who ordered it knows when it is so, and nothing that was told by it was said
/// before.
fn hear(order: &watch::Sender<(Lie, u32)>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut out = std::io::stdout().lock();
        match Lie::named(&line) {
            Some(lie) => order.send_modify(|(now, _)| *now = lie),
            None if line == "cut" => order.send_modify(|(_, cuts)| *cuts += 1),
            None => bail!("there is no lie {line:?}"),
        }
        writeln!(out, "now {line}")?;
        out.flush()?;
    }
    Ok(())
}

fn say(what: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

async fn serve(browser: TcpStream, relay: &str, orders: Orders) -> Result<()> {
    let mut start = [0; WEBSOCKET.len()];
    while browser.peek(&mut start).await? < start.len() {
        // The rest of the first line comes at once, or the connection ends.
        browser.readable().await?;
        tokio::task::yield_now().await;
    }
    if start == *WEBSOCKET { frames(browser, relay, orders).await } else { page(browser, relay).await }
}

/// One request over HTTP, and one a connection, so that no answer hides behind another.
async fn page(mut browser: TcpStream, relay: &str) -> Result<()> {
    let mut request = BytesMut::new();
    let end = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if browser.read_buf(&mut request).await? == 0 || request.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
    };
    let body = request.split_off(end);
    let head = String::from_utf8(request.to_vec())?;
    let kept = head.split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["connection", "accept-encoding"].contains(&name.as_str())
    });
    let head = [kept.collect::<Vec<_>>().join("\r\n"), "connection: close".to_owned()].join("\r\n");
    let mut server = TcpStream::connect(relay).await?;
    server.write_all(head.as_bytes()).await?;
    server.write_all(&body).await?;
    if !head.starts_with("GET /api/v1/about ") {
        tokio::io::copy_bidirectional(&mut browser, &mut server).await?;
        return Ok(());
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    // A field of another name is one that a browser does not know; nothing else of the answer moves.
    let (offer, none) = (b"\"webtransport\":", b"\"xxxxxxxxxxxx\":");
    let at =
        answer.windows(offer.len()).position(|field| field == offer).context("an offer of WebTransport")?;
    if let Some(place) = answer.get_mut(at..at + none.len()) {
        place.copy_from_slice(none);
    }
    browser.write_all(&answer).await?;
    Ok(browser.shutdown().await?)
}

/// One connection of a device, frame by frame.
async fn frames(browser: TcpStream, relay: &str, mut orders: Orders) -> Result<()> {
    let (mut to_browser, mut from_browser) = tokio_tungstenite::accept_async(browser).await?.split();
    let (server, _) = tokio_tungstenite::connect_async(format!("ws://{relay}/api/v1/ws")).await?;
    let (mut to_server, mut from_server) = server.split();
    let (mut asking, mut answering) = (BytesMut::new(), BytesMut::new());
    let mut conversation = Conversation::default();
    let cuts = orders.borrow().1;
    loop {
        tokio::select! {
            asked = next(&mut from_browser) => {
                let Some(message) = asked? else { break };
                asking.extend_from_slice(&message);
                while let Some(frame) = Frame::take(&mut asking, FRAME_BODY_BYTES_MAX)? {
                    conversation.asked(&frame);
                }
                to_server.send(Message::Binary(message)).await?;
            }
            answered = next(&mut from_server) => {
                let Some(message) = answered? else { break };
                answering.extend_from_slice(&message);
                while let Some(frame) = Frame::take(&mut answering, FRAME_BODY_BYTES_MAX)? {
                    let lie = orders.borrow().0;
                    let told = conversation.answered(&frame, lie)?;
                    if told.is_a_lie {
                        say(&format!("told {}", lie.name()))?;
                    }
                    for frame in told.frames {
                        to_browser.send(Message::Binary(frame)).await?;
                    }
                }
            }
            changed = orders.changed() => {
                if changed.is_err() || orders.borrow().1 != cuts {
                    break;
                }
            }
        }
    }
    // The other side may have closed already.
    let _ = to_browser.close().await;
    let _ = to_server.close().await;
    Ok(())
}

/// The next bytes; none when the other side closes.
async fn next(
    from: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Result<Option<bytes::Bytes>> {
    loop {
        match from.next().await.transpose()? {
            Some(Message::Binary(bytes)) => return Ok(Some(bytes)),
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            _ => return Ok(None),
        }
    }
}
