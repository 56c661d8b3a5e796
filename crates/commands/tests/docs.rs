//! docs/commands.md is what the table says.

#[test]
fn the_command_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
    let rendered = commands::introspect::markdown();
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(path, &rendered).expect("docs/commands.md can be written");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == rendered, "docs/commands.md is stale: run this test with REGENERATE=1");
}
