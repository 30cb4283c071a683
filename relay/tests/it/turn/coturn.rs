//! coturn's own client, against our TURN.

use super::client::{Given, given, turn};
use super::{TestRelay, at, relay_with_peers_here};
use std::net::SocketAddr;
use tokio::net::UdpSocket;
use tokio::process::Command;

/// Space for packets that wait while the machine does something else.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Sends back whatever comes, for as long as the test runs.
async fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // The kernel may allow less.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES);
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            // Who asked is gone.
            let _ = socket.send_to(&packet[..length], from).await;
        }
    });
    address
}

/// Lets it send through the relay to a peer that sends everything back. Of a hundred packets one may get lost, as the kernel
/// of a busy machine does with those of UDP; how many came back.
async fn uclient(to: SocketAddr, given: &Given, arguments: &[&str]) -> u64 {
    let peer = echo().await;
    let output = Command::new("turnutils_uclient")
        .args(["-e", &peer.ip().to_string(), "-r", &peer.port().to_string()])
        .args(["-u", &given.username, "-w", &given.credential, "-p", &to.port().to_string()])
        // Without a second port for RTCP.
        .arg("-c")
        .args(arguments)
        .arg(to.ip().to_string())
        .kill_on_drop(true)
        .output()
        .await;
    let output = output.unwrap_or_else(|error| {
        panic!("turnutils_uclient is needed: apt-get install coturn (cargo xtask setup does): {error}")
    });
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    let number = |name: &str| -> u64 {
        let (_, rest) = text.rsplit_once(name).unwrap_or_else(|| panic!("{arguments:?}: {text}"));
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (sent, received) = (number("tot_send_msgs="), number("tot_recv_msgs="));
    assert!(received * 100 >= sent * 99, "{arguments:?}: {text}");
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn coturns_client_gets_back_what_it_sends_over_udp_in_channels_and_in_indications() {
    let relay = relay_with_peers_here().await;
    let given = given(&relay, &relay.person("anna").await).await;
    for (arguments, sent) in [
        (&["-n", "50", "-m", "4"][..], 200),
        (&["-s", "-n", "50", "-m", "4"], 200),
        (&["-n", "100", "-l", "1200"], 100),
    ] {
        assert!(uclient(at(&relay), &given, arguments).await * 100 >= sent * 99, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coturns_client_gets_back_what_it_sends_over_tcp_and_over_tls() {
    let relay = TestRelay::start_with(|config| {
        let turn = turn(config);
        turn.peers = "loopback".parse().unwrap();
        turn.tls = Some("127.0.0.1:0".parse().unwrap());
    });
    let relay = relay.await;
    let given = given(&relay, &relay.person("anna").await).await;
    let tls = relay.relay.addresses().turns.unwrap();
    for (to, arguments, sent) in [
        (at(&relay), &["-t", "-n", "50", "-m", "4", "-l", "171"][..], 200),
        (at(&relay), &["-t", "-s", "-n", "100"], 100),
        (tls, &["-t", "-S", "-n", "50", "-m", "4", "-l", "171"], 200),
    ] {
        assert!(uclient(to, &given, arguments).await * 100 >= sent * 99, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_coturns_clients_reach_each_other_at_addresses_that_are_both_lent() {
    let relay = relay_with_peers_here().await;
    let given = given(&relay, &relay.person("anna").await).await;
    assert!(uclient(at(&relay), &given, &["-y", "-n", "100", "-m", "2"]).await >= 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_run_of_ten_clients_brings_back_five_thousand_packets() {
    let relay = relay_with_peers_here().await;
    let given = given(&relay, &relay.person("anna").await).await;
    assert!(uclient(at(&relay), &given, &["-n", "500", "-m", "10", "-z", "8"]).await >= 4_950);
}
