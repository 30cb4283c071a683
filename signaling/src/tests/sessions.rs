//! Refreshing, listing and ending sessions.

use super::*;

fn tokens(person: &Person, json: &Value) -> Person {
    Person {
        id: person.id,
        access: json["tokens"]["access_token"].as_str().unwrap().to_owned(),
        refresh: json["tokens"]["refresh_token"].as_str().unwrap().to_owned(),
    }
}

/// P-041.
#[tokio::test]
async fn a_spent_refresh_token_ends_its_whole_session() {
    let world = World::new();
    let old = world.register("anna").await;
    let session = world.signaling.authenticate(&old.access).await.unwrap().session;
    let new = tokens(&old, &world.refresh(&old.refresh).await.ok(200));
    world.wait(120);
    world.refresh(&old.refresh).await.refused_as(401, "token_refused");
    assert_eq!(world.told(), [Told::SessionEnded(old.id, session)], "the relay closes its connections");
    assert!(!world.counts(&new).await, "the access token is worth nothing any more");
    world.refresh(&new.refresh).await.refused_as(401, "token_refused");
    assert!(world.counts(&world.login("anna").await).await, "signing in again helps");
}

#[tokio::test]
async fn a_client_whose_answer_was_lost_asks_again() {
    let world = World::new();
    let anna = world.register("anna").await;
    world.refresh(&anna.refresh).await.ok(200);
    world.wait(30);
    let again = tokens(&anna, &world.refresh(&anna.refresh).await.ok(200));
    world.wait(600);
    world.refresh(&again.refresh).await.ok(200);
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn what_is_no_refresh_token_of_ours_changes_nothing() {
    let world = World::new();
    let anna = world.register("anna").await;
    let mut flipped = anna.refresh.clone();
    flipped.replace_range(30..31, if flipped.as_bytes()[30] == b'A' { "B" } else { "A" });
    for token in ["", "x", anna.access.as_str(), flipped.as_str(), &"A".repeat(86)] {
        world.refresh(token).await.refused_as(401, "token_refused");
    }
    assert!(world.counts(&anna).await);
    world.refresh(&anna.refresh).await.ok(200);
}

#[tokio::test]
async fn an_idle_session_ends() {
    let world = World::new();
    let anna = world.register("anna").await;
    world.wait(91 * 24 * 3600);
    world.refresh(&anna.refresh).await.refused_as(401, "token_refused");
}

#[tokio::test]
async fn logging_out_ends_the_session_that_asks_and_no_other() {
    let world = World::new();
    let (first, second) = (world.register("anna").await, world.login("anna").await);
    world.call(Method::POST, "/api/v1/auth/logout", Some(&first.access), None).await.ok(204);
    assert!(!world.counts(&first).await);
    assert!(world.counts(&second).await);
    assert_eq!(world.told().len(), 1);
    world.refresh(&first.refresh).await.refused_as(401, "token_refused");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_from_elsewhere() {
    let world = World::new();
    let first = world.register("anna").await;
    world.wait(5);
    let request = Request::post("/api/v1/auth/login")
        .header("content-type", "application/json")
        .header("user-agent", "sotto/0.1")
        .body(Body::from(json!({ "email": "anna", "password": "correct horse" }).to_string()))
        .unwrap();
    let second = person(&world.send(request).await.ok(200));
    let listed = world.get_as(&second, "/api/v1/sessions").await.ok(200);
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(false), &json!(true)));
    assert_eq!((&listed[0]["agent"], &listed[1]["agent"]), (&json!("unknown"), &json!("sotto/0.1")));
    assert_eq!(listed[0]["device_id"], Value::Null);

    let path = format!("/api/v1/sessions/{}", listed[0]["id"].as_str().unwrap());
    let bert = world.register("bert").await;
    world.delete_as(&bert, &path).await.refused_as(404, "not_found");
    assert!(world.counts(&first).await, "nobody ends somebody else's session");
    world.delete_as(&second, &path).await.ok(204);
    assert!(!world.counts(&first).await);
    world.delete_as(&second, &path).await.refused_as(404, "not_found");
    world.delete_as(&second, "/api/v1/sessions/xyz").await.refused_as(422, "invalid_field");
}

#[tokio::test]
async fn the_oldest_session_gives_way_and_the_relay_is_told() {
    let world = World::new();
    let first = world.register("anna").await;
    for _ in 0..sotto_signaling_core::limits::SESSIONS_PER_ACCOUNT_MAX {
        world.wait(1);
        world.login("anna").await;
    }
    assert!(!world.counts(&first).await);
    assert!(matches!(world.told().as_slice(), [Told::SessionEnded(account, _)] if *account == first.id));
}
