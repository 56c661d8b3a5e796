//! HyperLogLog in Redis's own representation: a string that estimates how many different elements
//! were added to it (Redis `hyperloglog.c`).
//!
//! ```text
//! value    := "HYLL"  encoding:u8  3 × 0  cached:u64le  registers
//! encoding := 0 dense ([`dense`]), 1 sparse ([`sparse`])
//! cached   := the estimate; bit 63: out of date
//! ```
//!
//! Each of 16384 registers holds the longest run of zeros (plus one) seen in the hashes that fall to
//! it. A value starts sparse; it becomes dense when a register passes 32 or when it would grow beyond
//! a size that the caller names, and stays so. Every change is made as Redis makes it, so that the
//! bytes are those of a real server.
//!
//! Values come from clients (SET, RESTORE): whatever is in them, nothing here panics.

mod dense;
mod estimate;
mod hash;
mod self_test;
mod sparse;

use estimate::Histogram;
use hash::{position, run_of_zeros};
pub use self_test::{Fault, self_test};

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Size beyond which a sparse value becomes dense: Redis's default of hll-sparse-max-bytes.
pub const SPARSE_BYTES_MAX: usize = 3000;

/// Bits of a hash that name its register.
const INDEX_BITS: u32 = 14;
const MAGIC: &[u8; 4] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the encoding is told.
const ENCODING_AT: usize = 4;
/// Where the cached estimate begins.
const CACHED_AT: usize = 8;
const HEADER_BYTES: usize = 16;
const OUT_OF_DATE: u64 = 1 << 63;

/// Why a string cannot serve as HyperLogLog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HllError {
    /// It has no header, or the wrong size.
    #[error("not a HyperLogLog")]
    Invalid,
    /// It looks like one, but its registers do not add up.
    #[error("a corrupted HyperLogLog")]
    Corrupt,
}

/// The maximum of several HyperLogLogs, register by register.
pub type Registers = [u8; REGISTERS];

/// A HyperLogLog to read.
#[derive(Debug, Clone, Copy)]
pub struct Sketch<'a> {
    value: &'a [u8],
}

impl<'a> Sketch<'a> {
    /// Checks the header, not the registers.
    pub fn parse(value: &'a [u8]) -> Result<Self, HllError> {
        let encoding = value.get(ENCODING_AT);
        let right_size = match encoding {
            Some(&DENSE) => value.len() == HEADER_BYTES + dense::BYTES,
            Some(&SPARSE) => value.len() >= HEADER_BYTES,
            _ => false,
        };
        if right_size && value.starts_with(MAGIC) { Ok(Self { value }) } else { Err(HllError::Invalid) }
    }

    pub fn is_dense(self) -> bool {
        self.value[ENCODING_AT] == DENSE
    }

    /// What a sparse value consists of, in words.
    pub fn describe(self) -> Option<String> {
        (!self.is_dense()).then(|| sparse::describe(&self.value[HEADER_BYTES..]))
    }

    /// The estimate as of the last change, if it was kept.
    pub fn cached(self) -> Option<u64> {
        let cached = self.value[CACHED_AT..].first_chunk().map_or(OUT_OF_DATE, |le| u64::from_le_bytes(*le));
        (cached & OUT_OF_DATE == 0).then_some(cached)
    }

    /// Estimates anew.
    pub fn estimate(self) -> Result<u64, HllError> {
        let registers = &self.value[HEADER_BYTES..];
        let histogram: Histogram = match self.is_dense() {
            true => dense::values(registers).collect(),
            false => sparse::histogram(registers)?,
        };
        Ok(histogram.estimate())
    }

    /// Raises each of `registers` that is lower here.
    pub fn merge_into(self, registers: &mut Registers) -> Result<(), HllError> {
        let own = &self.value[HEADER_BYTES..];
        match self.is_dense() {
            true => dense::values(own).zip(registers).for_each(|(own, other)| *other = own.max(*other)),
            false => sparse::merge_into(own, registers)?,
        }
        Ok(())
    }

    pub fn registers(self) -> Result<Registers, HllError> {
        let mut registers = [0; REGISTERS];
        self.merge_into(&mut registers)?;
        Ok(registers)
    }

    /// A copy to change.
    pub fn edit(self) -> HyperLogLog {
        HyperLogLog { value: self.value.to_vec() }
    }
}

/// Estimates the number of elements in a union.
pub fn estimate(registers: &Registers) -> u64 {
    registers.iter().copied().collect::<Histogram>().estimate()
}

/// A HyperLogLog to change. Its value always passes [`Sketch::parse`].
#[derive(Debug, Clone)]
pub struct HyperLogLog {
    value: Vec<u8>,
}

impl Default for HyperLogLog {
    /// Without elements: sparse, one opcode.
    fn default() -> Self {
        let mut value = vec![0; HEADER_BYTES];
        value[..MAGIC.len()].copy_from_slice(MAGIC);
        value[ENCODING_AT] = SPARSE;
        value.extend_from_slice(&sparse::EMPTY);
        Self { value }
    }
}

impl HyperLogLog {
    pub fn into_value(self) -> Vec<u8> {
        self.value
    }

    pub fn sketch(&self) -> Sketch<'_> {
        Sketch { value: &self.value }
    }

    /// Adds an element; whether that changed a register.
    pub fn add(&mut self, element: &[u8], sparse_bytes_max: usize) -> Result<bool, HllError> {
        let hash = hash::murmur64a(element);
        self.raise(position(hash), run_of_zeros(hash), sparse_bytes_max)
    }

    /// Raises the registers that are lower than those of `registers`.
    pub fn merge(&mut self, registers: &Registers, sparse_bytes_max: usize) -> Result<(), HllError> {
        for (index, &count) in registers.iter().enumerate().filter(|&(_, &count)| count > 0) {
            self.raise(index, count, sparse_bytes_max)?;
        }
        Ok(())
    }

    /// Sets the register at `index` to `count` if it is lower; whether it was.
    fn raise(&mut self, index: usize, count: u8, sparse_bytes_max: usize) -> Result<bool, HllError> {
        if self.sketch().is_dense() {
            return Ok(dense::raise(&mut self.value[HEADER_BYTES..], index, count));
        }
        let room = sparse_bytes_max.saturating_sub(HEADER_BYTES);
        match sparse::raise(&mut self.value, HEADER_BYTES, index, count, room)? {
            sparse::Raised::No => Ok(false),
            sparse::Raised::Yes => Ok(true),
            sparse::Raised::Impossible => {
                self.make_dense()?;
                Ok(dense::raise(&mut self.value[HEADER_BYTES..], index, count))
            }
        }
    }

    /// Changes the encoding to dense, if it is not.
    pub fn make_dense(&mut self) -> Result<(), HllError> {
        if self.sketch().is_dense() {
            return Ok(());
        }
        let registers = self.sketch().registers()?;
        self.value.truncate(HEADER_BYTES);
        self.value[ENCODING_AT] = DENSE;
        self.value.extend(dense::encode(&registers));
        Ok(())
    }

    /// Keeps an estimate for whoever asks next.
    pub fn cache(&mut self, estimate: u64) {
        self.value[CACHED_AT..HEADER_BYTES].copy_from_slice(&estimate.to_le_bytes());
    }

    /// Marks the kept estimate as out of date; its other bits stay, as in Redis.
    pub fn forget_estimate(&mut self) {
        self.value[HEADER_BYTES - 1] |= 0x80;
    }
}

#[cfg(test)]
mod tests;
