//! The client core for browsers: the engine that `web/ui` talks to.
//!
//! [`engine`] drives one `Client` of `sotto-node-core` with what a browser has: promises instead of threads, `fetch` instead
//! of HTTP, and whatever carries frames. All of this it knows through one trait, [`engine::host::Host`], so the same engine runs
//! natively in tests. [`store`] keeps rows in a browser's private files, sealed. `browser` is the glue to JavaScript; what
//! is said through it is written down in `web/ui/src/engine/api.ts`.

pub mod engine;
pub mod store;

#[cfg(target_arch = "wasm32")]
mod browser;
