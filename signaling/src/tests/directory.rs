//! The key directory, as frames ask for it, with real key packages.

use super::*;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::suite::Suite;
use sotto_mls::test_group::TestDevice;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::directory::{ClaimKeyPackages, LookUp, LookUpBy, PublishKeyPackages};
use sotto_protocol::error::ErrorCode;
use sotto_protocol::payload::Payload;
use std::time::{SystemTime, UNIX_EPOCH};

/// The library that makes key packages dates them by the system's clock, so the relay's must agree with it.
fn set_to_today(world: &World) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    world.clock.store(u64::try_from(now).unwrap(), Ordering::SeqCst);
}

fn publication(packages: Vec<Vec<u8>>, last_resort: Option<Vec<u8>>) -> PublishKeyPackages {
    PublishKeyPackages {
        packages: packages.into_iter().map(Payload::from).collect(),
        last_resort: last_resort.map(Payload::from),
        extensions: Extensions::default(),
    }
}

fn claim(account: AccountId, suites: &[u16]) -> ClaimKeyPackages {
    ClaimKeyPackages { account, suites: suites.to_vec(), extensions: Extensions::default() }
}

/// A device of a new account, registered. Its keys come from the number.
async fn registered(world: &World, name: &str, number: u8) -> (Person, TestDevice) {
    let person = world.register(name).await;
    let mut device = TestDevice::new(number, number);
    let (id, key) = (device.certificate.device(), *device.certificate.device_key());
    let identity = SigningKey::from_bytes(&[number; 32]);
    device.certificate = DeviceCertificate::issue(&identity, person.id, id, key, UnixMillis(1));
    let body = json!({
        "device_id": id.to_string(),
        "name": name,
        "certificate": BASE64URL_NOPAD.encode(&device.certificate.to_bytes()),
    });
    world.post_as(&person, "/api/v1/devices", body).await.ok(201);
    (person, device)
}

/// P-037.
#[tokio::test]
async fn a_published_key_package_is_handed_out_once_and_the_relay_is_told_that_few_are_left() {
    let world = World::new();
    set_to_today(&world);
    let (anna, device) = registered(&world, "anna", 1).await;
    let bert = world.register("bert").await;
    let id = device.certificate.device();
    let packages: Vec<Vec<u8>> = Suite::ALL.iter().map(|suite| device.key_package(*suite)).collect();
    let signaling = &world.signaling;
    let publication = || publication(packages.clone(), None);
    assert_eq!(signaling.publish_key_packages(anna.id, id, publication()).await.unwrap().count, 2);
    assert_eq!(signaling.key_package_stock(anna.id, id).await.unwrap().count, 2);

    let suites = [Suite::X25519.code_point()];
    let claimed = signaling.claim_key_packages(bert.id, claim(anna.id, &suites)).await.unwrap().packages;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].device, claimed[0].package.as_slice()), (id, packages[1].as_slice()));
    assert_eq!(world.told(), [Told::Low(id, 1)]);
    let again = signaling.claim_key_packages(bert.id, claim(anna.id, &suites)).await.unwrap().packages;
    assert_eq!(again, [], "no other for this suite");
    let stock = signaling.publish_key_packages(anna.id, id, publication()).await.unwrap();
    assert_eq!(stock.count, 1, "what was handed out does not come back");
    world.wait(40 * 24 * 3600);
    let late = signaling.claim_key_packages(bert.id, claim(anna.id, &[0x4d])).await.unwrap().packages;
    assert_eq!(late, [], "what has expired is not handed out");
}

#[tokio::test]
async fn packages_of_another_device_or_for_another_use_are_refused_and_nothing_of_them_is_kept() {
    let world = World::new();
    set_to_today(&world);
    let (anna, device) = registered(&world, "anna", 1).await;
    let (_, other) = registered(&world, "bert", 2).await;
    let id = device.certificate.device();
    let good = device.key_package(Suite::X25519);
    let swapped = other.key_package_showing(Suite::X25519, &device.certificate);
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    let refused = async |packages: Vec<Vec<u8>>, last_resort| {
        let outcome =
            world.signaling.publish_key_packages(anna.id, id, publication(packages, last_resort)).await;
        let problem = outcome.expect_err("refused");
        assert_eq!(problem.to_wire().code(), Some(ErrorCode::DeviceRefused), "{problem}");
        problem.detail
    };
    let detail = refused(vec![good.clone(), other.key_package(Suite::X25519)], None).await;
    assert_eq!(detail, "key package 1 belongs to another device");
    refused(vec![good.clone(), swapped], None).await;
    refused(vec![good.clone(), flipped], None).await;
    refused(vec![good.clone(), vec![0; 40]], None).await;
    let detail = refused(Vec::new(), Some(good)).await;
    assert_eq!(detail, "key package 0 is marked for the other use (one-time or last resort)");
    assert_eq!(world.signaling.key_package_stock(anna.id, id).await.unwrap().count, 0);
    let stranger =
        world.signaling.publish_key_packages(anna.id, DeviceId([9; 16]), publication(vec![], None)).await;
    assert_eq!(stranger.expect_err("refused").detail, "this device is not registered");
}

#[tokio::test]
async fn an_account_is_found_by_name_and_by_id_with_its_certificates() {
    let world = World::new();
    let (anna, device) = registered(&world, "anna", 1).await;
    let look_up = |by| world.signaling.look_up(LookUp { by, extensions: Extensions::default() });
    let card = look_up(LookUpBy::Username("Anna".to_owned())).await.unwrap();
    assert_eq!(look_up(LookUpBy::Account(anna.id)).await.unwrap(), card);
    assert_eq!((card.account, card.username.as_str()), (anna.id, "anna"));
    assert_eq!(card.identity_key, Some(*device.certificate.identity_key()));
    assert_eq!(card.devices, [Payload::from(device.certificate.to_bytes())]);
    for by in [
        LookUpBy::Username("nobody".to_owned()),
        LookUpBy::Username("?".to_owned()),
        LookUpBy::Account(AccountId([5; 16])),
    ] {
        let refused = look_up(by).await.expect_err("nobody");
        assert_eq!(refused.to_wire().code(), Some(ErrorCode::NotFound));
    }
}

#[tokio::test]
async fn claims_are_counted_and_bounded() {
    let world = World::with(|config| {
        let quota = sotto_signaling_core::rate::Quota::new(2, std::time::Duration::from_secs(10));
        config.rates.claims_per_account = Some(quota);
    });
    let anna = world.register("anna").await;
    let claim = |suites: &[u16]| world.signaling.claim_key_packages(anna.id, claim(anna.id, suites));
    assert_eq!(claim(&[]).await.expect_err("no suite").to_wire().code(), Some(ErrorCode::Malformed));
    assert!(claim(&[3]).await.unwrap().packages.is_empty());
    let refused = claim(&[3]).await.expect_err("the third").to_wire();
    assert_eq!((refused.code(), refused.retry_after_ms), (Some(ErrorCode::RateLimited), 10_000));
}
