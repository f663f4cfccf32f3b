//! How deep a statement may be. The parser, the planner and the compiled expressions recurse over chains such as `1 + 1 + ...`,
//! so that a long one would overflow the stack and end the whole server: it is refused before it is parsed.

#[cfg(test)]
mod tests;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use pinlake_core::{Error, Result};

/// Parts of a statement that make it deeper. [`STACK_BYTES`] hold so many even in an unoptimised build.
pub(crate) const STEPS_MAX: usize = 500;
/// Stack of a thread that plans or runs a query. It is memory only as far as it is used.
pub const STACK_BYTES: usize = 128 << 20;

/// Refuses a statement that is too deep.
///
/// # Errors
/// `Invalid` when it is.
pub(crate) fn check(sql: &str) -> Result<()> {
    // What does not even tokenise is the parser's to explain.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let steps = steps(&tokens);
    if steps <= STEPS_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the SQL has {steps} operators, joins and selects, {STEPS_MAX} are the most: write long conditions as IN lists, and \
         split it"
    )))
}

/// Counts what may make a statement deeper. Lists of values do not, however long.
fn steps(tokens: &[Token]) -> usize {
    let mut steps = 0;
    // Of each open parenthesis, whether commas now separate tables, which are joined.
    let mut joins = vec![false];
    for token in tokens {
        match token {
            Token::LParen => joins.push(false),
            Token::RParen if joins.len() > 1 => drop(joins.pop()),
            Token::Comma => steps += usize::from(joins.last() == Some(&true)),
            Token::Word(word) => {
                let is_from = clause(word.keyword).unwrap_or_else(|| joins.last() == Some(&true));
                joins.last_mut().into_iter().for_each(|last| *last = is_from);
                steps += usize::from(deepens(word.keyword));
            }
            token => steps += usize::from(is_operator(token)),
        }
    }
    steps
}

/// Whether a keyword begins the clause whose commas join tables, or another clause.
fn clause(keyword: Keyword) -> Option<bool> {
    match keyword {
        Keyword::FROM => Some(true),
        Keyword::SELECT
        | Keyword::WHERE
        | Keyword::GROUP
        | Keyword::HAVING
        | Keyword::ORDER
        | Keyword::LIMIT
        | Keyword::VALUES => Some(false),
        _ => None,
    }
}

fn deepens(keyword: Keyword) -> bool {
    use Keyword::{
        AND, AT, BETWEEN, COLLATE, DIV, EXCEPT, ILIKE, IN, INTERSECT, IS, JOIN, LIKE, NOT, NOTNULL, OR, OVERLAPS, PIVOT, REGEXP,
        RLIKE, SELECT, SIMILAR, UNION, UNPIVOT, XOR,
    };
    [
        AND, AT, BETWEEN, COLLATE, DIV, EXCEPT, ILIKE, IN, INTERSECT, IS, JOIN, LIKE, NOT, NOTNULL, OR, OVERLAPS, PIVOT, REGEXP,
        RLIKE, SELECT, SIMILAR, UNION, UNPIVOT, XOR,
    ]
    .contains(&keyword)
}

/// Everything that is no word, value, blank, comma or end is an operator or as good as one.
fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::EOF
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_)
            | Token::RParen
            | Token::RBracket
            | Token::RBrace
            | Token::SemiColon
            | Token::Period
    )
}
