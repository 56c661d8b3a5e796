//! The Python that `./run test` prepares, with the client libraries of `python/requirements.txt`.

use std::path::PathBuf;

/// Its executable.
///
/// # Panics
/// If there is none.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("MIRAFT_PYTHON") {
        return python.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let python = cache.unwrap_or_default().join("miraft/venv/bin/python");
    assert!(python.exists(), "no Python with redis-py: `./run test` prepares one");
    python
}
