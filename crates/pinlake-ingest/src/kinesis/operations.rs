//! The operations of Kinesis's own protocol.

use crate::aws::Context;
use crate::aws::error::AwsError;
use crate::aws::model::Input;
use crate::aws::value::Value;

/// Does what an operation of the model is for.
#[expect(clippy::unused_async, reason = "no operation is served yet")]
pub(crate) async fn run(_context: &Context<'_>, _name: &str, _input: Input) -> Result<Value, AwsError> {
    Err(AwsError::unknown_operation())
}
