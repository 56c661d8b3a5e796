//! Users from rules, what they may do, and their texts.

use acl::{Channels, Denial, RuleError, SetError, User};
use commands::resolve;
use proptest::prelude::*;

fn user(rules: &str) -> User {
    let mut user = User::new(Channels::None);
    user.set(&words(rules), Channels::None).unwrap();
    user
}

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes).collect()
}

fn refusal(rules: &[&[u8]]) -> String {
    let error = User::new(Channels::None).set(rules, Channels::None).unwrap_err();
    String::from_utf8(error.text()).unwrap()
}

/// `ok`, or what is denied.
fn check(user: &User, command: &str) -> String {
    let argv = words(command);
    let spec = resolve(&argv).unwrap();
    match user.check(spec, &argv[1..]) {
        Ok(()) => "ok".to_owned(),
        Err(denial) => {
            let details = denial.details(b"u", spec, &argv[1..]);
            String::from_utf8(details).unwrap().replace("User u has no permissions to ", "")
        }
    }
}

fn commands_of(user: &User) -> String {
    String::from_utf8(user.selectors[0].commands.words().collect::<Vec<_>>().join(&b' ')).unwrap()
}

fn listed(user: &User) -> String {
    String::from_utf8(user.listed()).unwrap()
}

#[test]
fn a_new_user_may_do_nothing_and_anyone_everything() {
    assert_eq!(listed(&User::new(Channels::None)), "off sanitize-payload resetchannels -@all");
    assert_eq!(listed(&User::new(Channels::All)), "off sanitize-payload &* -@all");
    assert_eq!(listed(&User::anyone()), "on nopass sanitize-payload ~* &* +@all");
    assert!(User::anyone().is_unrestricted() && User::anyone().is_open());
    assert!(!user("on nopass ~* &* +@all -get").is_unrestricted());
    assert!(user("off -@all (~* &* +@all)").is_unrestricted());
}

#[test]
fn command_rules_are_kept_short_as_redis_keeps_them() {
    for (rules, told) in [
        ("+@all -client +client|id +client|setname", "+@all -client +client|id +client|setname"),
        ("-@all +memory|doctor +memory", "-@all +memory"),
        ("+memory +@all +client|id", "+@all +client|id"),
        ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
        ("-@all +@HASH +@hash +HGET +hGeT", "-@all +@hash +hget"),
        ("-@all +hget -hset +hset -hget", "-@all +hset -hget"),
        (
            "-@all +client|list +client|list +config|get +config +acl|list -acl",
            "-@all +client|list +config -acl",
        ),
        ("-@all +select|0 +select|0 +debug|segfault +debug", "-@all +select|0 +debug"),
        ("-@all -@dangerous", "-@all -@dangerous"),
        ("-@all +config +config|get -config|set +config", "-@all +config"),
        ("allcommands -get nocommands +get", "-@all +get"),
    ] {
        assert_eq!(commands_of(&user(rules)), told, "{rules}");
    }
}

#[test]
fn commands_are_allowed_one_by_one_and_by_category() {
    let some = user("on ~* &* -@all +@set +acl +client|id +select|0 -sadd");
    for (command, allowed) in [
        ("smembers s", true),
        ("sadd s 1", false),
        ("get k", false),
        ("acl whoami", true),
        ("client id", true),
        ("client info", false),
        ("select 0", true),
        ("select 1", false),
        ("auth x", true),
        ("hello 3", true),
    ] {
        assert_eq!(check(&some, command) == "ok", allowed, "{command}");
    }
    assert_eq!(check(&some, "client info"), "run the 'client|info' command");
    assert_eq!(check(&user("+@all -memory|doctor"), "memory doctor"), "run the 'memory|doctor' command");
}

#[test]
fn keys_are_allowed_by_how_they_are_used() {
    let some = user("+@all %R~read* %W~write* %RW~rw*");
    for (command, denied) in [
        ("get read", None),
        ("get write", Some("write")),
        ("set rw 1", None),
        ("set write 1", None),
        ("set write 1 get", Some("write")),
        ("set read 1", Some("read")),
        ("bitfield read get u4 0", None),
        ("bitfield read set u4 0 1", Some("read")),
        ("bitfield write set u4 0 1", Some("write")),
        ("copy read write", None),
        ("copy write read", Some("write")),
        ("sort read store write", None),
        ("sort read store read", Some("read")),
        ("eval x 1 rw1", None),
        ("eval x 1 read", Some("read")),
        ("eval_ro x 1 read", None),
        ("eval x 0 read", None),
        ("eval x -1 read", None),
        ("eval x 3 rw read", None),
        ("georadius read 1 1 1 m storedist write", None),
        ("georadius read 1 1 1 m storedist read2", Some("read2")),
        ("georadius write1 1 1 1 m store write2", Some("write1")),
        ("exists write", None),
        ("exists nothing", Some("nothing")),
        ("hstrlen read f", None),
        ("sintercard 2 write read", Some("write")),
        ("pfcount read read", None),
        ("memory usage rw", None),
        ("strlen write", None),
        ("mget read1 read2 other", Some("other")),
    ] {
        let expected = denied.map_or("ok".to_owned(), |key| format!("access the '{key}' key"));
        assert_eq!(check(&some, command), expected, "{command}");
    }
    assert_eq!(listed(&user("%R~a %W~a %RW~b")), "off sanitize-payload ~a ~b resetchannels -@all");
}

#[test]
fn channels_are_matched_and_patterns_compared() {
    let some = user("+@all &foo:1 &bar:*");
    for (command, denied) in [
        ("publish foo:1 m", None),
        ("publish bar:2 m", None),
        ("publish zap m", Some("zap")),
        ("spublish zap m", Some("zap")),
        ("subscribe foo:1 bar:9", None),
        ("subscribe foo:1 zap", Some("zap")),
        ("psubscribe bar:*", None),
        ("psubscribe bar:baz", Some("bar:baz")),
        ("ssubscribe zap", Some("zap")),
        ("unsubscribe zap", None),
        ("sunsubscribe", None),
    ] {
        let expected = denied.map_or("ok".to_owned(), |name| format!("access the '{name}' channel"));
        assert_eq!(check(&some, command), expected, "{command}");
    }
}

#[test]
fn a_selector_allows_all_of_a_command_or_nothing() {
    let two = user("(+@write ~write::*) (+@read ~read::*)");
    assert_eq!(check(&two, "set write::a 1"), "ok");
    assert_eq!(check(&two, "get read::a"), "ok");
    assert_eq!(check(&two, "get write::a"), "access the 'write::a' key");
    assert_eq!(check(&two, "ping"), "run the 'ping' command");
    let apart = user("(%R~read* +@all) (%W~write* +@all)");
    assert_ne!(check(&apart, "copy read write"), "ok", "selectors do not add up");
    // Told is the last key that no selector would have.
    let keys = user("+mget ~key (+mget ~key ~otherkey)");
    assert_eq!(check(&keys, "mget key otherkey someotherkey"), "access the 'someotherkey' key");
}

#[test]
fn sort_by_patterns_needs_all_keys() {
    let argv: &[&[u8]] = &[b"sort", b"list", b"by", b"v*"];
    let spec = resolve(argv).unwrap();
    let text = |user: &User, args: &[&[u8]]| match user.check(spec, args) {
        Ok(()) => "ok".to_owned(),
        Err(denial) => String::from_utf8(denial.text(b"u", spec)).unwrap(),
    };
    let denied = "ERR BY option of SORT denied due to insufficient ACL permissions.";
    assert_eq!(text(&user("(+sort ~list ~v*)"), &argv[1..]), denied);
    assert_eq!(text(&user("(+sort ~list %W~*)"), &argv[1..]), denied);
    assert_eq!(text(&user("(+sort ~list %R~*)"), &argv[1..]), "ok");
    assert_eq!(text(&user("(+sort ~list)"), &[b"list", b"by", b"nosort", b"alpha"]), "ok");
    let get = text(&user("+sort ~list"), &[b"list", b"limit", b"0", b"1", b"get", b"#"]);
    assert_eq!(get, denied.replace("BY", "GET"));
}

#[test]
fn the_key_of_a_result_must_be_allowed_wherever_it_is_named() {
    let some = user("on ~{k}* -@all +sort +georadius +georadiusbymember");
    let circle = "georadius {k}g 1 1 10 km";
    let around = "georadiusbymember {k}g m 10 km";
    for (command, denied) in [
        ("sort {k}a STORE {k}b".to_owned(), None),
        ("sort {k}a STORE secret{k} BY store".to_owned(), Some("secret{k}")),
        ("sort {k}a LIMIT 0 store STORE secret{k}".to_owned(), Some("secret{k}")),
        ("sort {k}a STORE {k}x STORE secret{k}".to_owned(), Some("secret{k}")),
        ("sort {k}a STORE by STORE secret{k} BY store".to_owned(), Some("secret{k}")),
        (format!("{circle} STORE {{k}}x"), None),
        (format!("{circle} STORE {{k}}x STORE secret2{{k}}"), Some("secret2{k}")),
        (format!("{circle} STORE {{k}}x STOREDIST secret2{{k}}"), Some("secret2{k}")),
        (format!("{circle} STOREDIST {{k}}x STOREDIST secret2{{k}}"), Some("secret2{k}")),
        (format!("{circle} STORE secret2{{k}} COUNT 1 ASC"), Some("secret2{k}")),
        (format!("{around} STORE {{k}}x"), None),
        (format!("{around} STORE {{k}}x STORE secret2{{k}}"), Some("secret2{k}")),
        (format!("{around} STORE {{k}}x STOREDIST secret2{{k}}"), Some("secret2{k}")),
    ] {
        let expected = denied.map_or("ok".to_owned(), |key| format!("access the '{key}' key"));
        assert_eq!(check(&some, &command), expected, "{command}");
    }
}

#[test]
fn selectors_are_written_in_one_argument_or_several() {
    let of = |args: &[&[u8]]| {
        let mut user = User::new(Channels::None);
        user.set(args, Channels::None).unwrap();
        let keys = user.selectors[1..].iter().map(|s| s.keys[0].word());
        keys.map(|word| String::from_utf8(word).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of(&[b"(~key1 +get )", b"( ~key2 +get )"]), ["~key1", "~key2"]);
    assert_eq!(of(&words("(~key5 +get ) ( ~key6 +get ) (~key8 +get)")), ["~key5", "~key6", "~key8"]);
    assert_eq!(user("reset ()").selectors.len(), 2);
    assert_eq!(user("(~a) clearselectors").selectors.len(), 1);
}

#[test]
fn refusals_are_worded_as_in_redis() {
    let modifier =
        |rule: &str, error: RuleError| format!("ERR Error in ACL SETUSER modifier '{rule}': {error}");
    for (rules, rule, error) in [
        ("on (this-is-invalid)", "(this-is-invalid)", RuleError::Syntax),
        ("(&* &fail)", "(&* &fail)", RuleError::ChannelsAfterAll),
        ("(+PING (+SELECT (+DEL ) )", "(+PING (+SELECT (+DEL )", RuleError::Syntax),
        ("~* ~a", "~a", RuleError::KeysAfterAll),
        ("~* %R~a", "%R~a", RuleError::KeysAfterAll),
        ("&* &a", "&a", RuleError::ChannelsAfterAll),
        (")", ")", RuleError::Syntax),
        ("+config|get|appendonly", "+config|get|appendonly", RuleError::FirstArgOfSubcommand),
        ("+config|asdf", "+config|asdf", RuleError::Unknown),
        ("-config|asdf", "-config|asdf", RuleError::Unknown),
        ("+get|key1|key2", "+get|key1|key2", RuleError::Unknown),
        ("-get|key1", "-get|key1", RuleError::Unknown),
        ("+debug|", "+debug|", RuleError::Syntax),
        ("+@nothing", "+@nothing", RuleError::Unknown),
        ("+", "+", RuleError::Unknown),
        ("%X~a", "%X~a", RuleError::Syntax),
        ("%RR~a", "%RR~a", RuleError::Syntax),
        ("%~a", "%~a", RuleError::Syntax),
        ("%", "%", RuleError::Syntax),
        ("<nobody", "<nobody", RuleError::NoSuchPassword),
        ("#34344e", "#34344e", RuleError::Digest),
        ("!34344e", "!34344e", RuleError::Digest),
    ] {
        assert!(
            modifier(rule, error).starts_with(&refusal(&words(rules))),
            "{rules}: {}",
            refusal(&words(rules))
        );
    }
    let unmatched = "ERR Unmatched parenthesis in acl selector starting at '(+PING'.";
    assert_eq!(refusal(&words("on (+PING (+SELECT (+DEL")), unmatched);
    assert_eq!(refusal(&[b"~a b"]), modifier("~a b", RuleError::Syntax));
    assert_eq!(refusal(&[b" () "]), modifier(" () ", RuleError::Syntax));
    // All or nothing.
    let mut some = user("on +get");
    assert!(matches!(some.set(&words("off +set nonsense"), Channels::None), Err(SetError::Rule(..))));
    assert_eq!(some, user("on +get"));
}

#[test]
fn passwords_open_and_are_not_kept() {
    let mut two = user("on >one >two >one");
    assert!(two.admits(b"one") && two.admits(b"two") && !two.admits(b"three") && !two.admits(b""));
    assert_eq!(two.passwords().count(), 2);
    assert!(!listed(&two).contains("one"));
    two.set(&words("<one"), Channels::None).unwrap();
    assert!(!two.admits(b"one") && two.admits(b"two"));
    two.set(&words("off"), Channels::None).unwrap();
    assert!(!two.admits(b"two"), "disabled");
    assert!(user("on nopass").admits(b"anything"));
    assert!(!user("on nopass >secret").admits(b"anything"));
    let mut default = User::anyone();
    default.require(b"hush");
    assert!(default.admits(b"hush") && !default.is_open());
    default.require(b"");
    assert_eq!(default, User::anyone());
}

#[test]
fn revoked_channels_are_noticed() {
    let old = user("&foo:1 &bar:*");
    assert!(user("&foo:1").hears_less_than(&old));
    assert!(!user("&foo:1 &bar:* &more").hears_less_than(&old));
    assert!(!user("allchannels").hears_less_than(&old));
    assert!(user("&foo:1").hears_less_than(&user("allchannels")));
    assert!(!user("(&foo:1) &bar:*").hears_less_than(&old), "by whichever selector");
    assert!(user("&bar:*").hears(b"bar:*", true) && !user("&bar:*").hears(b"bar:1", true));
}

#[test]
fn files_are_read_whole_or_not_at_all() {
    let good = b"user alice on allcommands allkeys &* >alice\n\nuser bob -@all +@set ~set* ( +get ~a )\r\n";
    let users = acl::file::parse("users.acl", good, Channels::None).unwrap();
    assert_eq!(users.keys().map(Vec::as_slice).collect::<Vec<_>>(), [&b"alice"[..], b"bob", b"default"]);
    assert_eq!(users[b"default".as_slice()], User::anyone());
    let text = acl::file::render(users.iter().map(|(name, user)| (name.as_slice(), user)));
    assert_eq!(acl::file::parse("again", &text, Channels::None).unwrap(), users);
    let bad = b"user a on >pass word\nuser a\nnobody\nuser b +nope";
    let errors = acl::file::parse("f", bad, Channels::None).unwrap_err();
    let errors = String::from_utf8(errors).unwrap();
    assert_eq!(
        errors,
        "f:1: Syntax error. WARNING: Duplicate user 'a' found on line 2. f:3 should start with user keyword followed \
         by the username. f:4: Error in applying operation '+nope': Unknown command or category name in ACL. \
         WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    );
}

#[test]
fn stored_texts_of_other_builds_are_read_as_far_as_that_is_safe() {
    let later = User::from_stored(b"on ~* &* +@all -newcommand").unwrap();
    assert_eq!(commands_of(&later), "+@all -newcommand");
    assert_eq!(check(&later, "get k"), "ok");
    for unsafe_to_read in ["on ~* +@all -@newcategory", "on shiny", "on (+get)", "on\n>x"] {
        assert!(User::from_stored(unsafe_to_read.as_bytes()).is_err(), "{unsafe_to_read}");
    }
}

const PATTERNS: &str = "[a-z*?:()%~\"'\\\\]{0,4}";
/// Without what Redis writes ambiguously: quotes and parentheses, all keys as a pattern.
const PLAIN_PATTERNS: &str = "[a-z?:%~][a-z*?:%~]{0,4}";

/// Rules of all kinds, most of them good.
fn rule(pattern: &'static str) -> impl Strategy<Value = String> {
    let command = prop::sample::select(vec![
        "get",
        "set",
        "config",
        "config|get",
        "client|id",
        "@all",
        "@read",
        "@slow",
        "select|0",
        "GET",
        "acl",
    ]);
    let sign = prop::sample::select(vec!["+", "-"]);
    prop_oneof![
        prop::sample::select(vec![
            "on",
            "off",
            "nopass",
            "resetpass",
            "reset",
            "allkeys",
            "resetkeys",
            "allchannels",
            "resetchannels",
            "skip-sanitize-payload",
            "clearselectors",
            "~*",
            "&*",
            ">secret",
            "<secret",
        ])
        .prop_map(str::to_owned),
        pattern.prop_map(|pattern| format!("~{pattern}")),
        pattern.prop_map(|pattern| format!("%R~{pattern}")),
        pattern.prop_map(|pattern| format!("%W~{pattern}")),
        pattern.prop_map(|pattern| format!("&{pattern}")),
        (sign, command).prop_map(|(sign, command)| format!("{sign}{command}")),
        "[^ ()\"'\\\\~&%]{0,8}",
    ]
}

fn user_of(pattern: &'static str) -> impl Strategy<Value = User> {
    let rules = prop::collection::vec(prop_oneof![4 => rule(pattern), 1 => selector(pattern)], 0..24);
    rules.prop_map(|rules| {
        let mut user = User::new(Channels::None);
        for rule in rules {
            // What is refused changes nothing.
            let before = user.clone();
            if user.apply(rule.as_bytes(), Channels::None).is_err() {
                assert_eq!(user, before);
            }
        }
        user
    })
}

fn selector(pattern: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(rule(pattern), 0..5).prop_map(|rules| format!("({})", rules.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn stored_texts_mean_the_same_user(user in user_of(PATTERNS)) {
        let text = user.stored();
        let read = User::from_stored(&text).unwrap();
        prop_assert_eq!(&read, &user, "{}", String::from_utf8_lossy(&text));
        prop_assert_eq!(read.stored(), text);
        let named = user.named(b"name");
        prop_assert_eq!(User::from_named(&named), Ok((&b"name"[..], read)));
        let as_json = acl::latin1(&user.stored());
        prop_assert_eq!(acl::unlatin1(&as_json), Some(user.stored()));
    }

    #[test]
    fn listed_texts_are_stable(user in user_of(PLAIN_PATTERNS)) {
        let text = user.listed();
        let mut read = User::new(Channels::None);
        let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
        read.set(&words, Channels::None).unwrap();
        prop_assert_eq!(read.listed(), text);
        prop_assert_eq!(read, user);
    }

    #[test]
    fn hostile_rules_harm_nobody(rules in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8)) {
        let mut user = User::new(Channels::None);
        let args: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        let _ = user.set(&args, Channels::All);
        let _ = User::from_stored(&rules.concat());
        let _ = acl::file::parse("f", &rules.concat(), Channels::None);
        prop_assert_eq!(User::from_stored(&user.stored()).unwrap(), user);
    }

    #[test]
    fn a_denial_names_an_argument(user in user_of(PATTERNS), at in 0usize..1000, args in prop::collection::vec("[a-z0-9*]{0,5}", 0..6)) {
        let all: Vec<_> = commands::table::all().filter(|spec| !spec.internal).collect();
        let spec = all[at % all.len()];
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        if let Err(Denial::Key(at) | Denial::Channel(at)) = user.check(spec, &args) {
            prop_assert!(at < args.len());
        }
        if user.is_unrestricted() {
            prop_assert!(user.check(spec, &args).is_ok());
        }
    }
}
