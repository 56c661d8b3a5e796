//! Values of the layers in memory.

use bytes::Bytes;

/// Longest value that is kept in place: what leaves a [`Value`] as large as [`Bytes`].
const SHORT_MAX: usize = 23;
/// In place of a length: there is no value.
const NONE: u8 = u8::MAX;

/// What is stored under a key, or that nothing is. A short one, such as a counter, is in place.
#[derive(Debug, Clone)]
pub enum Value {
    Short { len: u8, bytes: [u8; SHORT_MAX] },
    Long(Bytes),
}

const _: () = assert!(size_of::<Value>() == size_of::<Bytes>());

impl Value {
    /// The key is deleted.
    pub const DELETED: Self = Self::Short { len: NONE, bytes: [0; SHORT_MAX] };

    /// A copy, so that what it was part of can be let go.
    pub fn copy_of(value: &[u8]) -> Self {
        Self::short(value).unwrap_or_else(|| Self::Long(Bytes::copy_from_slice(value)))
    }

    fn short(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT_MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self::Short { len: value.len() as u8, bytes })
    }

    pub fn get(&self) -> Option<&[u8]> {
        match self {
            Self::Short { len: NONE, .. } => None,
            Self::Short { len, bytes } => Some(&bytes[..usize::from(*len)]),
            Self::Long(bytes) => Some(bytes),
        }
    }

    pub fn to_bytes(&self) -> Option<Bytes> {
        match self {
            Self::Long(bytes) => Some(bytes.clone()),
            Self::Short { .. } => self.get().map(Bytes::copy_from_slice),
        }
    }

    pub fn len(&self) -> usize {
        self.get().map_or(0, <[u8]>::len)
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Self::short(&value).unwrap_or(Self::Long(value))
    }
}

impl From<Option<Bytes>> for Value {
    fn from(value: Option<Bytes>) -> Self {
        value.map_or(Self::DELETED, Self::from)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Value {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_their_bytes_whatever_their_length() {
        for len in [0, 1, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, 254, 255, 256, 1000] {
            let bytes = Bytes::from((0..len).map(|n| n as u8).collect::<Vec<_>>());
            for value in [Value::copy_of(&bytes), Value::from(bytes.clone())] {
                assert_eq!((value.get(), value.to_bytes()), (Some(&bytes[..]), Some(bytes.clone())));
                assert_eq!((value.len(), matches!(value, Value::Short { .. })), (len, len <= SHORT_MAX));
            }
        }
        assert_eq!(
            (Value::from(None).get(), Value::DELETED.to_bytes(), Value::DELETED.len()),
            (None, None, 0)
        );
    }
}
