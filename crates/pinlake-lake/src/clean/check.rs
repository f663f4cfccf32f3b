//! What a cleaning may not do, found in the plan before the optimiser can hide it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::RAW_TABLE;

/// Refuses a plan that is not one pass over the raw rows, each by itself.
pub(super) fn row_local(plan: &LogicalPlan) -> Result<(), String> {
    let mut wrong = None;
    let mut visit = |node: &LogicalPlan| {
        wrong = wrong.take().or_else(|| node_problem(node));
        Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    };
    plan.apply(&mut visit).map_err(|error| error.to_string())?;
    wrong.map_or(Ok(()), Err)
}

/// How a plan node breaks the rule, in words.
pub(super) fn not_row_local(node: &LogicalPlan) -> String {
    let what = match node {
        LogicalPlan::Filter(_) => "a WHERE: it would drop rows in silence; give them a reason in _quarantine instead",
        LogicalPlan::Aggregate(_) => "an aggregate",
        LogicalPlan::Window(_) => "a window function",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Sort(_) => "an ORDER BY",
        LogicalPlan::Limit(_) => "a LIMIT",
        LogicalPlan::Distinct(_) => "a DISTINCT",
        LogicalPlan::Union(_) => "a UNION",
        LogicalPlan::Unnest(_) => "an unnest",
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => return format!("the cleaning must read FROM {RAW_TABLE}"),
        _ => "more than a SELECT of expressions",
    };
    format!("the cleaning is not row-local: it has {what}")
}

fn node_problem(node: &LogicalPlan) -> Option<String> {
    match node {
        LogicalPlan::TableScan(scan) if scan.table_name.table() == RAW_TABLE => None,
        LogicalPlan::TableScan(_) => Some(format!("the cleaning must read FROM {RAW_TABLE}")),
        LogicalPlan::SubqueryAlias(_) => None,
        LogicalPlan::Projection(projection) => projection.expr.iter().find_map(expr_problem),
        other => Some(not_row_local(other)),
    }
}

fn expr_problem(expr: &Expr) -> Option<String> {
    let mut wrong = None;
    // The visitor itself never fails.
    let _ = expr.apply(|part| {
        wrong = match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                Some(format!("the cleaning is not repeatable: {}() depends on time or chance", call.func.name()))
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                Some("the cleaning is not row-local: it has a subquery".to_owned())
            }
            _ => None,
        };
        Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    wrong
}
