//! What another meta node says about the group.

use std::time::Duration;

use daemon::{env::Env, grpc};
use proto::v1::{MembersRequest, MembersResponse, meta_admin_client::MetaAdminClient};
use tokio::time::timeout;

const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// None: no answer in time.
pub(crate) async fn ask(env: &Env, addr: &str) -> Option<MembersResponse> {
    let mut admin = MetaAdminClient::new(grpc::channel(env, addr).ok()?);
    let answer = timeout(ASK_TIMEOUT, admin.members(MembersRequest {})).await;
    Some(answer.ok()?.ok()?.into_inner())
}
