//! What is told to browsers: where the client is, and which pages from elsewhere may call the API.

use super::{ConfigError, Values};
use http::HeaderValue;
use http::uri::{PathAndQuery, Uri};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebConfig {
    /// Where people open the client, as `https://chat.example.org`; `None` for what the other settings say.
    pub address: Option<String>,
    /// Which pages from elsewhere may call the API.
    pub origins: Origins,
}

/// Pages that may call the API, by where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These; none if there are none.
    Only(Vec<HeaderValue>),
}

/// Origins in the list at most.
const ORIGINS_MAX: usize = 64;

impl WebConfig {
    pub(super) fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let address = values.read("web.address", |text| match text {
            "" => Some(None),
            text => origin(text).map(|_| Some(text.trim_end_matches('/').to_owned())),
        })?;
        let origins = values.read("web.origins", |text| match text {
            "any" => Some(Origins::Any),
            "none" => Some(Origins::Only(Vec::new())),
            list => {
                let listed: Option<Vec<_>> = list.split(',').map(|text| origin(text.trim())).collect();
                listed.filter(|listed| listed.len() <= ORIGINS_MAX).map(Origins::Only)
            }
        })?;
        Ok(Self { address, origins })
    }
}

/// A scheme, a host and perhaps a port, as browsers name the origin of a page.
fn origin(text: &str) -> Option<HeaderValue> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("https" | "http"));
    let has_path = uri.path_and_query().is_some_and(|path| path != &PathAndQuery::from_static("/"));
    let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
    (is_web && !has_path && !has_user)
        .then(|| HeaderValue::from_str(&text.to_ascii_lowercase()).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn read(name: &str, value: &str) -> Result<WebConfig, ConfigError> {
        let mut values = Values::default();
        values.add(name, value.to_owned(), Source::Flag)?;
        WebConfig::from_values(&values)
    }

    #[test]
    fn origins_are_any_none_or_a_list_and_anything_else_is_refused() {
        let origins = |text| read("web.origins", text).map(|web| web.origins);
        assert_eq!(origins("any").unwrap(), Origins::Any);
        assert_eq!(origins("none").unwrap(), Origins::Only(vec![]));
        let two = origins("https://A.example, http://127.0.0.1:5173/").unwrap();
        let expected = ["https://a.example", "http://127.0.0.1:5173"].map(HeaderValue::from_static);
        assert_eq!(two, Origins::Only(expected.to_vec()));
        for bad in [
            "",
            "*",
            "a.example",
            "https://a.example/path",
            "ftp://a.example",
            "https://u@a.example",
            "https://a,",
        ] {
            assert!(origins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_an_origin_without_its_last_slash() {
        let address = |text| read("web.address", text).map(|web| web.address);
        assert_eq!(
            address("https://chat.example.org/").unwrap().as_deref(),
            Some("https://chat.example.org")
        );
        assert_eq!(address("").unwrap(), None);
        assert!(address("chat.example.org").is_err());
    }
}
