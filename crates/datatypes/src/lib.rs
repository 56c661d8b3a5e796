//! Redis data types over an ordered map of bytes: key layout, value records, expiry.

pub mod kv;
