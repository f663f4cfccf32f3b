//! Queries: what the names in SQL stand for, and the place that each query takes.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use pinlake_core::pipeline::{Chosen, Question};
use pinlake_core::{Error, Result, TopicName};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::{Lake, QUERIES_AT_ONCE, QUERIES_MAX, raw_view, system};
use crate::archive::DescribedObject;
use crate::gold::GOLD_DIR;
use crate::live::TableView;
use crate::sql::parameters::{self, Parameter, Parameters};
use crate::sql::query::{self, NamedTable, Query, QueryResult, TableName};

/// A query with all that it reads, and the places that it takes among the others.
pub(super) struct Asked<'a> {
    pub(super) query: Query,
    /// Its place among those that run.
    pub(super) running: OwnedSemaphorePermit,
    /// Its place among those that wait or run.
    pub(super) accepted: SemaphorePermit<'a>,
}

impl Lake {
    /// Answers `sql` as [`Lake::query_choosing`] does, with the pipeline's own choices.
    ///
    /// # Errors
    /// The same.
    pub async fn query(&self, sql: &str, rows_max: usize) -> Result<QueryResult> {
        self.query_with(sql, Parameters::new(), rows_max).await
    }

    /// Answers `sql` with everything that is acknowledged when it is asked, and what is `chosen` of the pipeline's choices.
    ///
    /// # Errors
    /// See [`query::run`]; `Retry` when too many queries wait, or after [`Lake::end_queries`].
    pub async fn query_choosing(&self, sql: &str, chosen: Chosen, rows_max: usize) -> Result<QueryResult> {
        self.query_with(sql, parameters::of_choices(chosen), rows_max).await
    }

    /// Answers `sql` with everything that is acknowledged when it is asked. `parameters` are the values of the `$name`s in it; `$from`, `$to`
    /// and `$run` are null and the pipeline's choices have their first values unless `parameters` say otherwise.
    ///
    /// # Errors
    /// As [`Lake::query_choosing`]; `Invalid` for a name without a value, and for a choice with a value that there is not.
    pub async fn query_with(&self, sql: &str, parameters: Parameters, rows_max: usize) -> Result<QueryResult> {
        self.unless_ending(self.answer(sql, parameters, rows_max)).await
    }

    /// What `asked` comes to, unless queries are ended before.
    pub(super) async fn unless_ending<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let answered = self.ending.run_until_cancelled(asked).await;
        answered.unwrap_or_else(|| Err(Error::retry("the server is ending: ask again when it is back")))
    }

    /// Cuts running queries short and refuses new ones.
    pub fn end_queries(&self) {
        self.ending.cancel();
    }

    async fn answer(&self, sql: &str, parameters: Parameters, rows_max: usize) -> Result<QueryResult> {
        let Asked { query, running, accepted: _accepted } = self.asked(sql, parameters, rows_max).await?;
        query::run(query, self.limits, running).await
    }

    /// Waits for a place, and for all that `sql` reads.
    pub(super) async fn asked(&self, sql: &str, parameters: Parameters, rows_max: usize) -> Result<Asked<'_>> {
        let parameters = self.parameters(parameters)?;
        let accepted =
            self.accepted.try_acquire().map_err(|_| Error::retry(format!("{QUERIES_MAX} queries wait or run already")))?;
        let busy = |_| Error::retry(format!("{QUERIES_AT_ONCE} other queries run for long already: try again"));
        let running = tokio::time::timeout(self.limits.time, self.running.clone().acquire_owned()).await.map_err(busy)?;
        let running = running.map_err(|e| Error::internal("no more queries are run").with_source(e))?;
        let mut named = query::tables_of(sql)?;
        let lists = named.iter().any(|(schema, _)| schema == "information_schema")
            || sql.trim_start().to_ascii_lowercase().starts_with("show");
        let mut questions = Vec::new();
        for (_, name) in named.iter().filter(|(schema, _)| schema == "question") {
            questions.push(self.question(name)?.clone());
        }
        for question in &questions {
            named.extend(query::tables_of(&question.sql)?);
        }
        named.sort();
        named.dedup();
        let tables = futures::future::try_join_all(named.into_iter().map(|name| self.named_table(name))).await?;
        let mut tables: Vec<NamedTable> = tables.into_iter().flatten().collect();
        if lists {
            let known: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
            tables.extend(self.listed(&known).await?);
            tables.extend(self.listed_questions(&questions));
        }
        let query = Query { sql: sql.to_owned(), tables, questions, parameters, store: self.store.clone(), rows_max };
        Ok(Asked { query, running, accepted })
    }

    /// The values of all names: the caller's, and the first of every choice that is not among them.
    fn parameters(&self, own: Parameters) -> Result<Parameters> {
        for (name, value) in &own {
            let is_choice = self.pipeline.choices.iter().any(|choice| choice.name == *name);
            if let (true, Parameter::Text(value)) = (is_choice, value) {
                self.pipeline.choose([format!("{name}={value}").as_str()])?;
            }
        }
        let mut all = parameters::of_choices(self.pipeline.choose([])?);
        all.extend(own);
        Ok(all)
    }

    /// Every table that SQL can read but the `known` ones: what it is called and its columns, not what it holds.
    async fn listed(&self, known: &[TableName]) -> Result<Vec<NamedTable>> {
        let tables = ["public", "raw", "quarantine"].into_iter();
        let tables = tables.flat_map(|schema| self.pipeline.tables.iter().map(move |table| (schema, table.name.as_str())));
        let names = tables.chain(system::TABLES.map(|name| ("system", name)));
        let names = names.map(|(schema, name)| (schema.to_owned(), name.to_owned())).filter(|name| !known.contains(name));
        let table = async |name: TableName| match name.0.as_str() {
            "raw" => {
                let columns = &self.pipeline.tables[self.index(&name.1)?].schema;
                let rows = raw_view::table(&self.store, Vec::new(), columns)?;
                Ok(Some(NamedTable { name, rows: Arc::new(rows), snapshot: None }))
            }
            _ => self.named_table(name).await,
        };
        let mut listed: Vec<NamedTable> = futures::future::try_join_all(names.map(table)).await?.into_iter().flatten().collect();
        let late = |_| Error::retry("the store of the gold tables does not answer: try again later");
        let gold = tokio::time::timeout(self.limits.time, self.gold.listed()).await.map_err(late)??;
        listed.extend(gold.into_iter().filter(|table| !known.contains(&table.name)));
        Ok(listed)
    }

    /// The questions but the `known` ones as mere names: a list of all must not fail for one that is wrong.
    fn listed_questions(&self, known: &[Question]) -> impl Iterator<Item = NamedTable> {
        let others = self.pipeline.questions.iter().filter(|question| known.iter().all(|known| known.name != question.name));
        others.map(|question| NamedTable {
            name: ("question".to_owned(), question.name.clone()),
            rows: Arc::new(EmptyTable::new(Arc::new(Schema::empty()))),
            snapshot: None,
        })
    }

    /// What a table name in SQL stands for; `None` for names that are not ours to know.
    async fn named_table(&self, name: TableName) -> Result<Option<NamedTable>> {
        let rows = match name.0.as_str() {
            "raw" => self.raw_table(&name.1).await?,
            "system" => self.system_table(&name.1).await?,
            // A question is a view over tables, and the engine's own tables are its own.
            "question" | "information_schema" => return Ok(None),
            _ => {
                let view = self.view(&name).await?;
                return Ok(Some(NamedTable::of(name, view)));
            }
        };
        Ok(Some(NamedTable { name, rows, snapshot: None }))
    }

    /// The records of the archive that feed a table.
    async fn raw_table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        let index = self.index(name)?;
        let route = |topic: &TopicName| self.pipeline.route(index, topic);
        let late = |_| Error::retry("the archive's store does not answer: try again later");
        let objects = self.archive.objects(|topic| route(topic).is_some());
        let objects = tokio::time::timeout(self.limits.time, objects).await.map_err(late)??.into_iter();
        let objects = objects.filter_map(DescribedObject::raw);
        let objects = objects.filter_map(|object| route(&object.of.topic).map(|route| (object, route))).collect();
        Ok(Arc::new(raw_view::table(&self.store.served_by(Handle::current()), objects, &self.pipeline.tables[index].schema)?))
    }

    async fn view(&self, (schema, name): &TableName) -> Result<TableView> {
        match schema.as_str() {
            "public" => {
                let index =
                    self.pipeline.tables.iter().position(|table| *name == table.name || is_classic_name(name, &table.name));
                let index = index.ok_or_else(|| self.no_table(name))?;
                let ends = self.ends(Some(index)).await?;
                let late = |_| Error::retry(format!("table '{name}' is behind the log: try again, or look at /api/v1/tables"));
                tokio::time::timeout(self.limits.time, self.tables[index].view(ends)).await.map_err(late)?
            }
            "quarantine" => self.table(name)?.quarantine().await,
            GOLD_DIR => {
                let late = |_| Error::retry("the store of the gold tables does not answer: try again later");
                tokio::time::timeout(self.limits.time, self.gold.view(name)).await.map_err(late)?
            }
            _ => Err(self.no_table(&format!("{schema}.{name}"))),
        }
    }

    /// What there is instead of a table that a query names.
    fn no_table(&self, name: &str) -> Error {
        let known: Vec<&str> = self.pipeline.tables.iter().map(|table| table.name.as_str()).collect();
        Error::invalid(format!("table '{name}' does not exist: there are {}; SHOW TABLES lists all", known.join(", ")))
    }
}

/// `<id>_pin_table` is what the classic scripts call the table `pin`.
fn is_classic_name(name: &str, table: &str) -> bool {
    let id = name.strip_suffix("_table").and_then(|rest| rest.strip_suffix(table)).and_then(|rest| rest.strip_suffix('_'));
    id.is_some_and(|id| !id.is_empty())
}
