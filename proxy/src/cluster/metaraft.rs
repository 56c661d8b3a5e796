//! CLUSTER METARAFT: the members of the meta service's own Raft group.

use proto::v1::{AddLearnerRequest, MembersRequest, MembersResponse, PromoteRequest, RemoveRequest};
use resp::{Reply, number::parse_i64};

use super::meta::{MetaAccess, in_time};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Members,
    Status,
    AddLearner { id: u64, addr: String },
    Promote(Vec<u64>),
    Remove { ids: Vec<u64>, keep_as_learners: bool },
}

/// `args` follow METARAFT.
pub fn parse(args: &[&[u8]]) -> Result<Action, Reply> {
    let Some((name, rest)) = args.split_first() else { return Err(unknown(b"")) };
    Ok(match (name.to_ascii_lowercase().as_slice(), rest) {
        (b"members", []) => Action::Members,
        (b"status", []) => Action::Status,
        (b"addlearner", [id, addr]) => Action::AddLearner { id: number(id)?, addr: address(addr)? },
        (b"promote", [_, ..]) => Action::Promote(numbers(rest)?),
        (b"demote", [_, ..]) => Action::Remove { ids: numbers(rest)?, keep_as_learners: true },
        (b"remove", [_, ..]) => Action::Remove { ids: numbers(rest)?, keep_as_learners: false },
        _ => return Err(unknown(name)),
    })
}

fn unknown(name: &[u8]) -> Reply {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]).replace(['\r', '\n'], " ");
    Reply::error(format!(
        "ERR unknown action or wrong number of arguments for CLUSTER METARAFT '{name}'. Try MEMBERS, STATUS, \
         ADDLEARNER <id> <host:port>, PROMOTE <id> [<id> ...], DEMOTE <id> [<id> ...], REMOVE <id> [<id> ...]"
    ))
}

fn numbers(args: &[&[u8]]) -> Result<Vec<u64>, Reply> {
    args.iter().map(|arg| number(arg)).collect()
}

/// Decimal, or the 40 hex digits that a node's id has elsewhere.
fn number(arg: &[u8]) -> Result<u64, Reply> {
    let text = std::str::from_utf8(arg).unwrap_or_default();
    let number = match text.len() {
        40 if text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u128::from_str_radix(&text[8..], 16).ok().filter(|_| text.starts_with("00000000"))
        }
        _ => parse_i64(arg).and_then(|n| u128::try_from(n).ok()),
    };
    let number = number.and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0);
    number.ok_or_else(|| Reply::error("ERR Invalid meta node id: a decimal number or 40 hex digits"))
}

fn address(arg: &[u8]) -> Result<String, Reply> {
    let text = std::str::from_utf8(arg).ok().filter(|text| text.len() <= 255);
    let split = text.and_then(|text| text.rsplit_once(':').map(|(host, port)| (text, host, port)));
    match split {
        Some((text, host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(text.to_owned())
        }
        _ => Err(Reply::error("ERR Invalid meta node address: host:port")),
    }
}

pub async fn run(action: Action, meta: MetaAccess) -> Reply {
    let client = meta.client();
    let answer = match action {
        Action::Members | Action::Status => {
            in_time(client.admin(async |mut admin| admin.members(MembersRequest {}).await)).await
        }
        Action::AddLearner { id, ref addr } => {
            let request = AddLearnerRequest { id, addr: addr.clone() };
            in_time(client.admin(|mut admin| {
                let request = request.clone();
                async move { admin.add_learner(request).await }
            }))
            .await
        }
        Action::Promote(ref ids) => {
            in_time(client.admin(|mut admin| {
                let request = PromoteRequest { ids: ids.clone() };
                async move { admin.promote(request).await }
            }))
            .await
        }
        Action::Remove { ref ids, keep_as_learners } => {
            in_time(client.admin(|mut admin| {
                let request = RemoveRequest { ids: ids.clone(), keep_as_learners };
                async move { admin.remove(request).await }
            }))
            .await
        }
    };
    match (answer, action) {
        (Err(error), _) => error,
        (Ok(answer), Action::Members) => members(&answer),
        (Ok(answer), Action::Status) => status(&answer),
        (Ok(_), _) => Reply::OK,
    }
}

/// `[id, role, address, matched index]` each, by id.
fn members(answer: &MembersResponse) -> Reply {
    let mut members: Vec<_> = answer.members.iter().collect();
    members.sort_by_key(|member| member.id);
    let member = |member: &proto::v1::MetaMember| {
        let role = if member.voter { "voter" } else { "learner" };
        let matched = Reply::Int(i64::try_from(member.matched_index).unwrap_or(i64::MAX));
        let id = Reply::bulk(member.id.to_string());
        Reply::Array(vec![id, Reply::Simple(role), Reply::bulk(&member.addr), matched])
    };
    Reply::Array(members.into_iter().map(member).collect())
}

fn status(answer: &MembersResponse) -> Reply {
    let voters = answer.members.iter().filter(|member| member.voter).count();
    let fields = [
        ("leader", answer.leader),
        ("term", answer.term),
        ("voters", voters as u64),
        ("learners", (answer.members.len() - voters) as u64),
        ("last_index", answer.last_index),
        ("applied_index", answer.applied_index),
    ];
    let text: String = fields.iter().map(|(name, value)| format!("metaraft_{name}:{value}\r\n")).collect();
    super::render::text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Action> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        parse(&args).ok()
    }

    #[test]
    fn ids_are_decimal_or_hexadecimal() {
        let hex = format!("{:040x}", 300);
        assert_eq!(parsed(&format!("PROMOTE 2 {hex}")), Some(Action::Promote(vec![2, 300])));
        let added = Action::AddLearner { id: 4, addr: "m4:7300".into() };
        assert_eq!(parsed("addlearner 4 m4:7300"), Some(added));
        for line in ["PROMOTE", "PROMOTE x", "PROMOTE 0", "ADDLEARNER 4 m4", "ADDLEARNER 4", "LEAVE 4"] {
            assert_eq!(parsed(line), None, "{line}");
        }
        assert_eq!(parsed(&format!("PROMOTE {}", "f".repeat(40))), None, "no meta node has such an id");
    }
}
