//! Registering, signing in, and what nobody learns by trying.

use super::*;
use sotto_signaling_core::claims::Claims;

#[tokio::test]
async fn the_classic_commands_work_as_they_stand() {
    let world = World::new();
    let registered = world
        .post(
            "/api/v1/auth/register",
            json!({ "email": "Anna@Example.org", "username": "Anna", "password": "correct horse" }),
        )
        .await
        .ok(201);
    let user = &registered["user"];
    assert_eq!((&user["email"], &user["username"]), (&json!("anna@example.org"), &json!("anna")));
    assert_eq!((&user["role"], &user["created_at"]), (&json!("user"), &json!("2023-11-14T22:13:20Z")));
    assert_eq!(registered["tokens"]["token_type"], "Bearer");
    assert_eq!(registered["tokens"]["expires_in"], 900);

    let body = json!({ "email": "anna@example.org", "password": "correct horse" });
    let signed_in = world.post("/api/v1/auth/login", body).await.ok(200);
    assert_eq!(&signed_in["user"], user);
    let who = person(&signed_in);
    assert_eq!(&world.get_as(&who, "/api/v1/auth/me").await.ok(200)["user"], user);
    let refreshed = world.refresh(&who.refresh).await.ok(200);
    assert!(refreshed["tokens"]["access_token"].is_string());
    assert_eq!(world.call(Method::GET, "/api/v1/health", None, None).await.ok(200)["status"], "ok");
}

#[tokio::test]
async fn a_user_name_signs_in_like_an_address() {
    let world = World::new();
    let anna = world.register("anna").await;
    assert_eq!(world.login("anna").await.id, anna.id);
    assert_eq!(world.login("ANNA@example.org").await.id, anna.id);
    let body = json!({ "username": "anna", "password": "correct horse" });
    assert_eq!(person(&world.post("/api/v1/auth/login", body).await.ok(200)).id, anna.id);
}

/// P-040.
#[tokio::test]
async fn an_unknown_account_is_answered_like_a_wrong_password() {
    let world = World::new();
    world.register("anna").await;
    let mut answers = Vec::new();
    for name in ["anna@example.org", "anna", "nobody@example.org", "nobody", "not a name at all", ""] {
        let body = json!({ "email": name, "password": "wrong password" });
        let answer = world.post("/api/v1/auth/login", body).await;
        answer.refused_as(401, "credentials_refused");
        answers.push(answer.shape());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all of them: {answers:#?}");
}

/// P-040.
#[tokio::test]
async fn registering_an_address_that_is_in_use_looks_like_any_other_registration() {
    let world = World::new();
    let anna = world.register("anna").await;
    let with_address = |name: &str, email: &str, password: &str| {
        let body = json!({ "email": email, "username": name, "password": password });
        world.post("/api/v1/auth/register", body)
    };
    let in_use = with_address("mallory", "anna@example.org", "mallory's own").await;
    let free = with_address("mallet", "free@example.org", "mallory's own").await;
    assert_eq!(in_use.status, free.status);
    let names = |answer: &Answer| -> Vec<String> {
        answer.json()["user"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&in_use), names(&free));
    let mallory = person(&in_use.ok(201));
    assert_ne!(mallory.id, anna.id);

    // Each gets in by the address and the own password, so trying that tells nothing either.
    let login = |password: &str| {
        world.post("/api/v1/auth/login", json!({ "email": "anna@example.org", "password": password }))
    };
    assert_eq!(person(&login("mallory's own").await.ok(200)).id, mallory.id);
    assert_eq!(person(&login("correct horse").await.ok(200)).id, anna.id);
    login("somebody else's").await.refused_as(401, "credentials_refused");
}

#[tokio::test]
async fn a_user_name_is_public_and_a_taken_one_says_so() {
    let world = World::new();
    world.register("anna").await;
    let body = json!({ "email": "other@example.org", "username": "ANNA", "password": "correct horse" });
    let answer = world.post("/api/v1/auth/register", body).await;
    answer.refused_as(409, "taken");
    assert_eq!(answer.json()["field"], "username");
}

#[tokio::test]
async fn each_policy_of_registration_is_kept() {
    let closed = World::with(|config| config.registration.policy = RegistrationPolicy::Closed);
    closed.post("/api/v1/auth/register", registration("anna")).await.refused_as(403, "registration_closed");

    let world = World::with(|config| config.registration.policy = RegistrationPolicy::Invite);
    world.post("/api/v1/auth/register", registration("anna")).await.refused_as(403, "invite_required");
    let mut body = registration("anna");
    body["invite"] = json!("made-up-code");
    world.post("/api/v1/auth/register", body.clone()).await.refused_as(403, "invite_refused");
    let made = world.signaling.make_operator_invite(Default::default()).await.unwrap();
    body["invite"] = json!(made.link.to_string());
    world.post("/api/v1/auth/register", body).await.ok(201);
    let mut second = registration("bert");
    second["invite"] = json!(made.code.as_str());
    world.post("/api/v1/auth/register", second).await.refused_as(403, "invite_refused");
}

#[tokio::test]
async fn the_first_account_is_the_operators_where_the_operator_wants_it() {
    let world = World::with(|config| {
        config.registration.policy = RegistrationPolicy::Closed;
        config.registration.first_account_is_operator = true;
    });
    let first = world.post("/api/v1/auth/register", registration("root")).await.ok(201);
    assert_eq!(first["user"]["role"], "operator");
    world.post("/api/v1/auth/register", registration("anna")).await.refused_as(403, "registration_closed");
}

/// P-005.
#[tokio::test]
async fn tokens_that_are_forged_expired_or_missing_are_refused() {
    let world = World::new();
    let anna = world.register("anna").await;
    let claims = world.signaling.authenticate(&anna.access).await.unwrap();
    let now = UnixMillis(world.clock.load(Ordering::SeqCst));
    let issuer = &world.signaling.config().issuer;
    let role = sotto_signaling_core::account::Role::Operator;
    let other_key = TokenKeys::from_seed(&Zeroizing::new([8; 32]));
    let forged = other_key.sign(&Claims::new(issuer, anna.id, claims.session, role, now));
    let own_key = TokenKeys::from_seed(&Zeroizing::new([7; 32]));
    let other_relay = own_key.sign(&Claims::new("https://other", anna.id, claims.session, role, now));
    let no_session = own_key.sign(&Claims::new(issuer, anna.id, SessionId([9; 16]), role, now));
    let body = anna.access.split('.').nth(1).unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{body}.");
    for token in [forged, other_relay, no_session, none, "x".to_owned(), String::new()] {
        let answer = world.call(Method::GET, "/api/v1/auth/me", Some(&token), None).await;
        answer.refused_as(401, "token_refused");
        assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
    }
    world.call(Method::GET, "/api/v1/auth/me", None, None).await.refused_as(401, "token_refused");
    let basic =
        Request::get("/api/v1/auth/me").header("authorization", "Basic YTpi").body(Body::empty()).unwrap();
    world.send(basic).await.refused_as(401, "token_refused");

    world.wait(899);
    assert!(world.counts(&anna).await);
    world.wait(1);
    assert!(!world.counts(&anna).await, "expired after fifteen minutes");
}

#[tokio::test]
async fn a_token_of_our_own_making_cannot_raise_its_role() {
    let world =
        World::with(|config| config.invite_makers = sotto_signaling_core::rights::InviteMakers::Operators);
    let anna = world.register("anna").await;
    let who = world.signaling.authenticate(&anna.access).await.unwrap();
    let now = UnixMillis(world.clock.load(Ordering::SeqCst));
    let role = sotto_signaling_core::account::Role::Operator;
    let keys = TokenKeys::from_seed(&Zeroizing::new([7; 32]));
    let stale = keys.sign(&Claims::new(&world.signaling.config().issuer, anna.id, who.session, role, now));
    let answer = world.call(Method::POST, "/api/v1/invites", Some(&stale), Some(json!({}))).await;
    answer.refused_as(403, "forbidden");
}

#[tokio::test]
async fn others_verify_tokens_with_the_published_key() {
    let world = World::new();
    let anna = world.register("anna").await;
    let jwks = world.call(Method::GET, "/.well-known/jwks.json", None, None).await;
    assert_eq!(jwks.headers["cache-control"], "public, max-age=300");
    let key: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks.text).unwrap();
    let kid = jsonwebtoken::decode_header(&anna.access).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(key.find(&kid).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.validate_exp = false;
    let claims: Value = jsonwebtoken::decode(&anna.access, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], anna.id.to_string());
    assert_eq!(claims["iss"], "https://relay.example:4433");
}

#[tokio::test]
async fn a_hash_of_a_lower_cost_is_made_again_at_the_next_sign_in() {
    let store: Arc<dyn crate::store::Store> = Arc::new(crate::memory::store());
    let signaling = |cost: PasswordCost| {
        let mut config = Config::new("relay.example".parse().unwrap());
        config.registration.policy = RegistrationPolicy::Open;
        config.password_cost = cost;
        let keys = TokenKeys::from_seed(&Zeroizing::new([7; 32]));
        Signaling::new(config, store.clone(), keys, Arc::new(|| UnixMillis(1)), Arc::new(Diary::default()))
    };
    let label = || sotto_signaling_core::names::Label::lossy("test");
    let from = "192.0.2.1".parse().unwrap();
    let parse = |json: Value| json.to_string().into_bytes();
    let body = parse(registration("anna"));
    let request = crate::http::bodies::parse::<crate::http::bodies::RegisterBody>(&body).unwrap();
    let anna = signaling(PasswordCost::CHEAPEST).register(request, label(), from).await.unwrap();
    let dearer = PasswordCost::new(16, 1, 1).unwrap();
    for _ in 0..2 {
        let body = parse(json!({ "email": "anna", "password": "correct horse" }));
        let request = crate::http::bodies::parse::<crate::http::bodies::LoginBody>(&body).unwrap();
        assert!(signaling(dearer).login(request, label(), from).await.is_ok());
        let row = store.account(anna.account.id).await.unwrap().unwrap();
        assert!(!row.password.is_dated(dearer));
    }
}

#[tokio::test]
async fn an_account_is_told_what_room_it_uses_and_nobody_else_is() {
    let world = World::new();
    let anna = world.register("anna").await;
    let used = u64::from(anna.id.0[0]);
    let usage = world.get_as(&anna, "/api/v1/account/usage").await.ok(200);
    assert_eq!(usage, json!({ "used_bytes": used, "limit_bytes": 1_000 }));
    let stranger = world.call(Method::GET, "/api/v1/account/usage", None, None).await;
    stranger.refused_as(401, "token_refused");
}
