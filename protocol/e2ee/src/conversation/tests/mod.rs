//! Conversations among real OpenMLS members and a relay in memory, some of it hostile.

mod forward_secrecy;
mod history;
mod hostile;
mod life;
