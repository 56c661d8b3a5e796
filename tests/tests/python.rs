//! redis-py, plain and cluster, through every proxy (`tests/python/clients.py`).

use std::{path::Path, process::Command};

use miraft_tests::{cluster, python::python};

// covers: T16
#[tokio::test]
async fn redis_py_works_through_every_proxy() {
    let cluster = cluster::shared().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/clients.py");
    let (resp_cluster, plain) = (cluster.cluster_addresses().join(","), cluster.plain_addresses().join(","));
    let mut command = Command::new(python());
    command.arg(script).args(["--cluster", &resp_cluster, "--plain", &plain]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
