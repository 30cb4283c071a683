//! End-to-end encryption as browsers run it (WebAssembly, in Node.js) and as this machine does: each reads what the other wrote.

use serde_json::{Value, json};
use sotto_tests::daemon_process::{good, node};
use sotto_tests::programs::target;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    Native,
    Wasm,
}

impl Build {
    fn step(self, name: &str, input: &Value) -> Value {
        let answer = match self {
            Self::Native => sotto_exchange::step(name, input),
            Self::Wasm => wasm(name, input),
        };
        assert_eq!(answer.get("error"), None, "{name} by {self:?}");
        answer
    }
}

fn wasm(name: &str, input: &Value) -> Value {
    let folder = target().join("web/exchange");
    assert!(
        folder.join("sotto_exchange_bg.wasm").is_file(),
        "{} is empty: `cargo xtask test` compiles the encryption for wasm",
        folder.display()
    );
    let mut child = node("tests/npm", "step.mjs")
        .arg(folder)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut stdin = child.stdin.take().expect("it has one");
    stdin.write_all(input.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_str(&good(&output)).expect("JSON")
}

#[test]
fn wasm_and_native_make_the_golden_bytes() {
    let golden: Value = serde_json::from_str(include_str!("../../vectors/e2ee-v1.json")).expect("JSON");
    for build in [Build::Native, Build::Wasm] {
        assert_eq!(build.step("golden", &json!({})), golden, "{build:?}");
    }
}

#[test]
fn wasm_and_native_read_what_the_other_wrote_in_both_directions_and_both_suites() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_millis();
    let now = u64::try_from(now).expect("the clock is before the year 500 million");
    for suite in ["x-wing", "x25519"] {
        for (host, newcomer) in [(Build::Native, Build::Wasm), (Build::Wasm, Build::Native)] {
            let offered = newcomer.step("newcomer", &json!({ "suite": suite, "now": now }));
            let hosted = host.step(
                "host",
                &json!({ "suite": suite, "now": now, "package": offered["package"], "text": "hello ü 👋" }),
            );
            let joined = newcomer.step(
                "join",
                &json!({
                    "now": now,
                    "rows": offered["rows"],
                    "group": hosted["group"],
                    "welcome": hosted["welcome"],
                    "entry": hosted["entry"],
                    "text": "hello yourself",
                }),
            );
            assert_eq!(joined["read"], "hello ü 👋", "{suite}: {newcomer:?} reads {host:?}");
            let heard =
                host.step("hear", &json!({ "now": now, "rows": hosted["rows"], "entry": joined["entry"] }));
            assert_eq!(heard["read"], "hello yourself", "{suite}: {host:?} reads {newcomer:?}");
        }
    }
}
