//! Replies about users and categories.

use commands::{flags::Categories, table};
use resp::Reply;

use crate::{Selector, User};

/// ACL GETUSER.
pub fn user(user: &User) -> Reply {
    let flags = user.flags().into_iter().flatten().map(Reply::bulk).collect();
    let mut fields = vec![
        (Reply::bulk("flags"), Reply::Set(flags)),
        (Reply::bulk("passwords"), Reply::Array(user.passwords().map(Reply::bulk).collect())),
    ];
    let mut selectors = user.selectors.iter();
    fields.extend(selectors.next().map(selector).into_iter().flatten());
    let others = selectors.map(|other| Reply::Map(selector(other).into())).collect();
    fields.push((Reply::bulk("selectors"), Reply::Array(others)));
    Reply::Map(fields)
}

fn selector(selector: &Selector) -> [(Reply, Reply); 3] {
    let joined = |words: Vec<Vec<u8>>| Reply::bulk(words.join(&b' '));
    let commands = selector.commands.words().map(<[u8]>::to_vec).collect();
    let keys = match selector.all_keys {
        true => vec![b"~*".to_vec()],
        false => selector.keys.iter().map(|keys| keys.word()).collect(),
    };
    let channels = match selector.all_channels {
        true => vec![b"&*".to_vec()],
        false => selector.channels.iter().map(|channel| [b"&", &channel[..]].concat()).collect(),
    };
    [
        (Reply::bulk("commands"), joined(commands)),
        (Reply::bulk("keys"), joined(keys)),
        (Reply::bulk("channels"), joined(channels)),
    ]
}

/// ACL CAT.
pub fn categories() -> Reply {
    Reply::Array(Categories::all().map(Reply::bulk).collect())
}

/// ACL CAT with a category: the commands in it, subcommands too. `None`: there is no such category.
pub fn category(name: &[u8]) -> Option<Reply> {
    let category = Categories::parse(name)?;
    let within = table::all().filter(|spec| !spec.internal && spec.categories().intersects(category));
    Some(Reply::Array(within.map(|spec| Reply::bulk(spec.full_name)).collect()))
}
