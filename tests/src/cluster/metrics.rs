//! What storage nodes report about their replicas, from their Prometheus listeners.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(3);
const LEADER: &str = "miraft_storage_group_leader";

/// A replica as its node reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replica {
    pub applied_index: u64,
    pub keys: u64,
    /// It votes, in a membership that is not changing.
    pub votes: bool,
}

/// Text of `GET path`.
pub async fn http_get(address: &str, path: &str) -> io::Result<String> {
    timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        match head.starts_with("HTTP/1.1 200") {
            true => Ok(body.to_owned()),
            false => Err(io::Error::other(head.to_owned())),
        }
    })
    .await?
}

/// The replicas of a storage node by group.
pub async fn replicas(address: &str) -> io::Result<BTreeMap<u64, Replica>> {
    Ok(parse(&http_get(address, "/metrics").await?))
}

/// The groups that a storage node leads.
pub async fn led_groups(address: &str) -> io::Result<Vec<u64>> {
    let text = http_get(address, "/metrics").await?;
    let led = text.lines().filter_map(reading);
    Ok(led.filter(|(name, _, value)| *name == LEADER && *value == 1).map(|(_, group, _)| group).collect())
}

fn parse(text: &str) -> BTreeMap<u64, Replica> {
    let mut replicas = BTreeMap::<u64, Replica>::new();
    for line in text.lines() {
        let Some((name, group, value)) = reading(line) else { continue };
        match name {
            "miraft_storage_group_applied_index" => replicas.entry(group).or_default().applied_index = value,
            "miraft_storage_group_voter" => replicas.entry(group).or_default().votes = value == 1,
            "miraft_storage_group_keys" => replicas.entry(group).or_default().keys = value,
            _ => {}
        }
    }
    replicas
}

fn reading(line: &str) -> Option<(&str, u64, u64)> {
    let (name, rest) = line.split_once("{group=\"")?;
    let (group, value) = rest.split_once("\"} ")?;
    Some((name, group.parse().ok()?, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_found() {
        let text = "# HELP x y\nmiraft_storage_group_keys{group=\"7\"} 12\n\
                    miraft_storage_group_voter{group=\"7\"} 1\n\
                    miraft_storage_group_applied_index{group=\"7\"} 40\nother 3\n";
        let expected = BTreeMap::from([(7, Replica { applied_index: 40, keys: 12, votes: true })]);
        assert_eq!(parse(text), expected);
    }
}
