//! Expressions in the prefixes of objects, `!{namespace:value}`: which may stand where, as far as that is AWS's own rule. What they become, and
//! whether a timestamp's pattern is one, is for who writes the objects.

#[cfg(test)]
mod tests;

use super::wording::prefixes;
use crate::aws::error::AwsError;
use crate::kinesis::wording::argument;

/// One expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expression<'a> {
    Timestamp(&'a str),
    RandomString,
    ErrorOutputType,
    /// The name of a partition key.
    FromQuery(&'a str),
}

/// The expressions of a prefix.
///
/// # Errors
/// In AWS's form, if one is not closed, or is of no known namespace.
pub(crate) fn expressions(prefix: &str) -> Result<Vec<Expression<'_>>, AwsError> {
    let mut found = Vec::new();
    let mut rest = prefix;
    while let Some((_, behind)) = rest.split_once("!{") {
        let closed = behind.split_once('}');
        let (inner, behind) = closed.ok_or_else(|| prefixes("an expression that begins with !{ ends with }"))?;
        found.push(expression(inner)?);
        rest = behind;
    }
    Ok(found)
}

fn expression(inner: &str) -> Result<Expression<'_>, AwsError> {
    let (namespace, value) = inner.split_once(':').unwrap_or((inner, ""));
    match (namespace, value) {
        ("timestamp", pattern) if !pattern.is_empty() => Ok(Expression::Timestamp(pattern)),
        ("firehose", "random-string") => Ok(Expression::RandomString),
        ("firehose", "error-output-type") => Ok(Expression::ErrorOutputType),
        ("partitionKeyFromQuery", key) if !key.is_empty() => Ok(Expression::FromQuery(key)),
        ("partitionKeyFromLambda", _) => {
            Err(argument("partitionKeyFromLambda is not served: use MetadataExtraction and partitionKeyFromQuery"))
        }
        _ => Err(prefixes(&format!(
            "!{{{inner}}} is no expression: there are !{{timestamp:PATTERN}}, !{{firehose:random-string}}, \
             !{{firehose:error-output-type}} in ErrorOutputPrefix, and !{{partitionKeyFromQuery:KEY}} in Prefix"
        ))),
    }
}

/// Checks both prefixes of a destination, and answers the partition keys that `prefix` names.
pub(crate) fn check<'a>(prefix: &'a str, error_prefix: Option<&str>) -> Result<Vec<&'a str>, AwsError> {
    let in_prefix = expressions(prefix)?;
    if in_prefix.contains(&Expression::ErrorOutputType) {
        return Err(prefixes("Prefix cannot contain !{firehose:error-output-type}"));
    }
    let error_prefix = error_prefix.unwrap_or_default();
    if !in_prefix.is_empty() && error_prefix.is_empty() {
        return Err(prefixes("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"));
    }
    let in_error_prefix = expressions(error_prefix)?;
    if in_error_prefix.iter().any(|expression| matches!(expression, Expression::FromQuery(_))) {
        return Err(prefixes("ErrorOutputPrefix cannot contain partition keys"));
    }
    if !in_error_prefix.is_empty() && !in_error_prefix.contains(&Expression::ErrorOutputType) {
        return Err(prefixes("ErrorOutputPrefix must contain !{firehose:error-output-type} when it contains expressions"));
    }
    let key = |expression: Expression<'a>| if let Expression::FromQuery(key) = expression { Some(key) } else { None };
    Ok(in_prefix.into_iter().filter_map(key).collect())
}
