//! Compiles the protobuf definitions without `protoc`.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["data", "events", "raft", "meta"].map(|name| format!("proto/miraft/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("miraft_descriptor.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
