//! The patterns of topics that a consumer may subscribe to: the regular expressions that clients use for names. A match takes time in
//! proportion to the pattern and the name, whatever the pattern: a client can't make it slow.
//!
//! Taken: `.`, `[a-z]`, `[^a-z]`, `\d \w \s` and their capitals, `\.` and the like, `* + ? {n} {n,} {n,m}` (also lazy), `|`, `(...)`,
//! `(?:...)`, `^`, `$`. As in Kafka's clients, the whole name must match. Everything else is refused.

#[cfg(test)]
mod tests;

/// The longest pattern, characters.
const LEN_MAX: usize = 1000;
/// The most steps that a pattern may be made of.
const STEPS_MAX: usize = 1000;
/// How deep groups may lie within each other.
const DEPTH_MAX: usize = 32;

/// A set of ASCII characters, which is all that a topic's name has.
type Set = u128;

const DIGITS: Set = range(b'0', b'9');
const WORD: Set = DIGITS | range(b'a', b'z') | range(b'A', b'Z') | range(b'_', b'_');
const SPACE: Set = range(b' ', b' ') | range(b'\t', b'\r');

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    One(Set),
    Start,
    End,
    /// Goes on at both.
    Either(usize, usize),
    Jump(usize),
    Done,
}

#[derive(Debug, Clone)]
enum Node {
    One(Set),
    Start,
    End,
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
}

impl Pattern {
    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(format!("a topic pattern takes at most {LEN_MAX} characters"));
        }
        let mut parser = Parser { rest: text.as_bytes(), depth: 0 };
        let node = parser.alternatives()?;
        if !parser.rest.is_empty() {
            return Err("the pattern closes a group that it has not opened: write \\) for the character".to_owned());
        }
        let mut pattern = Self { steps: Vec::new() };
        pattern.compile(&node)?;
        pattern.push(Step::Done)?;
        Ok(pattern)
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let mut now = vec![false; self.steps.len()];
        self.enter(0, 0, name.len(), &mut now);
        for (at, byte) in name.iter().enumerate() {
            let mut next = vec![false; self.steps.len()];
            for (at_step, (step, is_on)) in self.steps.iter().zip(&now).enumerate() {
                let takes = matches!(step, Step::One(set) if byte.is_ascii() && set & bit(*byte) != 0);
                if *is_on && takes {
                    self.enter(at_step + 1, at + 1, name.len(), &mut next);
                }
            }
            now = next;
        }
        self.steps.iter().zip(now).any(|(step, is_on)| is_on && *step == Step::Done)
    }

    /// Goes to a step and on to all that need no character.
    fn enter(&self, step: usize, at: usize, end: usize, on: &mut [bool]) {
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            if std::mem::replace(&mut on[step], true) {
                continue;
            }
            match self.steps[step] {
                Step::Either(one, other) => open.extend([one, other]),
                Step::Jump(to) => open.push(to),
                Step::Start if at == 0 => open.push(step + 1),
                Step::End if at == end => open.push(step + 1),
                _ => {}
            }
        }
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() >= STEPS_MAX {
            return Err("the pattern is too large: use fewer or smaller repetitions".to_owned());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn compile(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::One(set) => self.push(Step::One(*set)).map(drop),
            Node::Start => self.push(Step::Start).map(drop),
            Node::End => self.push(Step::End).map(drop),
            // A step for nothing too, so that what is repeated over and over is bounded by its steps.
            Node::All(nodes) if nodes.is_empty() => self.push(Step::Jump(self.steps.len() + 1)).map(drop),
            Node::All(nodes) => nodes.iter().try_for_each(|node| self.compile(node)),
            Node::Any(nodes) => self.compile_any(nodes),
            Node::Repeat(node, least, most) => self.compile_repeat(node, *least, *most),
        }
    }

    fn compile_any(&mut self, nodes: &[Node]) -> Result<(), String> {
        let mut ends = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let is_last = at + 1 == nodes.len();
            let choice = if is_last { None } else { Some(self.push(Step::Jump(0))?) };
            self.compile(node)?;
            if let Some(choice) = choice {
                ends.push(self.push(Step::Jump(0))?);
                self.steps[choice] = Step::Either(choice + 1, self.steps.len());
            }
        }
        for end in ends {
            self.steps[end] = Step::Jump(self.steps.len());
        }
        Ok(())
    }

    fn compile_repeat(&mut self, node: &Node, least: usize, most: Option<usize>) -> Result<(), String> {
        for _ in 0..least {
            self.compile(node)?;
        }
        let Some(most) = most else {
            let choice = self.push(Step::Jump(0))?;
            self.compile(node)?;
            self.push(Step::Jump(choice))?;
            self.steps[choice] = Step::Either(choice + 1, self.steps.len());
            return Ok(());
        };
        let mut choices = Vec::new();
        for _ in least..most {
            choices.push(self.push(Step::Jump(0))?);
            self.compile(node)?;
        }
        for choice in choices {
            self.steps[choice] = Step::Either(choice + 1, self.steps.len());
        }
        Ok(())
    }
}

struct Parser<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Result<Node, String> {
        let mut all = vec![self.sequence()?];
        while self.take(b"|") {
            all.push(self.sequence()?);
        }
        Ok(Node::Any(all))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut all = Vec::new();
        while let Some(byte) = self.rest.first().copied().filter(|byte| !matches!(byte, b'|' | b')')) {
            self.rest = &self.rest[1..];
            let one = self.one(byte)?;
            all.push(self.repeated(one)?);
        }
        Ok(Node::All(all))
    }

    fn one(&mut self, byte: u8) -> Result<Node, String> {
        Ok(match byte {
            b'.' => Node::One(Set::MAX),
            b'^' => Node::Start,
            b'$' => Node::End,
            b'\\' => Node::One(self.escape()?),
            b'[' => Node::One(self.set()?),
            b'(' => self.group()?,
            b'*' | b'+' | b'?' | b'{' => {
                return Err(format!("the pattern has a '{}' with nothing before it to repeat", byte as char));
            }
            byte if byte.is_ascii() => Node::One(bit(byte)),
            _ => return Err("the pattern has characters that no topic's name has: use ASCII".to_owned()),
        })
    }

    fn group(&mut self) -> Result<Node, String> {
        if !self.take(b"?:") && self.rest.starts_with(b"?") {
            return Err("of groups, the pattern takes (...) and (?:...) alone".to_owned());
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the pattern's groups lie more than {DEPTH_MAX} deep"));
        }
        let node = self.alternatives()?;
        self.depth -= 1;
        if self.take(b")") { Ok(node) } else { Err("the pattern has a group that is not closed".to_owned()) }
    }

    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        let (least, most) = match self.rest.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.counted(node),
            _ => return Ok(node),
        };
        self.rest = &self.rest[1..];
        self.finished(Node::Repeat(Box::new(node), least, most))
    }

    fn counted(&mut self, node: Node) -> Result<Node, String> {
        let wrong = || "the pattern's repetitions are {n}, {n,} or {n,m}".to_owned();
        let end = self.rest.iter().position(|byte| *byte == b'}').ok_or_else(wrong)?;
        let text = std::str::from_utf8(&self.rest[1..end]).map_err(|_| wrong())?;
        let number = |text: &str| text.parse::<u16>().map(usize::from).map_err(|_| wrong());
        let (least, most) = match text.split_once(',') {
            None => (number(text)?, Some(number(text)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        if most.is_some_and(|most| most < least) {
            return Err(wrong());
        }
        self.rest = &self.rest[end + 1..];
        self.finished(Node::Repeat(Box::new(node), least, most))
    }

    /// Passes over a `?` that makes a repetition lazy, which changes nothing where the whole name must match.
    fn finished(&mut self, node: Node) -> Result<Node, String> {
        self.take(b"?");
        match self.rest.first() {
            Some(b'*' | b'+' | b'?' | b'{') => Err("the pattern repeats a repetition: put it into (...)".to_owned()),
            _ => Ok(node),
        }
    }

    fn escape(&mut self) -> Result<Set, String> {
        let byte = self.next().ok_or("the pattern ends with a '\\'")?;
        Ok(match byte {
            b'd' => DIGITS,
            b'D' => !DIGITS,
            b'w' => WORD,
            b'W' => !WORD,
            b's' => SPACE,
            b'S' => !SPACE,
            byte if byte.is_ascii_punctuation() => bit(byte),
            byte => return Err(format!("the pattern takes no '\\{}'", (byte as char).escape_default())),
        })
    }

    /// What is between `[` and `]`.
    fn set(&mut self) -> Result<Set, String> {
        let open = || "the pattern has a '[' that is not closed".to_owned();
        let is_negated = self.take(b"^");
        let (mut set, mut is_first) = (0, true);
        loop {
            let byte = self.next().ok_or_else(open)?;
            if byte == b']' && !is_first {
                return Ok(if is_negated { !set } else { set });
            }
            is_first = false;
            if !byte.is_ascii() {
                return Err("the pattern has characters that no topic's name has: use ASCII".to_owned());
            }
            let one = if byte == b'\\' { self.escape()? } else { bit(byte) };
            let is_range = self.rest.first() == Some(&b'-') && self.rest.get(1).is_some_and(|byte| *byte != b']');
            if !is_range {
                set |= one;
                continue;
            }
            self.rest = &self.rest[1..];
            let last = self.next().filter(|last| last.is_ascii() && *last >= byte && *last != b'\\' && byte != b'\\');
            set |= range(byte, last.ok_or("the pattern has a range in '[...]' that is none")?);
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, what: &[u8]) -> bool {
        let Some(rest) = self.rest.strip_prefix(what) else { return false };
        self.rest = rest;
        true
    }
}

const fn bit(byte: u8) -> Set {
    1 << byte
}

const fn range(first: u8, last: u8) -> Set {
    let below_last = if last == 127 { Set::MAX } else { bit(last + 1) - 1 };
    below_last & !(bit(first) - 1)
}
