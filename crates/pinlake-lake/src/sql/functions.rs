//! SQL functions of our own, for what cleanings need and SQL lacks.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, Int64Builder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;

/// Registers every function.
pub(super) fn register(context: &SessionContext) {
    let number = create_udf(
        "human_number",
        vec![DataType::Utf8View],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| human_numbers(arguments)),
    );
    context.register_udf(number);
}

/// `human_number(text)`: `942`, `942k`, `1.2K`, `3M`, `1B` as a whole number; null for anything else.
fn human_numbers(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let text = cast(&arrays[0], &DataType::Utf8View)?;
    let text = text.as_string_view();
    let mut numbers = Int64Builder::with_capacity(text.len());
    for value in text {
        numbers.append_option(value.and_then(human_number));
    }
    Ok(ColumnarValue::Array(Arc::new(numbers.finish())))
}

fn human_number(text: &str) -> Option<i64> {
    let (digits, unit): (&str, i64) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1_000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        b'B' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || (digits.contains('.') && fraction.is_empty()) {
        return None;
    }
    let whole: i64 = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut rest = 0_i64;
    let mut place = unit;
    for digit in fraction.bytes() {
        // A fraction finer than the unit is no whole number.
        if place % 10 != 0 && digit != b'0' {
            return None;
        }
        place /= 10;
        rest += i64::from(digit - b'0') * place;
    }
    whole.checked_add(rest)
}
