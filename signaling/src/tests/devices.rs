//! Registering and removing devices.

use super::*;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use sotto_mls::certificate::DeviceCertificate;
use sotto_protocol::limits::DEVICES_PER_ACCOUNT_MAX;

fn certificate(identity: u8, account: AccountId, device: u8) -> DeviceCertificate {
    let key = SigningKey::from_bytes(&[100 + device; 32]).verifying_key().to_bytes();
    let identity = SigningKey::from_bytes(&[identity; 32]);
    DeviceCertificate::issue(&identity, account, DeviceId([device; 16]), key, UnixMillis(0))
}

fn body(certificate: &DeviceCertificate) -> Value {
    json!({
        "device_id": certificate.device().to_string(),
        "name": "laptop",
        "certificate": BASE64URL_NOPAD.encode(&certificate.to_bytes()),
    })
}

#[tokio::test]
async fn a_device_is_registered_listed_and_removed_with_its_session() {
    let world = World::new();
    let anna = world.register("anna").await;
    world.wait(1);
    let phone = world.login("anna").await;
    let first = certificate(1, anna.id, 1);
    let made = world.post_as(&anna, "/api/v1/devices", body(&first)).await.ok(201);
    assert_eq!(made["name"], "laptop");
    let mut renamed = body(&first);
    renamed["name"] = json!("old laptop");
    world.post_as(&anna, "/api/v1/devices", renamed).await.ok(200);
    world.post_as(&phone, "/api/v1/devices", body(&certificate(1, anna.id, 2))).await.ok(201);

    let listed = world.get_as(&anna, "/api/v1/devices").await.ok(200);
    assert_eq!(listed["devices"].as_array().unwrap().len(), 2);
    assert_eq!(listed["devices"][0]["name"], "old laptop");
    assert_eq!(listed["devices"][0]["certificate"], body(&first)["certificate"]);
    assert_eq!(listed["identity_key"], data_encoding::HEXLOWER.encode(first.identity_key()));
    let sessions = world.get_as(&anna, "/api/v1/sessions").await.ok(200);
    assert_eq!(sessions["sessions"][0]["device_id"], first.device().to_string());

    let path = format!("/api/v1/devices/{}", first.device());
    let bert = world.register("bert").await;
    world.delete_as(&bert, &path).await.refused_as(404, "not_found");
    world.delete_as(&phone, &path).await.ok(204);
    let told = world.told();
    assert_eq!(told[0], Told::DeviceRemoved(anna.id, first.device()));
    assert!(matches!(told[1], Told::SessionEnded(..)));
    assert!(!world.counts(&anna).await, "a removed device is signed out");
    assert!(world.counts(&phone).await);
    world.delete_as(&phone, &path).await.refused_as(404, "not_found");
}

/// P-043.
#[tokio::test]
async fn certificates_that_do_not_count_are_refused_with_the_reason() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    let post = |who: &Person, body: Value| {
        let who = who.clone();
        let world = &world;
        async move { world.post_as(&who, "/api/v1/devices", body).await }
    };
    post(&anna, body(&certificate(1, bert.id, 1))).await.refused_as(422, "device_refused");
    let mut other_device = body(&certificate(1, anna.id, 1));
    other_device["device_id"] = json!("02".repeat(16));
    post(&anna, other_device).await.refused_as(422, "device_refused");
    let mut bytes = certificate(1, anna.id, 1).to_bytes();
    bytes[60] ^= 1;
    let mut forged = body(&certificate(1, anna.id, 1));
    forged["certificate"] = json!(BASE64URL_NOPAD.encode(&bytes));
    post(&anna, forged).await.refused_as(422, "device_refused");
    let mut short = body(&certificate(1, anna.id, 1));
    short["certificate"] = json!("AAAA");
    post(&anna, short).await.refused_as(422, "device_refused");
    let mut long = body(&certificate(1, anna.id, 1));
    long["certificate"] = json!("A".repeat(2_000));
    post(&anna, long).await.refused_as(413, "too_large");

    post(&anna, body(&certificate(1, anna.id, 1))).await.ok(201);
    post(&anna, body(&certificate(2, anna.id, 2))).await.refused_as(422, "device_refused");
    post(&bert, body(&certificate(3, bert.id, 1))).await.refused_as(409, "taken");
    let far = DeviceCertificate::issue(
        &SigningKey::from_bytes(&[1; 32]),
        anna.id,
        DeviceId([9; 16]),
        SigningKey::from_bytes(&[109; 32]).verifying_key().to_bytes(),
        UnixMillis(u64::MAX),
    );
    post(&anna, body(&far)).await.refused_as(422, "device_refused");
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_devices() {
    let world = World::new();
    let anna = world.register("anna").await;
    for device in 0..u8::try_from(DEVICES_PER_ACCOUNT_MAX).unwrap() {
        world.post_as(&anna, "/api/v1/devices", body(&certificate(1, anna.id, device))).await.ok(201);
    }
    let one_more = body(&certificate(1, anna.id, 77));
    world.post_as(&anna, "/api/v1/devices", one_more).await.refused_as(409, "limit_reached");
}
