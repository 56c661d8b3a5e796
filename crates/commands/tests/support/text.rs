//! Replies as one line of text, maps flat as RESP2 has them.

use resp::Reply;

/// `+status`, `-error`, `:1`, `"bulk"`, `nil`, `[a, b]`.
pub fn show(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("+{text}"),
        Reply::Status(text) => format!("+{}", escaped(text)),
        Reply::Error(text) => format!("-{}", escaped(text)),
        Reply::Int(number) => format!(":{number}"),
        Reply::Bulk(bytes) => format!("\"{}\"", escaped(bytes)),
        Reply::Null | Reply::NullArray => "nil".to_owned(),
        Reply::Array(items) | Reply::Set(items) => format!("[{}]", joined(items.iter().map(show))),
        Reply::Map(pairs) => {
            format!("[{}]", joined(pairs.iter().flat_map(|(key, value)| [show(key), show(value)])))
        }
        Reply::Double(number) => {
            let mut text = Vec::new();
            resp::number::put_double(&mut text, *number);
            format!("\"{}\"", escaped(&text))
        }
        other => format!("{other:?}"),
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\'", "'")
}
