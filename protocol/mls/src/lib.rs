//! The public half of MLS that servers and clients share: suites, provider, credentials, public group state.
