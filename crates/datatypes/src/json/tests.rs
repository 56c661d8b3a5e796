//! Values and paths: expected results, round trips, an implementation of RFC 9535 to compare with, and
//! input that nobody means well with.

use proptest::prelude::*;

use super::{DEPTH_MAX, Document, Json, JsonError, Layout, Part, Path, Target, Writer, deepest_first, trim};

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn text(value: &Json) -> String {
    String::from_utf8(value.to_text().unwrap()).unwrap()
}

fn path(text: &str) -> Path<'_> {
    Path::new(text.as_bytes()).unwrap()
}

/// What a path finds in a document, as one array.
fn find(document: &str, query: &str) -> String {
    let document = Document::read(document.as_bytes()).unwrap();
    match document.values(&path(query)) {
        Ok(values) => text(&Json::Array(values.into_iter().cloned().collect())),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn numbers_keep_their_kind_and_are_written_as_rust_does() {
    for (read, written) in [
        ("0", "0"),
        ("-0", "-0.0"),
        ("1.0", "1.0"),
        ("1e2", "100.0"),
        ("1E16", "1e16"),
        ("1e-5", "0.00001"),
        ("1e-6", "1e-6"),
        ("0.1", "0.1"),
        ("5.960464477539062e16", "5.960464477539062e16"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9.223372036854776e18"),
    ] {
        assert_eq!(text(&json(read)), written);
    }
}

#[test]
fn texts_that_are_not_json_are_refused_in_the_words_of_the_reader() {
    for (read, error) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("[1,]", "trailing comma at line 1 column 4"),
        ("1 2", "trailing characters at line 1 column 3"),
        ("1e400", "number out of range at line 1 column 5"),
    ] {
        assert_eq!(Json::parse(read.as_bytes()), Err(JsonError::Syntax(error.to_owned())));
    }
    assert_eq!(Json::parse(b"\"\xff\""), Err(JsonError::NotUtf8));
}

#[test]
fn nesting_is_bounded_when_read_and_when_stored() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deepest = json(&nested(DEPTH_MAX));
    assert_eq!(deepest.depth(), DEPTH_MAX);
    assert!(matches!(Json::parse(nested(DEPTH_MAX + 1).as_bytes()), Err(JsonError::Syntax(_))));
    assert!(Document::new(deepest.clone()).payload().is_ok());
    assert_eq!(Document::new(Json::Array(vec![deepest])).payload(), Err(JsonError::TooDeep));
}

#[test]
fn objects_keep_the_order_and_the_last_of_equal_names() {
    assert_eq!(text(&json(r#"{"z":1,"a":2,"z":3}"#)), r#"{"z":3,"a":2}"#);
}

#[test]
fn a_layout_goes_between_the_parts() {
    let layout = Layout { indent: b"_", newline: b"|", space: b" " };
    let mut writer = Writer::new(layout);
    writer.value(&json(r#"{"a":[1,{}],"b":[]}"#)).unwrap();
    assert_eq!(writer.finish(), b"{|_\"a\": [|__1,|__{}|_],|_\"b\": []|}");
}

const STORE: &str = r#"{"books":[{"t":"a","p":8.95,"n":1},{"t":"b","p":12,"n":2},{"t":"c d","p":null}],
    "p":10,"x-y":{"p":[1,2,3]},"":0,"q'\"":{"\\":1}}"#;

#[test]
fn paths_find_what_they_say() {
    for (query, found) in [
        ("$.p", "[10]"),
        ("$.none", "[]"),
        ("$.x-y.p[0]", "[1]"),
        ("$['x-y'][\"p\"][-1]", "[3]"),
        ("$.x-y.p[-9]", "[1]"),
        ("$.x-y.p[3]", "[]"),
        ("$.x-y.p[1:]", "[2,3]"),
        ("$.x-y.p[:-1]", "[1,2]"),
        ("$.x-y.p[::2]", "[1,3]"),
        ("$.x-y.p[0:9:2]", "[1,3]"),
        ("$.x-y.p[2:1]", "[]"),
        ("$.x-y.p[2,0,0]", "[3,1,1]"),
        ("$.x-y.p.[1]", "[2]"),
        ("$. x-y [ 'p' ] . [ 1 ]", "[2]"),
        ("$['']", "[0]"),
        (r#"$["q'\""]['\\']"#, "[1]"),
        ("$['p','none','']", "[10,0]"),
        ("$..p", "[10,8.95,12,null,[1,2,3]]"),
        ("$..[1].n", "[2]"),
        ("$..p[*]", "[1,2,3]"),
        ("$.books[*].t", r#"["a","b","c d"]"#),
        ("$.books[?(@.p<10)].t", r#"["a"]"#),
        ("$.books[?@.p >= $.p].t", r#"["b"]"#),
        ("$.books[?(@.p==null)].t", r#"["c d"]"#),
        ("$.books[?(@.n)].t", r#"["a","b"]"#),
        ("$.books[?(@.n!=1)].t", r#"["b","c d"]"#),
        ("$.books[?(@.n==1 || @.n==2 && @.t=='x')].t", r#"["a"]"#),
        ("$.books[?((@.n==1 || @.n==2) && @.t=='b')].t", r#"["b"]"#),
        ("$.books[?(@.t=~\"^[ac]\")].n", "[1]"),
        ("$.books[?(@.t =~ '\\\\s')].t", r#"["c d"]"#),
        ("$.books[?(@.t=~'(')].t", "[]"),
        ("$.books[?(@.n==1.0)].n", "[1]"),
        ("$.x-y[?(@[*]>2)]", "[[1,2,3]]"),
        ("$.x-y.p[?(@>1)]", "[2,3]"),
        ("$.x-y[?(@==$.x-y.p)]", "[[1,2,3]]"),
        ("$.p[?(@>1)]", "[]"),
        // The older form.
        ("p", "[10]"),
        (".x-y.p", "[[1,2,3]]"),
        ("['p']", "[10]"),
        ("..t", r#"["a","b","c d"]"#),
    ] {
        assert_eq!(find(STORE, query), found, "{query}");
    }
    assert_eq!(find(STORE, "."), format!("[{}]", text(&json(STORE))));
}

#[test]
fn what_is_no_path_is_refused_where_it_stops_to_be_one() {
    for (query, at) in [
        ("", 2),
        ("$.", 2),
        ("$..", 3),
        ("$.a.", 4),
        ("$[", 2),
        ("$[]", 2),
        ("$[a]", 2),
        ("$[1", 3),
        ("$[01]", 3),
        ("$[1:2:0]", 6),
        ("$[99999999999999999999]", 2),
        ("$['a]", 5),
        ("$['\\n']", 4),
        ("$.a b", 4),
        ("$.é", 2),
        ("$.a[?(@.b]", 9),
        ("$.a[?@.b===1]", 10),
        ("$.a[?@.b=~]", 10),
        ("$\u{0}", 3),
    ] {
        let document = Document::new(Json::Null);
        match document.values(&path(query)) {
            Err(JsonError::Path(error)) => assert_eq!(error.at, at, "{query:?} {error:?}"),
            other => panic!("{query:?}: {other:?}"),
        }
    }
}

#[test]
fn conditions_inside_one_another_are_bounded() {
    let document = Document::new(json("[1]"));
    for nested in ["$[?(".repeat(100_000), format!("$[?{}@", "(".repeat(100_000)), "$[?@[?@".repeat(50_000)] {
        assert!(matches!(document.values(&path(&nested)), Err(JsonError::Path(_))));
    }
    let long = format!("${}", ".a".repeat(200_000));
    assert_eq!(document.values(&path(&long)), Ok(vec![]));
}

#[test]
fn the_work_of_a_path_is_bounded() {
    let nested = "[".repeat(100) + &"]".repeat(100);
    assert_eq!(find(&nested, "$..*..*..*..*..*..*"), format!("{:?}", JsonError::TooMuchWork));
    let many = format!("[{}]", vec!["1"; 3000].join(","));
    assert_eq!(find(&many, "$[?(@ == $[?(@ > $[*])])]"), format!("{:?}", JsonError::TooMuchWork));
}

#[test]
fn places_are_changed_from_the_inside_out() {
    let document = Document::new(json(r#"{"b":[[1],[2,3]],"a":{"c":[4]}}"#));
    let found = document.places(&path("$..*"), |_| true).unwrap();
    let mut places: Vec<_> = found.into_iter().flatten().collect();
    places.sort_by(deepest_first);
    let mut root = document.root;
    for place in &places {
        assert!(root.remove(place), "{place:?}");
    }
    assert_eq!(text(&root), "{}");
}

#[test]
fn writes_are_for_the_outermost_places() {
    let document = Document::new(json(r#"[{"a":{"a":1}},{"a":[{"a":2}]}]"#));
    let targets = super::targets(&document, &path("$..a"), super::Condition::None).unwrap();
    let place = |at| Target::Value(vec![Part::Index(at), Part::Name("a".into())]);
    assert_eq!(targets, [place(1), place(0)]);
}

#[test]
fn trimming_follows_redisjson() {
    for (start, stop, left) in [
        (0, -1, "[1,2,3]"),
        (1, 1, "[2]"),
        (-2, 9, "[2,3]"),
        (2, 1, "[]"),
        (3, 9, "[]"),
        (-9, 0, "[1]"),
        (i64::MIN, i64::MAX, "[1,2,3]"),
        (i64::MAX, i64::MIN, "[]"),
    ] {
        let Json::Array(mut items) = json("[1,2,3]") else { unreachable!() };
        trim(&mut items, start, stop);
        assert_eq!(text(&Json::Array(items)), left, "{start} {stop}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let name = prop::sample::select(vec!["a", "b", "c", "", "é\n\"\\"]);
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-3..9i64).prop_map(Json::Int),
        any::<i64>().prop_map(Json::Int),
        (1u64 << 63..=u64::MAX).prop_map(Json::Big),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Json::Float),
        name.clone().prop_map(|text| Json::String(text.to_owned())),
    ];
    scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|fields| {
                Json::Object(Box::new(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()))
            }),
        ]
    })
}

/// Steps that mean the same here and in RFC 9535, except that order is not promised there.
fn step() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ".a",
        ".b",
        "['c']",
        "[\"\"]",
        "[*]",
        ".*",
        "[0]",
        "[-1]",
        "[0,1]",
        "['a','b']",
        "[1:]",
        "[:2]",
        "[::2]",
        "[-2:]",
        "..a",
        "..*",
        "..[0]",
        "..['b']",
        "[?@.a]",
        "[?@.a==1]",
        "[?@>1]",
        "[?@.b<$.a]",
        "[?@=='a'||@==null]",
        "[?@.a&&(@.b||@.c)]",
        "[?@!=true]",
        "[?@.a>=@.b]",
    ])
}

/// Values by what they are, not by how their numbers are written.
fn sorted<'v>(values: impl IntoIterator<Item = &'v serde_json::Value>) -> Vec<String> {
    let mut texts: Vec<String> = values.into_iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn values_survive_the_round_trip(value in any_json()) {
        prop_assert_eq!(json(&text(&value)), value);
    }

    #[test]
    fn paths_find_what_rfc_9535_finds(value in any_json(), steps in prop::collection::vec(step(), 0..4)) {
        let query = format!("${}", steps.concat());
        let other: serde_json::Value = serde_json::from_str(&text(&value)).unwrap();
        let theirs = serde_json_path::JsonPath::parse(&query).unwrap();
        let document = Document::new(value);
        let found = document.values(&path(&query)).unwrap();
        let ours: Vec<serde_json::Value> =
            found.into_iter().map(|value| serde_json::from_str(&text(value)).unwrap()).collect();
        // Here an index before the start is the start.
        if !query.contains('-') {
            prop_assert_eq!(sorted(&ours), sorted(theirs.query(&other).all()), "{}", query);
        }
    }

    #[test]
    fn any_text_is_a_path_or_refused(noise in "[$@.\\[\\]*?()'\"\\\\:,0-9ab=<>!&|~ -]{0,24}", value in any_json()) {
        for query in [noise.clone(), format!("$.{noise}"), format!("$[?{noise}]"), format!("$[{noise}]")] {
            let _ = Document::new(value.clone()).values(&path(&query));
        }
    }
}
