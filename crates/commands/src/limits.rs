//! Names of the limits up to which collections, and nodes of streams, stay small, as CONFIG knows them,
//! and their form on the way from proxy to storage node: numbers in the order of [`LIMITS`].

use datatypes::{Limits, ListLimit};

/// One limit.
pub struct Limit {
    pub name: &'static str,
    /// The name it had before Redis 7, still accepted.
    pub alias: Option<&'static str>,
    pub default: i64,
    pub min: i64,
    pub max: i64,
    /// It may be written with units (`1kb`).
    pub is_memory: bool,
    set: fn(&mut Limits, i64),
}

const fn limit(
    name: &'static str,
    alias: Option<&'static str>,
    default: i64,
    set: fn(&mut Limits, i64),
) -> Limit {
    Limit { name, alias, default, min: 0, max: i64::MAX, is_memory: false, set }
}

impl Limit {
    const fn between(mut self, min: i32, max: i32) -> Self {
        self.min = min as i64;
        self.max = max as i64;
        self
    }

    const fn memory(mut self) -> Self {
        self.is_memory = true;
        self
    }
}

fn entries(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn bytes(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// All of them.
pub static LIMITS: [Limit; COUNT] = [
    limit("hash-max-listpack-entries", Some("hash-max-ziplist-entries"), 512, |limits, n| {
        limits.hash.entries = entries(n);
    }),
    limit("hash-max-listpack-value", Some("hash-max-ziplist-value"), 64, |limits, n| {
        limits.hash.value_bytes = bytes(n);
    })
    .memory(),
    limit("set-max-intset-entries", None, 512, |limits, n| limits.set_integers = entries(n)),
    limit("set-max-listpack-entries", None, 128, |limits, n| limits.set.entries = entries(n)),
    limit("set-max-listpack-value", None, 64, |limits, n| limits.set.value_bytes = bytes(n)).memory(),
    limit("zset-max-listpack-entries", Some("zset-max-ziplist-entries"), 128, |limits, n| {
        limits.sorted_set.entries = entries(n);
    }),
    limit("zset-max-listpack-value", Some("zset-max-ziplist-value"), 64, |limits, n| {
        limits.sorted_set.value_bytes = bytes(n);
    })
    .memory(),
    limit("list-max-listpack-size", Some("list-max-ziplist-size"), -2, |limits, n| {
        limits.list = ListLimit::of_option(n);
    })
    .between(i32::MIN, i32::MAX),
    limit("stream-node-max-bytes", None, 4096, |limits, n| limits.stream.node_bytes = entries(n)).memory(),
    limit("stream-node-max-entries", None, 100, |limits, n| limits.stream.node_entries = entries(n)),
    limit("hll-sparse-max-bytes", None, 3000, |limits, n| limits.sparse_log_bytes = bytes(n)).memory(),
];

pub const COUNT: usize = 11;

/// The limits that `numbers` say; what is missing has its default.
pub fn from_numbers(numbers: &[i64]) -> Limits {
    let mut limits = Limits::default();
    for (limit, &number) in LIMITS.iter().zip(numbers) {
        (limit.set)(&mut limits, number.clamp(limit.min, limit.max));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_data_types() {
        let defaults: Vec<i64> = LIMITS.iter().map(|limit| limit.default).collect();
        assert_eq!(from_numbers(&defaults), Limits::default());
        assert_eq!(from_numbers(&[]), Limits::default());
    }

    #[test]
    fn each_limit_is_one_of_its_own() {
        for at in 0..COUNT {
            let mut numbers: Vec<i64> = LIMITS.iter().map(|limit| limit.default).collect();
            numbers[at] = 3;
            assert_ne!(from_numbers(&numbers), Limits::default(), "{}", LIMITS[at].name);
        }
        assert_eq!(from_numbers(&[-5]).hash.entries, 0);
    }
}
