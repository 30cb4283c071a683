//! End-to-end encryption as steps with JSON in and out.
//!
//! The same crate is compiled for this machine and to WebAssembly; a test lets the two builds talk: what one wrote, the other
//! has to read, in both directions, and what is made from a seed alone has to be the same to the last byte (and the same as
//! `tests/vectors/e2ee-v1.json`, so that it stays so).

mod golden;
mod talk;

use serde_json::{Value, json};

/// Runs one step. The answer is an object; a step that fails gives one with `error`.
#[must_use]
pub fn step(name: &str, input: &Value) -> Value {
    let result = match name {
        "golden" => golden::golden(),
        "newcomer" => talk::newcomer(input),
        "host" => talk::host(input),
        "join" => talk::join(input),
        "hear" => talk::hear(input),
        other => Err(format!("{other} is no step")),
    };
    result.unwrap_or_else(|error| json!({ "error": error }))
}

/// The same for JavaScript.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(js_name = step)]
#[must_use]
pub fn step_of_text(name: &str, input: &str) -> String {
    step(name, &serde_json::from_str(input).unwrap_or_default()).to_string()
}
