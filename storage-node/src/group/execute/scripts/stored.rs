//! The scripts that a group has stored, by digest: those of SCRIPT LOAD, and those that EVAL brought. They
//! are a cache that outlives leaders: when there are too many, the oldest go.
//!
//! ```text
//! FF 04 01  digest in hexadecimal  →  number:u64be  the script
//! FF 04 02  number:u64be           →  digest                        in the order of their coming
//! FF 04 03                         →  scripts:u64be  bytes:u64be  next number:u64be
//! ```

use std::{collections::HashSet, ops::ControlFlow};

use bytes::Bytes;
use datatypes::kv::{Kv, KvMut, StoreError};

const PREFIX: [u8; 2] = [0xFF, 0x04];
const PREFIX_END: [u8; 2] = [0xFF, 0x05];
const BODY: u8 = 0x01;
const ORDER: u8 = 0x02;
const TOTALS: u8 = 0x03;
const NUMBER_BYTES: usize = 8;

/// Scripts that a group stores.
const SCRIPTS_MAX: u64 = 4096;
/// Bytes of them.
const SCRIPTS_BYTES_MAX: u64 = 32 << 20;

/// Digests of scripts that are stored for certain, or will be with an entry of this leadership.
#[derive(Default)]
pub struct Known(HashSet<String>);

#[derive(Default)]
struct Totals {
    scripts: u64,
    bytes: u64,
    next: u64,
}

impl Known {
    /// Stores a script unless it is stored, or no script of this length can be.
    pub fn keep(&mut self, view: &mut dyn KvMut, digest: &str, body: &[u8]) -> Result<(), StoreError> {
        let length = body.len() as u64;
        if self.0.contains(digest) || length > SCRIPTS_BYTES_MAX {
            return Ok(());
        }
        if view.as_kv().get(&body_key(digest.as_bytes()))?.is_none() {
            let mut totals = totals(view.as_kv())?;
            while totals.scripts >= SCRIPTS_MAX || totals.bytes + length > SCRIPTS_BYTES_MAX {
                if !self.drop_oldest(view, &mut totals)? {
                    break;
                }
            }
            let number = totals.next.to_be_bytes();
            view.put(body_key(digest.as_bytes()), [&number, body].concat().into());
            view.put(order_key(number), Bytes::copy_from_slice(digest.as_bytes()));
            totals =
                Totals { scripts: totals.scripts + 1, bytes: totals.bytes + length, next: totals.next + 1 };
            put_totals(view, &totals);
        }
        self.0.insert(digest.to_owned());
        Ok(())
    }

    fn drop_oldest(&mut self, view: &mut dyn KvMut, totals: &mut Totals) -> Result<bool, StoreError> {
        let mut oldest = None;
        view.as_kv().scan(
            &[PREFIX[0], PREFIX[1], ORDER],
            &[PREFIX[0], PREFIX[1], TOTALS],
            &mut |key, digest| {
                oldest = Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(digest)));
                ControlFlow::Break(())
            },
        )?;
        let Some((order, digest)) = oldest else { return Ok(false) };
        let length = script(view.as_kv(), &digest)?.map_or(0, |body| body.len() as u64);
        self.0.remove(&*String::from_utf8_lossy(&digest));
        view.delete(order);
        view.delete(body_key(&digest));
        totals.scripts = totals.scripts.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(length);
        Ok(true)
    }

    pub fn contains(&self, digest: &str) -> bool {
        self.0.contains(digest)
    }

    /// What was not committed is not known: the run that stored it is taken back.
    pub fn forget(&mut self, digest: &str) {
        self.0.remove(digest);
    }

    /// SCRIPT FLUSH
    pub fn drop_all(&mut self, view: &mut dyn KvMut) {
        self.0.clear();
        view.delete_range(Bytes::from_static(&PREFIX), Bytes::from_static(&PREFIX_END));
    }
}

/// The script of a digest, in any case.
pub fn script(view: &mut dyn Kv, digest: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let stored = view.get(&body_key(&digest.to_ascii_lowercase()))?;
    Ok(stored.filter(|stored| stored.len() >= NUMBER_BYTES).map(|stored| stored.slice(NUMBER_BYTES..)))
}

/// How many scripts are stored.
pub fn count(view: &mut dyn Kv) -> Result<u64, StoreError> {
    totals(view).map(|totals| totals.scripts)
}

fn totals(view: &mut dyn Kv) -> Result<Totals, StoreError> {
    let stored = view.get(&totals_key())?.unwrap_or_default();
    let number = |at: usize| {
        let bytes = stored.get(at * NUMBER_BYTES..(at + 1) * NUMBER_BYTES);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
    };
    Ok(Totals { scripts: number(0), bytes: number(1), next: number(2) })
}

fn put_totals(view: &mut dyn KvMut, totals: &Totals) {
    let numbers = [totals.scripts, totals.bytes, totals.next].map(u64::to_be_bytes);
    view.put(totals_key(), numbers.concat().into());
}

fn body_key(digest: &[u8]) -> Bytes {
    [&PREFIX[..], &[BODY], digest].concat().into()
}

fn order_key(number: [u8; NUMBER_BYTES]) -> Bytes {
    [&PREFIX[..], &[ORDER], &number].concat().into()
}

fn totals_key() -> Bytes {
    [&PREFIX[..], &[TOTALS]].concat().into()
}

#[cfg(test)]
mod tests {
    use datatypes::mem::MemKv;

    use super::*;

    fn digest(number: u64) -> String {
        format!("{number:040x}")
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let (mut kv, mut known) = (MemKv::default(), Known::default());
        for number in 0..SCRIPTS_MAX + 10 {
            known.keep(&mut kv, &digest(number), b"return 1").unwrap();
            known.keep(&mut kv, &digest(number), b"return 1").unwrap();
        }
        for (number, there) in [(0, false), (9, false), (10, true), (SCRIPTS_MAX + 9, true)] {
            assert_eq!(script(&mut kv, digest(number).as_bytes()).unwrap().is_some(), there, "{number}");
        }
        assert_eq!(totals(&mut kv).unwrap().scripts, SCRIPTS_MAX);
        let large = vec![b' '; SCRIPTS_BYTES_MAX as usize];
        known.keep(&mut kv, "large", &large).unwrap();
        assert_eq!(totals(&mut kv).unwrap().scripts, 1, "there is room for nothing else");
        known.keep(&mut kv, "larger", &[large, vec![b' ']].concat()).unwrap();
        assert!(script(&mut kv, b"larger").unwrap().is_none());
        known.drop_all(&mut kv);
        assert!(script(&mut kv, b"large").unwrap().is_none());
        known.keep(&mut kv, "large", b"return 2").unwrap();
        assert_eq!(script(&mut kv, b"LARGE").unwrap().unwrap(), "return 2");
    }
}
