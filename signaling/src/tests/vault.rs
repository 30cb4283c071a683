//! The vault.

use super::*;
use data_encoding::BASE64;
use sotto_protocol::limits::VAULT_BYTES_MAX;

#[tokio::test]
async fn a_vault_is_replaced_only_by_who_has_seen_it() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    let put = |version: u64, data: &[u8]| {
        let body = json!({ "version": version, "data": BASE64.encode(data) });
        let world = &world;
        let token = anna.access.clone();
        async move { world.call(Method::PUT, "/api/v1/vault", Some(&token), Some(body)).await }
    };
    world.get_as(&anna, "/api/v1/vault").await.refused_as(404, "not_found");
    assert_eq!(put(0, b"sealed").await.ok(200), json!({ "version": 1 }));
    let vault = world.get_as(&anna, "/api/v1/vault").await.ok(200);
    assert_eq!((&vault["version"], &vault["data"]), (&json!(1), &json!(BASE64.encode(b"sealed"))));
    let conflict = put(0, b"other").await;
    conflict.refused_as(409, "conflict");
    assert_eq!(conflict.json()["current"], 1);
    assert_eq!(put(1, b"newer").await.ok(200), json!({ "version": 2 }));
    world.get_as(&bert, "/api/v1/vault").await.refused_as(404, "not_found");
}

#[tokio::test]
async fn a_vault_of_the_largest_size_fits_and_one_byte_more_does_not() {
    let world = World::new();
    let anna = world.register("anna").await;
    let put = async |bytes: usize| {
        let body = json!({ "version": 0, "data": BASE64.encode(&vec![7; bytes]) });
        world.call(Method::PUT, "/api/v1/vault", Some(&anna.access), Some(body)).await
    };
    for bytes in [VAULT_BYTES_MAX + 1, 2 * VAULT_BYTES_MAX, 0] {
        put(bytes).await.refused_as(413, "too_large");
    }
    put(VAULT_BYTES_MAX).await.ok(200);
    let read = world.get_as(&anna, "/api/v1/vault").await.ok(200);
    assert_eq!(read["data"].as_str().unwrap().len(), VAULT_BYTES_MAX.div_ceil(3) * 4);
}
