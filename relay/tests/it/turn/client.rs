//! A TURN client of these tests' own: as small as it can be, and able to say what no good client says.

use sotto_relay::config::TurnConfig;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn_server_proto::stun::types::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_server_proto::stun::types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageType,
    MessageWriteExt as _, MessageWriteVec, Method, TransactionId,
};
use turn_server_proto::stun::types::prelude::{AttributeWrite, MessageWrite as _};
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};

use crate::world::{Person, TestRelay};

const PATIENCE: Duration = Duration::from_secs(20);
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The settings of TURN, for tests to change.
pub(super) fn turn(config: &mut sotto_relay::config::Config) -> &mut TurnConfig {
    config.turn.as_mut().unwrap()
}

/// What `/api/v1/ice` gave.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) urls: Vec<String>,
    pub(super) username: String,
    pub(super) credential: String,
    pub(super) ttl: u64,
}

/// Asks for credentials, as any client does.
pub(super) async fn given(relay: &TestRelay, person: &Person) -> Given {
    let (status, answer) = relay.get("/api/v1/ice", Some(&person.token)).await;
    assert_eq!(status, 200, "{answer}");
    let server = &answer["ice_servers"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    Given {
        urls: server["urls"].as_array().unwrap().iter().map(text).collect(),
        username: text(&server["username"]),
        credential: text(&server["credential"]),
        ttl: answer["ttl_seconds"].as_u64().unwrap(),
    }
}

/// A STUN error code.
pub(super) type Refused = u16;

pub(super) struct TurnClient {
    pub(super) socket: UdpSocket,
    given: Option<Given>,
    challenge: Option<(String, String)>,
}

type Attributes<'a> = &'a [&'a dyn AttributeWrite];

impl TurnClient {
    pub(super) async fn new(server: SocketAddr, given: Option<Given>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server).await.unwrap();
        Self { socket, given, challenge: None }
    }

    /// With an allocation of IPv4.
    pub(super) async fn borrowing(relay: &TestRelay, person: &Person) -> (Self, SocketAddr) {
        let given = given(relay, person).await;
        let mut client = Self::new(relay.relay.addresses().turn.unwrap(), Some(given)).await;
        let relayed = client.allocate().await.unwrap();
        (client, relayed)
    }

    pub(super) async fn allocate(&mut self) -> Result<SocketAddr, Refused> {
        self.allocate_with(&[]).await
    }

    pub(super) async fn allocate_ipv6(&mut self) -> Result<SocketAddr, Refused> {
        self.allocate_with(&[&RequestedAddressFamily::new(AddressFamily::IPV6)]).await
    }

    pub(super) async fn allocate_with(&mut self, more: Attributes<'_>) -> Result<SocketAddr, Refused> {
        let transport = RequestedTransport::new(RequestedTransport::UDP);
        self.allocate_as(&[&[&transport as &dyn AttributeWrite], more].concat()).await
    }

    /// With no other attributes than these.
    pub(super) async fn allocate_as(&mut self, attributes: Attributes<'_>) -> Result<SocketAddr, Refused> {
        let answer = self.ask(ALLOCATE, attributes).await?;
        let message = Message::from_bytes(&answer).unwrap();
        Ok(message.attribute::<XorRelayedAddress>().unwrap().addr(message.transaction_id()))
    }

    pub(super) async fn refresh(&mut self) -> Result<(), Refused> {
        self.refresh_for(&[600]).await
    }

    /// With several lifetimes, which no good client says.
    pub(super) async fn refresh_for(&mut self, seconds: &[u32]) -> Result<(), Refused> {
        let lifetimes: Vec<Lifetime> = seconds.iter().map(|seconds| Lifetime::new(*seconds)).collect();
        let attributes: Vec<&dyn AttributeWrite> = lifetimes.iter().map(|one| one as _).collect();
        self.ask(REFRESH, &attributes).await.map(|_| ())
    }

    /// Ends the allocation.
    pub(super) async fn give_back(&mut self) -> Result<(), Refused> {
        self.refresh_for(&[0]).await
    }

    pub(super) async fn permit(&self, peer: SocketAddr) -> Result<(), Refused> {
        self.ask_about(CREATE_PERMISSION, peer, None).await
    }

    pub(super) async fn bind(&self, channel: u16, peer: SocketAddr) -> Result<(), Refused> {
        self.ask_about(CHANNEL_BIND, peer, Some(channel)).await
    }

    async fn ask_about(&self, method: Method, peer: SocketAddr, channel: Option<u16>) -> Result<(), Refused> {
        let id = TransactionId::generate();
        let address = XorPeerAddress::new(peer, id);
        let channel = channel.map(ChannelNumber::new);
        let mut attributes: Vec<&dyn AttributeWrite> = vec![&address];
        attributes.extend(channel.as_ref().map(|channel| channel as &dyn AttributeWrite));
        // The challenge is known: whoever asks about peers has an allocation.
        let answer = self.exchange(&self.message(method, id, &attributes)).await;
        refused(&answer).map_or(Ok(()), Err)
    }

    /// Data for a peer, without asking.
    pub(super) async fn indicate(&self, peer: SocketAddr, data: &[u8]) {
        let id = TransactionId::generate();
        let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
        let mut message = Message::builder(kind, id, MessageWriteVec::new());
        message.add_attribute(&XorPeerAddress::new(peer, id)).unwrap();
        message.add_attribute(&Data::new(data)).unwrap();
        self.socket.send(&message.finish()).await.unwrap();
    }

    /// Data in a channel.
    pub(super) async fn send_in_channel(&self, channel: u16, data: &[u8]) {
        let length = u16::try_from(data.len()).unwrap();
        let packet = [&channel.to_be_bytes()[..], &length.to_be_bytes(), data].concat();
        self.socket.send(&packet).await.unwrap();
    }

    /// What was sent before is done with when this is answered: the relay takes one packet after the other.
    pub(super) async fn settle(&self) {
        let message = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        self.exchange(&message).await;
    }

    /// A request, and again with the nonce if it is challenged.
    async fn ask(&mut self, method: Method, attributes: Attributes<'_>) -> Result<Vec<u8>, Refused> {
        for _ in 0..2 {
            let id = TransactionId::generate();
            let answer = self.exchange(&self.message(method, id, attributes)).await;
            let Some(code) = refused(&answer) else { return Ok(answer) };
            let message = Message::from_bytes(&answer).unwrap();
            let challenge = (message.attribute::<Realm>(), message.attribute::<Nonce>());
            let (Ok(realm), Ok(nonce), true) = (challenge.0, challenge.1, self.given.is_some()) else {
                return Err(code);
            };
            let challenge = (realm.realm().to_owned(), nonce.nonce().to_owned());
            if self.challenge.replace(challenge).is_some() && code != ErrorCode::STALE_NONCE {
                return Err(code);
            }
        }
        panic!("challenged again and again");
    }

    fn message(&self, method: Method, id: TransactionId, attributes: Attributes<'_>) -> Vec<u8> {
        let kind = MessageType::from_class_method(MessageClass::Request, method);
        let mut message = Message::builder(kind, id, MessageWriteVec::new());
        for attribute in attributes {
            message.add_attribute(*attribute).unwrap();
        }
        if let (Some(given), Some((realm, nonce))) = (&self.given, &self.challenge) {
            message.add_attribute(&Username::new(&given.username).unwrap()).unwrap();
            message.add_attribute(&Realm::new(realm).unwrap()).unwrap();
            message.add_attribute(&Nonce::new(nonce).unwrap()).unwrap();
            let (username, password) = (given.username.clone(), given.credential.clone());
            let credentials = LongTermKeyCredentials::new(username, password, realm.clone()).into();
            message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
        }
        message.finish()
    }

    /// Sends until there is an answer.
    async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let id = Message::from_bytes(request).unwrap().transaction_id();
        let answered = async {
            loop {
                self.socket.send(request).await.unwrap();
                let mut packet = vec![0; 2048];
                while let Ok(received) = timeout(SEND_AGAIN_AFTER, self.socket.recv(&mut packet)).await {
                    let bytes = &packet[..received.unwrap()];
                    let message = Message::from_bytes(bytes);
                    if message.is_ok_and(|message| message.is_response() && message.transaction_id() == id) {
                        return bytes.to_vec();
                    }
                }
            }
        };
        timeout(PATIENCE, answered).await.expect("the relay answers")
    }

    /// The next packet that is no answer.
    pub(super) async fn receive(&self) -> Vec<u8> {
        let mut packet = vec![0; 2048];
        let received = timeout(PATIENCE, self.socket.recv(&mut packet)).await.expect("a packet comes");
        packet.truncate(received.unwrap());
        packet
    }
}

fn refused(answer: &[u8]) -> Option<Refused> {
    let message = Message::from_bytes(answer).unwrap();
    (message.class() == MessageClass::Error).then(|| message.attribute::<ErrorCode>().unwrap().code())
}
