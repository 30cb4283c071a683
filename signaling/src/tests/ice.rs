//! Ways through NATs.

use super::*;

#[tokio::test]
async fn who_is_signed_in_is_given_stun_and_turn_with_credentials_that_nobody_keeps() {
    let world = World::new();
    let anna = world.register("anna").await;
    let answer = world.get_as(&anna, "/api/v1/ice").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let json = answer.ok(200);
    assert_eq!(json["ttl_seconds"], 60);
    let [server] = json["ice_servers"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(server["urls"], json!(["turn:relay.example:3478?transport=udp"]));
    assert!(server["username"].as_str().unwrap().starts_with(&anna.id.to_string()), "{server}");
    assert_eq!(server["credential"], "secret");
}

#[tokio::test]
async fn nobody_else_is_and_neither_is_who_signed_out_or_was_disabled() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    world.call(Method::GET, "/api/v1/ice", None, None).await.refused_as(401, "token_refused");
    world.call(Method::POST, "/api/v1/auth/logout", Some(&anna.access), None).await.ok(204);
    world.get_as(&anna, "/api/v1/ice").await.refused_as(401, "token_refused");
    world.signaling.set_disabled(bert.id, true).await.unwrap();
    world.get_as(&bert, "/api/v1/ice").await.refused_as(401, "token_refused");
}

#[tokio::test]
async fn where_the_relay_lends_nothing_the_list_is_empty() {
    let world = World::new();
    let anna = world.register("anna").await;
    let request = Request::builder()
        .uri("/api/v1/ice")
        .header("authorization", format!("Bearer {}", anna.access))
        .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let json = world.send(request.body(Body::empty()).unwrap()).await.ok(200);
    assert_eq!(json, json!({ "ice_servers": [], "ttl_seconds": 3600 }));
}
