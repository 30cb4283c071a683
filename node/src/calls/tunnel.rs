//! TURN for a network that lets no UDP out: datagrams of the WebRTC client, which speaks TURN over UDP only, on streams that the relay
//! routes (P-080).
//!
//! ```text
//! WebRTC --UDP on loopback--> Tunnel --WebSocket over TLS--> the relay's TURN server
//! ```
//!
//! Each socket of the client has a stream of its own, as it would have an address of its own at the server.

use crate::http::HttpError;
use crate::transport::Messages;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use socket2::SockRef;
use sotto_protocol::limits::TURN_MESSAGE_BYTES_MAX;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use webrtc::peer_connection::RTCIceServer;

/// What the system keeps of packets each way. With what it keeps by itself a channel is eight times slower: a burst of a window
/// overflows it, and what is lost is waited for.
pub(crate) const SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// Sockets that are served: the client has one on loopback in each attempt.
const SOURCES_MAX: usize = 4;

/// What a tunnel carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// Sound and pictures: they are for now.
    Media,
    /// Pieces of files: better late than sent again.
    Files,
}

impl Load {
    /// Datagrams that wait for a slow network. Of more the oldest are dropped: what asks for an answer asks again.
    const fn waiting_max(self) -> usize {
        match self {
            // A second of a voice call with a small picture.
            Self::Media => 128,
            // What a data channel has under way at most, 1 MiB.
            Self::Files => 1_024,
        }
    }
}

/// How long the relay is waited for.
const DIAL: Duration = Duration::from_secs(10);

/// After a stream failed or ended, there is no other for so long.
const PAUSE: Duration = Duration::from_millis(500);

/// See the module. It ends when this is dropped.
pub(crate) struct Tunnel {
    address: SocketAddr,
    // Its task ends with it.
    _listening: JoinSet<()>,
}

/// One socket of the client.
struct Source {
    queue: Arc<Queue>,
    carrying: AbortHandle,
}

struct Queue {
    load: Load,
    waiting: Mutex<VecDeque<Bytes>>,
    more: Notify,
}

impl Tunnel {
    /// Listens for the client. Streams are dialled when something is to be carried.
    pub(super) async fn open<F, D>(load: Load, dial: F) -> io::Result<Self>
    where
        F: Fn() -> D + Clone + Send + 'static,
        D: Future<Output = Result<Messages, HttpError>> + Send + 'static,
    {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        // What the system does not allow is no reason to have no tunnel.
        let _ = SockRef::from(&socket).set_recv_buffer_size(SOCKET_BYTES);
        let address = socket.local_addr()?;
        let mut listening = JoinSet::new();
        listening.spawn(listen(Arc::new(socket), load, dial));
        Ok(Self { address, _listening: listening })
    }

    /// Where the client finds it.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the client is told, with credentials that were lent for any of these servers.
    pub(super) fn server(&self, lent: &[RTCIceServer]) -> Option<RTCIceServer> {
        let lent = lent.iter().find(|server| !server.username.is_empty())?;
        let urls = vec![format!("turn:{}?transport=udp", self.address)];
        Some(RTCIceServer { urls, ..lent.clone() })
    }
}

async fn listen<F, D>(socket: Arc<UdpSocket>, load: Load, dial: F)
where
    F: Fn() -> D + Clone + Send + 'static,
    D: Future<Output = Result<Messages, HttpError>> + Send + 'static,
{
    let mut sources: HashMap<SocketAddr, Source> = HashMap::new();
    let mut carrying = JoinSet::new();
    let mut datagram = vec![0; TURN_MESSAGE_BYTES_MAX];
    loop {
        let (length, from) = match socket.recv_from(&mut datagram).await {
            Ok(received) => received,
            // Some systems tell here that a socket of the client is closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
            Err(error) => {
                tracing::warn!(%error, "the way through the relay ended");
                return;
            }
        };
        if !from.ip().is_loopback() {
            continue; // The client looks from every address that it has; one leads here.
        }
        while carrying.try_join_next().is_some() {}
        sources.retain(|_, source| !source.carrying.is_finished());
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&from) {
            continue;
        }
        let source = sources.entry(from).or_insert_with(|| {
            let queue = Arc::new(Queue::new(load));
            let task = carry(Arc::clone(&socket), from, Arc::clone(&queue), dial.clone());
            Source { queue, carrying: carrying.spawn(task) }
        });
        source.queue.push(Bytes::copy_from_slice(datagram.get(..length).unwrap_or_default()));
    }
}

/// Carries what one socket sends and is sent, until the stream ends. The next datagram dials another one.
async fn carry<F, D>(socket: Arc<UdpSocket>, client: SocketAddr, queue: Arc<Queue>, dial: F)
where
    F: Fn() -> D + Send,
    D: Future<Output = Result<Messages, HttpError>> + Send + 'static,
{
    match timeout(DIAL, dial()).await {
        Ok(Ok(Messages { mut outgoing, mut incoming })) => {
            let away = async { while outgoing.send(queue.next().await).await.is_ok() {} };
            let back = async {
                while let Some(message) = incoming.next().await {
                    // One that no datagram holds, or for which the system has no room, is lost as on any network.
                    let _ = socket.send_to(&message, client).await;
                }
            };
            tokio::select! {
                () = away => {}
                () = back => {}
            }
            tracing::debug!("a stream for TURN ended");
        }
        Ok(Err(error)) => tracing::debug!(%error, "the relay routes no TURN"),
        Err(_) => tracing::debug!("the relay does not answer"),
    }
    sleep(PAUSE).await;
}

impl Queue {
    fn new(load: Load) -> Self {
        Self { load, waiting: Mutex::default(), more: Notify::new() }
    }

    fn push(&self, datagram: Bytes) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.load.waiting_max() {
            waiting.pop_front();
        }
        waiting.push_back(datagram);
        self.more.notify_one();
    }

    async fn next(&self) -> Bytes {
        loop {
            let oldest = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match oldest {
                Some(datagram) => return datagram,
                None => self.more.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::LinkError;
    use futures_util::{sink, stream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    /// A stream that answers each message by itself and a count of the streams there were so far.
    fn echo(streams: usize) -> Messages {
        let (sender, receiver) = mpsc::channel::<Bytes>(8);
        let number = u8::try_from(streams).expect("a few streams");
        let outgoing = sink::unfold(sender, async |sender, message: Bytes| {
            let sent = sender.send(message).await;
            sent.map(|()| sender).map_err(|error| LinkError::Closed(error.to_string()))
        });
        let incoming = stream::unfold(receiver, move |mut receiver| async move {
            let message: Bytes = receiver.recv().await?;
            Some((Bytes::from([&[number][..], &message[..]].concat()), receiver))
        });
        Messages { outgoing: Box::pin(outgoing), incoming: incoming.boxed() }
    }

    fn refusal() -> HttpError {
        HttpError::Untrusted("not now".to_owned())
    }

    async fn client() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket")
    }

    /// Sends until it is answered. Answers to what was sent before are passed over.
    async fn answer(client: &UdpSocket, tunnel: &Tunnel, datagram: &[u8]) -> Vec<u8> {
        let answered = async {
            loop {
                client.send_to(datagram, tunnel.address()).await.expect("it goes out");
                let mut received = [0; 64];
                while let Ok(got) = timeout(Duration::from_millis(50), client.recv(&mut received)).await {
                    let answer = received.get(..got.expect("an answer")).expect("it fits");
                    if answer.ends_with(datagram) {
                        return answer.to_vec();
                    }
                }
            }
        };
        timeout(Duration::from_secs(20), answered).await.expect("an answer comes")
    }

    #[tokio::test]
    async fn each_socket_has_a_stream_of_its_own_and_there_are_a_few() {
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dialled);
        let dial = move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { Ok(echo(number)) }
        };
        let tunnel = Tunnel::open(Load::Media, dial).await.expect("a tunnel");
        let mut clients = Vec::new();
        for number in 0..u8::try_from(SOURCES_MAX).expect("a few") {
            let client = client().await;
            assert_eq!(answer(&client, &tunnel, b"there").await, [&[number][..], b"there"].concat());
            clients.push(client);
        }
        let stranger = client().await;
        stranger.send_to(b"more", tunnel.address()).await.expect("it goes out");
        // What the tunnel took after it is answered, so it was passed over.
        assert_eq!(answer(&clients[0], &tunnel, b"and").await, b"\0and");
        assert_eq!(dialled.load(Ordering::Relaxed), SOURCES_MAX);
        let mut received = [0; 9];
        assert!(stranger.try_recv(&mut received).is_err());
    }

    #[tokio::test]
    async fn where_there_is_no_stream_the_next_datagrams_ask_for_one() {
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dialled);
        let dial = move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { if number == 0 { Err(refusal()) } else { Ok(echo(number)) } }
        };
        let tunnel = Tunnel::open(Load::Media, dial).await.expect("a tunnel");
        assert_eq!(answer(&client().await, &tunnel, b"there").await, b"\x01there");
    }

    #[tokio::test]
    async fn of_what_waits_too_long_the_oldest_is_dropped() {
        let queue = Queue::new(Load::Media);
        let most = Load::Media.waiting_max();
        for number in 0..=most {
            queue.push(Bytes::from(number.to_be_bytes().to_vec()));
        }
        assert_eq!(queue.next().await[..], 1_usize.to_be_bytes());
        assert_eq!(queue.waiting.lock().expect("nobody panicked").len(), most - 1);
    }

    #[tokio::test]
    async fn the_client_is_told_of_it_with_what_was_lent() {
        let dial = || async { Err(refusal()) };
        let tunnel = Tunnel::open(Load::Media, dial).await.expect("a tunnel");
        assert!(tunnel.server(&[]).is_none(), "nothing was lent");
        let urls = vec!["turn:relay.example:3478?transport=udp".to_owned()];
        let lent = RTCIceServer { urls, username: "u".to_owned(), credential: "c".to_owned() };
        let told = tunnel.server(&[lent]).expect("a server");
        assert_eq!(told.urls, [format!("turn:{}?transport=udp", tunnel.address())]);
        assert_eq!((told.username, told.credential), ("u".to_owned(), "c".to_owned()));
    }
}
