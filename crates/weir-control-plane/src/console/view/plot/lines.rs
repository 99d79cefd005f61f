//! Lines over time, the first one with its area filled when it is alone.

use super::stacked::Tick;
use super::{Buckets, Form, MARGIN, Series, scale};
use askama::Template;
use std::fmt::Write as _;

/// One form, drawn.
#[derive(Debug)]
pub struct Drawing {
    /// Measures.
    pub form: Form,
    /// Horizontal lines.
    pub rows: Vec<Tick>,
    /// Labels below.
    pub columns: Vec<Tick>,
    /// Colour slot and path of each line.
    pub paths: Vec<(u8, String)>,
    /// Colour slot and path of the area below a single line.
    pub area: Option<(u8, String)>,
    /// Left edge and width of each bucket, for pointing at.
    pub slots: Vec<(f64, f64)>,
    /// The base line.
    pub base: f64,
    /// Right end of the lines.
    pub right: f64,
}

/// The plot.
#[derive(Debug, Template)]
#[template(path = "plot/lines.html")]
pub struct Lines {
    /// Distinguishes it from other plots of a page.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// In a sentence.
    pub summary: String,
    /// Series in order.
    pub series: Vec<Series>,
    /// Time.
    pub buckets: Buckets,
    /// Wide and narrow.
    pub drawings: Vec<Drawing>,
    format: fn(u64) -> String,
}

// Made of numbers and of texts that its template escapes.
impl askama::filters::HtmlSafe for Lines {}

impl Lines {
    /// Draws `series`, each with a value for each bucket, written by `format`. Of several lines, 0 is no value.
    pub fn new(
        id: &'static str,
        title: impl Into<String>,
        buckets: Buckets,
        series: Vec<Series>,
        forms: [Form; 2],
        format: fn(u64) -> String,
    ) -> Self {
        let peak = |s: &Series| s.values.iter().copied().max().unwrap_or(0);
        let parts: Vec<String> = series.iter().map(|s| format!("{}: at most {}", s.label, format(peak(s)))).collect();
        let span = format!("{} to {} UTC", buckets.title(0), buckets.title(buckets.count.saturating_sub(1)));
        let summary = format!("{span}. {}", parts.join(", "));
        let drawings = forms.iter().map(|form| draw(*form, &buckets, &series, format)).collect();
        Self { id, title: title.into(), summary, series, buckets, drawings, format }
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|s| s.values.iter().all(|&n| n == 0))
    }

    /// The same numbers as a table.
    pub fn rows(&self) -> Vec<super::Row> {
        super::rows(&self.buckets, &self.series, self.format)
    }
}

/// Width of a value without neighbours.
const LONELY: f64 = 8.0;

fn draw(form: Form, buckets: &Buckets, series: &[Series], format: fn(u64) -> String) -> Drawing {
    let (left, right, top, bottom) = MARGIN;
    let (width, height) = (form.width - left - right, form.height - top - bottom);
    let max = series.iter().flat_map(|s| s.values.iter().copied()).max().unwrap_or(0);
    let (limit, steps) = scale::axis(max, 4);
    let base = top + height;
    let y = |n: u64| base - height * n as f64 / limit as f64;
    let pitch = width / buckets.count.max(1) as f64;
    let middle = |at: usize| left + pitch * (at as f64 + 0.5);
    let gaps = series.len() > 1;
    let line = |s: &Series| {
        let mut path = String::new();
        let mut pen = false;
        let values = &s.values[..s.values.len().min(buckets.count)];
        let shown = |at: Option<usize>| at.and_then(|at| values.get(at)).is_some_and(|&n| n > 0 || !gaps);
        for (at, &n) in values.iter().enumerate() {
            if n == 0 && gaps {
                pen = false;
                continue;
            }
            let verb = if pen { 'L' } else { 'M' };
            pen = true;
            if !shown(at.checked_sub(1)) && !shown(Some(at + 1)) {
                // A value without neighbours, as of the first hour: no line would be seen.
                write!(path, "M{:.1} {:.1}h{LONELY}", middle(at) - LONELY / 2.0, y(n)).expect("String");
                continue;
            }
            write!(path, "{verb}{:.1} {:.1}", middle(at), y(n)).expect("String");
        }
        path
    };
    let area = (series.len() == 1 && buckets.count > 0).then(|| {
        let end = middle(buckets.count - 1);
        (series[0].slot, format!("{}L{end:.1} {base:.1}L{:.1} {base:.1}z", line(&series[0]), middle(0)))
    });
    Drawing {
        form,
        rows: steps.iter().map(|&n| Tick { at: y(n), label: format(n) }).collect(),
        columns: buckets.labels(form.labels).into_iter().map(|(at, label)| Tick { at: middle(at), label }).collect(),
        paths: series.iter().map(|s| (s.slot, line(s))).collect(),
        area,
        slots: (0..buckets.count).map(|at| (left + pitch * at as f64, pitch)).collect(),
        base,
        right: left + width,
    }
}

#[cfg(test)]
mod tests {
    use super::super::HALF;
    use super::*;
    use crate::console::view::number::compact;

    #[test]
    fn a_value_without_neighbours_is_seen() {
        let buckets = Buckets { from: 0, step: 3_600_000, count: 4 };
        let of = |values: &[u64]| Series { label: "r".into(), slot: 1, values: values.to_vec() };
        let series = vec![of(&[0, 0, 0, 9]), of(&[0, 4, 4, 0])];
        let plot = Lines::new("l", "Inspection time", buckets, series, HALF, compact);
        let paths = &plot.drawings[0].paths;
        assert!(paths[0].1.starts_with('M') && paths[0].1.ends_with("h8"), "{paths:?}");
        assert!(paths[1].1.contains('L') && !paths[1].1.contains('h'), "{paths:?}");
    }

    #[test]
    fn lines_stay_within_the_drawing() {
        let buckets = Buckets { from: 0, step: 60_000, count: 3 };
        let values = vec![0, 5, u64::MAX / 32];
        let plot =
            Lines::new("l", "Requests", buckets, vec![Series { label: "r".into(), slot: 1, values }], HALF, compact);
        let html = plot.to_string();
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        assert!(plot.drawings[0].area.is_some());
        assert_eq!(plot.rows().iter().map(|row| row.at).collect::<Vec<_>>(), [2, 1]);
    }
}
