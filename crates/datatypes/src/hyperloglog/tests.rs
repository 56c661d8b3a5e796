//! The encodings, against one another and against random bytes.

use proptest::prelude::*;

use super::*;

fn with(elements: std::ops::Range<u64>, sparse_bytes_max: usize) -> HyperLogLog {
    let mut log = HyperLogLog::default();
    for element in elements {
        log.add(&element.to_le_bytes(), sparse_bytes_max).unwrap();
    }
    log
}

fn registers(log: &HyperLogLog) -> Registers {
    log.sketch().registers().unwrap()
}

#[test]
fn hashes_are_those_of_redis() {
    // From a real server: the only register that PFADD of one element changes.
    for (element, index, count) in [("a", 12_711, 2), ("b", 15_780, 1), ("hello world", 9399, 4)] {
        let hash = hash::murmur64a(element.as_bytes());
        assert_eq!((position(hash), run_of_zeros(hash)), (index, count), "{element}");
    }
    assert_eq!(run_of_zeros(0), 51);
}

#[test]
fn the_estimate_stays_within_its_error() {
    let mut log = HyperLogLog::default();
    let mut added = 0u64;
    for checkpoint in [10u64, 100, 1000, 10_000, 100_000, 1_000_000] {
        while added < checkpoint {
            log.add(&added.to_le_bytes(), SPARSE_BYTES_MAX).unwrap();
            added += 1;
        }
        let estimate = log.sketch().estimate().unwrap();
        assert!(self_test::is_near(estimate, checkpoint), "{checkpoint} estimated as {estimate}");
    }
}

#[test]
fn the_self_test_finds_nothing() {
    assert_eq!(self_test(), Ok(()));
}

#[test]
fn both_encodings_hold_the_same() {
    for count in [0, 1, 10, 500, 1500] {
        let sparse = with(0..count, 1 << 20);
        let dense = with(0..count, 0);
        assert!(!sparse.sketch().is_dense() && (dense.sketch().is_dense() || count == 0));
        assert_eq!(registers(&sparse), registers(&dense));
        assert_eq!(sparse.sketch().estimate(), dense.sketch().estimate());
        let mut converted = sparse;
        converted.make_dense().unwrap();
        assert_eq!(registers(&converted), registers(&dense));
        assert_eq!(estimate(&registers(&dense)), dense.sketch().estimate().unwrap());
    }
}

#[test]
fn sparse_values_stay_below_the_limit() {
    let mut log = HyperLogLog::default();
    assert_eq!(log.sketch().value.len(), 18);
    for element in 0..10_000u64 {
        log.add(&element.to_le_bytes(), SPARSE_BYTES_MAX).unwrap();
        assert!(log.sketch().is_dense() || log.sketch().value.len() <= SPARSE_BYTES_MAX);
    }
    assert!(log.sketch().is_dense());
}

#[test]
fn a_count_beyond_32_makes_it_dense() {
    let mut log = HyperLogLog::default();
    assert_eq!(log.raise(7, 32, SPARSE_BYTES_MAX), Ok(true));
    assert!(!log.sketch().is_dense());
    assert_eq!(log.raise(7, 33, SPARSE_BYTES_MAX), Ok(true));
    assert!(log.sketch().is_dense());
    assert_eq!(registers(&log)[7], 33);
    assert_eq!(log.raise(REGISTERS - 1, 51, SPARSE_BYTES_MAX), Ok(true));
    assert_eq!(log.raise(REGISTERS - 1, 50, SPARSE_BYTES_MAX), Ok(false));
    assert_eq!(registers(&log)[REGISTERS - 1], 51);
}

#[test]
fn a_kept_estimate_is_told_until_the_next_change() {
    let mut log = HyperLogLog::default();
    assert_eq!(log.sketch().cached(), Some(0));
    log.cache(42);
    assert_eq!(log.sketch().cached(), Some(42));
    log.forget_estimate();
    assert_eq!(log.sketch().cached(), None);
    assert_eq!(log.sketch().value[CACHED_AT..HEADER_BYTES], [42, 0, 0, 0, 0, 0, 0, 0x80]);
}

#[test]
fn what_is_no_hyperloglog_is_refused() {
    let empty = HyperLogLog::default().into_value();
    let dense = with(0..1, 0).into_value();
    for bad in [
        &b""[..],
        b"HYLL",
        &empty[..15],
        &dense[..dense.len() - 1],
        b"HYLL\x02           ",
        b"hyll\x01           ",
    ] {
        assert_eq!(Sketch::parse(bad).unwrap_err(), HllError::Invalid, "{bad:?}");
    }
    let headless = Sketch::parse(&empty[..16]).unwrap();
    assert_eq!(headless.estimate(), Err(HllError::Corrupt));
    assert_eq!(headless.edit().add(b"x", SPARSE_BYTES_MAX), Err(HllError::Corrupt));
    // One register too many, and one behind the last.
    for tail in [&[0x7F, 0xFF, 0x00][..], &[0x7F, 0xFF, 0x80]] {
        let value = [&empty[..16], tail].concat();
        let sketch = Sketch::parse(&value).unwrap();
        assert_eq!(sketch.estimate(), Err(HllError::Corrupt));
        assert_eq!(sketch.merge_into(&mut [0; REGISTERS]), Err(HllError::Corrupt));
    }
}

#[test]
fn a_cut_opcode_is_read_but_not_changed() {
    // One register, and 16,129 or more.
    let value = [&HyperLogLog::default().value[..HEADER_BYTES], &[0x80, 0x7F]].concat();
    let mut log = Sketch::parse(&value).unwrap().edit();
    assert_eq!(log.sketch().describe().unwrap(), "v:1,1 Z:16129");
    assert_eq!(log.raise(1, 1, SPARSE_BYTES_MAX), Err(HllError::Corrupt));
    assert_eq!(log.raise(16_129, 1, SPARSE_BYTES_MAX), Err(HllError::Corrupt));
    assert_eq!(log.value, value);
    assert_eq!(log.raise(0, 2, SPARSE_BYTES_MAX), Ok(true));
    assert_eq!(log.sketch().describe().unwrap(), "v:2,1 Z:16129");
}

fn raises() -> impl Strategy<Value = Vec<(usize, u8)>> {
    // Close together, so that runs are split and joined.
    let index = prop_oneof![3 => 0..40usize, 1 => 0..REGISTERS, 1 => Just(REGISTERS - 1)];
    prop::collection::vec((index, 1..=4u8), 1..200)
}

proptest! {
    #[test]
    fn sparse_changes_are_those_of_an_array(raises in raises()) {
        let mut log = HyperLogLog::default();
        let mut model = [0; REGISTERS];
        for (index, count) in raises {
            prop_assert_eq!(log.raise(index, count, SPARSE_BYTES_MAX), Ok(model[index] < count));
            model[index] = count.max(model[index]);
        }
        prop_assert!(!log.sketch().is_dense());
        prop_assert!(registers(&log) == model);
        log.make_dense().unwrap();
        prop_assert!(registers(&log) == model);
    }

    #[test]
    fn any_opcodes_are_read_and_changed_without_panic(opcodes in prop::collection::vec(any::<u8>(), 0..200), added in any::<[u64; 8]>()) {
        let mut value = HyperLogLog::default().into_value();
        value.truncate(HEADER_BYTES);
        value.extend(opcodes);
        let sketch = Sketch::parse(&value).unwrap();
        let _ = sketch.estimate();
        let mut log = sketch.edit();
        for element in added {
            let _ = log.add(&element.to_le_bytes(), SPARSE_BYTES_MAX);
        }
        let _ = log.make_dense();
        prop_assert!(Sketch::parse(&log.value).is_ok());
    }

    #[test]
    fn any_dense_registers_are_read_and_changed_without_panic(noise in any::<[u8; 32]>(), added in any::<[u64; 8]>()) {
        let mut log = with(0..1, 0);
        let len = log.value.len();
        log.value[HEADER_BYTES..].iter_mut().zip(noise.iter().cycle()).for_each(|(byte, noise)| *byte = *noise);
        let before = registers(&log);
        log.sketch().estimate().unwrap();
        for element in added {
            log.add(&element.to_le_bytes(), SPARSE_BYTES_MAX).unwrap();
        }
        prop_assert_eq!(log.value.len(), len);
        prop_assert!(registers(&log).iter().zip(before).all(|(new, old)| *new >= old));
    }
}
