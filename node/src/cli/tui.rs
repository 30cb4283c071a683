//! `sotto` without a command: the terminal interface.

use super::args::Global;
use super::exit::{Exit, Failed};
use super::{open, prompt};
use sotto_node::tui::{Request, TuiError};
use time::UtcOffset;

pub(crate) async fn run(global: &Global, room: Option<String>, offset: UtcOffset) -> Result<(), Failed> {
    let request = Request {
        profile: open::profile(global)?,
        relay_only: global.relay_only,
        link: global.relay.clone(),
        room,
        passphrase: prompt::given_passphrase(global.passphrase_file.as_deref())?,
        offset,
        log: std::env::var("SOTTO_LOG").ok().filter(|filter| !filter.is_empty()),
    };
    sotto_node::tui::run(request).await.map_err(|error| {
        let (exit, code) = match &error {
            TuiError::Config(_) => (Exit::Usage, "bad_configuration"),
            TuiError::Fault => (Exit::Internal, "internal"),
            _ => (Exit::Usage, "no_terminal"),
        };
        Failed::new(exit, code, error.to_string())
    })
}
