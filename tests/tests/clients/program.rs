//! The programs of `tests/clients`.

use std::{path::Path, process::Stdio, time::Duration};

use miraft_tests::python::python;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
    sync::oneshot,
};

use super::{Client, Verdict};

/// Where Debian keeps libraries for Node.js.
const NODE_PATH: &str = "/usr/share/nodejs";

/// Interpreter and script; the script's stem is what it calls its keys.
const SCRIPTS: [(&str, &str); 8] = [
    ("python", "redis_py.py"),
    ("python", "redis_py_asyncio.py"),
    ("python", "valkey_py.py"),
    ("python", "coredis_client.py"),
    ("python", "valkey_glide.py"),
    ("node", "node_redis.js"),
    ("php", "php_redis.php"),
    ("ruby", "redis_rb.rb"),
];

/// Starts all programs, each with `seed` as the one address it knows.
pub(super) fn all(seed: &str) -> impl Iterator<Item = Client> {
    SCRIPTS.into_iter().map(move |(interpreter, script)| start(interpreter, script, seed))
}

fn start(interpreter: &'static str, script: &'static str, seed: &str) -> Client {
    let name = script.split_once('.').map_or(script, |(stem, _)| stem);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(interpreter).join(script);
    let mut command = match interpreter {
        "python" => Command::new(python()),
        other => Command::new(other),
    };
    command.arg(path).arg(seed).env("NODE_PATH", NODE_PATH).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let (announce, ready) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let child = command.spawn();
        let child = child.map_err(|error| format!("{interpreter}: {error} (./run test installs it)"))?;
        follow(child, announce).await
    });
    Client { name, ready, ended }
}

/// Listens to the program to its end.
async fn follow(mut child: Child, announce: oneshot::Sender<()>) -> Result<Verdict, String> {
    let mut stderr = child.stderr.take().unwrap();
    let complaints = tokio::spawn(async move {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text).await;
        text
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut announce, mut output) = (Some(announce), String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        match announce.take() {
            Some(announce) if line == "ready" => drop(announce.send(())),
            still => announce = still,
        }
        output = line;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    match parse(&output) {
        Some(verdict) if status.success() => Ok(verdict),
        _ => Err(format!("{status}\n{output}\n{}", complaints.await.unwrap())),
    }
}

/// `acknowledged=1234 errors=5 gap_ms=678`
fn parse(line: &str) -> Option<Verdict> {
    let mut numbers = ["acknowledged=", "errors=", "gap_ms="].into_iter().zip(line.split(' '));
    let mut number = || numbers.next().and_then(|(name, word)| word.strip_prefix(name)?.parse().ok());
    Some(Verdict { acknowledged: number()?, errors: number()?, gap: Duration::from_millis(number()?) })
}
