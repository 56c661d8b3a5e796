//! docs/configuration.md is generated from the declarations of the options; this test says when it
//! is stale, and with `REGENERATE=1` writes it.

use std::{fs, path::Path};

use daemon::config::reference;

const HEAD: &str = "\
# Configuration

Generated from the code (`REGENERATE=1 cargo test --release -p miraft-tests --test configuration`).

Each option is a key of the TOML file given with `--config`, an environment variable, and a flag: `data_dir`,
`MIRAFT_STORAGE_DATA_DIR`, `--data-dir`. Flags override the environment, which overrides the file. Lists are written
with commas in variables and flags. Unknown keys are refused, and all mistakes are reported together;
`--check-config` does only that, `--dump-config` prints what is in force.
";

#[test]
fn the_reference_is_up_to_date() {
    let sections =
        [reference::<meta::Options>(), reference::<storage_node::Options>(), reference::<proxy::Options>()];
    let generated = format!("{HEAD}\n{}", sections.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == generated, "docs/configuration.md is stale; run this test with REGENERATE=1");
}
