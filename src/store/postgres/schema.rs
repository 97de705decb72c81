//! The schemas of both databases beside each other, and what in them is more than columns.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::tests::cluster;
use super::*;
use crate::store::sqlite::SqliteStore;

/// What stands in one of them only, and why.
const EXCEPTIONS: [&str; 5] = [
    // Postgres has a sequence.
    "job_tokens",
    // SQLite has the rowid.
    "quarantine.nth",
    // A partitioned table's key contains what it is partitioned by.
    "audit_log.id",
    "audit_log.created_at",
    // The migrator's own.
    "_sqlx_migrations",
];

async fn sqlite(dir: &Path) -> SqliteConnection {
    SqliteStore::open(dir, Clock::system(), &Tasks::new()).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(dir.join("atlas.db")).foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn sqlite_rows(database: &mut SqliteConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(database).await.unwrap()
}

fn without_exceptions(columns: impl Iterator<Item = String>) -> BTreeSet<String> {
    let is_excepted = |column: &String| {
        EXCEPTIONS
            .iter()
            .any(|exception| column.strip_prefix(exception).is_some_and(|rest| rest.starts_with(['.', ' '])))
    };
    columns.filter(|column| !is_excepted(column)).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let root = tempfile::tempdir().unwrap();
    let mut database = sqlite(root.path()).await;
    // table.column, kind of value, whether it may be missing, place in the key. Of a view only the names are known.
    let columns = sqlite_rows(
        &mut database,
        "SELECT CASE relation.type
             WHEN 'view' THEN format('%s.%s (view)', relation.name, part.name)
             ELSE format('%s.%s %s %s %d', relation.name, part.name, part.type,
                         CASE WHEN part.\"notnull\" OR 0 < part.pk THEN 'always' ELSE 'perhaps' END, part.pk) END
         FROM pragma_table_list AS relation, pragma_table_info(relation.name) AS part
         WHERE relation.schema = 'main' AND relation.name NOT LIKE 'sqlite_%'",
    );
    let in_sqlite = without_exceptions(columns.await.into_iter());

    let postgres = cluster("one").await;
    PgStore::migrate(&postgres.url("one")).await.unwrap();
    let columns = postgres.sql(
        "one",
        "SELECT CASE relation.relkind
             WHEN 'v' THEN format('%s.%s (view)', relation.relname, part.attname)
             ELSE format('%s.%s %s %s %s', relation.relname, part.attname,
                         CASE WHEN part.atttypid::regtype::text IN ('uuid', 'bytea') THEN 'BLOB'
                              WHEN part.atttypid::regtype::text IN ('text', 'jsonb', 'inet') THEN 'TEXT'
                              WHEN part.atttypid::regtype::text IN ('numeric', 'double precision') THEN 'REAL'
                              WHEN part.atttypid::regtype::text IN
                                  ('bigint', 'integer', 'boolean', 'timestamp with time zone') THEN 'INTEGER'
                              ELSE part.atttypid::regtype::text END,
                         CASE WHEN part.attnotnull THEN 'always' ELSE 'perhaps' END,
                         coalesce(array_position(key.indkey::int2[], part.attnum) + 1, 0)) END
         FROM pg_class AS relation JOIN pg_attribute AS part ON part.attrelid = relation.oid
         LEFT JOIN pg_index AS key ON key.indrelid = relation.oid AND key.indisprimary
         WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'v')
           AND NOT relation.relispartition AND 0 < part.attnum AND NOT part.attisdropped",
    );
    let in_postgres = without_exceptions(columns.await.unwrap().lines().map(str::to_owned));

    assert!(200 < in_sqlite.len(), "{} columns", in_sqlite.len());
    let here: Vec<_> = in_sqlite.difference(&in_postgres).collect();
    let there: Vec<_> = in_postgres.difference(&in_sqlite).collect();
    assert!(here.is_empty() && there.is_empty(), "SQLite only: {here:#?}\nPostgres only: {there:#?}");
}

#[tokio::test]
async fn every_entry_of_the_audit_log_finds_its_place() {
    let postgres = cluster("one").await;
    PgStore::migrate(&postgres.url("one")).await.unwrap();
    let sql = async |sql: &str| postgres.sql("one", sql).await.unwrap();
    for months in [0, 1, 12, 13, -1] {
        sql(&format!(
            "INSERT INTO audit_log (created_at, action, resource, ip)
             VALUES (now() + interval '{months} months', 'design.created', '{months}', '::1')"
        ))
        .await;
    }
    let placed = sql("SELECT resource FROM audit_log
         WHERE tableoid::regclass::text = to_char(created_at AT TIME ZONE 'UTC', '\"audit_log_\"YYYY_MM')
         ORDER BY created_at")
    .await;
    assert_eq!(placed, "0\n1\n12");
    assert_eq!(sql("SELECT count(*), count(DISTINCT id) FROM audit_log").await, "5|5");
    assert_eq!(sql("SELECT resource FROM audit_log_rest ORDER BY created_at").await, "-1\n13");
}

/// Both dialects, with their own words for a hash.
fn analyses(hash: impl Fn(&str) -> String, design: &str, at: impl Fn(u32) -> String) -> String {
    let id = |n: u32| hash(&format!("{n:032x}"));
    let advice = |n: u32, model: &str, cost: u32| {
        format!(
            "INSERT INTO advice VALUES ({}, {design}, {}, {}, 'done', 'p', '{model}', '1', {}, NULL, '[]', '{{}}', {cost}, {});",
            id(n),
            hash("aa"),
            hash(&format!("{n:02x}")),
            hash("cc"),
            at(n)
        )
    };
    let analysis = |n: u32, semantic: &str| {
        format!(
            "INSERT INTO analyses (id, design_id, semantic_hash, ruleset_version, content_hash, seq, state_vector,
                 security_score, grade, coverage, severity, findings_count, issues, execution_time_ms, created_at)
             VALUES ({}, {design}, {}, '1', {}, 1, {}, 3.9, 'F', 0.5, 'critical', 1, '[{{}}]', 3, {});",
            id(n),
            hash(semantic),
            hash("cc"),
            hash("00"),
            at(n)
        )
    };
    [analysis(1, "aa"), analysis(2, "bb"), advice(3, "old", 1), advice(4, "new", 1_500_000)].concat()
}

#[tokio::test]
async fn analyses_are_shown_under_their_other_name_with_the_newest_advice() {
    let shown = |rows: Vec<String>| {
        let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        let advice = json!({
            "status": "done", "provider": "p", "model": "new", "prompt_version": "1", "content_hash": "cc",
            "summary": null, "findings": [], "usage": {}, "cost_usd": 1.5
        });
        assert_eq!(rows, [json!([3.9, [{}], "new", advice]), json!([3.9, [{}], null, null])]);
    };
    let root = tempfile::tempdir().unwrap();
    let mut database = sqlite(root.path()).await;
    let user = "INSERT INTO users VALUES (zeroblob(16), 'a', NULL, '', 'admin', 1, 0);
         INSERT INTO designs (id, name, name_key, owner_id, created_at) VALUES (zeroblob(16), '', '', zeroblob(16), 0);";
    let rows = analyses(|hex| format!("x'{hex}'"), "zeroblob(16)", |n| n.to_string());
    sqlx::raw_sql(AssertSqlSafe(format!("{user} {rows}"))).execute(&mut database).await.unwrap();
    let sql = "SELECT json_array(security_score, json(issues), ai_model, json(ai_recommendations))
         FROM analysis_results ORDER BY created_at";
    shown(sqlite_rows(&mut database, sql).await);

    let postgres = cluster("one").await;
    PgStore::migrate(&postgres.url("one")).await.unwrap();
    let zero = "'00000000-0000-0000-0000-000000000000'";
    let user = format!(
        "INSERT INTO users VALUES ({zero}, 'a', NULL, '', 'admin', TRUE, now());
         INSERT INTO designs (id, name, name_key, owner_id, created_at) VALUES ({zero}, '', '', {zero}, now());"
    );
    let hash = |hex: &str| if hex.len() == 32 { format!("'{hex}'") } else { format!("'\\x{hex}'") };
    let rows = analyses(hash, zero, |n| format!("to_timestamp({n})"));
    postgres.sql("one", &format!("{user} {rows}")).await.unwrap();
    let sql = "SELECT json_build_array(security_score, issues, ai_model, ai_recommendations)
         FROM analysis_results ORDER BY created_at";
    shown(postgres.sql("one", sql).await.unwrap().lines().map(str::to_owned).collect());
}
