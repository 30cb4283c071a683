//! The WebSocket endpoint on a real socket.

use super::*;
use sotto_protocol::limits::{FRAME_BODY_BYTES_MAX, TURN_MESSAGE_BYTES_MAX};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

async fn listen(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = world.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

#[tokio::test]
async fn binary_messages_travel_both_ways_up_to_the_largest_frame() {
    let address = listen(&World::new()).await;
    let url = format!("ws://{address}/api/v1/ws");
    let (mut socket, response) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert!(response.headers().contains_key("x-trace-id"));
    for bytes in [0, 1, 70_000, FRAME_BODY_BYTES_MAX + 12] {
        let message = Message::binary(vec![7; bytes]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_text_message_or_one_that_is_too_large_ends_the_connection() {
    let address = listen(&World::new()).await;
    let url = format!("ws://{address}/api/v1/ws");
    for message in [Message::text("hello"), Message::binary(vec![0; FRAME_BODY_BYTES_MAX + 100 * 1024])] {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        // The other end may hang up while this is still being sent.
        let _sent = socket.send(message).await;
        let end = socket.next().await;
        assert!(!matches!(end, Some(Ok(Message::Binary(_)))), "{end:?}");
    }
}

#[tokio::test]
async fn a_plain_request_for_the_socket_is_a_problem() {
    let world = World::new();
    world.call(Method::GET, "/api/v1/ws", None, None).await.refused_as(400, "malformed");
}

/// P-080.
#[tokio::test]
async fn turn_travels_both_ways_for_who_shows_a_token_up_to_its_largest_message() {
    let world = World::new();
    let anna = world.register("anna").await;
    let address = listen(&world).await;
    let mut request = format!("ws://{address}/api/v1/turn").into_client_request().unwrap();
    assert!(tokio_tungstenite::connect_async(request.clone()).await.is_err(), "without a token");
    let bearer = format!("Bearer {}", anna.access).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    for bytes in [0, 1, TURN_MESSAGE_BYTES_MAX] {
        let message = Message::binary(vec![7; bytes]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message, "{bytes} bytes");
    }
    let _sent = socket.send(Message::binary(vec![7; TURN_MESSAGE_BYTES_MAX + 1])).await;
    let end = socket.next().await;
    assert!(!matches!(end, Some(Ok(Message::Binary(_)))), "{end:?}");
}
