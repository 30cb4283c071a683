//! Where browsers open the client.

use crate::config::Config;
use crate::relay::near;
use sotto_protocol::invite::RelayAddress;
use std::net::{Ipv4Addr, SocketAddr};

/// As `https://chat.example.org`, without a slash at its end. What the operator says; else the public address; else this machine's
/// plain port, because no browser trusts the certificate that a relay makes itself.
pub(crate) fn origin(config: &Config, http: Option<SocketAddr>, https_port: u16) -> String {
    if let Some(address) = &config.web.address {
        return address.clone();
    }
    let domain =
        || config.acme.as_ref().map(|acme| RelayAddress { host: acme.domain.clone(), port: https_port });
    if let Some(public) = config.public_address.clone().or_else(domain) {
        return https(&public);
    }
    match http {
        Some(http) if http.ip().is_unspecified() => format!("http://{}:{}", Ipv4Addr::LOCALHOST, http.port()),
        Some(http) => format!("http://{http}"),
        None => https(&near(config, https_port)),
    }
}

fn https(address: &RelayAddress) -> String {
    let text = address.to_string();
    format!("https://{}", text.strip_suffix(":443").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_for_browsers_is_the_best_that_is_known() {
        let mut config = Config::in_folder("nowhere");
        let http = Some("127.0.0.1:8080".parse().unwrap());
        assert_eq!(origin(&config, http, 4433), "http://127.0.0.1:8080");
        assert_eq!(origin(&config, Some("0.0.0.0:80".parse().unwrap()), 4433), "http://127.0.0.1:80");
        assert_eq!(origin(&config, None, 4433), "https://127.0.0.1:4433");
        config.public_address = Some("chat.example.org".parse().unwrap());
        assert_eq!(origin(&config, http, 4433), "https://chat.example.org:4433");
        config.public_address = Some("chat.example.org:443".parse().unwrap());
        assert_eq!(origin(&config, http, 443), "https://chat.example.org");
        config.web.address = Some("https://web.example.org".to_owned());
        assert_eq!(origin(&config, http, 443), "https://web.example.org");
    }
}
