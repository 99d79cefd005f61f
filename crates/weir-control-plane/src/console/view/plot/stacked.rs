//! Stacked bars over time: counts by kind.

use super::{Buckets, Form, MARGIN, Series, scale};
use crate::console::view::number::{compact, grouped};
use askama::Template;
use std::fmt::Write as _;

/// Room between bars, and between the parts of one, in units of the drawing.
const GAP: f64 = 2.0;
/// Radius of a bar's top, where it is wide enough.
const ROUND: f64 = 2.0;

/// A label at a place along an axis.
#[derive(Debug)]
pub struct Tick {
    /// Place.
    pub at: f64,
    /// Label.
    pub label: String,
}

/// One form, drawn.
#[derive(Debug)]
pub struct Drawing {
    /// Measures.
    pub form: Form,
    /// Horizontal lines.
    pub rows: Vec<Tick>,
    /// Labels below.
    pub columns: Vec<Tick>,
    /// Colour slot and path of each series.
    pub paths: Vec<(u8, String)>,
    /// Left edge and width of each bucket, for pointing at.
    pub slots: Vec<(f64, f64)>,
    /// The base line.
    pub base: f64,
    /// Right end of the lines.
    pub right: f64,
}

/// The plot.
#[derive(Debug, Template)]
#[template(path = "plot/stacked.html")]
pub struct Stacked {
    /// Distinguishes it from other plots of a page.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// In a sentence, for those who do not see it.
    pub summary: String,
    /// Series with anything in them, in the order of their colours.
    pub series: Vec<Series>,
    /// Time.
    pub buckets: Buckets,
    /// Wide and narrow.
    pub drawings: Vec<Drawing>,
}

// Made of numbers and of texts that its template escapes.
impl askama::filters::HtmlSafe for Stacked {}

impl Stacked {
    /// Draws `series`; each has a value for each bucket.
    pub fn new(
        id: &'static str,
        title: impl Into<String>,
        buckets: Buckets,
        series: Vec<Series>,
        forms: [Form; 2],
    ) -> Self {
        let total = |s: &Series| s.values.iter().fold(0u64, |sum, &n| sum.saturating_add(n));
        let mut series: Vec<Series> = series.into_iter().filter(|s| total(s) > 0).collect();
        series.sort_by_key(|s| if s.slot == 0 { u8::MAX } else { s.slot });
        let all: u64 = series.iter().map(total).fold(0, u64::saturating_add);
        let parts: Vec<String> = series.iter().map(|s| format!("{} {}", s.label, grouped(total(s)))).collect();
        let span = format!("{} to {}", buckets.title(0), buckets.title(buckets.count.saturating_sub(1)));
        let summary = format!("{} in all, {span} UTC. {}", grouped(all), parts.join(", "));
        let drawings = forms.iter().map(|form| draw(*form, &buckets, &series)).collect();
        Self { id, title: title.into(), summary, series, buckets, drawings }
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The sum of a series, for the legend.
    pub fn total(&self, series: &Series) -> String {
        grouped(series.values.iter().sum())
    }

    /// The same numbers as a table.
    pub fn rows(&self) -> Vec<super::Row> {
        super::rows(&self.buckets, &self.series, grouped)
    }
}

fn draw(form: Form, buckets: &Buckets, series: &[Series]) -> Drawing {
    let (left, right, top, bottom) = MARGIN;
    let (width, height) = (form.width - left - right, form.height - top - bottom);
    let sums = (0..buckets.count).map(|at| series.iter().map(|s| s.values[at]).fold(0, u64::saturating_add));
    let (limit, steps) = scale::axis(sums.max().unwrap_or(0), 4);
    let base = top + height;
    let y = |n: u64| base - height * n as f64 / limit as f64;
    let pitch = width / buckets.count.max(1) as f64;
    let gap = if pitch > 3.0 * GAP { GAP } else { 0.5 };
    let mut paths: Vec<(u8, String)> = series.iter().map(|s| (s.slot, String::new())).collect();
    for at in 0..buckets.count {
        let x = left + pitch * at as f64 + gap / 2.0;
        let mut sum = 0u64;
        let last = series.iter().rposition(|s| s.values[at] > 0);
        for (number, one) in series.iter().enumerate().filter(|(_, s)| s.values[at] > 0) {
            let lower = y(sum) - if sum > 0 { 1.0 } else { 0.0 };
            sum = sum.saturating_add(one.values[at]);
            let upper = y(sum).min(lower - 1.0);
            bar(&mut paths[number].1, x, pitch - gap, lower, upper, last == Some(number));
        }
    }
    let middle = |at: usize| left + pitch * (at as f64 + 0.5);
    Drawing {
        form,
        rows: steps.iter().map(|&n| Tick { at: y(n), label: compact(n) }).collect(),
        columns: buckets.labels(form.labels).into_iter().map(|(at, label)| Tick { at: middle(at), label }).collect(),
        paths,
        slots: (0..buckets.count).map(|at| (left + pitch * at as f64, pitch)).collect(),
        base,
        right: left + width,
    }
}

fn bar(path: &mut String, x: f64, width: f64, lower: f64, upper: f64, rounded: bool) {
    let r = if rounded { ROUND.min(width / 2.0).min(lower - upper) } else { 0.0 };
    let written = write!(
        path,
        "M{x:.1} {lower:.1}V{:.1}q0-{r:.1} {r:.1}-{r:.1}H{:.1}q{r:.1} 0 {r:.1} {r:.1}V{lower:.1}z",
        upper + r,
        x + width - r
    );
    written.expect("String");
}

#[cfg(test)]
mod tests {
    use super::super::FULL;
    use super::*;

    #[test]
    fn bars_stand_on_one_another_within_the_drawing() {
        let buckets = Buckets { from: 0, step: 3_600_000, count: 2 };
        let one = |label: &str, slot, values: [u64; 2]| Series { label: label.into(), slot, values: values.into() };
        let plot = Stacked::new(
            "p",
            "Attacks",
            buckets,
            vec![one("a", 1, [3, 0]), one("b", 2, [1, 9]), one("c", 3, [0, 0])],
            FULL,
        );
        assert_eq!(plot.series.len(), 2, "an empty series has no place in the legend");
        assert_eq!(plot.series[0].label, "a", "in the order of the palette");
        assert!(plot.summary.starts_with("13 in all"));
        assert_eq!(plot.drawings.len(), FULL.len());
        let html = plot.to_string();
        assert!(html.contains("<title id=\"p-wide-t\">Attacks</title>") && !html.contains("NaN"), "{html}");
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        let plot = Stacked::new("p", "x", Buckets { from: 0, step: 1, count: 0 }, vec![], FULL);
        assert!(plot.is_empty() && !plot.to_string().contains("NaN"));
    }
}
