//! What one account, and all together, may borrow.

use super::client::{Given, TurnClient, given, turn};
use super::{PATIENCE, TestRelay, at};
use sotto_relay_core::turn::quota::Limits;
use tokio::net::UdpSocket;

#[tokio::test]
async fn an_account_gets_as_many_allocations_as_it_may_and_others_get_theirs() {
    let relay = TestRelay::start_with(|config| {
        turn(config).limits.allocations = 2;
        turn(config).allocations_max = 3;
    });
    let relay = relay.await;
    let (anna, bert) = (relay.person("anna").await, relay.person("bert").await);
    let (hers, his) = (given(&relay, &anna).await, given(&relay, &bert).await);
    let client = async |given: &Given| TurnClient::new(at(&relay), Some(given.clone())).await;
    let (mut one, mut two, mut three) = (client(&hers).await, client(&hers).await, client(&hers).await);
    one.allocate().await.unwrap();
    two.allocate().await.unwrap();
    assert_eq!(three.allocate().await, Err(486), "she has two");
    client(&his).await.allocate().await.unwrap();
    assert_eq!(client(&his).await.allocate().await, Err(508), "there are three");
    two.give_back().await.unwrap();
    three.allocate().await.unwrap();
}

#[tokio::test]
async fn who_used_up_the_day_is_relayed_nothing_more_and_cannot_keep_what_is_lent() {
    let relay = TestRelay::start_with(|config| {
        let turn = turn(config);
        turn.peers = "loopback".parse().unwrap();
        turn.limits = Limits { bytes_per_day: 1_000, ..Limits::default() };
    });
    let relay = relay.await;
    let anna = relay.person("anna").await;
    let (mut client, _) = TurnClient::borrowing(&relay, &anna).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).await.unwrap();
    client.send_in_channel(0x4001, &[1; 900]).await;
    let mut packet = [0; 2_000];
    let received = tokio::time::timeout(PATIENCE, peer.recv(&mut packet)).await.unwrap().unwrap();
    assert_eq!(received, 900);
    client.refresh().await.unwrap();
    client.send_in_channel(0x4001, &[2; 101]).await;
    client.send_in_channel(0x4001, &[3; 1]).await;
    client.settle().await;
    assert!(peer.try_recv(&mut packet).is_err(), "what is over is over");
    assert_eq!(client.refresh().await, Err(486));
    assert_eq!(client.refresh_for(&[0, 600]).await, Err(486), "neither by saying two things");
    client.give_back().await.unwrap();
    assert_eq!(client.allocate().await, Err(486));
    let bert = relay.person("bert").await;
    TurnClient::borrowing(&relay, &bert).await;
}

#[tokio::test]
async fn what_is_over_the_rate_is_dropped() {
    let relay = TestRelay::start_with(|config| {
        let turn = turn(config);
        turn.peers = "loopback".parse().unwrap();
        turn.limits = Limits { bytes_per_second: 500, ..Limits::default() };
    });
    let relay = relay.await;
    let anna = relay.person("anna").await;
    let (client, _) = TurnClient::borrowing(&relay, &anna).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.bind(0x4002, peer.local_addr().unwrap()).await.unwrap();
    // Two seconds of the rate may be saved up; nothing of this size is refilled while the test sends.
    for _ in 0..10 {
        client.send_in_channel(0x4002, &[1; 1_000]).await;
    }
    client.settle().await;
    let mut packet = [0; 2_000];
    let mut arrived = 0;
    while peer.try_recv(&mut packet).is_ok() {
        arrived += 1;
    }
    assert!((1..=5).contains(&arrived), "{arrived} of ten");
}
