//! Colours: dark, light, or none at all.
//!
//! Meaning never hangs on colour alone: whatever a colour says, a sign, a word or a weight says as well, so that the
//! theme without colour loses nothing. Backgrounds and plain text stay the terminal's own.

use ratatui::style::{Color, Modifier, Style};
use sotto_node_core::format::Style as Marks;
use sotto_protocol::ids::AccountId;

/// Which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThemeName {
    /// For light text on dark.
    Dark,
    /// For dark text on light.
    Light,
    /// Without colour: bold, dim, reversed.
    Mono,
}

impl ThemeName {
    pub(crate) const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::Mono];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    /// What fits the terminal: `NO_COLOR` (no-color.org) asks for none, `COLORFGBG` tells some backgrounds.
    pub(crate) fn guess(no_color: Option<&str>, colorfgbg: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            return Self::Mono;
        }
        // The last number is the background: 7 and 15 are the light ones of the sixteen.
        match colorfgbg.and_then(|value| value.rsplit(';').next()) {
            Some("7" | "15") => Self::Light,
            _ => Self::Dark,
        }
    }
}

/// The styles that views use, by what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Theme {
    pub(crate) name: ThemeName,
    /// Ordinary text.
    pub(crate) text: Style,
    /// What may be overlooked: times, hints.
    pub(crate) dim: Style,
    /// Lines between parts.
    pub(crate) border: Style,
    /// The part that keys go to, keys, links, one's own marks.
    pub(crate) accent: Style,
    /// Titles.
    pub(crate) strong: Style,
    /// One is here, it is delivered, it is verified.
    pub(crate) good: Style,
    /// Waiting, unread.
    pub(crate) warn: Style,
    /// Nobody may overlook it.
    pub(crate) alert: Style,
    /// The chosen row.
    pub(crate) selected: Style,
    /// Code in a text.
    code: Style,
    people: &'static [u8],
}

const fn indexed(number: u8) -> Style {
    Style::new().fg(Color::Indexed(number))
}

/// Names of people: calm, and far enough from each other and from the colours that mean something.
const PEOPLE_ON_DARK: &[u8] = &[110, 150, 180, 139, 174, 109, 146, 186];
const PEOPLE_ON_LIGHT: &[u8] = &[25, 28, 94, 90, 124, 30, 61, 58];

impl Theme {
    pub(crate) const fn new(name: ThemeName) -> Self {
        let plain = Style::new();
        match name {
            ThemeName::Dark => Self {
                name,
                text: plain,
                dim: indexed(245),
                border: indexed(239),
                accent: indexed(111),
                strong: plain.add_modifier(Modifier::BOLD),
                good: indexed(114),
                warn: indexed(179),
                alert: indexed(210).add_modifier(Modifier::BOLD),
                selected: plain.bg(Color::Indexed(237)),
                code: indexed(180),
                people: PEOPLE_ON_DARK,
            },
            ThemeName::Light => Self {
                name,
                text: plain,
                dim: indexed(243),
                border: indexed(250),
                accent: indexed(26),
                strong: plain.add_modifier(Modifier::BOLD),
                good: indexed(28),
                warn: indexed(130),
                alert: indexed(160).add_modifier(Modifier::BOLD),
                selected: plain.bg(Color::Indexed(254)),
                code: indexed(94),
                people: PEOPLE_ON_LIGHT,
            },
            ThemeName::Mono => Self {
                name,
                text: plain,
                dim: plain.add_modifier(Modifier::DIM),
                border: plain.add_modifier(Modifier::DIM),
                accent: plain.add_modifier(Modifier::BOLD),
                strong: plain.add_modifier(Modifier::BOLD),
                good: plain,
                warn: plain.add_modifier(Modifier::BOLD),
                alert: plain.add_modifier(Modifier::BOLD).add_modifier(Modifier::REVERSED),
                selected: plain.add_modifier(Modifier::REVERSED),
                code: plain.add_modifier(Modifier::DIM),
                people: &[],
            },
        }
    }

    /// The style of a part of a text, by its marks.
    pub(crate) fn rich(&self, marks: Marks, link: bool) -> Style {
        let mut style = if marks.code || marks.code_block { self.code } else { self.text };
        for (on, modifier) in [
            (marks.bold, Modifier::BOLD),
            (marks.italic || marks.quote, Modifier::ITALIC),
            (marks.strike, Modifier::CROSSED_OUT),
            (link, Modifier::UNDERLINED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        style
    }

    /// The style of somebody's name, the same wherever it stands.
    pub(crate) fn person(&self, account: AccountId) -> Style {
        let sum = account.as_bytes().iter().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(*byte)));
        let color = sum.checked_rem(self.people.len()).and_then(|place| self.people.get(place));
        color.map_or(self.strong, |color| indexed(*color).add_modifier(Modifier::BOLD))
    }

    /// A QR code scans when it is dark on light; without colour the terminal's own two have to do.
    pub(crate) fn qr(&self) -> Style {
        match self.name {
            ThemeName::Mono => Style::new(),
            _ => Style::new().fg(Color::Rgb(0, 0, 0)).bg(Color::Rgb(255, 255, 255)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_theme_follows_no_color_and_the_background() {
        assert_eq!(ThemeName::guess(Some("1"), None), ThemeName::Mono);
        assert_eq!(ThemeName::guess(Some(""), Some("0;15")), ThemeName::Light);
        assert_eq!(ThemeName::guess(None, Some("15;0")), ThemeName::Dark);
        assert_eq!(ThemeName::guess(None, None), ThemeName::Dark);
    }

    #[test]
    fn without_colour_no_style_has_any() {
        let theme = Theme::new(ThemeName::Mono);
        let person = theme.person(AccountId([7; 16]));
        for style in [theme.text, theme.dim, theme.accent, theme.alert, theme.selected, theme.qr(), person] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
