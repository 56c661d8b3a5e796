//! What SORT and GEORADIUS store goes to a key that their key specs tell.

mod support;

use commands::{Args, CommandError, Handler, resolve};
use proptest::prelude::*;
use resp::Reply;
use support::shard::Shard;

/// Words that are options, and keys too: a source shares its slot with one of them.
const TAGS: [&str; 8] = ["store", "storedist", "by", "get", "limit", "count", "asc", "alpha"];

/// Executes a command without the check of slots that precedes it elsewhere.
fn unchecked(shard: &mut Shard, words: &[&str]) -> Result<Reply, CommandError> {
    let argv: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let Some(Handler::Write(write)) = resolve(&argv)?.handler() else { panic!("{words:?} does not write") };
    let cx = shard.cx;
    shard.kv.transact(|kv| write(kv, &Args::new(&argv[1..]), &cx))
}

/// The keys of a command, as its specs tell.
fn keys<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let argv: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let spec = resolve(&argv).unwrap();
    spec.key_positions(&argv[1..]).map(|at| words[at + 1]).collect()
}

fn exists(shard: &mut Shard, key: &str) -> bool {
    shard.run(&[b"EXISTS", key.as_bytes()]) == Reply::Int(1)
}

/// Executes a command on a source that is there; what it stores must be at the last key of its specs, and
/// nothing anywhere else. Answers where it stored something.
fn stored<'a>(fill: &[&str], words: &[&'a str]) -> Option<&'a str> {
    let mut shard = Shard::default();
    let source = words[1];
    unchecked(&mut shard, fill).unwrap();
    let stored = matches!(unchecked(&mut shard, words), Ok(Reply::Int(1..)));
    let told = keys(words);
    assert!(!stored || told.len() == 2, "{words:?} stored without telling: {told:?}");
    for word in &words[1..] {
        let expected = *word == source || stored && told[1] == *word;
        assert_eq!(exists(&mut shard, word), expected, "{words:?}: {word}, told {told:?}");
    }
    stored.then(|| told[1])
}

/// An argument: an option's name or a key of its slot, or another.
fn word(tag: &'static str) -> impl Strategy<Value = String> {
    let of_tag = prop::sample::select(vec![tag.to_owned(), format!("{{{tag}}}x"), format!("{{{tag}}}y")]);
    prop_oneof![6 => of_tag, 1 => prop::sample::select(&TAGS[..]).prop_map(str::to_owned)]
}

/// An option with its arguments, or (rarely) a word alone.
fn option(
    tag: &'static str,
    simple: &'static [&'static str],
    others: &'static [&'static str],
) -> impl Strategy<Value = Vec<String>> {
    let simple = prop::sample::select(simple).prop_map(|text| text.split(' ').map(str::to_owned).collect());
    let other =
        (prop::sample::select(others), word(tag)).prop_map(|(name, word)| vec![name.to_owned(), word]);
    prop_oneof![8 => simple, 24 => other, 1 => word(tag).prop_map(|word| vec![word])]
}

/// The tag of a command's source, and options.
fn options(
    simple: &'static [&'static str],
    others: &'static [&'static str],
) -> impl Strategy<Value = (&'static str, Vec<Vec<String>>)> {
    prop::sample::select(&TAGS[..])
        .prop_flat_map(move |tag| (Just(tag), prop::collection::vec(option(tag, simple, others), 0..6)))
}

/// Where the result goes; `None` if a word alone may have been taken for an option's argument.
fn meant(options: &[Vec<String>]) -> Option<&str> {
    let is_plain = |option: &Vec<String>| option.len() > 1 || ["asc", "DESC", "alpha"].contains(&&*option[0]);
    let names_it = |option: &&Vec<String>| option.len() == 2 && option[0].to_lowercase().starts_with("store");
    options.iter().all(is_plain).then(|| options.iter().rfind(names_it))?.map(|option| &*option[1])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sort_stores_where_its_specs_tell(
        (tag, options) in options(&["LIMIT 0 5", "asc", "DESC", "alpha"], &["STORE", "store", "BY", "get"])
    ) {
        let source = format!("{{{tag}}}");
        let mut words = vec!["SORT", source.as_str()];
        words.extend(options.iter().flatten().map(String::as_str));
        let stored = stored(&["RPUSH", &source, "1"], &words);
        prop_assert!(stored.is_none() || meant(&options).is_none_or(|key| stored == Some(key)), "{words:?}");
    }

    #[test]
    fn georadius_stores_where_its_specs_tell(
        by_member: bool,
        (tag, options) in options(&["COUNT 5", "asc", "DESC", "count 1 any"], &["STORE", "store", "STOREDIST"])
    ) {
        let source = format!("{{{tag}}}");
        let mut words = match by_member {
            true => vec!["GEORADIUSBYMEMBER", &source, "m", "10", "km"],
            false => vec!["GEORADIUS", &source, "1", "1", "10", "km"],
        };
        words.extend(options.iter().flatten().map(String::as_str));
        let stored = stored(&["GEOADD", &source, "1", "1", "m"], &words);
        prop_assert!(stored.is_none() || meant(&options).is_none_or(|key| stored == Some(key)), "{words:?}");
    }
}

#[test]
fn the_last_of_several_targets_is_written() {
    for (text, key) in [
        ("SORT {store} STORE {store}x BY store", "{store}x"),
        ("SORT {store} STORE {store}x STORE {store}y", "{store}y"),
        ("SORT {by} STORE by STORE {by}x", "{by}x"),
        ("SORT {k} LIMIT 0 1 GET # STORE {k}x", "{k}x"),
        ("GEORADIUS {k} 1 1 10 km STORE {k}x STORE {k}y", "{k}y"),
        ("GEORADIUS {k} 1 1 10 km STORE {k}x STOREDIST {k}y", "{k}y"),
        ("GEORADIUS {k} 1 1 10 km STOREDIST {k}x COUNT 1 STORE {k}y", "{k}y"),
        ("GEORADIUS {store} 1 1 10 km STORE store STORE {store}y", "{store}y"),
        ("GEORADIUSBYMEMBER {k} m 10 km STORE {k}x STORE {k}y", "{k}y"),
        ("GEORADIUSBYMEMBER {storedist} m 10 km STORE storedist STORE {storedist}y", "{storedist}y"),
    ] {
        let words: Vec<&str> = text.split(' ').collect();
        let fill = match words[0] {
            "SORT" => vec!["RPUSH", words[1], "1"],
            _ => vec!["GEOADD", words[1], "1", "1", "m"],
        };
        assert_eq!(stored(&fill, &words), Some(key), "{text}");
    }
}

#[test]
fn a_target_in_another_slot_is_refused() {
    let mut shard = Shard::default();
    unchecked(&mut shard, &["GEOADD", "{k}g", "1", "1", "m"]).unwrap();
    unchecked(&mut shard, &["RPUSH", "{k}l", "1"]).unwrap();
    for text in [
        "GEORADIUS {k}g 1 1 10 km STORE {k}x STORE other0",
        "GEORADIUS {k}g 1 1 10 km STOREDIST other0",
        "GEORADIUSBYMEMBER {k}g m 10 km STORE {k}x STOREDIST other0",
        "SORT {k}l STORE {k}x STORE other0",
        "SORT {k}l STORE other0 BY store",
    ] {
        let words: Vec<&str> = text.split(' ').collect();
        let argv: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        assert!(matches!(unchecked(&mut shard, &words), Err(CommandError::CrossSlot)), "{text}");
        let slot = resolve(&argv).unwrap().slot(&argv[1..]);
        assert!(matches!(slot, Err(CommandError::CrossSlot)), "{text}");
        assert!(!exists(&mut shard, "other0"), "{text}");
    }
}
