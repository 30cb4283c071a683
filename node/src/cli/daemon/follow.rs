//! What one socket has been told, so that nothing is told twice and nothing is missed unnoticed.
//!
//! A socket starts at the moment's end of every conversation, and each message moves it on. When events came faster
//! than the program took them, it is told from where to read, and everything up to the end of then counts as told.

use super::super::shown::Shown;
use super::shapes;
use serde_json::{Value, json};
use sotto_node_core::view::{ConversationView, Message};
use sotto_protocol::ids::ConversationId;
use std::collections::HashMap;

/// How far one socket has been told.
pub(super) struct Followed {
    shown: Shown,
    titles: HashMap<ConversationId, String>,
    /// Also what this account itself said.
    own: bool,
}

impl Followed {
    pub(super) fn new(own: bool, shown: Shown, views: &[ConversationView]) -> Self {
        let titles = views.iter().map(|view| (view.conversation, view.title.clone())).collect();
        Self { shown, titles, own }
    }

    /// A conversation is called so.
    pub(super) fn learn(&mut self, view: &ConversationView) {
        self.titles.insert(view.conversation, view.title.clone());
    }

    /// What to say of a line that came.
    pub(super) fn message(&mut self, message: &Message) -> Option<Value> {
        if !self.shown.is_new(message) || (message.own && !self.own) {
            return None;
        }
        Some(self.object(message))
    }

    /// What to say of a line that is another one than it was.
    pub(super) fn changed(&self, message: &Message) -> Option<Value> {
        if message.own && !self.own {
            return None;
        }
        let mut object = self.object(message);
        if let Some(object) = object.as_object_mut() {
            object.insert("type".to_owned(), "changed".into());
        }
        Some(object)
    }

    fn object(&self, message: &Message) -> Value {
        shapes::message(message, self.titles.get(&message.conversation).map(String::as_str))
    }

    /// Events were lost on the way to this socket: from where to read, and from where on it is told again.
    pub(super) fn behind(&mut self, missed: u64, views: &[ConversationView]) -> Value {
        let mut conversations = Vec::new();
        for view in views {
            self.learn(view);
            let told = self.shown.settle(view);
            if view.cursor > told {
                conversations.push(json!({
                    "conversation": view.conversation,
                    "title": view.title,
                    "cursor": told,
                    "head": view.cursor,
                }));
            }
        }
        json!({ "type": "behind", "missed": missed, "conversations": conversations })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shown::tests::{line, view};
    use super::*;
    use sotto_node_core::view::Origin;

    fn followed(own: bool, cursor: u64) -> Followed {
        let mut shown = Shown::default();
        shown.settle(&view(cursor));
        Followed::new(own, shown, &[view(cursor)])
    }

    #[test]
    fn what_was_there_before_the_socket_is_not_told_again() {
        let mut followed = followed(false, 7);
        assert!(followed.message(&line(7, Origin::Message)).is_none());
        let told = followed.message(&line(8, Origin::Message)).expect("it is new");
        assert_eq!(told["content"], "hello");
        assert_eq!(told["title"], "garden");
        assert_eq!(told["id"], format!("{}:8", view(7).conversation));
        assert!(followed.message(&line(8, Origin::Message)).is_none(), "once");
    }

    #[test]
    fn own_texts_are_told_where_asked_for_and_hide_nothing_before_them() {
        assert!(followed(false, 0).message(&line(5, Origin::Own)).is_none());
        let mut followed = followed(true, 0);
        assert!(followed.message(&line(5, Origin::Own)).is_some());
        assert!(followed.message(&line(4, Origin::Message)).is_some(), "it was sent before and read after");
    }

    #[test]
    fn what_became_of_a_line_is_told_of_ones_own_only_where_asked_for() {
        let (quiet, loud) = (followed(false, 0), followed(true, 0));
        assert!(quiet.changed(&line(5, Origin::Own)).is_none());
        assert_eq!(loud.changed(&line(5, Origin::Own)).expect("told")["type"], "changed");
        assert_eq!(quiet.changed(&line(5, Origin::Message)).expect("told")["content"], "hello");
    }

    #[test]
    fn a_socket_that_fell_behind_is_told_from_where_to_read_and_goes_on_after_that() {
        let mut followed = followed(true, 3);
        assert!(followed.message(&line(4, Origin::Message)).is_some());
        let behind = followed.behind(100, &[view(90)]);
        let first = &behind["conversations"][0];
        assert_eq!((first["cursor"].as_u64(), first["head"].as_u64()), (Some(4), Some(90)));
        assert_eq!(behind["missed"].as_u64(), Some(100));
        assert!(followed.message(&line(90, Origin::Message)).is_none(), "it is in what is to be read");
        assert!(followed.message(&line(80, Origin::Own)).is_none(), "so is what was said here");
        assert!(followed.message(&line(91, Origin::Message)).is_some());
        assert_eq!(followed.behind(1, &[view(91)])["conversations"].as_array().map(Vec::len), Some(0));
    }
}
