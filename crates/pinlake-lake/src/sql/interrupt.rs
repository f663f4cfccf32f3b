//! Makes a query stop soon after nobody waits for it. Operators only stop where they give way, and a join may work for minutes
//! between two rows that it lets through.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, ScalarUDF, Volatility, create_udf};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use tokio_util::sync::CancellationToken;

/// Plans a query whose joins look at `stopped` for every batch of pairs that they compare, and give way for every batch that they let
/// through.
pub(super) async fn plan(
    state: &SessionState,
    plan: &LogicalPlan,
    stopped: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let wanted = still_wanted(stopped.clone());
    // Behind the optimizer, which would move the condition elsewhere.
    let optimized = state.optimize(plan)?.transform_up_with_subqueries(|node| Ok(check_in_join(node, &wanted)))?;
    let physical = state.query_planner().create_physical_plan(&optimized.data, state).await?;
    Ok(physical.transform_up(|node| Ok(give_way_behind_join(node)))?.data)
}

/// A function that is true until the query is stopped, and fails then.
fn still_wanted(stopped: CancellationToken) -> ScalarUDF {
    let check = move |_: &[ColumnarValue]| match stopped.is_cancelled() {
        false => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))),
        true => Err(DataFusionError::Execution("the query was stopped".to_owned())),
    };
    create_udf("still_wanted", Vec::new(), DataType::Boolean, Volatility::Volatile, Arc::new(check))
}

/// Puts the check first: a conjunction whose left side is false for all pairs does not evaluate its right one.
fn check_in_join(node: LogicalPlan, wanted: &ScalarUDF) -> Transformed<LogicalPlan> {
    match node {
        LogicalPlan::Join(mut join) if join.filter.is_some() => {
            join.filter = join.filter.map(|filter: Expr| wanted.call(Vec::new()).and(filter));
            Transformed::yes(LogicalPlan::Join(join))
        }
        node => Transformed::no(node),
    }
}

/// An operator with several inputs may make any number of batches of one that it reads.
fn give_way_behind_join(node: Arc<dyn ExecutionPlan>) -> Transformed<Arc<dyn ExecutionPlan>> {
    match node.children().len() {
        0 | 1 => Transformed::no(node),
        _ => Transformed::yes(Arc::new(CooperativeExec::new(node))),
    }
}
