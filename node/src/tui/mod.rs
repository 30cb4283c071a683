//! The terminal interface: `sotto` without arguments.
//!
//! A pure core and a thin shell. [`App`] holds all that is known; [`App::update`] takes an [`Input`] in and gives the
//! [`Effect`]s that have to be carried out; [`draw`] shows it. None of them does I/O, so tests drive them with values
//! and look at a screen in memory. The `shell` owns the terminal, the clock, the logs and the running client.
//!
//! Read in this order: `input`, `app`, `setup` (the first start), `pane` (the open conversation), `view`, `shell`;
//! beneath them `measure`, `editor`, `complete`, `slash`, `keys`, `config`, `theme`, `layout`, `clock`.

mod album;
mod app;
mod clock;
mod complete;
mod config;
mod editor;
mod input;
mod keys;
mod layout;
mod measure;
mod pane;
mod setup;
mod shell;
mod slash;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod theme;
mod view;

pub use app::{App, Options};
pub use clock::Clock;
pub use config::ConfigError;
pub use input::{
    About, Answer, Effect, How, Input, Lines, LinesPlace, NotYet, Present, Secret, SetUp, Started,
};
pub use shell::{Request, TuiError, run};
pub use view::draw;
