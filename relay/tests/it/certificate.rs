//! A certificate is renewed while connections go on.

use crate::client::{Client, tls_config};
use crate::program::Running;
use crate::world::TestRelay;
use sha2::Digest as _;
use sotto_protocol::body::connection::{Ping, Pong};
use sotto_relay::config::CertificateFiles;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A certificate with its key, as an authority's program would put them there; and its fingerprint.
pub(crate) fn write_certificate(folder: &Path) -> (CertificateFiles, [u8; 32]) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.chain, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, sha2::Sha256::digest(made.cert.der()).into())
}

/// Whether HTTPS shows the certificate of a fingerprint.
async fn shows(https: SocketAddr, fingerprint: [u8; 32]) -> bool {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls_config(fingerprint, b"http/1.1")));
    let stream = tokio::net::TcpStream::connect(https).await.unwrap();
    connector.connect("localhost".try_into().unwrap(), stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_on_both_carriers_and_no_connection_drops() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (files, before) = write_certificate(elsewhere.path());
    let relay = TestRelay::start_with(|config| {
        config.certificate = Some(files);
        config.certificate_pinned = false;
    })
    .await;
    assert!(!relay.relay.link().to_string().contains('#'), "no fingerprint in {}", relay.relay.link());
    let (anna, bert) = (relay.person("anna").await, relay.person("bert").await);
    let mut standing = [
        Client::quic(&relay).await.sign_in(&anna.device, &anna.token).await,
        Client::websocket(&relay).await.sign_in(&bert.device, &bert.token).await,
    ];
    let https = relay.relay.addresses().https;
    assert!(shows(https, before).await);
    let (_, after) = write_certificate(elsewhere.path());
    relay.relay.reload_certificate();
    assert!(shows(https, after).await && !shows(https, before).await);
    assert_eq!(relay.relay.fingerprint().0, after);
    for client in &mut standing {
        let _: Pong = client.request(&Ping::default()).await;
    }
    // QUIC takes no other certificate than the one of this moment here.
    let carla = relay.person("carla").await;
    Client::of(&relay, &carla).await;

    std::fs::write(elsewhere.path().join("chain.pem"), "half a fi").unwrap();
    relay.relay.reload_certificate();
    assert!(shows(https, after).await, "a broken file changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_certificate_again_and_ends_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (files, before) = write_certificate(home.path());
    let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
    let settings = [setting("certificate", &files.chain), setting("certificate_key", &files.key)];
    let words = ["--set", &settings[0], "--set", &settings[1], "--set", "certificate_pinned=false"];
    let (running, ready) = Running::start(&home.path().join("data"), &words);
    assert!(shows(ready.https, before).await);
    let (_, after) = write_certificate(home.path());
    let hangup = Command::new("kill").args(["-HUP", &ready.pid.to_string()]).status().unwrap();
    assert!(hangup.success());
    let begin = Instant::now();
    while !shows(ready.https, after).await {
        assert!(begin.elapsed() < Duration::from_secs(30), "the old certificate is still served");
    }
    assert_eq!(running.terminate().0, Some(0));
}
