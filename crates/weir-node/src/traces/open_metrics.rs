//! The text of `/metrics` as metrics of OTLP. It is our own text, so what is not understood is a defect: it is left out and
//! counted.

use super::metrics_proto::{CUMULATIVE, Data, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum};
use super::proto::{AnyValue, KeyValue, any_value::Value};

/// When values were counted, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Since when.
    pub start: u64,
    /// Until when.
    pub now: u64,
}

/// A line with a value.
struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: f64,
}

/// The metrics of `text`, and how many of its lines were not understood.
pub(super) fn read(text: &str, times: Times) -> (Vec<Metric>, usize) {
    let (mut all, mut kind, mut odd): (Vec<Metric>, &str, usize) = (Vec::new(), "", 0);
    for line in text.lines().filter(|line| !line.is_empty() && *line != "# EOF") {
        if let Some((word, name, rest)) = comment(line) {
            if all.last().is_none_or(|metric| metric.name != name) {
                all.push(Metric { name: name.to_owned(), ..Metric::default() });
                kind = "";
            }
            let Some(metric) = all.last_mut() else { continue };
            match word {
                "HELP" => rest.clone_into(&mut metric.description),
                "UNIT" => unit(rest).clone_into(&mut metric.unit),
                _ => kind = rest,
            }
            continue;
        }
        let metric = all.last_mut().zip(sample(line)).filter(|(metric, sample)| sample.name.starts_with(&metric.name));
        match metric {
            Some((metric, sample)) => add(metric, kind, sample, times),
            None => odd += 1,
        }
    }
    all.retain(|metric| metric.data.is_some());
    all.iter_mut().for_each(finish);
    (all, odd)
}

/// OTLP has units as UCUM writes them; OpenMetrics has words.
fn unit(word: &str) -> &str {
    match word {
        "seconds" => "s",
        "bytes" => "By",
        "ratios" => "1",
        word => word,
    }
}

/// `# TYPE name rest`
fn comment(line: &str) -> Option<(&str, &str, &str)> {
    let mut parts = line.strip_prefix("# ")?.splitn(3, ' ');
    Some((parts.next()?, parts.next()?, parts.next().unwrap_or_default()))
}

/// `name{label="value"} 1.5`
fn sample(line: &str) -> Option<Sample<'_>> {
    let at = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(at);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.trim_start_matches(','), value));
            rest = after;
        }
        rest = &rest[1..];
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut out, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

fn attributes(labels: Vec<(&str, String)>) -> Vec<KeyValue> {
    let value = |text| Some(AnyValue { value: Some(Value::String(text)) });
    labels.into_iter().map(|(key, text)| KeyValue { key: key.to_owned(), value: value(text) }).collect()
}

fn add(metric: &mut Metric, kind: &str, sample: Sample<'_>, times: Times) {
    if kind == "histogram" {
        let histogram = Histogram { data_points: Vec::new(), aggregation_temporality: CUMULATIVE };
        if let Data::Histogram(all) = metric.data.get_or_insert(Data::Histogram(histogram)) {
            distribution(&mut all.data_points, &metric.name, sample, times);
        }
        return;
    }
    let point = NumberDataPoint {
        start_time_unix_nano: if kind == "counter" { times.start } else { 0 },
        time_unix_nano: times.now,
        as_double: sample.value,
        attributes: attributes(sample.labels),
    };
    let empty = if kind == "counter" {
        Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality: CUMULATIVE, is_monotonic: true })
    } else {
        Data::Gauge(Gauge::default())
    };
    match metric.data.get_or_insert(empty) {
        Data::Sum(Sum { data_points, .. }) | Data::Gauge(Gauge { data_points }) => data_points.push(point),
        Data::Histogram(_) => {}
    }
}

/// Adds a line of a histogram to its point. Counts of bounds stay as they are in the text, each with those below, until
/// [`finish`].
fn distribution(points: &mut Vec<HistogramDataPoint>, name: &str, sample: Sample<'_>, times: Times) {
    let (bounds, labels): (Vec<_>, Vec<_>) = sample.labels.into_iter().partition(|(label, _)| *label == "le");
    let attributes = attributes(labels);
    let at = points.iter().position(|point| point.attributes == attributes).unwrap_or_else(|| {
        let (start_time_unix_nano, time_unix_nano) = (times.start, times.now);
        let more = HistogramDataPoint::default();
        points.push(HistogramDataPoint { start_time_unix_nano, time_unix_nano, attributes, ..more });
        points.len() - 1
    });
    let point = &mut points[at];
    match sample.name.strip_prefix(name) {
        Some("_sum") => point.sum = Some(sample.value),
        Some("_count") => point.count = sample.value as u64,
        _ => {
            point.bucket_counts.push(sample.value as u64);
            let bound = bounds.first().and_then(|(_, bound)| bound.parse::<f64>().ok());
            point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
        }
    }
}

fn finish(metric: &mut Metric) {
    let Some(Data::Histogram(Histogram { data_points, .. })) = &mut metric.data else { return };
    for counts in data_points.iter_mut().map(|point| &mut point.bucket_counts) {
        for at in (1..counts.len()).rev() {
            counts[at] = counts[at].saturating_sub(counts[at - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge as PromGauge;
    use prometheus_client::metrics::histogram::Histogram as PromHistogram;
    use prometheus_client::registry::{Registry, Unit};

    const TIMES: Times = Times { start: 1, now: 2 };

    #[test]
    fn every_kind_of_metric_is_read() {
        let mut registry = Registry::with_prefix("weir");
        let calls: Family<Vec<(String, String)>, Counter> = Family::default();
        let odd = "a \"quoted\" \\ value,\nwith={lines}";
        calls.get_or_create(&vec![("route".into(), odd.into()), ("by".into(), "x".into())]).inc_by(3);
        let (gauge, seconds) = (PromGauge::<i64>::default(), PromHistogram::new([0.1, 1.0]));
        gauge.set(-7);
        [0.05, 0.5, 0.7, 5.0].into_iter().for_each(|value| seconds.observe(value));
        registry.register("calls", "Calls, by route.", calls);
        registry.register("held", "Bytes held.", gauge);
        registry.register_with_unit("wait", "Time.", Unit::Seconds, seconds);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let (all, left) = read(&text, TIMES);
        assert_eq!((all.len(), left), (3, 0), "{text}");
        let Some(Data::Sum(sum)) = &all[0].data else { panic!("{all:?}") };
        assert_eq!((all[0].name.as_str(), sum.is_monotonic, sum.data_points[0].as_double), ("weir_calls", true, 3.0));
        assert_eq!(sum.data_points[0].start_time_unix_nano, 1);
        assert!(all[0].description.starts_with("Calls, by route."));
        let Some(AnyValue { value: Some(Value::String(route)) }) = &sum.data_points[0].attributes[0].value else {
            panic!("{all:?}")
        };
        assert_eq!(route, odd);
        let Some(Data::Gauge(gauge)) = &all[1].data else { panic!("{all:?}") };
        assert_eq!(gauge.data_points[0].as_double, -7.0);
        let Some(Data::Histogram(waits)) = &all[2].data else { panic!("{all:?}") };
        let point = &waits.data_points[0];
        assert_eq!((all[2].unit.as_str(), point.count, point.sum), ("s", 4, Some(6.25)));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2, 1][..], &[0.1, 1.0][..]));
    }

    #[test]
    fn what_is_not_understood_is_counted() {
        let (all, left) = read("x 1\n# TYPE a gauge\na{b=\"c 1\nb 2\na 3\n# EOF\n", TIMES);
        assert_eq!((all.len(), left), (1, 3));
    }
}
