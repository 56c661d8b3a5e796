//! SSCAN.

use datatypes::Kv;
use resp::Reply;

use super::super::{Outcome, elements};
use super::members;
use crate::{Args, Cx};

/// SSCAN key cursor [MATCH pattern] [COUNT n]
pub fn sscan(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let open = |kv: &mut dyn Kv| members(kv, args, cx);
    elements::scan(kv, args, open, |member| [Reply::Bulk(member.name)])
}
