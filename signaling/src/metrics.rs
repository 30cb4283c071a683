//! What is counted here, as a table: the relay describes it on `/metrics` and in its documentation.

/// What kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; 0 at start.
    Counter,
    /// A distribution of observed values.
    Histogram,
}

/// One figure with what it means.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name on `/metrics`.
    pub name: &'static str,
    /// What kind.
    pub kind: Kind,
    /// Its labels with their possible values; empty where there are none.
    pub labels: &'static str,
    /// What it counts, and what a surprising value means.
    pub help: &'static str,
}

/// Every figure.
pub const TABLE: [Figure; 6] = [
    Figure {
        name: "sotto_http_requests_total",
        kind: Kind::Counter,
        labels: "method, route, status",
        help: "HTTP requests that were answered.",
    },
    Figure {
        name: "sotto_http_request_seconds",
        kind: Kind::Histogram,
        labels: "",
        help: "From a request's head to its answer's.",
    },
    Figure {
        name: "sotto_csp_reports_total",
        kind: Kind::Counter,
        labels: "",
        help: "Reports of browsers that a page wanted something that its policy forbids. Growing: somebody found a way to inject, or a browser's extension meddles.",
    },
    Figure {
        name: "sotto_registrations_total",
        kind: Kind::Counter,
        labels: "",
        help: "Accounts registered. Growing fast where registration is open: somebody makes accounts by program.",
    },
    Figure {
        name: "sotto_sign_ins_total",
        kind: Kind::Counter,
        labels: "outcome = ok | refused",
        help: "Sign-ins by name and password. Many refused: somebody guesses.",
    },
    Figure {
        name: "sotto_refresh_tokens_reused_total",
        kind: Kind::Counter,
        labels: "",
        help: "Spent refresh tokens that were shown again; each ended a session and may be a theft.",
    },
];
