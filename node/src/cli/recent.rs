//! The lines that a person has on the screen, so that only a line that looks different is shown again.

use sotto_protocol::ids::{ConversationId, Sequence};
use std::collections::VecDeque;

/// Lines that are remembered: more than a screen has.
const RECENT_MAX: usize = 256;

/// What was shown last, by its place.
#[derive(Default)]
pub(crate) struct Recent(VecDeque<(ConversationId, Sequence, String)>);

impl Recent {
    /// Takes what a line looks like now; false if it looked so before.
    pub(crate) fn is_news(&mut self, conversation: ConversationId, sequence: Sequence, line: String) -> bool {
        let known = self.0.iter_mut().find(|(of, at, _)| (*of, *at) == (conversation, sequence));
        if let Some((_, _, before)) = known {
            let news = *before != line;
            *before = line;
            return news;
        }
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((conversation, sequence, line));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_news_when_it_looks_different_or_is_long_forgotten() {
        let (mut recent, here) = (Recent::default(), ConversationId([1; 16]));
        let mut shown = |at: u64, line: &str| recent.is_news(here, Sequence(at), line.to_owned());
        assert!(shown(1, "hello"));
        assert!(!shown(1, "hello"));
        assert!(shown(1, "hello (edited)"));
        for at in 2..500 {
            assert!(shown(at, "hello"));
        }
        assert!(shown(1, "hello (edited)"));
        assert_eq!(recent.0.len(), RECENT_MAX);
    }
}
