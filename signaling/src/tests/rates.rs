//! Who asks too often is told when to come back.

use super::*;
use crate::config::Rates;
use sotto_signaling_core::rate::Quota;
use std::time::Duration;

fn quota(burst: u32) -> Option<Quota> {
    Some(Quota::new(burst, Duration::from_secs(5)))
}

fn limited(change: impl FnOnce(&mut Rates)) -> World {
    World::with(|config| change(&mut config.rates))
}

fn guess(name: &str) -> Value {
    json!({ "email": name, "password": "wrong password" })
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits() {
    let world = limited(|rates| rates.requests_per_address = quota(3));
    let from = |address: &str| {
        let peer: SocketAddr = address.parse().unwrap();
        let mut request = Request::get("/api/v1/health").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        world.send(request)
    };
    for _ in 0..3 {
        from("192.0.2.7:1").await.ok(200);
    }
    let refused = from("192.0.2.7:2").await;
    refused.refused_as(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "5");
    assert_eq!(refused.json()["retry_after"], 5);
    from("192.0.2.8:1").await.ok(200);
    world.wait(5);
    from("192.0.2.7:3").await.ok(200);
}

#[tokio::test]
async fn guessing_one_account_is_slow_from_anywhere_and_whether_or_not_it_exists() {
    let world = limited(|rates| rates.sign_ins_per_name = quota(3));
    world.register("anna").await;
    let mut shapes = Vec::new();
    for name in ["anna@example.org", "nobody@example.org"] {
        for _ in 0..3 {
            world.post("/api/v1/auth/login", guess(name)).await.refused_as(401, "credentials_refused");
        }
        let refused = world.post("/api/v1/auth/login", guess(&name.to_uppercase())).await;
        refused.refused_as(429, "rate_limited");
        shapes.push(refused.shape());
    }
    assert_eq!(shapes[0], shapes[1]);
    world.post("/api/v1/auth/login", guess("bert")).await.refused_as(401, "credentials_refused");
}

#[tokio::test]
async fn one_address_registers_and_guesses_a_bounded_number_of_times() {
    let world = limited(|rates| rates.sign_ins_per_address = quota(3));
    world.register("anna").await;
    world.post("/api/v1/auth/login", guess("one")).await.refused_as(401, "credentials_refused");
    world.post("/api/v1/auth/login", guess("two")).await.refused_as(401, "credentials_refused");
    world.post("/api/v1/auth/login", guess("three")).await.refused_as(429, "rate_limited");
    world.post("/api/v1/auth/register", registration("bert")).await.refused_as(429, "rate_limited");
}

#[tokio::test]
async fn one_account_asks_a_bounded_number_of_times_with_all_its_sessions() {
    let world = limited(|rates| rates.requests_per_account = quota(2));
    let (first, second) = (world.register("anna").await, world.login("anna").await);
    assert!(world.counts(&first).await);
    assert!(world.counts(&second).await);
    world.get_as(&first, "/api/v1/auth/me").await.refused_as(429, "rate_limited");
    let bert = world.register("bert").await;
    assert!(world.counts(&bert).await);
}

#[tokio::test]
async fn more_sign_ins_than_there_are_places_are_sent_away_and_not_queued_without_end() {
    let world = World::with(|config| {
        config.hashes_at_once = 1;
        config.hashes_waiting_max = 1;
        config.password_cost = PasswordCost::new(4 * 1024, 2, 1).unwrap();
    });
    let answers =
        futures_util::future::join_all((0..8).map(|_| world.post("/api/v1/auth/login", guess("x")))).await;
    let busy = answers.iter().filter(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE).count();
    assert!((1..=6).contains(&busy), "two places for eight: {busy} were sent away");
    for answer in answers {
        match answer.status {
            StatusCode::SERVICE_UNAVAILABLE => answer.refused_as(503, "unavailable"),
            _ => answer.refused_as(401, "credentials_refused"),
        }
    }
}
