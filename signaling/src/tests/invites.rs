//! Making, listing, redeeming and taking back invites.

use super::*;
use sotto_protocol::invite::Invite as Link;

const ROOM: ConversationId = ConversationId([3; 16]);

#[tokio::test]
async fn an_invite_admits_to_its_conversation_and_is_used_up() {
    let world = World::with(|config| config.fingerprint = Some(sotto_protocol::invite::Fingerprint([1; 32])));
    let (anna, bert, carl) =
        (world.register("anna").await, world.register("bert").await, world.register("carl").await);
    let wish = json!({ "conversation": ROOM.to_string(), "expires_in": 3600 });
    let made = world.post_as(&anna, "/api/v1/invites", wish).await.ok(201);
    assert_eq!((&made["uses_left"], &made["conversation"]), (&json!(1), &json!(ROOM.to_string())));
    let link: Link = made["link"].as_str().unwrap().parse().unwrap();
    assert_eq!(link.relay.host, "relay.example");
    assert_eq!(link.fingerprint, Some(sotto_protocol::invite::Fingerprint([1; 32])));
    assert_eq!(link.code.unwrap().as_str(), made["code"]);

    let redeem = json!({ "code": made["code"] });
    let admitted = [Told::Admit(Admit { account: bert.id, conversation: ROOM, by: Some(anna.id) })];
    for _ in 0..2 {
        let redeemed = world.post_as(&bert, "/api/v1/invites/redeem", redeem.clone()).await.ok(200);
        assert_eq!(redeemed, json!({ "conversation": ROOM.to_string() }));
        assert_eq!(world.told(), admitted, "asking again admits again, in case the first was lost");
    }
    let late = world.post_as(&carl, "/api/v1/invites/redeem", redeem).await;
    let unknown = world.post_as(&carl, "/api/v1/invites/redeem", json!({ "code": "made-up-code" })).await;
    late.refused_as(403, "invite_refused");
    assert_eq!(late.shape(), unknown.shape(), "used up and unknown are answered alike");
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn invites_are_listed_without_their_codes_and_taken_back() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    let made = world.post_as(&anna, "/api/v1/invites", json!({ "uses": 5 })).await.ok(201);
    let listed = world.get_as(&anna, "/api/v1/invites").await;
    assert!(!listed.text.contains(made["code"].as_str().unwrap()));
    let listed = listed.ok(200);
    assert_eq!(listed["invites"][0]["id"], made["id"]);
    assert_eq!(listed["invites"][0]["expires_at"], "2023-11-21T22:13:20Z");
    assert_eq!(world.get_as(&bert, "/api/v1/invites").await.ok(200), json!({ "invites": [] }));

    let path = format!("/api/v1/invites/{}", made["id"].as_str().unwrap());
    world.delete_as(&bert, &path).await.refused_as(404, "not_found");
    world.delete_as(&anna, &path).await.ok(204);
    world.delete_as(&anna, &path).await.refused_as(404, "not_found");
    let redeem = json!({ "code": made["code"] });
    world.post_as(&bert, "/api/v1/invites/redeem", redeem).await.refused_as(403, "invite_refused");
}

#[tokio::test]
async fn an_expired_invite_is_refused() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    let made = world.post_as(&anna, "/api/v1/invites", json!({ "expires_in": 60 })).await.ok(201);
    world.wait(60);
    let redeem = json!({ "code": made["code"] });
    world.post_as(&bert, "/api/v1/invites/redeem", redeem).await.refused_as(403, "invite_refused");
}

#[tokio::test]
async fn who_may_not_invite_to_a_conversation_or_asks_too_much_is_refused() {
    let world = World::new();
    let anna = world.register("anna").await;
    let wish = |json| world.post_as(&anna, "/api/v1/invites", json);
    wish(json!({ "conversation": FORBIDDEN.to_string() })).await.refused_as(403, "forbidden");
    for (json, field) in [(json!({ "uses": 0 }), "uses"), (json!({ "expires_in": u64::MAX }), "expires_in")] {
        let answer = wish(json).await;
        answer.refused_as(422, "invalid_field");
        assert_eq!(answer.json()["field"], field);
    }
    for _ in 0..sotto_signaling_core::limits::INVITES_PER_ACCOUNT_MAX {
        wish(json!({})).await.ok(201);
    }
    wish(json!({})).await.refused_as(409, "limit_reached");
}

#[tokio::test]
async fn where_operators_alone_invite_others_still_invite_into_conversations() {
    let world = World::with(|config| {
        config.registration.policy = RegistrationPolicy::Invite;
        config.invite_makers = sotto_signaling_core::rights::InviteMakers::Operators;
    });
    let first = world.signaling.make_operator_invite(Default::default()).await.unwrap();
    let mut body = registration("anna");
    body["invite"] = json!(first.code.as_str());
    let anna = person(&world.post("/api/v1/auth/register", body).await.ok(201));
    world.post_as(&anna, "/api/v1/invites", json!({})).await.refused_as(403, "forbidden");
    let made =
        world.post_as(&anna, "/api/v1/invites", json!({ "conversation": ROOM.to_string() })).await.ok(201);
    let mut body = registration("bert");
    body["invite"] = made["code"].clone();
    world.post("/api/v1/auth/register", body).await.refused_as(403, "invite_refused");
}

#[tokio::test]
async fn registering_by_an_invite_to_a_conversation_admits_to_it() {
    let world = World::with(|config| config.registration.policy = RegistrationPolicy::Open);
    let anna = world.register("anna").await;
    let made =
        world.post_as(&anna, "/api/v1/invites", json!({ "conversation": ROOM.to_string() })).await.ok(201);
    let mut body = registration("bert");
    body["invite"] = made["link"].clone();
    let bert = person(&world.post("/api/v1/auth/register", body).await.ok(201));
    assert_eq!(
        world.told(),
        [Told::Admit(Admit { account: bert.id, conversation: ROOM, by: Some(anna.id) })]
    );
}

#[tokio::test]
async fn a_relay_that_cannot_admit_now_is_asked_again_later() {
    let world = World::new();
    let (anna, bert) = (world.register("anna").await, world.register("bert").await);
    let made =
        world.post_as(&anna, "/api/v1/invites", json!({ "conversation": ROOM.to_string() })).await.ok(201);
    let redeem = json!({ "code": made["code"] });
    let refuse = |refused| *world.diary.refuses.lock().unwrap() = refused;
    refuse(Some(AdmitRefused::Unavailable));
    world.post_as(&bert, "/api/v1/invites/redeem", redeem.clone()).await.refused_as(503, "unavailable");
    refuse(Some(AdmitRefused::Stale));
    world.post_as(&bert, "/api/v1/invites/redeem", redeem.clone()).await.refused_as(403, "invite_refused");
    refuse(None);
    world.post_as(&bert, "/api/v1/invites/redeem", redeem).await.ok(200);
}
