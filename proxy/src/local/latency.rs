//! LATENCY: what was slow, and how long commands take.

use commands::{ProxyCommand, Spec, table};
use resp::Reply;

use super::{Outcome, syntax_error};
use crate::{
    execute::Front,
    latency::{Sample, Series},
    settings::Number,
    shared::Shared,
    stats::{Durations, durations},
};

pub fn run(front: &Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let shared = &front.conn.worker.shared;
    match command {
        P::LatencyDoctor => Ok(Reply::Verbatim(*b"txt", doctor(shared).into())),
        P::LatencyGraph => graph(shared, args[1]),
        P::LatencyHistogram => Ok(histogram(shared, &args[1..])),
        P::LatencyHistory => Ok(history(shared, args[1])),
        P::LatencyLatest => Ok(latest(shared)),
        P::LatencyReset => Ok(Reply::Int(shared.latency.lock().reset(&args[1..]) as i64)),
        _ => Err(syntax_error()),
    }
}

fn numbers<const N: usize>(numbers: [u64; N]) -> impl Iterator<Item = Reply> {
    numbers.into_iter().map(|number| Reply::Int(number as i64))
}

fn history(shared: &Shared, event: &[u8]) -> Reply {
    let latency = shared.latency.lock();
    let pair = |sample: Sample| Reply::Array(numbers([sample.time_s, sample.latency_ms]).collect());
    Reply::Array(latency.series(event).into_iter().flat_map(Series::samples).map(pair).collect())
}

fn latest(shared: &Shared) -> Reply {
    let latency = shared.latency.lock();
    let row = |(event, series): (&str, &Series)| {
        let Sample { time_s, latency_ms } = series.latest();
        let figures = numbers([time_s, latency_ms, series.worst_ms]);
        Reply::Array(std::iter::once(Reply::bulk(event)).chain(figures).collect())
    };
    Reply::Array(latency.all().map(row).collect())
}

/// Of the named commands, or of all; those that were not executed are left out.
fn histogram(shared: &Shared, names: &[&[u8]]) -> Reply {
    let is_wanted = |spec: &Spec| {
        let container = spec.full_name.split('|').next().unwrap_or_default();
        let is = |name: &&[u8], known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        !spec.internal
            && (names.is_empty() || names.iter().any(|n| is(n, spec.full_name) || is(n, container)))
    };
    let known = table::all().filter(|spec| is_wanted(spec));
    let described = known.filter_map(|spec| Some((spec, durations(&shared.stats, spec)?)));
    Reply::Map(
        described.map(|(spec, durations)| (Reply::bulk(spec.full_name), described_by(&durations))).collect(),
    )
}

fn described_by(durations: &Durations) -> Reply {
    let steps = durations.doubling().into_iter();
    let steps = steps.map(|(limit, count)| (Reply::Int(limit as i64), Reply::Int(count as i64))).collect();
    Reply::Map(vec![
        (Reply::bulk("calls"), Reply::Int(durations.total as i64)),
        (Reply::bulk("histogram_usec"), Reply::Map(steps)),
    ])
}

fn graph(shared: &Shared, event: &[u8]) -> Outcome {
    let latency = shared.latency.lock();
    let now_s = shared.env.clock.now_ms() / 1000;
    let found = latency.all().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event));
    let (event, series) = found.ok_or_else(|| {
        let event = String::from_utf8_lossy(event);
        Reply::error(format!("ERR No samples available for event '{event}'"))
    })?;
    Ok(Reply::Verbatim(*b"txt", drawn(event, series, now_s).into()))
}

/// One column a sample, and below it how long ago it was.
fn drawn(event: &str, series: &Series, now_s: u64) -> String {
    const ROWS: u64 = 4;
    const WIDTH: usize = 80;
    let samples: Vec<Sample> = series.samples().collect();
    let of = |pick: fn(u64, u64) -> u64| samples.iter().map(|s| s.latency_ms).reduce(pick).unwrap_or(0);
    let (high, low) = (of(u64::max), of(u64::min));
    let worst = series.worst_ms;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {worst} ms)\n");
    text += &"-".repeat(WIDTH);
    text.push('\n');
    // From 1 to the number of rows.
    let height = |ms: u64| 1 + (ms - low) * (ROWS - 1) / (high - low).max(1);
    let samples = &samples[samples.len().saturating_sub(WIDTH)..];
    for row in (1..=ROWS).rev() {
        let mark = |sample: &Sample| match height(sample.latency_ms) {
            top if top == row => '#',
            top if top > row => '|',
            _ => ' ',
        };
        text.extend(samples.iter().map(mark));
        text.push('\n');
    }
    let labels: Vec<String> = samples.iter().map(|s| ago(now_s.saturating_sub(s.time_s))).collect();
    let depth = labels.iter().map(String::len).max().unwrap_or(0);
    text.push('\n');
    for line in 0..depth {
        text.extend(labels.iter().map(|label| label.as_bytes().get(line).map_or(' ', |&b| char::from(b))));
        text.push('\n');
    }
    text
}

fn ago(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    match units.iter().find(|(size, _)| seconds >= *size) {
        Some((size, unit)) => format!("{}{unit}", seconds / size),
        None => format!("{seconds}s"),
    }
}

fn doctor(shared: &Shared) -> String {
    let threshold_ms = shared.settings.number(Number::LatencyThresholdMs);
    if threshold_ms == 0 {
        return "Nothing is watched: \"CONFIG SET latency-monitor-threshold <milliseconds>\" begins to remember \
                commands that take longer.\n"
            .to_owned();
    }
    let latency = shared.latency.lock();
    let mut text: String = latency.all().map(|(event, series)| diagnosed(event, series)).collect();
    if text.is_empty() {
        return format!("No command took {threshold_ms} ms or longer since the last LATENCY RESET.\n");
    }
    text += "\nA command takes from the moment it was read to the moment its reply was there, waiting for its \
             group included. SLOWLOG GET tells which commands they were; the figures of the storage nodes tell \
             whether disks, elections or moves of slots made them wait.\n";
    text
}

fn diagnosed(event: &str, series: &Series) -> String {
    let samples: Vec<Sample> = series.samples().collect();
    let count = samples.len().max(1) as u64;
    let mean = samples.iter().map(|s| s.latency_ms).sum::<u64>() / count;
    let deviation = samples.iter().map(|s| s.latency_ms.abs_diff(mean)).sum::<u64>() / count;
    let span_s = samples.last().zip(samples.first()).map_or(0, |(last, first)| last.time_s - first.time_s);
    format!(
        "{event}: {} spikes, {mean} ms on average (mean deviation {deviation} ms), one every {} s; worst {} ms.\n",
        samples.len(),
        span_s / count,
        series.worst_ms,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    #[test]
    fn a_graph_has_a_column_for_each_sample() {
        let mut latency = Latency::default();
        for (time_s, latency_ms) in [(10, 300), (3000, 500), (3595, 400)] {
            latency.push("command", Sample { time_s, latency_ms });
        }
        let text = drawn("command", latency.series(b"command").unwrap(), 3600);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "command - high 500 ms, low 300 ms (all time high 500 ms)");
        assert_eq!(lines[2..6], [" # ", " | ", " |#", "#||"]);
        assert_eq!(lines[7..], ["515", "90s", "mm "]);
    }

    #[test]
    fn one_sample_is_drawn_too() {
        let mut latency = Latency::default();
        latency.push("command", Sample { time_s: 10, latency_ms: 3 });
        assert!(drawn("command", latency.series(b"command").unwrap(), 10).contains("\n#\n"));
    }
}
