//! Users in force, and what that means for connections.

use std::collections::BTreeMap;

use acl::{Channels, User};
use bytes::Bytes;

use super::{Access, Accounts, Refusal, Table};

fn rules(words: &str) -> String {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let mut user = User::new(Channels::None);
    user.set(&words, Channels::None).unwrap();
    acl::latin1(&user.stored())
}

/// Users of a revision: name, id, rules.
fn users(revision: u64, list: &[(&str, u64, &str)]) -> topology::Users {
    let user = |&(name, id, words): &(&str, u64, &str)| {
        (name.to_owned(), topology::User { id, rules: rules(words) })
    };
    topology::Users { revision, by_name: list.iter().map(user).collect() }
}

fn accounts(list: &[(&str, u64, &str)]) -> Accounts {
    let accounts = Accounts::default();
    accounts.put(Table::initial(BTreeMap::new()).next(&users(1, list)));
    accounts
}

fn may(access: &Access, command: &str) -> bool {
    let argv: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
    let spec = commands::resolve(&argv).unwrap();
    !access.is_restricted || access.check(spec, &argv[1..]).is_ok()
}

const OPEN: &str = "on nopass ~* &* +@all";

#[test]
fn everyone_may_do_everything_until_users_say_otherwise() {
    let accounts = Accounts::default();
    let mut access = Access::new(&accounts);
    assert!(!access.is_restricted && !access.needs_login() && accounts.are_open());
    accounts.put(accounts.table().next(&users(1, &[("default", 1, "on >x ~a* +@all")])));
    assert!(access.refresh(&accounts).unwrap().is_some());
    assert!(!access.needs_login(), "who was here stays");
    assert!(may(&access, "get a1") && !may(&access, "get b"));
    assert!(access.refresh(&accounts).unwrap().is_none(), "nothing new");
    let mut late = Access::new(&accounts);
    assert!(late.needs_login() && may(&late, "auth x") && !may(&late, "get a"));
    assert!(!late.log_in(&accounts, b"default", b"y") && late.needs_login());
    assert!(late.log_in(&accounts, b"default", b"x") && may(&late, "get a"));
}

#[test]
fn who_has_not_logged_in_need_not_while_the_default_user_is_open() {
    let accounts = accounts(&[("default", 1, "off nopass ~* &* +@all")]);
    let mut access = Access::new(&accounts);
    assert!(matches!(access.check(commands::lookup(b"get").unwrap(), &[b"k"]), Err(Refusal::NoAuth)));
    for (revision, rules, may_get) in [(2, OPEN, true), (3, "off >x ~* +@all", false)] {
        accounts.put(accounts.table().next(&users(revision, &[("default", 1, rules)])));
        access.refresh(&accounts).unwrap();
        assert_eq!(may(&access, "get k"), may_get, "{rules}");
    }
}

#[test]
fn a_user_made_anew_is_another() {
    let accounts = accounts(&[("default", 1, OPEN), ("a", 1, OPEN)]);
    let mut access = Access::new(&accounts);
    assert!(access.log_in(&accounts, b"a", b""));
    accounts.put(accounts.table().next(&users(3, &[("default", 1, OPEN), ("a", 3, OPEN)])));
    assert!(access.refresh(&accounts).is_err());
}

#[test]
fn users_of_the_configuration_become_those_of_the_cluster() {
    let accounts = Accounts::default();
    let mut configured = User::anyone();
    configured.require(b"x");
    let name = Bytes::from_static(b"first");
    accounts.begin_with(BTreeMap::from([(name, configured)]));
    let mut access = Access::new(&accounts);
    assert!(access.log_in(&accounts, b"first", b"x"));
    accounts.put(accounts.table().next(&users(1, &[("default", 1, OPEN), ("first", 1, "on >x ~* +@all")])));
    assert!(access.refresh(&accounts).is_ok(), "it is the same");
    assert!(access.is_restricted, "with other rules");
}

#[test]
fn rules_that_cannot_be_read_allow_nothing() {
    let mut broken = users(1, &[("default", 1, OPEN)]);
    broken.by_name.get_mut("default").unwrap().rules = "on +@all ~* shiny".to_owned();
    let table = Table::initial(BTreeMap::new()).next(&broken);
    assert_eq!(table.default().user, User::new(Channels::None));
    let gone = Table::initial(BTreeMap::new()).next(&users(1, &[]));
    assert_eq!(gone.default().user, User::new(Channels::None), "no default user is none");
}
