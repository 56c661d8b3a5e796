//! What INFO tells about commands, their errors and how long they took.

use commands::{Spec, table};

use super::Fields;
use crate::{
    settings::Number,
    shared::Shared,
    stats::{durations, errors as error_counts, percent_shown, total},
};

fn specs() -> impl Iterator<Item = &'static Spec> {
    table::all().filter(|spec| !spec.internal)
}

pub fn calls(shared: &Shared) -> Fields {
    let described = |spec: &'static Spec| {
        let total = total(&shared.stats, spec);
        if total.calls + total.rejected + total.failed == 0 {
            return None;
        }
        let per_call = if total.calls == 0 { 0.0 } else { total.usec as f64 / total.calls as f64 };
        let text = format!(
            "calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
            total.calls, total.usec, total.rejected, total.failed
        );
        Some((format!("cmdstat_{}", spec.full_name), text))
    };
    specs().filter_map(described).collect()
}

pub fn errors(shared: &Shared) -> Fields {
    let by_code = error_counts(&shared.stats).by_code.into_iter();
    by_code.map(|(code, count)| (format!("errorstat_{code}"), format!("count={count}"))).collect()
}

/// Nothing unless durations are tracked.
pub fn latencies(shared: &Shared) -> Fields {
    if shared.settings.number(Number::LatencyTracking) == 0 {
        return Vec::new();
    }
    let percentiles = shared.settings.percentiles.get();
    let described = |spec: &'static Spec| {
        let durations = durations(&shared.stats, spec)?;
        let shown = |&percent: &f64| {
            format!("p{}={:.3}", percent_shown(percent), durations.percentile(percent) as f64)
        };
        let text = percentiles.iter().map(shown).collect::<Vec<_>>().join(",");
        Some((format!("latency_percentiles_usec_{}", spec.full_name), text))
    };
    specs().filter_map(described).collect()
}
