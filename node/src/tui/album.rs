//! Previews of files as they are drawn: each is looked at once for the room that there is, and kept as the few points that show.

use crate::pictures::{Picture, blocks, look};
use sotto_e2ee::file::Preview;
use sotto_protocol::ids::{ConversationId, Sequence};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Cells in a row, and rows: so small that what is said stands beside it on the screen.
const CELLS_MAX: usize = 40;
const ROWS_MAX: usize = 10;

/// In fewer cells, or on a screen with fewer rows, a picture takes the room of what is said.
const CELLS_MIN: usize = 24;
const SCREEN_ROWS_MIN: u16 = 20;

/// Previews that are kept, of 2.4 KB at most: several screens of them.
const KEPT_MAX: usize = 128;

/// How much room there is for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room(usize);

impl Room {
    /// In so many cells across, on a screen of so many rows; nothing where there is too little.
    pub(crate) fn of(cells: usize, screen_rows: u16) -> Option<Self> {
        (cells >= CELLS_MIN && screen_rows >= SCREEN_ROWS_MIN).then(|| Self(cells.min(CELLS_MAX)))
    }
}

/// Which preview, and the room that it was drawn for.
type Place = (ConversationId, Sequence, Room);

/// The previews that were looked at last. What cannot be looked at is kept as nothing, so that it is not tried again.
#[derive(Default)]
pub(crate) struct Album(RefCell<VecDeque<(Place, Option<Rc<Picture>>)>>);

impl Album {
    /// What a preview shows in that room.
    pub(crate) fn picture(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
        preview: &Preview,
        room: Room,
    ) -> Option<Rc<Picture>> {
        let place = (conversation, sequence, room);
        let mut kept = self.0.borrow_mut();
        if let Some((_, picture)) = kept.iter().find(|(known, _)| *known == place) {
            return picture.clone();
        }
        let fit = |size| blocks::fitted(size, (room.0, 2 * ROWS_MAX));
        let picture = look(preview, fit).map(Rc::new);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((place, picture.clone()));
        picture
    }
}
