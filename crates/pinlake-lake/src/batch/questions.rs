//! Answers the questions from a batch's tables within bounded memory: joins by hash while they fit, else by sorting, which may use
//! the system's temporary folder.

use std::sync::Arc;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionContext;
use pinlake_core::pipeline::{Chosen, Question};
use pinlake_core::{ErrorKind, Result};

use crate::answers::{self, Answer};
use crate::error;
use crate::live::{TableView, register_store};
use crate::sql;
use crate::store::Store;

/// What one question may keep in memory, as far as the engine counts it: the hashed sides of joins, groups, sorted runs.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// Tables by name.
pub(super) type Views = Vec<(String, Arc<TableView>)>;

/// The answers to `questions` from `views`, whose files lie in `store`.
pub(super) async fn answer(questions: &[Question], chosen: &Chosen, views: &Views, store: &Store) -> Result<Vec<Answer>> {
    let by_hash = session(views, store, true)?;
    let mut answers = Vec::new();
    for question in questions {
        let answer = match answers::ask(&by_hash, question, chosen).await {
            Err(error) if error.kind() == ErrorKind::Retry => {
                tracing::debug!(question = question.name, %error, "joining by sorting");
                answers::ask(&session(views, store, false)?, question, chosen).await
            }
            answered => answered,
        };
        answers.push(answer?);
    }
    Ok(answers)
}

fn session(views: &Views, store: &Store, by_hash: bool) -> Result<SessionContext> {
    let pool = Arc::new(FairSpillPool::new(MEMORY_BYTES_MAX));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc();
    let mut config = sql::config();
    config.options_mut().optimizer.prefer_hash_join = by_hash;
    let context = SessionContext::new_with_config_rt(config, runtime.map_err(|e| error::query("making a session", e))?);
    sql::register_functions(&context);
    register_store(&context, store);
    for (name, view) in views {
        context.register_table(name.as_str(), view.clone()).map_err(|e| error::query("naming a table", e))?;
    }
    Ok(context)
}
