//! What PFSELFTEST looks at.

use super::{HllError, HyperLogLog, REGISTERS, SPARSE_BYTES_MAX, estimate};

const ELEMENTS: u64 = 20_000;

/// Why HyperLogLogs are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{count} elements were counted as {estimate}")]
    Estimate { count: u64, estimate: u64 },
    #[error("{count} elements differ in their encodings")]
    Encoding { count: u64 },
    #[error(transparent)]
    Value(#[from] HllError),
}

/// Counts more and more elements, in both encodings.
pub fn self_test() -> Result<(), Fault> {
    let (mut compact, mut dense) = (HyperLogLog::default(), HyperLogLog::default());
    dense.make_dense()?;
    for count in 1..=ELEMENTS {
        let element = count.to_le_bytes();
        if compact.add(&element, SPARSE_BYTES_MAX)? != dense.add(&element, SPARSE_BYTES_MAX)? {
            return Err(Fault::Encoding { count });
        }
        if count.is_power_of_two() || count == ELEMENTS {
            check(count, &compact, &dense)?;
        }
    }
    Ok(())
}

fn check(count: u64, compact: &HyperLogLog, dense: &HyperLogLog) -> Result<(), Fault> {
    let registers = dense.sketch().registers()?;
    if compact.sketch().registers()? != registers || compact.sketch().estimate()? != estimate(&registers) {
        return Err(Fault::Encoding { count });
    }
    let estimate = estimate(&registers);
    if is_near(estimate, count) { Ok(()) } else { Err(Fault::Estimate { count, estimate }) }
}

/// Whether an estimate is within six standard errors (of 1.04 / sqrt(m)) of the true count.
pub(super) fn is_near(estimate: u64, count: u64) -> bool {
    let error = 1.04 / (REGISTERS as f64).sqrt();
    estimate.abs_diff(count) as f64 <= (6.0 * error * count as f64).ceil()
}
