//! Plots drawn on the server as SVG: numbers in, paths out. Each comes in a wide and a narrow form, of which the style
//! sheet shows one, and with a table of the same numbers.

pub mod lines;
pub mod scale;
pub mod stacked;

/// A named series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend.
    pub label: String,
    /// Colour slot, 0 to 12.
    pub slot: u8,
    /// A value for each bucket.
    pub values: Vec<u64>,
}

/// In milliseconds. Shorter stretches need seconds in their labels.
const MINUTE: i64 = 60_000;

/// Equal stretches of time along the horizontal axis.
#[derive(Clone, Copy, Debug)]
pub struct Buckets {
    /// Begin of the first one, in milliseconds since 1970.
    pub from: i64,
    /// Length of each, in milliseconds.
    pub step: i64,
    /// How many.
    pub count: usize,
}

impl Buckets {
    /// Begin of bucket `at`.
    pub fn begin(&self, at: usize) -> i64 {
        self.from + self.step * at as i64
    }

    /// About `about` labels of an axis with their buckets. Each is different: over more than two days they are days,
    /// each at the first bucket that begins in it; over more than one day, day and time.
    pub fn labels(&self, about: usize) -> Vec<(usize, String)> {
        const DAY: i64 = 86_400_000;
        let length = self.step.saturating_mul(self.count as i64);
        let days = length > 2 * DAY;
        let day = |at: usize| self.begin(at).div_euclid(DAY);
        let first = |at: &usize| match at.checked_sub(1) {
            Some(before) => day(*at) != day(before),
            None => self.step >= DAY || self.from.rem_euclid(DAY) == 0,
        };
        let all: Vec<usize> = (0..self.count).filter(|at| !days || first(at)).collect();
        let pattern = match self.step {
            _ if days => "%-d %b",
            _ if length > DAY => "%-d %b %H:%M",
            ..MINUTE => "%H:%M:%S",
            _ => "%H:%M",
        };
        let shown = all.iter().step_by(scale::every(all.len(), about));
        shown.map(|&at| (at, super::time::format(self.begin(at), pattern))).collect()
    }

    /// Bucket `at`, as written in a table.
    pub fn title(&self, at: usize) -> String {
        super::time::format(self.begin(at), if self.step < MINUTE { "%-d %b %H:%M:%S" } else { "%-d %b %H:%M" })
    }
}

/// The two forms: measures in units of the drawing.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Class that the style sheet shows or hides.
    pub class: &'static str,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// Labels along the horizontal axis, about.
    pub labels: usize,
}

const NARROW: Form = Form { class: "narrow", width: 380.0, height: 190.0, labels: 4 };
/// For a plot as wide as the page.
pub const FULL: [Form; 2] = [Form { class: "wide", width: 1180.0, height: 240.0, labels: 10 }, NARROW];
/// For one of two plots side by side.
pub const HALF: [Form; 2] = [Form { class: "wide", width: 560.0, height: 200.0, labels: 6 }, NARROW];

/// Room left for labels: left, right, top, bottom.
pub const MARGIN: (f64, f64, f64, f64) = (44.0, 8.0, 10.0, 22.0);

/// A row of the table of a plot.
#[derive(Clone, Debug)]
pub struct Row {
    /// Bucket.
    pub at: usize,
    /// When.
    pub title: String,
    /// What of each series, written.
    pub values: Vec<String>,
}

/// Buckets with anything in them, newest first.
pub fn rows(buckets: &Buckets, series: &[Series], format: impl Fn(u64) -> String) -> Vec<Row> {
    let rows = (0..buckets.count).rev().filter(|&at| series.iter().any(|s| s.values[at] > 0));
    let values = |at: usize| series.iter().map(|s| format(s.values[at])).collect();
    rows.map(|at| Row { at, title: buckets.title(at), values: values(at) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_of_an_axis_is_repeated() {
        const HOUR: i64 = 3_600_000;
        // A week by four hours from 22:00 on, and from midnight on; a month by days; a day by half hours; two days by hours;
        // half a minute by seconds; a quarter of an hour by 15 seconds.
        for (from, step, count, first) in [
            (22 * HOUR, 4 * HOUR, 42, "2 Jan"),
            (0, 4 * HOUR, 42, "1 Jan"),
            (0, 24 * HOUR, 30, "1 Jan"),
            (0, HOUR / 2, 48, "00:00"),
            (0, HOUR, 48, "1 Jan 00:00"),
            (0, 1_000, 30, "00:00:00"),
            (22 * HOUR, 15_000, 59, "22:00:00"),
        ] {
            for about in [4, 6, 10] {
                let labels = Buckets { from, step, count }.labels(about);
                assert_eq!(labels[0].1, first, "{labels:?}");
                assert!((2..=2 * about).contains(&labels.len()), "{about}: {labels:?}");
                let mut texts: Vec<&str> = labels.iter().map(|(_, text)| text.as_str()).collect();
                texts.sort_unstable();
                texts.dedup();
                assert_eq!(texts.len(), labels.len(), "{labels:?}");
            }
        }
        assert!(Buckets { from: 0, step: 1, count: 0 }.labels(4).is_empty());
    }
}
