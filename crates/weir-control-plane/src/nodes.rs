//! Nodes: who registered, with what secret, and how they are.

use super::auth::secret;
use super::error::{Error, Result};
use super::meta::{Pool, number, text};
use super::policy::check::{GROUP_FORM, is_group};
use serde::Serialize;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::{HashMap, HashSet};
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::{Heartbeat, Identity, MAX_GAPS, Register};
use weir_runtime::clock::Clock;

/// A node that is silent for this long is inactive, in milliseconds.
pub const INACTIVE_MS: i64 = 2 * 60 * 1000;
/// A node that is silent for this long is removed.
pub const REMOVED_MS: i64 = 24 * 60 * 60 * 1000;
/// Most nodes, those behind aggregations included.
const MAX_NODES: i64 = 10_000;
/// Longest text that a node says of itself, in characters.
const MAX_TEXT: usize = 200;
/// Most capabilities that a node names.
const MAX_CAPABILITIES: usize = 100;
/// Most nodes that one aggregation speaks for in a heartbeat.
const MAX_REPLICAS: usize = 1_000;

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// UUIDv7.
    pub id: String,
    /// Group.
    pub group: String,
    /// For people.
    pub name: String,
    /// `processing` or `aggregation`.
    pub role: NodeRole,
    /// Version of the program.
    pub version: String,
    /// What it understands in a policy.
    pub capabilities: Vec<String>,
    /// Its address as seen from here.
    pub address: String,
    /// Aggregation through which it speaks; empty for none.
    pub parent: String,
    /// Whether it may speak.
    pub enabled: bool,
    /// Whether it was heard of within two minutes.
    pub active: bool,
    /// Milliseconds since 1970.
    pub registered_at: i64,
    /// Milliseconds since 1970.
    pub seen_at: i64,
    /// How it is by its own word.
    pub heartbeat: Heartbeat,
}

/// All nodes.
#[derive(Clone, Debug)]
pub struct Nodes {
    pool: Pool,
    clock: Clock,
}

const COLUMNS: &str = "SELECT id, secret, grp, name, role, version, capabilities, address, parent, enabled, registered_at, \
                       seen_at, heartbeat FROM nodes";

/// Nodes that an aggregation of id $1 and group $2 may take over when they were not heard of since $3.
const SILENT: &str = "parent <> $1 AND grp = $2 AND seen_at < $3 AND role = 'processing'";

impl Nodes {
    /// Nodes in `pool`.
    pub fn new(pool: Pool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    fn read(&self, row: &AnyRow) -> Result<Node> {
        let json = |column| text(row, column);
        let seen_at = number(row, "seen_at")?;
        Ok(Node {
            id: text(row, "id")?,
            group: text(row, "grp")?,
            name: text(row, "name")?,
            role: NodeRole::from(text(row, "role")?),
            version: text(row, "version")?,
            capabilities: serde_json::from_str(&json("capabilities")?).map_err(Error::internal)?,
            address: text(row, "address")?,
            parent: text(row, "parent")?,
            enabled: number(row, "enabled")? != 0,
            active: self.clock.millis() - seen_at < INACTIVE_MS,
            registered_at: number(row, "registered_at")?,
            seen_at,
            heartbeat: serde_json::from_str(&json("heartbeat")?).map_err(Error::internal)?,
        })
    }

    /// All of them by group and name.
    pub async fn list(&self) -> Result<Vec<Node>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY grp, name, id LIMIT {MAX_NODES}"));
        sqlx::query(sql).fetch_all(self.pool.read()).await?.iter().map(|row| self.read(row)).collect()
    }

    /// How many there are in each state: `active`, `inactive`, `disabled`.
    pub async fn states(&self) -> Result<[(&'static str, i64); 3]> {
        const COUNTS: &str = "SELECT COUNT(*) AS nodes, COUNT(CASE WHEN enabled = 0 THEN 1 END) AS disabled, \
             COUNT(CASE WHEN enabled <> 0 AND seen_at > $1 THEN 1 END) AS active FROM nodes";
        let row = sqlx::query(COUNTS).bind(self.clock.millis() - INACTIVE_MS).fetch_one(self.pool.read()).await?;
        let (all, disabled, active) = (number(&row, "nodes")?, number(&row, "disabled")?, number(&row, "active")?);
        Ok([("active", active), ("inactive", all - disabled - active), ("disabled", disabled)])
    }

    /// Group of each node.
    pub async fn groups(&self) -> Result<HashMap<String, String>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT id, grp FROM nodes LIMIT {MAX_NODES}"));
        let rows = sqlx::query(sql).fetch_all(self.pool.read()).await?;
        rows.iter().map(|row| Ok((text(row, "id")?, text(row, "grp")?))).collect()
    }

    /// One by id.
    pub async fn find(&self, id: &str) -> Result<Option<Node>> {
        self.find_on(&mut *self.pool.read().acquire().await?, id).await
    }

    /// One by id, as a connection sees it.
    pub async fn find_on(&self, on: &mut AnyConnection, id: &str) -> Result<Option<Node>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        let row = sqlx::query(sql).bind(id).fetch_optional(on).await?;
        row.as_ref().map(|row| self.read(row)).transpose()
    }

    /// The enabled node with this identity.
    pub async fn verify(&self, identity: &Identity) -> Result<Option<Node>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        let row = sqlx::query(sql).bind(&identity.node_id).fetch_optional(self.pool.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let fits = secret::same(&text(&row, "secret")?, &secret::hash(&identity.secret));
        let node = self.read(&row)?;
        Ok(Some(node).filter(|node| fits && node.enabled))
    }

    /// Gives an identity, or confirms the one that the node has. An identity stays in its group and role: a node that asks
    /// for others gets a new one. Written on a connection.
    pub async fn register(&self, on: &mut AnyConnection, asked: &Register, address: &str) -> Result<Identity> {
        if !is_group(&asked.group) {
            return Err(Error::invalid("group", GROUP_FORM));
        }
        if matches!(asked.role, NodeRole::Other(_)) {
            return Err(Error::invalid("role", "expected `processing` or `aggregation`"));
        }
        let capabilities = capabilities(&asked.capabilities);
        let (name, version, now) = (short(&asked.name), short(&asked.version), self.clock.millis());
        if let Some(identity) = &asked.identity
            && self.verify(identity).await?.is_some_and(|node| node.group == asked.group && node.role == asked.role)
        {
            let update = sqlx::query(
                "UPDATE nodes SET name = $2, version = $3, capabilities = $4, address = $5, seen_at = $6 WHERE id = $1",
            );
            let update = update.bind(&identity.node_id).bind(name).bind(version);
            update.bind(capabilities).bind(address).bind(now).execute(on).await?;
            return Ok(identity.clone());
        }
        let identity = Identity { node_id: secret::id(), secret: secret::random()? };
        let insert = sqlx::query(
            "INSERT INTO nodes (id, secret, grp, name, role, version, capabilities, address, parent, enabled, registered_at, \
             seen_at, heartbeat) SELECT $1, $2, $3, $4, $5, $6, $7, $8, '', 1, $9, $9, '{}' \
             WHERE (SELECT COUNT(*) FROM nodes) < $10",
        );
        let insert = insert.bind(&identity.node_id).bind(secret::hash(&identity.secret)).bind(&asked.group).bind(name);
        let insert =
            insert.bind(asked.role.as_str()).bind(version).bind(capabilities).bind(address).bind(now).bind(MAX_NODES);
        if insert.execute(on).await?.rows_affected() == 0 {
            return Err(Error::Conflict(format!("there are {MAX_NODES} nodes already; remove some")));
        }
        Ok(identity)
    }

    /// Ids of the nodes in a heartbeat of `parent` that it may take over: it heard of them within two minutes, and here they
    /// are silent, behind another aggregation or by themselves. None for a node that is no aggregation.
    pub async fn silent(&self, parent: &Node, beat: &Heartbeat) -> Result<Vec<String>> {
        // Two aggregations that both lost a node would take it from each other with every heartbeat.
        let heard = |beat: &Heartbeat| i64::try_from(beat.age_ms).is_ok_and(|age| age < INACTIVE_MS);
        let reported = beat.replicas.iter().take(MAX_REPLICAS).filter(|(_, beat)| heard(beat));
        let reported: HashSet<&str> = reported.map(|(id, _)| id.as_str()).collect();
        if reported.is_empty() || parent.role != NodeRole::Aggregation {
            return Ok(Vec::new());
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT id FROM nodes WHERE {SILENT} LIMIT {MAX_NODES}"));
        let silent = sqlx::query(sql).bind(&parent.id).bind(&parent.group).bind(self.clock.millis() - INACTIVE_MS);
        let ids =
            silent.fetch_all(self.pool.read()).await?.iter().map(|row| text(row, "id")).collect::<Result<Vec<_>>>()?;
        Ok(ids.into_iter().filter(|id| reported.contains(id.as_str())).collect())
    }

    /// Puts a node that is silent behind `parent`, on a connection; answers whether it still was. Its own secret is void.
    pub async fn take_over(&self, on: &mut AnyConnection, parent: &Node, id: &str) -> Result<bool> {
        let sql = sqlx::AssertSqlSafe(format!("UPDATE nodes SET parent = $1, secret = '' WHERE {SILENT} AND id = $4"));
        let update = sqlx::query(sql).bind(&parent.id).bind(&parent.group).bind(self.clock.millis() - INACTIVE_MS);
        Ok(update.bind(id).execute(on).await?.rows_affected() > 0)
    }

    /// Notes how a node is, and those behind it.
    ///
    /// # Errors
    /// It is no aggregation, which alone speaks for others.
    pub async fn heartbeat(&self, node: &Node, mut beat: Heartbeat, address: &str) -> Result<()> {
        let replicas = std::mem::take(&mut beat.replicas);
        if !replicas.is_empty() && node.role != NodeRole::Aggregation {
            return Err(Error::Forbidden("only an aggregation may speak for other nodes"));
        }
        self.note(&node.id, beat, address).await?;
        for (id, beat) in replicas.into_iter().take(MAX_REPLICAS) {
            if uuid::Uuid::parse_str(&id).is_ok() && id != node.id {
                self.note_replica(node, &id, beat).await?;
            }
        }
        Ok(())
    }

    async fn note(&self, id: &str, mut beat: Heartbeat, address: &str) -> Result<()> {
        let (version, capabilities) = (short(&beat.version), capabilities(&beat.capabilities));
        tidy(&mut beat);
        let update = sqlx::query(
            "UPDATE nodes SET version = $2, capabilities = $3, address = $4, seen_at = $5, heartbeat = $6 WHERE id = $1",
        );
        let update = update.bind(id).bind(version).bind(capabilities).bind(address).bind(self.clock.millis());
        update.bind(serde_json::to_string(&beat).map_err(Error::internal)?).execute(self.pool.write()).await?;
        Ok(())
    }

    /// A node behind an aggregation: it has its identity there, and no secret here, so it cannot speak for itself. Of one that
    /// is not behind it, nothing is noted.
    async fn note_replica(&self, parent: &Node, id: &str, mut beat: Heartbeat) -> Result<()> {
        let (version, capabilities) = (short(&beat.version), capabilities(&beat.capabilities));
        let age = i64::try_from(beat.age_ms).unwrap_or(i64::MAX).min(INACTIVE_MS);
        tidy(&mut beat);
        let upsert = sqlx::query(
            "INSERT INTO nodes (id, secret, grp, name, role, version, capabilities, address, parent, enabled, registered_at, \
             seen_at, heartbeat) SELECT $1, '', $2, $3, 'processing', $4, $5, '', $6, 1, $7, $7, $8 \
             WHERE EXISTS (SELECT 1 FROM nodes WHERE id = $1) OR ((SELECT COUNT(*) FROM nodes) < $9 \
             AND (SELECT COUNT(*) FROM nodes WHERE parent = $6) < $10) \
             ON CONFLICT (id) DO UPDATE SET name = $3, version = $4, capabilities = $5, seen_at = $7, heartbeat = $8 \
             WHERE nodes.grp = $2 AND nodes.role = 'processing' AND nodes.parent = $6",
        );
        let name = Some(short(&beat.name)).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("behind {}", parent.name));
        let now = self.clock.millis();
        let upsert = upsert.bind(id).bind(&parent.group).bind(name).bind(version);
        let upsert = upsert.bind(capabilities).bind(&parent.id).bind(now - age);
        let upsert = upsert.bind(serde_json::to_string(&beat).map_err(Error::internal)?);
        let upsert = upsert.bind(MAX_NODES).bind(MAX_REPLICAS as i64);
        upsert.execute(self.pool.write()).await?;
        Ok(())
    }

    /// Lets a node speak, or no more, on a connection.
    pub async fn set_enabled(&self, on: &mut AnyConnection, id: &str, enabled: bool) -> Result<()> {
        let update = sqlx::query("UPDATE nodes SET enabled = $2 WHERE id = $1");
        update.bind(id).bind(i64::from(enabled)).execute(on).await?;
        Ok(())
    }

    /// Removes a node and those behind it, on a connection; it has to register again.
    pub async fn remove(&self, on: &mut AnyConnection, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM nodes WHERE id = $1 OR parent = $1").bind(id).execute(on).await?;
        Ok(())
    }

    /// Whether any enabled node was silent for a day.
    pub async fn any_expired(&self) -> Result<bool> {
        let old = sqlx::query("SELECT id FROM nodes WHERE seen_at <= $1 AND enabled = 1 LIMIT 1");
        Ok(old.bind(self.clock.millis() - REMOVED_MS).fetch_optional(self.pool.read()).await?.is_some())
    }

    /// Removes on a connection what was silent for a day; answers how many.
    pub async fn sweep(&self, on: &mut AnyConnection) -> Result<u64> {
        let old = sqlx::query("DELETE FROM nodes WHERE seen_at <= $1 AND enabled = 1");
        Ok(old.bind(self.clock.millis() - REMOVED_MS).execute(on).await?.rows_affected())
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

fn tidy(beat: &mut Heartbeat) {
    // These have columns of their own.
    beat.capabilities.clear();
    beat.version.clear();
    beat.name.clear();
    beat.replicas.clear();
    beat.age_ms = 0;
    beat.policy_error = beat.policy_error.take().map(|text| short(&text));
    beat.gaps.truncate(MAX_GAPS);
    for gap in &mut beat.gaps {
        (gap.route, gap.leg, gap.reason) = (short(&gap.route), short(&gap.leg), short(&gap.reason));
    }
    beat.behaviour.limit(short);
}

fn capabilities(all: &[String]) -> String {
    let kept: Vec<String> = all.iter().take(MAX_CAPABILITIES).map(|text| short(text)).collect();
    serde_json::Value::from(kept).to_string()
}
