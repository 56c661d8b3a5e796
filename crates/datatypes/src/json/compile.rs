//! Paths into queries, by recursive descent. Blanks may stand between any two words.
//!
//! ```text
//! query    := "$" steps
//! steps    := [ name | "*" ] { "." name | "." "*" | ["."] brackets | ".." ( name | "*" | brackets ) }
//! brackets := "[" ( "*" | "?" or | strings | numbers | range ) "]"
//! range    := [number] ":" [number] [ ":" [positive] ]
//! or       := and { "||" and }          and := unit { "&&" unit }
//! unit     := "(" or ")" | term [ operator term ]
//! term     := "@" steps | "$" steps | decimal | string | "true" | "false" | "null"
//! name     := ( letter | digit | one of - _ ` ~ + # % $ ^ / : )+
//! string   := in single or double quotes, where \ stands before such a quote or \
//! number   := ["-"] digits without leading zeros         decimal := number [ "." digits ]
//! ```

use regex::{Regex, RegexBuilder};

use super::query::{FILTER_DEPTH_MAX, Filter, Operator, Pattern, Query, Selector, Step, Term};
use super::{Json, JsonError, PathError};

/// Most memory of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 256 * 1024;

pub(super) fn compile(path: &str) -> Result<Query, JsonError> {
    let mut parser = Parser { text: path, at: 0, depth: 0 };
    parser.expect("$", "'$'")?;
    let steps = parser.steps()?;
    parser.blanks();
    if parser.at < path.len() {
        return parser.refuse("'.', '..', '['");
    }
    Ok(Query { steps })
}

pub(super) fn regex(pattern: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build().ok()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Of conditions.
    depth: usize,
}

type Parsed<T> = Result<T, JsonError>;

impl<'a> Parser<'a> {
    fn steps(&mut self) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let before = self.at;
            self.blanks();
            let select = if self.eat("..") {
                let select = self.step("<name>, '*', '['")?;
                steps.push(Step { descend: true, select });
                continue;
            } else if self.eat(".") {
                self.step("<name>, '*', '['")?
            } else if self.eat("[") {
                self.brackets()?
            } else if steps.is_empty() && (self.peek() == Some(b'*') || self.peek().is_some_and(in_name)) {
                self.step("<name>, '*'")?
            } else {
                self.at = before;
                return Ok(steps);
            };
            steps.push(Step { descend: false, select });
        }
    }

    fn step(&mut self, expected: &'static str) -> Parsed<Selector> {
        self.blanks();
        if self.eat("*") {
            return Ok(Selector::All);
        }
        if self.eat("[") {
            return self.brackets();
        }
        let len = self.rest().bytes().take_while(|&byte| in_name(byte)).count();
        if len == 0 {
            return self.refuse(expected);
        }
        Ok(Selector::Names(vec![self.take(len).into()]))
    }

    /// Behind the opening one.
    fn brackets(&mut self) -> Parsed<Selector> {
        self.blanks();
        let select = match self.peek() {
            Some(b'*') => {
                self.at += 1;
                Selector::All
            }
            Some(b'?') => {
                self.at += 1;
                Selector::Filter(self.or()?)
            }
            Some(b'"' | b'\'') => Selector::Names(self.strings()?),
            Some(b':' | b'-' | b'0'..=b'9') => self.numbers()?,
            _ => return self.refuse("<string>, <number>, '*', ':', '?'"),
        };
        self.expect("]", "']'")?;
        Ok(select)
    }

    fn strings(&mut self) -> Parsed<Vec<Box<str>>> {
        let mut names = vec![self.string()?.into_boxed_str()];
        while self.eat(",") {
            self.blanks();
            names.push(self.string()?.into_boxed_str());
        }
        Ok(names)
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = match self.peek() {
            Some(b'"') => '"',
            Some(b'\'') => '\'',
            _ => return self.refuse("<string>"),
        };
        self.at += 1;
        let mut text = String::new();
        while let Some(letter) = self.rest().chars().next() {
            self.at += letter.len_utf8();
            if letter == quote {
                return Ok(text);
            }
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            match self.rest().chars().next() {
                Some(escaped) if escaped == quote || escaped == '\\' => {
                    text.push(escaped);
                    self.at += 1;
                }
                _ => return self.refuse("a quote, '\\'"),
            }
        }
        self.refuse("the end of the string")
    }

    fn numbers(&mut self) -> Parsed<Selector> {
        if self.peek() == Some(b':') {
            return self.range(None);
        }
        let first = self.integer()?;
        self.blanks();
        if self.peek() == Some(b':') {
            return self.range(Some(first));
        }
        let mut indices = vec![first];
        while self.eat(",") {
            self.blanks();
            indices.push(self.integer()?);
        }
        Ok(Selector::Indices(indices))
    }

    /// From the first colon on.
    fn range(&mut self, start: Option<i64>) -> Parsed<Selector> {
        self.expect(":", "':'")?;
        self.blanks();
        let end = match self.peek() {
            Some(b'-' | b'0'..=b'9') => Some(self.integer()?),
            _ => None,
        };
        let mut step = 1;
        if self.eat(":") {
            self.blanks();
            match self.peek() {
                Some(b'1'..=b'9') => step = usize::try_from(self.integer()?).unwrap_or(usize::MAX),
                Some(b'-' | b'0') => return self.refuse("<positive number>"),
                _ => {}
            }
        }
        Ok(Selector::Range { start, end, step })
    }

    fn integer(&mut self) -> Parsed<i64> {
        let len = self.integer_len();
        match self.rest()[..len].parse() {
            Ok(number) => {
                self.at += len;
                Ok(number)
            }
            Err(_) => self.refuse("<number>"),
        }
    }

    /// Length of the integer that begins here; one without digits is none.
    fn integer_len(&self) -> usize {
        let rest = self.rest().as_bytes();
        let sign = usize::from(rest.first() == Some(&b'-'));
        match rest.get(sign) {
            Some(b'0') => sign + 1,
            Some(b'1'..=b'9') => sign + digits(&rest[sign..]),
            _ => 0,
        }
    }

    fn or(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return self.refuse("a path with fewer conditions inside one another");
        }
        let mut any = vec![self.and()?];
        while self.eat("||") {
            any.push(self.and()?);
        }
        self.depth -= 1;
        Ok(if any.len() == 1 { any.remove(0) } else { Filter::Any(any) })
    }

    fn and(&mut self) -> Parsed<Filter> {
        let mut all = vec![self.unit()?];
        while self.eat("&&") {
            all.push(self.unit()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn unit(&mut self) -> Parsed<Filter> {
        if self.eat("(") {
            let inner = self.or()?;
            self.expect(")", "')'")?;
            return Ok(inner);
        }
        let left = self.term()?;
        if self.eat("=~") {
            return Ok(Filter::Matches(left, pattern(self.term()?)));
        }
        let operators = [
            ("<=", Operator::LessOrEqual),
            ("<", Operator::Less),
            (">=", Operator::GreaterOrEqual),
            (">", Operator::Greater),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
        ];
        match operators.into_iter().find(|(word, _)| self.eat(word)) {
            Some((_, operator)) => Ok(Filter::Compare(left, operator, self.term()?)),
            None => Ok(Filter::Exists(left)),
        }
    }

    fn term(&mut self) -> Parsed<Term> {
        self.blanks();
        match self.peek() {
            Some(b'@') => {
                self.at += 1;
                Ok(Term::Here(self.steps()?))
            }
            Some(b'$') => {
                self.at += 1;
                Ok(Term::Root(self.steps()?))
            }
            Some(b'"' | b'\'') => Ok(Term::Literal(Json::String(self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.decimal().map(Term::Literal),
            _ if self.eat("true") => Ok(Term::Literal(Json::Bool(true))),
            _ if self.eat("false") => Ok(Term::Literal(Json::Bool(false))),
            _ if self.eat("null") => Ok(Term::Literal(Json::Null)),
            _ => self.refuse("'@', '$', <number>, <string>, 'true', 'false', 'null'"),
        }
    }

    fn decimal(&mut self) -> Parsed<Json> {
        let mut len = self.integer_len();
        if len == 0 {
            return self.refuse("<number>");
        }
        let behind = &self.rest().as_bytes()[len..];
        if let [b'.', b'0'..=b'9', ..] = behind {
            len += 1 + digits(&behind[1..]);
        }
        let text = self.take(len);
        Ok(match (text.parse(), text.parse::<f64>()) {
            (Ok(number), _) => Json::Int(number),
            (_, Ok(number)) if number.is_finite() => Json::Float(number),
            _ => return self.refuse("<number>"),
        })
    }

    /// Goes over `word`, and blanks before it, if it comes next.
    fn eat(&mut self, word: &str) -> bool {
        let blanks = self.rest().bytes().take_while(|&byte| byte == b' ').count();
        let found = self.rest()[blanks..].starts_with(word);
        if found {
            self.at += blanks + word.len();
        }
        found
    }

    fn expect(&mut self, word: &str, expected: &'static str) -> Parsed<()> {
        if self.eat(word) { Ok(()) } else { self.refuse(expected) }
    }

    fn blanks(&mut self) {
        self.at += self.rest().bytes().take_while(|&byte| byte == b' ').count();
    }

    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, len: usize) -> &'a str {
        let taken = &self.rest()[..len];
        self.at += len;
        taken
    }

    fn refuse<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(JsonError::Path(PathError { path: self.text.to_owned(), at: self.at, expected }))
    }
}

/// What may stand in a name without quotes.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_`~+#%$^/:".contains(&byte)
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A pattern that is written in the path is compiled once.
fn pattern(term: Term) -> Pattern {
    match term {
        Term::Literal(Json::String(text)) => Pattern::Fixed(regex(&text)),
        Term::Literal(_) => Pattern::Fixed(None),
        term => Pattern::Found(term),
    }
}
