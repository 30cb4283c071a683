//! What browsers ask for beside what every client does.

use super::*;

#[tokio::test]
async fn a_browser_learns_how_to_connect_and_whether_it_may_register() {
    let world = World::new();
    let about = world.call(Method::GET, "/api/v1/about", None, None).await.ok(200);
    assert_eq!(about["registration"], "open");
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    let hash = data_encoding::BASE64.encode(&[7; 32]);
    let door = json!({ "port": 4433, "certificate_hashes": [hash], "path": "/api/v1/wt" });
    assert_eq!(about["webtransport"], door);
}

#[tokio::test]
async fn an_invite_carries_a_link_for_browsers_whose_code_stands_after_the_hash_sign() {
    let world = World::with(|config| config.web = "https://chat.example.org".to_owned());
    let anna = world.register("anna").await;
    let made = world.post_as(&anna, "/api/v1/invites", json!({})).await.ok(201);
    let code = made["code"].as_str().unwrap();
    assert_eq!(made["web"], format!("https://chat.example.org/#/i/{code}"));
}

#[tokio::test]
async fn a_report_of_a_browser_is_taken_within_its_limit_whatever_it_says() {
    let world = World::new();
    let report = async |kind: &str, body: Vec<u8>| {
        let request = Request::post("/api/v1/csp-reports").header("content-type", kind);
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    report("application/csp-report", b"{\"csp-report\":{}}".to_vec()).await.ok(204);
    report("application/reports+json", vec![0xff; 16 * 1024]).await.ok(204);
    report("application/csp-report", vec![b' '; 16 * 1024 + 1]).await.refused_as(413, "too_large");
}
