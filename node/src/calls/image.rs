//! A picture as cameras and codecs have it: brightness for each point, and two differences of colour for each four.

/// One picture of a video, as BT.601 writes it (Y'CbCr, 4:2:0, in the range of studios).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) luma: Vec<u8>,
    pub(super) blue: Vec<u8>,
    pub(super) red: Vec<u8>,
}

impl Image {
    /// Points in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The same, smaller: each point is the mean of those that it stands for.
    #[must_use]
    pub fn shrunk(&self, width: usize, height: usize) -> Self {
        let half = (self.width.div_ceil(2), self.height.div_ceil(2));
        let small = (width.div_ceil(2), height.div_ceil(2));
        Self {
            width,
            height,
            luma: plane(&self.luma, (self.width, self.height), (width, height)),
            blue: plane(&self.blue, half, small),
            red: plane(&self.red, half, small),
        }
    }

    /// The colour of a point: red, green, blue. Beyond the edges it is black.
    #[must_use]
    pub fn colour(&self, x: usize, y: usize) -> [u8; 3] {
        let half = (y / 2) * self.width.div_ceil(2) + x / 2;
        let (Some(luma), Some(blue), Some(red)) =
            (self.luma.get(y * self.width + x), self.blue.get(half), self.red.get(half))
        else {
            return [0; 3];
        };
        // BT.601 in 256ths.
        let light = 298 * (i32::from(*luma) - 16);
        let (blue, red) = (i32::from(*blue) - 128, i32::from(*red) - 128);
        let byte = |sum: i32| u8::try_from(((sum + 128) >> 8).clamp(0, 255)).unwrap_or(u8::MAX);
        [byte(light + 409 * red), byte(light - 100 * blue - 208 * red), byte(light + 516 * blue)]
    }
}

/// One of the three planes in another size.
fn plane(from: &[u8], (width, height): (usize, usize), (to_width, to_height): (usize, usize)) -> Vec<u8> {
    if (width, height) == (to_width, to_height) {
        return from.to_vec();
    }
    // Each point of the new one stands for a range of the old one, never an empty one.
    let range = |at: usize, old: usize, new: usize| {
        let first = at * old / new;
        first..((at + 1) * old / new).max(first + 1)
    };
    let mut to = Vec::with_capacity(to_width * to_height);
    for y in 0..to_height {
        for x in 0..to_width {
            let (mut sum, mut count) = (0_usize, 0);
            for row in range(y, height, to_height) {
                let columns = range(x, width, to_width);
                for value in
                    from.get(row * width + columns.start..row * width + columns.end).unwrap_or_default()
                {
                    sum += usize::from(*value);
                    count += 1;
                }
            }
            to.push(sum.checked_div(count).and_then(|mean| u8::try_from(mean).ok()).unwrap_or_default());
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_one(width: usize, height: usize, [luma, blue, red]: [u8; 3]) -> Image {
        let quarter = width.div_ceil(2) * height.div_ceil(2);
        Image {
            width,
            height,
            luma: vec![luma; width * height],
            blue: vec![blue; quarter],
            red: vec![red; quarter],
        }
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        for (written, colour) in [
            ([16, 128, 128], [0, 0, 0]),
            ([235, 128, 128], [255, 255, 255]),
            ([81, 90, 240], [255, 0, 0]),
            ([145, 54, 34], [0, 255, 0]),
            ([41, 240, 110], [0, 0, 255]),
        ] {
            let seen = of_one(3, 3, written).colour(2, 2);
            assert!(
                seen.iter().zip(colour).all(|(one, other)| one.abs_diff(other) < 3),
                "{seen:?} {colour:?}"
            );
        }
        assert_eq!(of_one(2, 2, [81, 90, 240]).colour(0, 2), [0; 3]);
    }

    #[test]
    fn a_smaller_picture_has_the_mean_of_what_it_stands_for_in_any_size() {
        let mut image = of_one(4, 2, [0, 128, 128]);
        image.luma = vec![10, 20, 100, 200, 30, 40, 100, 200];
        assert_eq!(image.shrunk(2, 1).luma, [25, 150]);
        for size in [(1, 1), (3, 5), (7, 2), (16, 9)] {
            let other = of_one(5, 3, [81, 90, 240]).shrunk(size.0, size.1);
            assert_eq!(other, of_one(size.0, size.1, [81, 90, 240]), "{size:?}");
        }
    }
}
