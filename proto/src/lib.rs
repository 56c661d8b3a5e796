//! Generated protobuf messages and gRPC stubs. They stop at the gRPC edge: each component converts
//! to its own types there.

#[allow(clippy::all, rust_2018_idioms, missing_docs)]
pub mod v1 {
    tonic::include_proto!("miraft.v1");
}

/// Encoded `FileDescriptorSet`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/miraft_descriptor.bin"));
