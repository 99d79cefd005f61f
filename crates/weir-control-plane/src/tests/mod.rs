mod access; // every route for every role
mod accounts; // login, throttling, tokens, users
mod alarms; // on the Dashboard and in the audit log
mod as_code; // export, difference and application of a policy document
mod blocking; // the blocking preview where more passed than is inspected
mod database_away; // calls while PostgreSQL does not answer
pub mod events; // intake, exceptions, virtual patches, explanations
mod guard; // changes that have to be confirmed, and their line of the audit log
mod metrics; // what is counted
mod nodes; // identity of nodes, and for which nodes they speak
mod overview; // sources, hosts, applications, the blocking report, saved searches
mod packs; // rule packs in the place of built-in signatures; one listed address
mod policy; // changes, versions, keys, nodes
mod second_factor; // TOTP and recovery codes
