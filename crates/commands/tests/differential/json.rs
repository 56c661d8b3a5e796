//! Random changes of documents, here and by an implementation of RFC 9535 with serde_json: what they
//! leave must be equal. (There is no real server to compare with.)

use crate::support::shard::Shard;
use crate::support::text::show;
use proptest::prelude::*;
use resp::Reply;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

/// A change of every value that a path leads to.
#[derive(Debug, Clone)]
enum Change {
    Set(Value),
    Delete,
    Add(i64),
    Toggle,
    AppendText(String),
    AppendItem(Value),
    Insert(Value),
    Pop,
    Clear,
    Merge(Value),
}

impl Change {
    fn argv(&self, path: &str) -> Vec<String> {
        let (name, operands) = match self {
            Self::Set(value) => ("JSON.SET", vec![value.to_string()]),
            Self::Delete => ("JSON.DEL", vec![]),
            Self::Add(number) => ("JSON.NUMINCRBY", vec![number.to_string()]),
            Self::Toggle => ("JSON.TOGGLE", vec![]),
            Self::AppendText(text) => ("JSON.STRAPPEND", vec![json!(text).to_string()]),
            Self::AppendItem(value) => ("JSON.ARRAPPEND", vec![value.to_string()]),
            Self::Insert(value) => ("JSON.ARRINSERT", vec!["0".to_owned(), value.to_string()]),
            Self::Pop => ("JSON.ARRPOP", vec!["-1".to_owned()]),
            Self::Clear => ("JSON.CLEAR", vec![]),
            Self::Merge(patch) => ("JSON.MERGE", vec![patch.to_string()]),
        };
        [name, "d", path].into_iter().map(str::to_owned).chain(operands).collect()
    }

    /// The same to one value; those below it are changed before it.
    fn apply(&self, value: &mut Value) {
        match (self, value) {
            (Self::Set(new), value) => *value = new.clone(),
            (Self::Add(added), Value::Number(number)) => match number.as_i64() {
                Some(integer) => *number = integer.wrapping_add(*added).into(),
                None => {
                    let sum = number.as_f64().unwrap() + *added as f64;
                    *number = serde_json::Number::from_f64(sum).unwrap();
                }
            },
            (Self::Toggle, Value::Bool(flag)) => *flag = !*flag,
            (Self::AppendText(suffix), Value::String(text)) => text.push_str(suffix),
            (Self::AppendItem(item), Value::Array(items)) => items.push(item.clone()),
            (Self::Insert(item), Value::Array(items)) => items.insert(0, item.clone()),
            (Self::Pop, Value::Array(items)) => drop(items.pop()),
            (Self::Clear, Value::Array(items)) => items.clear(),
            (Self::Clear, Value::Object(fields)) => fields.clear(),
            (Self::Clear, Value::Number(number)) if number.as_f64() != Some(0.0) => *number = 0.into(),
            (Self::Merge(patch), value) => merge(value, patch),
            _ => {}
        }
    }
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let fields = value.as_object_mut().unwrap();
    for (name, patch) in patch {
        match patch {
            Value::Null => drop(fields.remove(name)),
            patch => merge(fields.entry(name.clone()).or_insert(Value::Null), patch),
        }
    }
}

/// The places that `path` leads to, as JSON pointers; longer ones and later elements first.
fn places(document: &Value, path: &str) -> Vec<String> {
    let found = JsonPath::parse(path).unwrap();
    let mut places: Vec<_> = found.query_located(document).locations().map(|l| l.to_json_pointer()).collect();
    places.sort_by_key(|place| (place.len(), place.clone()));
    places.dedup();
    places.reverse();
    places
}

fn delete(document: &mut Value, place: &str) {
    let (parent, last) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(parent) {
        Some(Value::Array(items)) => drop(items.remove(last.parse().unwrap())),
        Some(Value::Object(fields)) => drop(fields.remove(last)),
        _ => {}
    }
}

fn expected(document: &Value, path: &str, change: &Change) -> Value {
    let mut document = document.clone();
    for place in places(&document, path) {
        match change {
            Change::Delete => delete(&mut document, &place),
            change => document.pointer_mut(&place).into_iter().for_each(|value| change.apply(value)),
        }
    }
    document
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![0.5, -2.0, 1e20]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "é"]).prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// Paths to several places, or to one; none of the values found is inside another.
fn any_path() -> impl Strategy<Value = String> {
    let step = prop::sample::select(vec![
        ".a",
        ".b",
        "['c']",
        "[*]",
        ".*",
        "[0]",
        "[1]",
        "[0,1]",
        "['a','b']",
        "[1:]",
        "[::2]",
        "[?@.a]",
        "[?@>1]",
    ]);
    prop::collection::vec(step, 1..4).prop_map(|steps| format!("${}", steps.concat()))
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any_value().prop_map(Change::Set),
        Just(Change::Delete),
        (-5..5i64).prop_map(Change::Add),
        Just(Change::Toggle),
        "[a-c]{0,3}".prop_map(Change::AppendText),
        any_value().prop_map(Change::AppendItem),
        any_value().prop_map(Change::Insert),
        Just(Change::Pop),
        Just(Change::Clear),
        any_value().prop_map(Change::Merge),
    ]
}

fn run(shard: &mut Shard, argv: &[String]) -> Reply {
    let argv: Vec<&[u8]> = argv.iter().map(|word| word.as_bytes()).collect();
    let reply = shard.run(&argv);
    shard.check_invariants();
    reply
}

fn stored(shard: &mut Shard) -> Option<Value> {
    match shard.run(&[b"JSON.GET", b"d"]) {
        Reply::Bulk(text) => Some(serde_json::from_slice(&text).unwrap()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), failure_persistence: None, ..Default::default() })]

    #[test]
    fn changes_leave_what_they_should(
        document in any_value(),
        changes in prop::collection::vec((any_path(), any_change()), 1..8),
    ) {
        let mut shard = Shard::default();
        let mut argv = Change::Set(document.clone()).argv("$");
        run(&mut shard, &argv);
        let mut document = document;
        for (path, change) in changes {
            // What is not there could be added: that is in the scripts.
            let found = !places(&document, &path).is_empty();
            if !found && matches!(change, Change::Set(_) | Change::Merge(_)) {
                continue;
            }
            argv = change.argv(&path);
            let reply = run(&mut shard, &argv);
            prop_assert!(!matches!(reply, Reply::Error(_)), "{:?} {}", argv, show(&reply));
            document = expected(&document, &path, &change);
            let deleted = found && matches!(change, Change::Delete);
            let gone = deleted && (document == json!([]) || document == json!({}));
            let left = stored(&mut shard);
            if gone {
                prop_assert_eq!(left, None);
                break;
            }
            prop_assert_eq!(left.as_ref(), Some(&document), "{:?}", argv);
        }
    }
}
