//! The operator's part of the API: who may, and what it does.

use super::*;
use sotto_signaling_core::account::Role;

/// An operator and a user.
async fn both(world: &World) -> (Person, Person) {
    let (olga, uma) = (world.register("olga").await, world.register("uma").await);
    world.signaling.set_role(olga.id, Role::Operator).await.unwrap();
    (olga, uma)
}

async fn patch(world: &World, who: &Person, id: AccountId, body: Value) -> Answer {
    let path = format!("/api/v1/operator/accounts/{id}");
    world.call(Method::PATCH, &path, Some(&who.access), Some(body)).await
}

#[tokio::test]
async fn every_operation_under_operator_is_for_operators_only() {
    let world = World::new();
    let (olga, uma) = both(&world).await;
    let document = world.call(Method::GET, "/api/v1/openapi.json", None, None).await.ok(200);
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/api/v1/operator/") {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", &uma.id.to_string());
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = || operation.get("requestBody").map(|_| json!({ "disabled": false }));
            world.call(method.clone(), &path, None, body()).await.refused_as(401, "token_refused");
            world.call(method.clone(), &path, Some(&uma.access), body()).await.refused_as(403, "forbidden");
            let allowed = world.call(method.clone(), &path, Some(&olga.access), body()).await;
            assert!(allowed.status.is_success() || allowed.status == 404, "{method} {path}: {allowed:?}");
            checked += 1;
        }
    }
    assert_eq!(checked, 7, "stats, accounts, one account, three of invites, rooms");
    world.signaling.set_role(olga.id, Role::User).await.unwrap();
    world.get_as(&olga, "/api/v1/operator/stats").await.refused_as(403, "forbidden");
}

#[tokio::test]
async fn figures_are_those_of_the_relay_and_of_the_accounts() {
    let world = World::new();
    let (olga, _) = both(&world).await;
    let stats = world.get_as(&olga, "/api/v1/operator/stats").await.ok(200);
    assert_eq!(
        (&stats["accounts"], &stats["devices"], &stats["connections"]),
        (&json!(2), &json!(0), &json!(3))
    );
    assert_eq!(stats["uptime_seconds"], 60);
    let rooms = world.get_as(&olga, "/api/v1/operator/rooms").await.ok(200);
    assert_eq!(rooms["rooms"][0]["name"], "garden");
    assert_eq!(rooms["next"], "500");
    world.get_as(&olga, "/api/v1/operator/rooms?cursor=x").await.refused_as(422, "invalid_field");
}

#[tokio::test]
async fn accounts_are_found_by_parts_of_their_names_and_listed_page_by_page() {
    let world = World::new();
    let (olga, _) = both(&world).await;
    for number in 0..7 {
        world.register(&format!("person{number}")).await;
    }
    let list =
        async |query: &str| world.get_as(&olga, &format!("/api/v1/operator/accounts{query}")).await.ok(200);
    let found = list("?q=SON3").await;
    assert_eq!(found["accounts"][0]["username"], "person3");
    assert_eq!((found["accounts"].as_array().unwrap().len(), &found["next"]), (1, &Value::Null));
    assert_eq!(list("?q=olga@example").await["accounts"][0]["role"], "operator");
    assert_eq!(list("?q=nobody").await["accounts"], json!([]));
    let (mut names, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    for pages in 1.. {
        let page = list(&format!("?limit=4{cursor}")).await;
        let rows = page["accounts"].as_array().unwrap();
        assert!(rows.len() <= 4);
        names.extend(rows.iter().map(|row| row["username"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(pages < 5, "it ends");
    }
    assert_eq!(names.len(), 9, "{names:?}");
    for bad in ["?limit=0", "?limit=201", "?limit=x", "?cursor=x"] {
        let answer = world.get_as(&olga, &format!("/api/v1/operator/accounts{bad}")).await;
        assert!(matches!(answer.refusal(), (422 | 400, _)), "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn somebody_who_is_kept_out_is_signed_out_at_once_and_may_be_let_in_again() {
    let world = World::new();
    let (olga, uma) = both(&world).await;
    let row = patch(&world, &olga, uma.id, json!({ "disabled": true })).await.ok(200);
    assert_eq!((&row["disabled"], &row["username"]), (&json!(true), &json!("uma")));
    assert!(!world.counts(&uma).await);
    patch(&world, &olga, uma.id, json!({ "disabled": false, "role": "operator" })).await.ok(200);
    let again = world.login("uma").await;
    world.get_as(&again, "/api/v1/operator/stats").await.ok(200);
    patch(&world, &olga, uma.id, json!({})).await.refused_as(422, "invalid_field");
    patch(&world, &olga, uma.id, json!({ "role": "king" })).await.refused_as(422, "invalid_field");
    patch(&world, &olga, AccountId([9; 16]), json!({ "disabled": true })).await.refused_as(404, "not_found");
}

#[tokio::test]
async fn the_last_operator_stays_one() {
    let world = World::new();
    let (olga, uma) = both(&world).await;
    for change in [json!({ "role": "user" }), json!({ "disabled": true })] {
        patch(&world, &olga, olga.id, change).await.refused_as(403, "forbidden");
    }
    patch(&world, &olga, olga.id, json!({ "role": "operator", "disabled": false })).await.ok(200);
    patch(&world, &olga, uma.id, json!({ "role": "operator", "disabled": true })).await.ok(200);
    // An operator who is kept out does not count.
    patch(&world, &olga, olga.id, json!({ "role": "user" })).await.refused_as(403, "forbidden");
    patch(&world, &olga, uma.id, json!({ "disabled": false })).await.ok(200);
    patch(&world, &olga, olga.id, json!({ "role": "user" })).await.ok(200);
    world.get_as(&olga, "/api/v1/operator/stats").await.refused_as(403, "forbidden");
}

#[tokio::test]
async fn an_operator_makes_lists_and_takes_back_invites_of_everybody() {
    let world = World::with(|config| {
        config.registration.policy = RegistrationPolicy::Open;
        config.invite_makers = sotto_signaling_core::rights::InviteMakers::Operators;
    });
    let (olga, uma) = both(&world).await;
    let made = world.post_as(&olga, "/api/v1/operator/invites", json!({ "uses": 3 })).await.ok(201);
    let code = made["code"].as_str().unwrap();
    assert_eq!(made["web"], format!("https://relay.example:4433/#/i/{code}"));
    let room = ConversationId([1; 16]).to_string();
    let body = json!({ "conversation": room });
    let hers = world.post_as(&uma, "/api/v1/invites", body.clone()).await.ok(201);
    world.post_as(&olga, "/api/v1/operator/invites", body).await.refused_as(422, "invalid_field");
    let listed = world.get_as(&olga, "/api/v1/operator/invites").await.ok(200);
    let rows = listed["invites"].as_array().unwrap();
    assert_eq!((rows.len(), &listed["next"]), (2, &Value::Null));
    assert!(rows.iter().any(|row| row["id"] == made["id"] && row["by"].is_null() && row["uses_left"] == 3));
    assert!(rows.iter().any(|row| row["id"] == hers["id"] && row["by"] == uma.id.to_string()));
    for id in [&made["id"], &hers["id"]] {
        let path = format!("/api/v1/operator/invites/{}", id.as_str().unwrap());
        world.delete_as(&olga, &path).await.ok(204);
        world.delete_as(&olga, &path).await.refused_as(404, "not_found");
    }
    let redeem = json!({ "code": code });
    world.post_as(&uma, "/api/v1/invites/redeem", redeem).await.refused_as(403, "invite_refused");
    world.get_as(&olga, "/api/v1/operator/invites?cursor=xyz").await.refused_as(422, "invalid_field");
}
