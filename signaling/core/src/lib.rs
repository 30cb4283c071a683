//! Accounts, sessions, tokens, key directory, invites, admission: pure decisions.
