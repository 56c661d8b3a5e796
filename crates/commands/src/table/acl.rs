//! Users and what they may do. The proxy executes these itself.

use crate::doc::{Group, integer, one_of, string, word};
use crate::flags::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

const ASKS: u32 = NOSCRIPT | LOADING | STALE;
const ADMINISTERS: u32 = ASKS | ADMIN;
const EACH_USER: &str = "O(N) where N is the number of users";

pub static ROWS: &[Spec] = &[container(
    Id::Acl,
    "acl",
    &[
        local(Id::AclCat, "acl|cat", at_least(2), ProxyCommand::AclCat)
            .flags(ASKS)
            .doc(
                Group::Server,
                "6.0.0",
                "O(1), because there are as many commands as there are",
                "Lists the categories, or the commands in one.",
            )
            .args(&[string("category").optional()]),
        local(Id::AclDeluser, "acl|deluser", at_least(3), ProxyCommand::AclDelUser)
            .flags(ADMINISTERS)
            .doc(Group::Server, "6.0.0", EACH_USER, "Deletes users and closes their connections.")
            .args(&[string("username").multiple()]),
        local(Id::AclDryrun, "acl|dryrun", at_least(4), ProxyCommand::AclDryRun)
            .flags(ADMINISTERS)
            .doc(Group::Server, "7.0.0", "O(1)", "Tells whether a user may execute a command.")
            .args(&[string("username"), string("command"), string("arg").optional().multiple()]),
        local(Id::AclGenpass, "acl|genpass", at_least(2), ProxyCommand::AclGenPass)
            .flags(ASKS)
            .doc(Group::Server, "6.0.0", "O(1)", "Makes up a password.")
            .args(&[integer("bits").optional()]),
        local(Id::AclGetuser, "acl|getuser", exactly(3), ProxyCommand::AclGetUser)
            .flags(ADMINISTERS)
            .doc(
                Group::Server,
                "6.0.0",
                "O(N) where N is the number of rules of the user",
                "Describes a user.",
            )
            .args(&[string("username")]),
        local(Id::AclHelp, "acl|help", exactly(2), ProxyCommand::Help).flags(LOADING | STALE).doc(
            Group::Server,
            "6.0.0",
            "O(1)",
            "Lists the subcommands.",
        ),
        local(Id::AclList, "acl|list", exactly(2), ProxyCommand::AclList).flags(ADMINISTERS).doc(
            Group::Server,
            "6.0.0",
            EACH_USER,
            "Lists users and their rules.",
        ),
        local(Id::AclLoad, "acl|load", exactly(2), ProxyCommand::AclLoad).flags(ADMINISTERS).doc(
            Group::Server,
            "6.0.0",
            EACH_USER,
            "Replaces all users by those of the ACL file.",
        ),
        local(Id::AclLog, "acl|log", at_least(2), ProxyCommand::AclLog)
            .flags(ADMINISTERS)
            .doc(
                Group::Server,
                "6.0.0",
                "O(N) where N is the number of entries shown",
                "Lists what was refused to users lately.",
            )
            .args(&[one_of("operation", &[integer("count"), word("reset", "RESET")]).optional()]),
        local(Id::AclSave, "acl|save", exactly(2), ProxyCommand::AclSave).flags(ADMINISTERS).doc(
            Group::Server,
            "6.0.0",
            EACH_USER,
            "Writes all users to the ACL file.",
        ),
        local(Id::AclSetuser, "acl|setuser", at_least(3), ProxyCommand::AclSetUser)
            .flags(ADMINISTERS)
            .doc(
                Group::Server,
                "6.0.0",
                "O(N) where N is the number of rules given",
                "Creates a user or changes its rules.",
            )
            .args(&[string("username"), string("rule").optional().multiple()]),
        local(Id::AclUsers, "acl|users", exactly(2), ProxyCommand::AclUsers).flags(ADMINISTERS).doc(
            Group::Server,
            "6.0.0",
            EACH_USER,
            "Lists the names of users.",
        ),
        local(Id::AclWhoami, "acl|whoami", exactly(2), ProxyCommand::AclWhoAmI).flags(ASKS).doc(
            Group::Server,
            "6.0.0",
            "O(1)",
            "Tells who the client is.",
        ),
    ],
)
.doc(Group::Server, "6.0.0", "Depends on the subcommand.", "Manages users and what they may do.")];
