//! The HTTP listener, over real TCP.

use daemon::{
    env::Env,
    http::{self, Readiness},
    process::{CancellationToken, block_on},
};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn ask(addr: std::net::SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn health_readiness_metrics_and_log_level() {
    block_on(async {
        daemon::logging::init(&daemon::logging::Options::default()).unwrap();
        let mut registry = Registry::default();
        let commands = Counter::<u64>::default();
        registry.register("commands", "Commands executed", commands.clone());
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let addr = http::start(&Env::real(), "127.0.0.1:0", registry, readiness.clone(), stop.clone())
            .await
            .unwrap();

        assert!(ask(addr, "GET", "/healthz", "").await.starts_with("HTTP/1.1 200"));
        assert!(ask(addr, "GET", "/readyz", "").await.starts_with("HTTP/1.1 503"));
        readiness.set(true);
        assert!(ask(addr, "GET", "/readyz", "").await.starts_with("HTTP/1.1 200"));

        commands.inc_by(7);
        let metrics = ask(addr, "GET", "/metrics", "").await;
        for line in
            ["commands_total 7", "process_cpu_seconds_total ", "process_resident_memory_bytes ", "# EOF"]
        {
            assert!(metrics.contains(line), "missing {line:?} in {metrics}");
        }

        assert!(ask(addr, "PUT", "/log-level", "info,meta=debug").await.starts_with("HTTP/1.1 204"));
        assert!(ask(addr, "GET", "/log-level", "").await.contains("meta=debug"));
        assert!(ask(addr, "PUT", "/log-level", "lots").await.starts_with("HTTP/1.1 400"));
        assert!(ask(addr, "GET", "/nothing", "").await.starts_with("HTTP/1.1 404"));
        stop.cancel();
    })
    .unwrap();
}
