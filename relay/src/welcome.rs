//! What a relay says to the person who started it.

use crate::relay::RelayHandle;
use sotto_signaling_core::account::RegistrationPolicy;
use std::fmt::Write as _;

/// The greeting, with the next command to type.
#[must_use]
pub fn welcome(relay: &RelayHandle) -> String {
    let config = relay.config();
    let at = relay.addresses();
    let mut out = format!("Sotto relay {}, ready.\n\n", at.version);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<14} {value}");
    };
    line("QUIC", &format!("{} (UDP)", at.quic));
    line("HTTPS", &format!("{} (TCP; API, WebSocket)", at.https));
    if crate::site::is_built() {
        line("browser", &format!("{}/", at.web));
    } else {
        line("browser", "no web client in this build (cargo xtask web makes one)");
    }
    if let Some(http) = at.http {
        line("HTTP", &format!("http://{http} (this machine; API, /metrics)"));
        line("API pages", &format!("http://{http}/api/docs"));
    }
    if let Some(turn) = at.turn {
        let who = if turn.ip().is_loopback() { "this machine" } else { "signed-in devices" };
        line("TURN", &format!("{turn} (UDP, TCP; lent to {who})"));
    }
    line("data", &config.data_dir.display().to_string());
    line("fingerprint", &at.fingerprint);
    line("link", &at.link);

    let link = relay.link();
    let client = client();
    match config.registration {
        RegistrationPolicy::Open => {
            if crate::site::is_built() {
                let _ = writeln!(out, "\nNext, open {}/ in a browser, or in another terminal:", at.web);
            } else {
                let _ = writeln!(out, "\nNext, in another terminal:");
            }
            let _ = writeln!(out, "  {}", register(&client, &link.to_string()));
        }
        RegistrationPolicy::Invite => {
            let folder = config.data_dir.display();
            let _ = writeln!(
                out,
                "\nRegistering needs an invite. Next, in another terminal, make one:\n  \
                 sotto-relay --data-dir '{folder}' invite create\nand register with the link that it prints:\n  {}",
                register(&client, "LINK")
            );
        }
        RegistrationPolicy::Closed => {
            let _ = writeln!(
                out,
                "\nRegistration is closed; who has an account signs in:\n  {client} login --relay '{link}' --username alice"
            );
        }
    }
    if config.public_address.is_none() && config.acme.is_none() {
        let _ = writeln!(
            out,
            "\nThe link works on this machine. For others set public_address (see sotto-relay --help)."
        );
    }
    let _ = writeln!(out, "Stop with Ctrl-C.");
    out
}

fn register(client: &str, link: &str) -> String {
    format!("{client} register --relay '{link}' --username alice --email alice@example.org")
}

/// How a shell here calls the client: by its name; by its path where it is not installed and stands beside this program,
/// as it does after it was built from source.
fn client() -> String {
    const NAME: &str = "sotto";
    let installed = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(NAME).is_file()));
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(NAME));
    let Some(beside) = beside.filter(|beside| !installed && beside.is_file()) else { return NAME.to_owned() };
    let path = beside.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if path.bytes().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
