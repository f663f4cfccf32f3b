//! What a `$name` stands for.

use datafusion::prelude::SessionContext;

use super::*;
use crate::error;
use crate::sql::config;
use crate::sql::encode::rows_of;

async fn answer(sql: &str, parameters: &Parameters) -> Result<String> {
    let failed = |e| error::query("asking", e);
    let frame = SessionContext::new_with_config(config()).sql(sql).await.map_err(failed)?;
    let batches = bind(frame, parameters, failed)?.collect().await.map_err(failed)?;
    Ok(serde_json::to_string(&rows_of(&batches[0])?).unwrap())
}

#[tokio::test]
async fn a_run_has_its_interval_and_its_number_and_outside_of_one_they_are_null() {
    let sql = "SELECT $from, $to, $run, arrow_typeof($from), $run + 1, TIMESTAMP '2023-11-14T22:13:20Z' >= $from";
    let interval = Interval { from: Timestamp(1_700_000_000_000), to: Timestamp(1_700_000_000_001) };
    let found = answer(sql, &of_run(Some(interval), 7)).await.unwrap();
    let kind = r#""Timestamp(µs, \"UTC\")""#;
    assert_eq!(found, format!(r#"[["2023-11-14T22:13:20Z","2023-11-14T22:13:20.001Z",7,{kind},8,true]]"#));
    let found = answer(sql, &of_run(None, 7)).await.unwrap();
    assert_eq!(found, format!("[[null,null,7,{kind},8,null]]"));
    let found = answer(sql, &Parameters::new()).await.unwrap();
    assert_eq!(found, format!("[[null,null,null,{kind},null,null]]"));
}

#[tokio::test]
async fn a_text_is_a_value_whatever_it_says() {
    let hostile = "x' OR 1 = 1 --";
    let parameters = [("who".to_owned(), Parameter::Text(hostile.to_owned()))].into();
    assert_eq!(answer("SELECT $who AS a, 'x' = $who AS b", &parameters).await.unwrap(), format!("[[\"{hostile}\",false]]"));
}

#[tokio::test]
async fn a_name_without_a_value_is_named_with_those_that_have_one() {
    let parameters = of_choices([("ties".to_owned(), "all".to_owned())].into());
    for sql in ["SELECT $tie", "SELECT 1 WHERE 1 IN (SELECT length($tie))"] {
        let error = answer(sql, &parameters).await.unwrap_err();
        assert_eq!(error.to_string(), "$tie has no value: there are $from, $run, $ties, $to", "{sql}");
    }
}
