//! The users of one revision.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use acl::{Channels, DEFAULT, User};
use bytes::Bytes;

/// A user by name.
pub struct Account {
    pub name: Bytes,
    /// As [`topology::User::id`]; 0: known from this proxy's configuration only.
    pub id: u64,
    pub user: User,
    /// As stored by meta.
    rules: String,
    /// It may do everything.
    pub is_unrestricted: bool,
    for_scripts: OnceLock<Bytes>,
}

impl Account {
    fn new(name: Bytes, id: u64, user: User, rules: String) -> Arc<Self> {
        let is_unrestricted = user.is_unrestricted();
        Arc::new(Self { name, id, user, rules, is_unrestricted, for_scripts: OnceLock::new() })
    }

    /// As whoever runs scripts for it is told.
    pub fn for_scripts(&self) -> Bytes {
        self.for_scripts.get_or_init(|| self.user.named(&self.name).into()).clone()
    }

    /// A default user who may do everything.
    pub fn anyone() -> Arc<Self> {
        static ANYONE: LazyLock<Arc<Account>> =
            LazyLock::new(|| Account::new(Bytes::from_static(DEFAULT), 0, User::anyone(), String::new()));
        ANYONE.clone()
    }

    /// One whose rules cannot be read may do nothing.
    fn stored(name: Bytes, id: u64, rules: &str) -> Arc<Self> {
        let user = acl::unlatin1(rules).and_then(|text| User::from_stored(&text).ok());
        let user = user.unwrap_or_else(|| {
            tracing::error!(user = %String::from_utf8_lossy(&name), "its rules cannot be read here: refused");
            User::new(Channels::None)
        });
        Self::new(name, id, user, rules.to_owned())
    }
}

/// See the module's documentation.
pub struct Table {
    /// As [`topology::Users::revision`].
    pub revision: u64,
    by_name: BTreeMap<Bytes, Arc<Account>>,
    default: Arc<Account>,
}

impl Table {
    /// Users of the configuration. Without a default user there is one who may do everything.
    pub fn initial(users: BTreeMap<Bytes, User>) -> Self {
        let by_name = users.into_iter().map(|(name, user)| {
            let account = Account::new(name.clone(), 0, user, String::new());
            (name, account)
        });
        Self::of(0, by_name.collect(), User::anyone)
    }

    /// Users of the cluster.
    pub fn next(&self, users: &topology::Users) -> Self {
        let account = |(name, user): (&String, &topology::User)| {
            let name = Bytes::from(acl::unlatin1(name)?);
            let known =
                self.by_name.get(&name).filter(|known| known.id == user.id && known.rules == user.rules);
            let account =
                known.cloned().unwrap_or_else(|| Account::stored(name.clone(), user.id, &user.rules));
            Some((name, account))
        };
        let by_name = users.by_name.iter().filter_map(account).collect();
        // Meta has had one since the first change.
        Self::of(users.revision, by_name, || User::new(Channels::None))
    }

    fn of(revision: u64, mut by_name: BTreeMap<Bytes, Arc<Account>>, otherwise: fn() -> User) -> Self {
        let name = Bytes::from_static(DEFAULT);
        let new = || Account::new(name.clone(), 0, otherwise(), String::new());
        let default = by_name.entry(name.clone()).or_insert_with(new).clone();
        Self { revision, by_name, default }
    }

    pub fn get(&self, name: &[u8]) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// What became of a user that was known before; `None`: it is gone, even if there is another of its
    /// name.
    pub fn of_account(&self, before: &Account) -> Option<&Arc<Account>> {
        let is_same = |now: &&Arc<Account>| now.id == before.id || before.id == 0 || before.name == DEFAULT;
        self.get(&before.name).filter(is_same)
    }

    pub fn default(&self) -> &Arc<Account> {
        &self.default
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// By name.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_name.values()
    }
}
