//! What is counted here, described for the relay's `/metrics`.

use metrics::{Unit, describe_counter, describe_histogram};

/// Tells the installed recorder what each figure means. The relay calls this once at start.
pub fn describe() {
    describe_counter!("sotto_http_requests_total", "HTTP requests by route, method and status");
    describe_histogram!(
        "sotto_http_request_seconds",
        Unit::Seconds,
        "Time from a request's head to its answer's"
    );
    describe_counter!("sotto_registrations_total", "Accounts registered");
    describe_counter!("sotto_sign_ins_total", "Sign-ins by outcome (ok, refused)");
    describe_counter!(
        "sotto_refresh_tokens_reused_total",
        "Spent refresh tokens that were shown again; each ended a session and may be a theft"
    );
}
