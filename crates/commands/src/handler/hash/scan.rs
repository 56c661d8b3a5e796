//! HSCAN.

use datatypes::Kv;
use resp::Reply;

use super::super::{Outcome, elements};
use super::fields;
use crate::{Args, Cx};

/// HSCAN key cursor [MATCH pattern] [COUNT n]
pub fn hscan(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let open = |kv: &mut dyn Kv| fields(kv, args, cx);
    elements::scan(kv, args, open, |field| [Reply::Bulk(field.name), Reply::Bulk(field.value)])
}
