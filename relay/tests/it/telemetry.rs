//! What the program tells other systems, at a receiver that is there and one that is not.

use crate::program::{Running, program, says};
use crate::world::ask;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

struct Received {
    path: String,
    headers: String,
    body: Vec<u8>,
}

/// Takes everything that is sent to it over HTTP.
fn receiver() -> (SocketAddr, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut headers) = (String::new(), String::new());
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                headers += &line.to_ascii_lowercase();
            }
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            let path = first.split(' ').nth(1).unwrap().to_owned();
            if tell.send(Received { path, headers, body }).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[test]
fn a_collector_is_sent_a_span_of_each_request_at_the_latest_when_the_relay_ends() {
    let home = tempfile::tempdir().unwrap();
    let (address, told) = receiver();
    let otlp = format!("telemetry.otlp=http://{address}");
    let (running, ready) = Running::start(&home.path().join("data"), &["--set", &otlp]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (status, _) = runtime.block_on(ask(ready.http.unwrap(), "GET", "/api/v1/health", None, None));
    assert_eq!(status, 200);
    assert_eq!(running.terminate().0, Some(0));

    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sent.path, "/v1/traces");
    assert!(sent.headers.contains("content-type: application/x-protobuf"), "{}", sent.headers);
    let sent = ExportTraceServiceRequest::decode(sent.body.as_slice()).unwrap();
    let [of_service] = sent.resource_spans.as_slice() else { panic!("one service: {sent:?}") };
    let about = format!("{:?}", of_service.resource);
    assert!(about.contains("sotto-relay") && about.contains(env!("CARGO_PKG_VERSION")), "{about}");
    let spans: Vec<_> = of_service.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let request = spans.iter().find(|span| span.name == "http").unwrap();
    assert!(format!("{:?}", request.attributes).contains("/api/v1/health"), "{request:?}");
    assert!(request.end_time_unix_nano >= request.start_time_unix_nano);
}

#[test]
fn with_a_share_of_nothing_or_receivers_that_are_away_the_relay_works_and_ends_as_always() {
    let home = tempfile::tempdir().unwrap();
    let (address, told) = receiver();
    let (otlp, share) = (format!("telemetry.otlp=http://{address}"), "telemetry.share=0");
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("telemetry.sentry=http://key@{away}/1");
    let (running, ready) =
        Running::start(&home.path().join("one"), &["--set", &otlp, "--set", share, "--set", &gone]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(ready.http.unwrap(), "GET", "/api/v1/health", None, None));
    assert_eq!(running.terminate().0, Some(0));
    assert!(told.try_recv().is_err(), "nothing was sampled");

    let gone = format!("telemetry.otlp=http://{away}");
    let (running, ready) = Running::start(&home.path().join("two"), &["--set", &gone]);
    runtime.block_on(ask(ready.http.unwrap(), "GET", "/api/v1/health", None, None));
    assert_eq!(running.terminate().0, Some(0));
    says(
        &program(home.path()).args(["--set", "telemetry.sentry=https://a.example"]).output().unwrap(),
        3,
        "expected a DSN",
    );
}

#[test]
fn an_error_of_the_log_reaches_whoever_speaks_sentrys_protocol_with_the_warning_before_it() {
    let (address, told) = receiver();
    let mut config = sotto_relay::config::Config::in_folder("unused");
    // Other tests of this process speak too.
    config.log_level = "error".to_owned();
    config.sentry = Some(format!("http://thekey@{address}/42").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let inside = runtime.enter();
    let telemetry = sotto_relay::logs::install(&config).unwrap();
    drop(inside);
    tracing::warn!(disk = "nearly full", "a warning before");
    tracing::error!(reason = "a test", "the relay is broken");
    telemetry.finish();

    let (sent, text) = loop {
        let sent = told.recv_timeout(PATIENCE).unwrap();
        let text = String::from_utf8(sent.body.clone()).unwrap();
        if text.contains("a test") {
            break (sent, text);
        }
    };
    assert_eq!(sent.path, "/api/42/envelope/");
    assert!(sent.headers.contains("sentry_key=thekey"), "{}", sent.headers);
    for part in ["the relay is broken", "a test", "a warning before", "nearly full", sotto_relay::AGENT] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}
