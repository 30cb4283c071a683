//! The terminal: taken over, drawn on, and put back however the program ends.

use super::super::config::Notify;
use super::super::{App, Input, draw};
use crate::pictures::is_shielded;
use data_encoding::BASE64;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, Event,
};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use sotto_node_core::format::harmless_line;
use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// The terminal while it is ours. Dropping it puts it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// A panic has put it back already.
    broken: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal over. A panic from now on, in whatever thread, puts it back before it says anything, and ends
    /// the interface.
    pub(super) fn open(mouse: bool, tell: mpsc::Sender<Input>) -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("standard input and output are not one"));
        }
        let broken = Arc::new(AtomicBool::new(false));
        let (before, is_broken) = (std::panic::take_hook(), broken.clone());
        std::panic::set_hook(Box::new(move |info| {
            // What a stranger sent as a picture: it is not shown, and that is all.
            if is_shielded() {
                return;
            }
            is_broken.store(true, Ordering::SeqCst);
            put_back();
            before(info);
            // If the loop does not listen it is the one that panicked, or it is ending.
            let _ = tell.try_send(Input::End);
        }));
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, broken })
    }

    /// Whether something panicked.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        if self.is_broken() { Ok(()) } else { self.terminal.draw(|frame| draw(app, frame)).map(drop) }
    }

    pub(super) fn redraw(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Rings, and lets the desktop tell of it. The text is ours: a name at most, never what was said.
    pub(super) fn notify(&self, text: &str, bell: bool, notify: Notify) -> io::Result<()> {
        let mut out = io::stdout();
        // A semicolon would begin another part of the sequence.
        let text = harmless_line(text).replace(';', ",");
        match notify {
            Notify::Off => {}
            Notify::Osc9 => write!(out, "\u{1b}]9;{text}\u{7}")?,
            Notify::Osc777 => write!(out, "\u{1b}]777;notify;Sotto;{text}\u{7}")?,
        }
        if bell {
            out.write_all(b"\x07")?;
        }
        out.flush()
    }

    /// Puts a text on the clipboard by OSC 52, where the terminal lets programs do so.
    pub(super) fn copy(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        write!(out, "\u{1b}]52;c;{}\u{7}", BASE64.encode(text.as_bytes()))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.is_broken() {
            put_back();
        }
    }
}

/// The terminal as it was. There is nothing to do about a failure: the terminal is gone then.
fn put_back() {
    let _ = execute!(
        io::stdout(),
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// Keys, clicks, pastes and sizes, from a thread of its own: reading a terminal blocks.
pub(super) fn read_keys(tell: mpsc::Sender<Input>) {
    std::thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) => Input::Key(key),
                Ok(Event::Mouse(mouse)) => Input::Mouse(mouse),
                Ok(Event::Paste(text)) => Input::Paste(text),
                Ok(Event::Resize(columns, rows)) => Input::Resize { columns, rows },
                Ok(Event::FocusGained) => Input::Focus(true),
                Ok(Event::FocusLost) => Input::Focus(false),
                // The terminal was closed.
                Err(_) => Input::End,
            };
            let ends = matches!(input, Input::End);
            if tell.blocking_send(input).is_err() || ends {
                return;
            }
        }
    });
}
