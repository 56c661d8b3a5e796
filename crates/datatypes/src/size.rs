//! How much is stored about a key, for MEMORY USAGE.

use std::ops::ControlFlow;

use crate::collection::Large;
use crate::key;
use crate::kv::{Kv, StoreError};
use crate::record::{Record, Type};

/// Bytes of keys and values in the store: the head record, its entry in the expiry index, and the
/// parts of a large collection. Of one whose elements are a part each, `samples` are measured, and
/// the others are taken to be like them; the parts of others are measured all.
pub fn stored_bytes(
    kv: &mut dyn Kv,
    record: &Record,
    db: u8,
    key: &[u8],
    samples: u64,
) -> Result<u64, StoreError> {
    let head = key::head_buf(db, key);
    let indexed = record.due().map_or(0, |when| key::expiry(when, &head).len());
    let own = (head.len() + record.encode().len() + indexed) as u64;
    let Some(large) = Large::of(record, &head)? else { return Ok(own) };
    let alike = matches!(record.kind, Type::Hash | Type::Set | Type::Stream);
    let limit = if alike { samples } else { u64::MAX };
    let range = key::parts(&head, large.id());
    let (mut seen, mut bytes) = (0u64, 0u64);
    kv.scan(&range.from, &range.to, &mut |stored, value| {
        seen += 1;
        bytes += (stored.len() + value.len()) as u64;
        if seen < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let parts = if seen < limit { seen } else { large.len().max(seen) };
    let estimate = u128::from(bytes) * u128::from(parts) / u128::from(seen.max(1));
    Ok(own.saturating_add(u64::try_from(estimate).unwrap_or(u64::MAX)))
}
