//! Rows beside the resources that belong to people: identities outside, second factors, what is known of accounts.

use std::collections::HashMap;

use portunus_gateway::kind::Id;
use portunus_gateway::secret::{Keyring, is_sealed};
use serde_json::{Map, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, ValueRef as _};

use crate::mfa::totp;

/// A table that goes along.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The column with the user's id.
    user: &'static str,
    /// The columns that tell rows apart.
    key: &'static [&'static str],
    /// The columns that go along, the user's among them.
    columns: &'static [&'static str],
    /// Whether the rows of a user that were there go; otherwise columns that do not go along stay as they are.
    replaces: bool,
    /// A column that is sealed, and what for.
    sealed: Option<(&'static str, &'static str)>,
}

/// Every table that goes along.
pub const TABLES: &[Table] = &[
    Table {
        name: "external_identity",
        user: "user_id",
        key: &["issuer", "subject"],
        columns: &["issuer", "subject", "user_id", "created_at"],
        replaces: true,
        sealed: None,
    },
    Table {
        name: "mfa_method",
        user: "user_id",
        key: &["id"],
        columns: &[
            "id",
            "user_id",
            "method_type",
            "label",
            "data",
            "credential_id",
            "counter",
            "last_step",
            "created_at",
            "confirmed_at",
            "last_used_at",
        ],
        replaces: true,
        sealed: Some(("data", totp::PURPOSE)),
    },
    Table {
        name: "backup_code",
        user: "user_id",
        key: &["user_id", "sha256"],
        columns: &["user_id", "sha256", "used_at"],
        replaces: true,
        sealed: None,
    },
    Table {
        name: "account_state",
        user: "account_id",
        key: &["account_id"],
        columns: &["account_id", "must_reset_password"],
        // A generation is never lowered: tokens of an earlier one would live again.
        replaces: false,
        sealed: None,
    },
];

/// The rows of a table, what is sealed in them opened.
pub async fn read(
    db: &mut SqliteConnection,
    table: &Table,
    secrets: &Keyring,
) -> sqlx::Result<Vec<Map<String, Value>>> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(table.columns.join(", ")).push(" FROM ").push(table.name);
    query.push(" ORDER BY ").push(table.columns.join(", "));
    let rows = query.build().fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let mut fields = Map::new();
            for column in table.columns {
                fields.insert((*column).to_owned(), value(row, column)?);
            }
            if let Some((column, purpose)) = table.sealed
                && let Some(text) = fields.get(column).and_then(Value::as_str).filter(|text| is_sealed(text))
            {
                let opened = secrets.open(text, purpose).map_err(|error| sqlx::Error::Decode(error.into()))?;
                fields.insert(column.to_owned(), opened.into());
                fields.insert(SEALED_HERE.to_owned(), true.into());
            }
            Ok(fields)
        })
        .collect()
}

/// Marks a row whose sealed column was opened, to be sealed again.
const SEALED_HERE: &str = "sealed";

fn value(row: &SqliteRow, column: &str) -> sqlx::Result<Value> {
    if row.try_get_raw(column)?.is_null() {
        return Ok(Value::Null);
    }
    match row.try_get::<i64, _>(column) {
        Ok(number) => Ok(number.into()),
        Err(_) => Ok(row.try_get::<String, _>(column)?.into()),
    }
}

/// Puts rows into a table, for the users that these ids have become.
pub async fn write(
    db: &mut SqliteConnection,
    table: &Table,
    rows: &[Map<String, Value>],
    ids: &HashMap<Id, Id>,
    secrets: &Keyring,
) -> sqlx::Result<()> {
    let here = |row: &Map<String, Value>| {
        let id: Id = row.get(table.user)?.as_str()?.parse().ok()?;
        ids.get(&id).copied()
    };
    let mut users: Vec<Id> = rows.iter().filter_map(here).collect();
    users.sort_unstable();
    users.dedup();
    for user in users.into_iter().filter(|_| table.replaces) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ");
        query.push(table.name).push(" WHERE ").push(table.user).push(" = ").push_bind(user.to_string());
        query.build().execute(&mut *db).await?;
    }
    for row in rows {
        let Some(user) = here(row) else { continue };
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
        query.push(table.name).push(" (").push(table.columns.join(", ")).push(") VALUES (");
        let mut values = query.separated(", ");
        for column in table.columns {
            let value = row.get(*column).unwrap_or(&Value::Null);
            match (value, table.sealed) {
                _ if *column == table.user => values.push_bind(user.to_string()),
                (Value::String(text), Some((sealed, purpose)))
                    if sealed == *column && row.contains_key(SEALED_HERE) =>
                {
                    values.push_bind(secrets.seal(text, purpose))
                }
                (Value::String(text), _) => values.push_bind(text.clone()),
                (value, _) => values.push_bind(value.as_i64()),
            };
        }
        query.push(") ON CONFLICT (").push(table.key.join(", ")).push(") DO UPDATE SET ");
        let mut updates = query.separated(", ");
        for column in table.columns {
            updates.push(format_args!("{column} = excluded.{column}"));
        }
        query.build().execute(&mut *db).await?;
    }
    Ok(())
}
