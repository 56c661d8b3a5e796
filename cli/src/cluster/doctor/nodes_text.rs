//! What CLUSTER NODES says, read as clients read it.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeLine {
    pub id: String,
    /// host:port.
    pub address: String,
    pub myself: bool,
    /// The master of a replica.
    pub master: Option<String>,
    /// As written, in order; open slots (`[…]`) are left out.
    pub slots: String,
}

impl NodeLine {
    pub fn role(&self) -> &'static str {
        if self.master.is_some() { "replica" } else { "master" }
    }
}

/// `<id> <host>:<port>@<bus port>[,hostname] <flags> <master|-> <ping> <pong> <epoch> <link> <slot>…`
pub(crate) fn parse(text: &str) -> Result<Vec<NodeLine>, String> {
    let line =
        |line: &str| parse_line(line).ok_or_else(|| format!("a line that clients cannot read: {line:?}"));
    text.lines().map(line).collect()
}

fn parse_line(line: &str) -> Option<NodeLine> {
    const FIXED_FIELDS: usize = 8;
    let fields: Vec<&str> = line.split(' ').collect();
    let [id, address, flags, master, ..] = fields.get(..FIXED_FIELDS)? else { return None };
    let slots: Vec<&str> =
        fields[FIXED_FIELDS..].iter().copied().filter(|slot| !slot.starts_with('[')).collect();
    Some(NodeLine {
        id: (*id).to_owned(),
        address: address.split_once('@')?.0.to_owned(),
        myself: flags.split(',').any(|flag| flag == "myself"),
        master: (*master != "-").then(|| (*master).to_owned()),
        slots: slots.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_clients_do() {
        let text = "aa 10.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-99 200 [5->-bb]\n\
                    bb ::1:7001@17001 slave aa 0 0 1 connected\n";
        let nodes = parse(text).unwrap();
        assert_eq!((nodes[0].address.as_str(), nodes[0].slots.as_str()), ("10.0.0.1:7000", "0-99 200"));
        assert!(nodes[0].myself && !nodes[1].myself);
        assert_eq!((nodes[0].role(), nodes[1].role()), ("master", "replica"));
        assert_eq!(nodes[1].address, "::1:7001");
        assert!(parse("aa 10.0.0.1:7000 master - 0 0 1 connected\n").is_err());
        assert!(parse("aa\n").is_err());
    }
}
