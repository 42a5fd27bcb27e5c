//! Queries by SQL: of a connection that reads what it is shown, and can do nothing else.
//!
//! It sees a view of each declared table and of `entries` and `tags`, live rows only, through an authorizer that denies
//! everything but reading these. A query that is asked on a thread that must not wait is given up after some steps of
//! SQLite's machine, so that it can be asked on another.

use std::borrow::Cow;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, ErrorCode, params_from_iter};

use super::Cache;
use super::Wait;
use super::db::Body;
use super::db::{Db, join_by_keys};
use super::declared::{ColumnType, LIVE, quoted};
use super::durability::Durability;
use super::engine::Engine;
use super::extras::Cell;
use super::keeping::Keeping;
use super::lock;
use super::owner::random;
use crate::error::{Code, Error, Result};
use crate::frame::Header;

/// Steps of SQLite's machine between looks at the budget, and the budget of a thread that must not wait: about 1 ms.
const STEPS: (i32, u64) = (1000, 30_000);
/// Rows that such a thread reads at most.
const ROWS: usize = 4096;
/// Connections that stay open, and the most of the page cache of each.
const KEPT: usize = 2;
const CACHE_KIB: u32 = 64 * 1024;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// The type of the declared column that it is; `None` for what is computed.
    pub column_type: Option<ColumnType>,
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<AnswerColumn>,
    /// Its cells, row by row.
    pub cells: Vec<Cell<'static>>,
}

/// Takes an answer as it is found. A query that is asked again starts with its columns again.
pub trait AnswerSink {
    /// Its columns.
    fn columns(&mut self, columns: &mut dyn Iterator<Item = (&str, Option<ColumnType>)>);
    /// The next cell, row by row.
    fn cell(&mut self, cell: Cell<'_>);
}

impl AnswerSink for Answer {
    fn columns(&mut self, columns: &mut dyn Iterator<Item = (&str, Option<ColumnType>)>) {
        let column = |(name, column_type): (&str, _)| AnswerColumn { name: name.to_owned(), column_type };
        *self = Self { columns: columns.map(column).collect(), cells: Vec::new() };
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.cells.push(cell.into_owned());
    }
}

/// A connection for queries.
pub(super) struct Asker {
    db: Db,
    /// Steps that are left, in thousands, before a query is given up.
    budget: Arc<AtomicU64>,
    now: Arc<AtomicU64>,
    /// Set while a statement is prepared or runs that is not the asker's.
    trusted: Arc<AtomicBool>,
}

/// A query, and how it may be answered.
#[derive(Clone, Copy)]
struct Question<'a> {
    sql: &'a str,
    params: &'a [Cell<'a>],
    wait: Wait,
    hold: bool,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Cache {
    /// Answers a query in SQL. It sees a view of each declared table (`key` and its columns) and the views `entries`
    /// (`key`, `createdAt`, `expiresAt`, `accessedAt`, `hits`, `size`, `storedSize`) and `tags` (`key`, `tag`), of live
    /// entries only. A key that is no string has a text that starts with NUL (`docs/on-disk-format.md`).
    ///
    /// Gives `None` where the query takes long and may not wait.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] for what is no query; [`Code::ReadOnly`] for one that does more than read; [`Code::Closed`]
    /// when the cache was closed meanwhile; as [`Cache::get`].
    pub fn query(&self, sql: &str, params: &[Cell<'_>], wait: Wait) -> Result<Option<Answer>> {
        let mut answer = Answer::default();
        Ok(self.query_into(sql, params, wait, false, &mut answer)?.then_some(answer))
    }

    /// As [`Cache::query`], but gives what is found to `sink`, and whether that is all of it. With `hold`, the snapshot stays open
    /// for the next such query, as with [`Cache::fetch_into`].
    ///
    /// # Errors
    /// As [`Cache::query`].
    pub fn query_into(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        wait: Wait,
        hold: bool,
        sink: &mut dyn AnswerSink,
    ) -> Result<bool> {
        let engine = &self.engine;
        engine.settled()?;
        let question = Question { sql, params, wait, hold };
        match engine.ask(question, sink) {
            Err(fault) if fault.code() == Code::Corrupt => {
                engine.rebuild(&mut *engine.primary(wait)?, fault)?;
                engine.ask(question, sink)
            }
            outcome => outcome,
        }
    }
}

impl Engine {
    /// Ends the snapshots that queries held.
    pub fn release_queries(&self) -> Result<()> {
        lock(&self.queries).iter().try_for_each(|asker| {
            asker.release()?;
            asker.trusting(Db::fit_cache)
        })
    }

    fn ask(&self, question: Question<'_>, sink: &mut dyn AnswerSink) -> Result<bool> {
        let pooled = lock(&self.queries).pop();
        let asker = match pooled {
            Some(asker) => asker,
            None => self.asker()?,
        };
        asker.now.store(self.now(), Ordering::Relaxed);
        let steps = if question.wait == Wait::Yes { u64::MAX } else { STEPS.1 / STEPS.0 as u64 };
        asker.budget.store(steps, Ordering::Relaxed);
        if question.hold { asker.hold(self.epochs.moves()) } else { asker.release() }?;
        let outcome = asker.answer(question, sink);
        let mut queries = lock(&self.queries);
        if queries.len() < KEPT {
            queries.push(asker);
        }
        match outcome {
            Err(rusqlite::Error::SqliteFailure(why, _)) if why.code == ErrorCode::OperationInterrupted => {
                match self.closing.load(Ordering::Relaxed) {
                    true => Err(Error::new(Code::Closed, "the cache was closed while it was queried")),
                    false => Ok(false),
                }
            }
            outcome => outcome.map_err(|why| self.refused(why)),
        }
    }

    /// A connection that has only views of what it may read.
    fn asker(&self) -> Result<Asker> {
        let mut db = Db::connect(&self.paths.database)?;
        db.tune(CACHE_KIB, Durability::Process)?;
        let (budget, now) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(0)));
        let trusted = Arc::new(AtomicBool::new(false));
        let declared = db.declared()?;
        // Who reads is told by name, and a query may give its WITH any name but one that it cannot know.
        let reader = format!("tierce_{:016x}_", random());
        let (clock, left, closing) = (Arc::clone(&now), Arc::clone(&budget), Arc::clone(&self.closing));
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        let conn = &mut db.conn;
        let prepare = || {
            conn.create_scalar_function("tierce_now", 0, flags, move |_| {
                Ok(clock.load(Ordering::Relaxed) as i64)
            })?;
            let keeping = self.keeping.clone();
            join_by_keys(conn, move |text| keeping.digest_of_text(text).id())?;
            let (key, tag) = if self.keeping.is_encrypted() {
                open_in_queries(conn, &self.keeping)?;
                ("tierce_key(e.key)", "tierce_tag(t.tag, t.id, e.frame, x.seal, x.body)")
            } else {
                ("CAST(e.key AS TEXT)", "t.tag")
            };
            // A table of which no column is read counts as one that the query names. An id is no column, and of one that is
            // never null SQLite knows the answer.
            let bodies = if self.keeping.is_encrypted() {
                "JOIN main.extras x ON x.id = t.id AND x.seal + 0 IS NOT NULL"
            } else {
                ""
            };
            let by_key = format!("JOIN tierce_keys k ON k.id = e.id AND k.key = {key}");
            let entries = format!(
                "k.key AS key, e.created AS createdAt, e.expires AS expiresAt, e.accessed / 4096 AS accessedAt, \
                 e.hits - (1 << 40) AS hits, e.size AS size, e.stored AS storedSize FROM main.entries e {by_key} \
                 WHERE {LIVE}"
            );
            let tags = format!(
                "k.key AS key, {tag} AS tag FROM main.tags t JOIN main.entries e ON e.id = t.id {bodies} {by_key} \
                 WHERE {LIVE}"
            );
            let shown = [("entries", entries), ("tags", tags)];
            let shown =
                shown.into_iter().chain(declared.iter().map(|table| (&*table.name, table.live_rows())));
            for (name, rows) in shown {
                let (name, inner) = (quoted(name), quoted(&format!("{reader}{name}")));
                conn.execute_batch(&format!(
                    "CREATE TEMP VIEW {inner} AS SELECT {rows}; CREATE TEMP VIEW {name} AS SELECT * FROM {inner}"
                ))?;
            }
            conn.execute_batch("PRAGMA query_only = ON")?;
            let (is_ours, ours) = (Arc::clone(&trusted), Arc::clone(&trusted));
            conn.authorizer(Some(move |asked: AuthContext<'_>| match is_ours.load(Ordering::Relaxed) {
                true => Authorization::Allow,
                false => authorize(asked, &reader),
            }))?;
            // What is not the query's own is not given up: the end of a snapshot would leave it open.
            conn.progress_handler(
                STEPS.0,
                Some(move || {
                    !ours.load(Ordering::Relaxed) && (is_spent(&left) || closing.load(Ordering::Relaxed))
                }),
            )
        };
        let prepared = prepare();
        db.wrap(prepared)?;
        Ok(Asker { db, budget, now, trusted })
    }

    /// What SQLite says of a query is about the query, unless it is about the file.
    fn refused(&self, why: rusqlite::Error) -> Error {
        let message = match why {
            rusqlite::Error::QueryReturnedNoRows => "there is no statement in it".into(),
            _ => why.to_string(),
        };
        let writes = matches!(why, rusqlite::Error::InvalidQuery)
            || ["cannot modify", "not authorized"].iter().any(|what| message.starts_with(what));
        let code = match why.sqlite_error_code() {
            Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => Code::ReadOnly,
            _ if writes => Code::ReadOnly,
            Some(
                ErrorCode::Unknown
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::TooBig,
            )
            | None => Code::InvalidOption,
            _ => return super::db::explain(why, &self.paths.database),
        };
        let advice = match code {
            Code::ReadOnly => {
                "a query may only read, and only declared tables and the views entries and tags"
            }
            _ => "give one statement that SQLite understands, with a value for each parameter",
        };
        Error::new(code, format!("the query was refused: {message}; {advice}")).because(why)
    }
}

/// What is encrypted, as queries see it: null where it does not open.
fn open_in_queries(conn: &Connection, keeping: &Keeping) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let keeper = keeping.clone();
    conn.create_scalar_function("tierce_key", 1, flags, move |given| {
        let text =
            given.get_raw(0).as_blob().ok().and_then(|key| keeper.open_key(key).ok().map(Cow::into_owned));
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    })?;
    let keeper = keeping.clone();
    conn.create_scalar_function("tierce_tag", 5, flags, move |given| {
        let tag = || {
            let write_id = Header::parse(given.get_raw(2).as_blob().ok()?).ok()?.write_id;
            let (id, seal) = (given.get(1).ok()?, given.get::<i64>(3).ok()? as u64);
            let body = Body { seal, bytes: given.get_raw(4).as_blob().ok()?.to_vec() };
            let wanted = given.get_raw(0).as_str().ok()?;
            let tags = keeper.open_extras(&body, id, write_id)?.tags;
            tags.into_iter().find(|tag| keeper.tag(tag) == wanted).map(Cow::into_owned)
        };
        Ok(tag())
    })
}

fn is_spent(budget: &AtomicU64) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
}

/// Reading of views, and of tables through those whose names start with `reader`.
fn authorize(context: AuthContext<'_>, reader: &str) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => !function_name.eq_ignore_ascii_case("load_extension"),
        AuthAction::Read { table_name, column_name } => match context.database_name {
            _ if table_name.starts_with("sqlite_") => false,
            _ if context.accessor.is_some_and(|view| view.starts_with(reader)) => true,
            Some("main") => ["json_each", "json_tree"].contains(&table_name),
            // Rows that are only counted have no column, and a database only where the query names it.
            database => database == Some("temp") || column_name.is_empty(),
        },
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

impl Asker {
    fn hold(&self, state: u64) -> Result<()> {
        self.trusting(|db| db.hold(state))
    }

    fn release(&self) -> Result<()> {
        self.trusting(Db::release)
    }

    fn trusting(&self, run: impl FnOnce(&Db) -> Result<()>) -> Result<()> {
        self.trusted.store(true, Ordering::Relaxed);
        let outcome = run(&self.db);
        self.trusted.store(false, Ordering::Relaxed);
        outcome
    }

    fn answer(&self, question: Question<'_>, sink: &mut dyn AnswerSink) -> rusqlite::Result<bool> {
        let Question { sql, params, wait, .. } = question;
        let conn = &self.db.conn;
        // What is behind it would be left out.
        if sql.contains('\0') {
            CString::new(sql)?;
        }
        // Only the first of several statements would run.
        if sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).contains(';') {
            let mut statements = Batch::new(conn, sql);
            if statements.next()?.is_some() && statements.next()?.is_some() {
                return Err(rusqlite::Error::MultipleStatement);
            }
        }
        let mut statement = conn.prepare_cached(sql)?;
        if !statement.readonly() {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let width = statement.column_count();
        if width == 0 {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
        let columns: Vec<_> = statement.columns().collect();
        sink.columns(
            &mut columns.iter().map(|column| (column.name(), ColumnType::declared_as(column.decl_type()))),
        );
        drop(columns);
        let mut rows = statement.query(params_from_iter(params))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            for at in 0..width {
                sink.cell(match row.get_ref(at)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text)),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes.into()),
                });
            }
            count += 1;
            if wait == Wait::No && count > ROWS {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
