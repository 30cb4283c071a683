//! The other one's picture in a terminal: small, by half blocks in two colours each, above which the lines of the call are printed.
//!
//! The picture stands where the next line would. After it was drawn the cursor is at its beginning again, so that wiping it is one command to
//! the terminal, and whatever happens to this program the next line just goes over it.

use ratatui::crossterm::terminal::size;
use sotto_node::calls::Image;
use sotto_node::pictures::blocks::{self, HALF_BLOCK};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

/// Columns at most.
const WIDEST: usize = 72;

/// Rows that stay free for what is said about the call.
const ROWS_FREE: usize = 4;

/// Where the picture is drawn.
pub(super) struct Screen {
    drawn: bool,
}

impl Screen {
    /// If there is somebody who looks, at something that has colours.
    pub(super) fn new() -> Option<Self> {
        (std::io::stdout().is_terminal() && blocks::has_colours()).then_some(Self { drawn: false })
    }

    /// Draws a picture in the place of the one before. A terminal that has no room for it shows none.
    pub(super) fn draw(&mut self, image: &Image) {
        let Ok((columns, rows)) = size() else { return };
        let Some((width, height)) = fitted(image, (columns.into(), rows.into())) else { return self.wipe() };
        self.put(&drawing(&image.shrunk(width, height)));
        self.drawn = true;
    }

    /// Nothing of it stays.
    pub(super) fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.put("\x1b[0J");
        }
    }

    fn put(&self, text: &str) {
        // A terminal that is gone is noticed by the next line.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// As large as there is room: points in a row and rows of points, of which two make a line.
fn fitted(image: &Image, (columns, rows): (usize, usize)) -> Option<(usize, usize)> {
    let (widest, highest) = (columns.saturating_sub(1).min(WIDEST), 2 * rows.saturating_sub(ROWS_FREE));
    blocks::fitted((image.width(), image.height()), (widest, highest))
}

fn drawing(image: &Image) -> String {
    let mut text = String::from("\x1b[0J");
    let lines = image.height() / 2;
    let drawn = blocks::lines((image.width(), image.height()), |x, y| image.colour(x, y));
    for (line, cells) in drawn.enumerate() {
        for (([r, g, b], [red, green, blue]), count) in cells {
            let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{red};{green};{blue}m");
            text.extend(std::iter::repeat_n(HALF_BLOCK, count));
        }
        text.push_str(if line + 1 < lines { "\x1b[0m\r\n" } else { "\x1b[0m\r" });
    }
    if lines > 1 {
        let _ = write!(text, "\x1b[{}A", lines - 1);
    }
    text
}
