//! Bytes of strangers, and of borrowers who mean ill.

use super::client::TurnClient;
use super::{PATIENCE, TestRelay, at};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// Requests of every method with every attribute that has a meaning, and then some.
fn request(random: &mut StdRng) -> Vec<u8> {
    const ATTRIBUTES: [u16; 22] = [
        0x0001, 0x0006, 0x0008, 0x0009, 0x000a, 0x000c, 0x000d, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016,
        0x0017, 0x0018, 0x0019, 0x001a, 0x001c, 0x001d, 0x001e, 0x0022, 0x8000, 0x8028,
    ];
    let mut body = Vec::new();
    for _ in 0..random.random_range(0..8) {
        let kind = ATTRIBUTES[random.random_range(0..ATTRIBUTES.len())];
        let length = random.random_range(0..40_u16);
        let claimed = if random.random_bool(0.9) { length } else { random.random() };
        body.extend(kind.to_be_bytes());
        body.extend(claimed.to_be_bytes());
        let mut value = vec![0; usize::from(length).next_multiple_of(4)];
        random.fill_bytes(&mut value);
        body.extend(value);
    }
    let kind: u16 = random.random_range(0..0x20) | if random.random_bool(0.2) { 0x110 } else { 0 };
    let length = u16::try_from(body.len()).unwrap();
    let mut id = [0; 12];
    random.fill_bytes(&mut id);
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42], &id, &body].concat()
}

#[tokio::test]
async fn hostile_datagrams_are_dropped_or_refused_and_who_borrows_notices_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let relay = TestRelay::start().await;
    let anna = relay.person("anna").await;
    let (mut client, _) = TurnClient::borrowing(&relay, &anna).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(at(&relay)).await.unwrap();
    for round in 0..20_000 {
        let mut bytes = request(&mut random);
        match round % 4 {
            0 => bytes.truncate(random.random_range(0..=bytes.len())),
            1 => {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
            2 => bytes[0] = 0x40 | random.random_range(0..0x40),
            _ => {}
        }
        // The borrower's own socket too: its bytes go deeper.
        let socket = if random.random_bool(0.5) { &stranger } else { &client.socket };
        socket.send(&bytes).await.unwrap();
        if round % 256 == 0 {
            client.settle().await;
        }
    }
    client.refresh().await.unwrap();
    let mut other = TurnClient::new(at(&relay), Some(super::given(&relay, &anna).await)).await;
    other.allocate().await.unwrap();
}

#[tokio::test]
async fn streams_of_hostile_bytes_end_at_once() {
    let mut random = StdRng::seed_from_u64(1);
    let relay = TestRelay::start().await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(at(&relay)).await.unwrap();
        let mut bytes = vec![0; 4_096];
        random.fill_bytes(&mut bytes);
        bytes[0] |= 0x80;
        // The relay may have closed it already.
        let _ = stream.write_all(&bytes).await;
        let ended = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 9])).await.unwrap();
        assert!(ended.is_err() || ended.is_ok_and(|length| length == 0));
    }
    let anna = relay.person("anna").await;
    TurnClient::borrowing(&relay, &anna).await;
}

#[tokio::test]
async fn a_stranger_is_answered_a_few_times_and_then_no_more() {
    let relay = TestRelay::start().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(at(&relay)).await.unwrap();
    let allocate = |id: u8| {
        let transport = [0, 0x19, 0, 4, 17, 0, 0, 0];
        [&[0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[id; 12], &transport].concat()
    };
    for id in 0..200 {
        stranger.send(&allocate(id)).await.unwrap();
    }
    let last = TurnClient::new(at(&relay), None).await;
    last.settle().await;
    let mut answers = 0;
    while stranger.try_recv(&mut [0; 2_000]).is_ok() {
        answers += 1;
    }
    assert!((1..=32).contains(&answers), "{answers} answers to 200 requests");
}
