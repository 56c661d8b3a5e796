//! The users of the configuration: in force until somebody changes users, and proposed to meta as the
//! first ones if there is anything to them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use acl::{Channels, DEFAULT, User};
use anyhow::Context as _;
use bytes::Bytes;
use tokio::time::sleep;

use super::{Edit, Editor};
use crate::{cluster::Cluster, shared::Shared};

/// After meta could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// What `aclfile` and `requirepass` say; empty: nothing. Where both name a default user, the file does.
pub fn initial_users(file: Option<&str>, password: &[u8]) -> anyhow::Result<BTreeMap<Bytes, User>> {
    let mut users = BTreeMap::new();
    if !password.is_empty() {
        let mut default = User::anyone();
        default.require(password);
        users.insert(Bytes::from_static(DEFAULT), default);
    }
    if let Some(path) = file {
        let content = std::fs::read(path).with_context(|| format!("aclfile: {path}"))?;
        let read = acl::file::parse(path, &content, Channels::None);
        let read = read.map_err(|errors| anyhow::anyhow!("aclfile: {}", String::from_utf8_lossy(&errors)))?;
        users.extend(read.into_iter().map(|(name, user)| (Bytes::from(name), user)));
    }
    Ok(users)
}

/// Makes the users of the configuration those of the cluster, unless it has some.
pub async fn begin(shared: Arc<Shared>, cluster: Cluster) {
    let editor = Editor::new(shared, cluster);
    loop {
        let begun = editor.change(|table| Ok(((table.revision == 0).then(Edit::default), ()))).await;
        match begun {
            Ok(()) => return,
            // Until there is a cluster, and meta answers.
            Err(reply) => tracing::debug!(?reply, "the first users are not set yet"),
        }
        sleep(PAUSE).await;
    }
}
