//! The log, delivery, quotas, commit checking: pure decisions.
