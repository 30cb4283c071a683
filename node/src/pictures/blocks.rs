//! A picture in a terminal: lines of half blocks, each of which is one point above another in two colours.

/// One point above another.
pub const HALF_BLOCK: char = '▀';

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Whether the terminal has colours, as far as it says so, and the person wants them (no-color.org).
#[must_use]
pub fn has_colours() -> bool {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    named("TERM").is_some_and(|name| name != "dumb") && named("NO_COLOR").is_none()
}

/// As large as there is room, in points in a row and rows of points, of which two make a line: so rows are even. Nothing where there
/// is no room for two by two.
#[must_use]
pub fn fitted((width, height): (usize, usize), (widest, highest): (usize, usize)) -> Option<(usize, usize)> {
    let (width, height) = (width.max(1), height.max(1));
    let (wide, high) = if widest * height <= highest * width {
        (widest, widest * height / width)
    } else {
        (highest * width / height, highest)
    };
    // Whole lines only.
    let high = high & !1;
    (wide >= 2 && high >= 2).then_some((wide, high))
}

/// One line after another: the cells that have the same two colours together, upper and lower, with how many they are.
pub fn lines(
    (width, height): (usize, usize),
    colour: impl Fn(usize, usize) -> Colour,
) -> impl Iterator<Item = Vec<((Colour, Colour), usize)>> {
    (0..height / 2).map(move |line| {
        let mut cells: Vec<((Colour, Colour), usize)> = Vec::new();
        for x in 0..width {
            let colours = (colour(x, 2 * line), colour(x, 2 * line + 1));
            match cells.last_mut() {
                Some((last, count)) if *last == colours => *count += 1,
                _ => cells.push((colours, 1)),
            }
        }
        cells
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_as_large_as_there_is_room_and_of_whole_lines() {
        assert_eq!(fitted((320, 240), (40, 24)), Some((32, 24)));
        assert_eq!(fitted((240, 320), (40, 24)), Some((18, 24)));
        assert_eq!(fitted((320, 100), (40, 24)), Some((40, 12)));
        assert_eq!(fitted((320, 2), (40, 24)), None);
        assert_eq!(fitted((320, 240), (1, 24)), None);
    }

    #[test]
    fn cells_of_the_same_colours_stand_together() {
        let drawn: Vec<_> = lines((3, 4), |x, y| if y == 3 && x > 0 { [9; 3] } else { [1; 3] }).collect();
        let (plain, mixed) = (([1; 3], [1; 3]), ([1; 3], [9; 3]));
        assert_eq!(drawn, [vec![(plain, 3)], vec![(plain, 1), (mixed, 2)]]);
    }
}
