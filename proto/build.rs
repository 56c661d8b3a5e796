//! Compiles the protobuf definitions without `protoc`.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/miraft/v1/data.proto", "proto/miraft/v1/raft.proto", "proto/miraft/v1/meta.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .bytes(".")
        .file_descriptor_set_path(out.join("miraft_descriptor.bin"))
        .compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
