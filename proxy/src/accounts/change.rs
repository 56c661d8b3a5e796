//! Changing users, for the whole cluster: made from the users as they are, refused by meta if someone else
//! was faster, and then made again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use acl::{DEFAULT, User};
use bytes::Bytes;
use resp::Reply;
use tokio::time::{Instant, timeout_at};
use topology::UsersChange;

use super::Table;
use crate::{cluster::Cluster, shared::Shared};

/// Others may be faster so many times.
const ATTEMPTS: usize = 20;
/// How long a change may take in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change of users.
#[derive(Debug, Default)]
pub struct Edit {
    /// `None`: the user goes.
    pub users: BTreeMap<Bytes, Option<User>>,
    /// There are no others from here on, and all but the default user are others than before.
    pub anew: bool,
}

/// Changes users for a client.
#[derive(Clone)]
pub struct Editor {
    shared: Arc<Shared>,
    cluster: Cluster,
}

impl Editor {
    pub fn new(shared: Arc<Shared>, cluster: Cluster) -> Self {
        Self { shared, cluster }
    }

    /// Makes the change that `edit` makes of the users as they are, and answers what it answers, once every
    /// proxy acts by it. Without a change, once it is sure that there is none to make.
    pub async fn change<T>(
        &self,
        edit: impl Fn(&Table) -> Result<(Option<Edit>, T), Reply>,
    ) -> Result<T, Reply> {
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..ATTEMPTS {
            self.cluster.sure().await?;
            let table = self.shared.accounts.table();
            let (edit, answer) = edit(&table)?;
            let Some(edit) = edit else { return Ok(answer) };
            match self.cluster.change_users(change_of(&table, edit)).await? {
                Some(version) => {
                    self.cluster.reached(version, deadline).await?;
                    return Ok(answer);
                }
                None => self.await_news(table.revision, deadline).await,
            }
        }
        Err(Reply::error("ERR The users are changed by others all the time, try again"))
    }

    /// Waits until there are newer users than those of `revision`.
    async fn await_news(&self, revision: u64, deadline: Instant) {
        let mut news = self.shared.accounts.news();
        while self.shared.accounts.table().revision <= revision {
            if !matches!(timeout_at(deadline, news.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

fn change_of(table: &Table, edit: Edit) -> UsersChange {
    let mut rules = BTreeMap::new();
    // The first change makes the users of the configuration those of the cluster.
    if table.revision == 0 && !edit.anew {
        for account in table.accounts() {
            rules.insert(acl::latin1(&account.name), Some(acl::latin1(&account.user.stored())));
        }
    }
    for (name, user) in edit.users {
        let user = user.map(|user| acl::latin1(&user.stored()));
        rules.insert(acl::latin1(&name), user);
    }
    UsersChange { seen: table.revision, rules, anew_but: edit.anew.then(|| acl::latin1(DEFAULT)) }
}
