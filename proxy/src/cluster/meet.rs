//! CLUSTER MEET names an address; the topology knows ids. An address that no proxy announces is asked
//! who it is, as any client could, so that every way to reach a proxy will do.

use std::time::Duration;

use daemon::env::Env;
use resp::Reply;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use topology::{ClusterState, ProxyId};

const ASK_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1024;

/// The proxy that is announced at `host:port`.
pub fn announced_at(state: &ClusterState, host: &str, port: u16) -> Option<ProxyId> {
    let is_host = |known: &str| !known.is_empty() && known.eq_ignore_ascii_case(host);
    let mut proxies = state.proxies.iter();
    let found = proxies.find(|(_, proxy)| {
        let host = is_host(&proxy.announce_host) || is_host(&proxy.announce_hostname);
        host && proxy.announce_port == port && proxy.live
    });
    found.map(|(id, _)| id.clone())
}

/// The proxy that answers at `host:port`, if it is one of this cluster's. It is told no password: who
/// knows where that would go.
pub async fn ask(env: &Env, state: &ClusterState, host: &str, port: u16) -> Result<ProxyId, Reply> {
    let error = |text: String| Reply::error(format!("ERR {text}"));
    let answer = timeout(ASK_TIMEOUT, my_id(env, host, port)).await;
    let Ok(Ok(answer)) = answer else {
        return Err(error(format!("No node can be reached at {host}:{port}")));
    };
    match answer {
        MyId::Is(shown) => state.by_shown_id(&shown).map(|(id, _)| id.clone()),
        MyId::Secret => {
            let text = "does not say who it is: name it by the address that it announces";
            return Err(error(format!("The node at {host}:{port} {text}")));
        }
        MyId::None => None,
    }
    .ok_or_else(|| {
        let text = "belongs to another cluster: it is not known to this one's meta service";
        error(format!("The node at {host}:{port} {text}"))
    })
}

/// What CLUSTER MYID says.
enum MyId {
    Is(String),
    /// Not told to strangers (a password, protected mode).
    Secret,
    None,
}

/// As it is dialled.
pub fn address_of(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn my_id(env: &Env, host: &str, port: u16) -> std::io::Result<MyId> {
    let mut io = env.net.dial(&address_of(host, port)).await?;
    io.write_all(b"*2\r\n$7\r\nCLUSTER\r\n$4\r\nMYID\r\n").await?;
    io.flush().await?;
    let mut answer = Vec::new();
    loop {
        if let Some(id) = id_in(&answer) {
            return Ok(MyId::Is(id));
        }
        if answer.starts_with(b"-NOAUTH") || answer.starts_with(b"-DENIED") {
            return Ok(MyId::Secret);
        }
        let failed = answer.starts_with(b"-") && answer.ends_with(b"\r\n");
        if failed || answer.len() >= ANSWER_BYTES_MAX || io.read_buf(&mut answer).await? == 0 {
            return Ok(MyId::None);
        }
    }
}

/// A bulk string of 40 hex digits.
fn id_in(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let (_, rest) = text.split_once("$40\r\n")?;
    let (id, _) = rest.split_once("\r\n")?;
    ProxyId::parse(id).map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_once_it_is_whole() {
        let id = ProxyId::of_address("h", 1).to_string();
        assert_eq!(id_in(format!("+OK\r\n$40\r\n{id}\r\n").as_bytes()), Some(id.clone()));
        assert_eq!(id_in(format!("$40\r\n{id}").as_bytes()), None, "not complete");
        assert_eq!(id_in(b"-NOAUTH\r\n"), None);
        assert_eq!(id_in(&[0xff, b'$']), None);
    }
}
