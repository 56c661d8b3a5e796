//! JSON to values.
//!
//! Like its model it takes a zero byte for the end, and by default `inf`, `nan` and hexadecimal numbers.

use mlua::{Lua, Table, Value};

use super::super::{Failure, Outcome, Params, fail, one};
use super::settings::{DEPTH_MAX, Settings};

type Read<T> = std::result::Result<T, Failure>;

pub fn decode(lua: &Lua, params: &Params<'_>, settings: &Settings) -> Outcome {
    if params.len() != 1 {
        return params.bad(0, "expected 1 argument");
    }
    let text = params.string(0)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return fail("JSON parser does not support UTF-16 or UTF-32");
    }
    let mut parser = Parser { text: &text, at: 0, settings, lua, open: Vec::new() };
    let value = parser.document()?;
    let token = parser.next()?;
    match token.kind {
        Kind::End => one(value),
        _ => expected("the end", &token),
    }
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

struct Token {
    kind: Kind,
    at: usize,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    settings: &'a Settings,
    lua: &'a Lua,
    /// What the value that is read next lies in, the innermost last.
    open: Vec<Open>,
}

/// An array or object that is not complete.
enum Open {
    Array { table: Table, next: usize },
    Object { table: Table, key: mlua::String },
}

/// What comes after a value was put into what it lies in.
enum Attached {
    /// That is complete too.
    Complete(Value),
    /// The first token of the next value.
    Next(Token),
    /// It lies in nothing.
    Whole(Value),
}

fn expected<T>(what: &str, token: &Token) -> Read<T> {
    let found = match &token.kind {
        Kind::ObjectBegin => "T_OBJ_BEGIN",
        Kind::ObjectEnd => "T_OBJ_END",
        Kind::ArrayBegin => "T_ARR_BEGIN",
        Kind::ArrayEnd => "T_ARR_END",
        Kind::Text(_) => "T_STRING",
        Kind::Number(_) => "T_NUMBER",
        Kind::Boolean(_) => "T_BOOLEAN",
        Kind::Null => "T_NULL",
        Kind::Colon => "T_COLON",
        Kind::Comma => "T_COMMA",
        Kind::End => "T_END",
        Kind::Error(reason) => reason,
    };
    fail(format!("Expected {what} but found {found} at character {}", token.at + 1))
}

impl Parser<'_> {
    /// One value with all that is in it. Nesting takes no stack.
    fn document(&mut self) -> Read<Value> {
        let mut token = self.next()?;
        loop {
            let mut value = match self.value(token)? {
                Ok(value) => value,
                Err(first) => {
                    token = first;
                    continue;
                }
            };
            token = loop {
                match self.attach(value)? {
                    Attached::Complete(outer) => value = outer,
                    Attached::Next(token) => break token,
                    Attached::Whole(value) => return Ok(value),
                }
            };
        }
    }

    /// A value, or the first token of the value that comes before it: what it begins with is open then.
    fn value(&mut self, token: Token) -> Read<Result<Value, Token>> {
        Ok(Ok(match token.kind {
            Kind::Text(text) => Value::String(self.lua.create_string(text)?),
            Kind::Number(number) => Value::Number(number),
            Kind::Boolean(yes) => Value::Boolean(yes),
            Kind::Null => Value::NULL,
            Kind::ObjectBegin => return self.object(),
            Kind::ArrayBegin => return self.array(),
            _ => return expected("value", &token),
        }))
    }

    fn new_table(&self) -> Read<Table> {
        let depth = self.open.len() + 1;
        if depth > (self.settings.decode_depth.get() as usize).min(DEPTH_MAX) {
            return fail(format!("Found too many nested data structures ({depth}) at character {}", self.at));
        }
        Ok(self.lua.create_table()?)
    }

    fn object(&mut self) -> Read<Result<Value, Token>> {
        let table = self.new_table()?;
        let token = self.next()?;
        if matches!(token.kind, Kind::ObjectEnd) {
            return Ok(Ok(Value::Table(table)));
        }
        let key = self.key(token)?;
        self.open.push(Open::Object { table, key });
        self.next().map(Err)
    }

    fn array(&mut self) -> Read<Result<Value, Token>> {
        let table = self.new_table()?;
        let token = self.next()?;
        if matches!(token.kind, Kind::ArrayEnd) {
            return Ok(Ok(Value::Table(table)));
        }
        self.open.push(Open::Array { table, next: 1 });
        Ok(Err(token))
    }

    fn key(&mut self, token: Token) -> Read<mlua::String> {
        let Kind::Text(key) = token.kind else { return expected("object key string", &token) };
        let colon = self.next()?;
        if !matches!(colon.kind, Kind::Colon) {
            return expected("colon", &colon);
        }
        Ok(self.lua.create_string(key)?)
    }

    /// Puts a value where it belongs.
    fn attach(&mut self, value: Value) -> Read<Attached> {
        match self.open.pop() {
            None => Ok(Attached::Whole(value)),
            Some(Open::Array { table, next }) => {
                table.raw_set(next, value)?;
                let token = self.next()?;
                match token.kind {
                    Kind::ArrayEnd => return Ok(Attached::Complete(Value::Table(table))),
                    Kind::Comma => self.open.push(Open::Array { table, next: next + 1 }),
                    _ => return expected("comma or array end", &token),
                }
                self.next().map(Attached::Next)
            }
            Some(Open::Object { table, key }) => {
                table.raw_set(key, value)?;
                let token = self.next()?;
                match token.kind {
                    Kind::ObjectEnd => return Ok(Attached::Complete(Value::Table(table))),
                    Kind::Comma => {
                        let token = self.next()?;
                        let key = self.key(token)?;
                        self.open.push(Open::Object { table, key });
                    }
                    _ => return expected("comma or object end", &token),
                }
                self.next().map(Attached::Next)
            }
        }
    }

    /// The byte at a distance from here; zero at the end.
    fn peek(&self, distance: usize) -> u8 {
        self.text.get(self.at + distance).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Read<Token> {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let kind = match self.peek(0) {
            0 => return Ok(Token { kind: Kind::End, at }),
            b'"' => return Ok(self.string(at)),
            b'-' | b'0'..=b'9' => return Ok(self.number(at)),
            b'{' => Kind::ObjectBegin,
            b'}' => Kind::ObjectEnd,
            b'[' => Kind::ArrayBegin,
            b']' => Kind::ArrayEnd,
            b':' => Kind::Colon,
            b',' => Kind::Comma,
            _ => return Ok(self.word(at)),
        };
        self.at += 1;
        Ok(Token { kind, at })
    }

    fn word(&mut self, at: usize) -> Token {
        let rest = &self.text[at..];
        let (kind, len) = if rest.starts_with(b"true") {
            (Kind::Boolean(true), 4)
        } else if rest.starts_with(b"false") {
            (Kind::Boolean(false), 5)
        } else if rest.starts_with(b"null") {
            (Kind::Null, 4)
        } else if self.settings.decode_invalid_numbers.get() != 0 && is_invalid_number(rest) {
            return self.number(at);
        } else {
            (Kind::Error("invalid token"), 0)
        };
        self.at += len;
        Token { kind, at }
    }

    fn number(&mut self, at: usize) -> Token {
        let rest = &self.text[at..];
        let refused = self.settings.decode_invalid_numbers.get() == 0 && is_invalid_number(rest);
        match read_number(rest).filter(|_| !refused) {
            Some((number, len)) => {
                self.at += len;
                Token { kind: Kind::Number(number), at }
            }
            None => Token { kind: Kind::Error("invalid number"), at },
        }
    }

    fn string(&mut self, at: usize) -> Token {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                0 => return self.broken("unexpected end of string"),
                b'"' => break,
                b'\\' => {
                    if let Err(reason) = self.escape(&mut text) {
                        return self.broken(reason);
                    }
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Token { kind: Kind::Text(text), at }
    }

    fn broken(&self, reason: &'static str) -> Token {
        Token { kind: Kind::Error(reason), at: self.at }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), &'static str> {
        text.push(match self.peek(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0C,
            b'r' => b'\r',
            b'u' => return self.unicode(text).ok_or("invalid unicode escape code"),
            _ => return Err("invalid escape code"),
        });
        self.at += 2;
        Ok(())
    }

    /// An escaped character: `\u` and four hex digits, or two such that are a surrogate pair.
    fn unicode(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let mut code = self.hex(2)?;
        let mut len = 6;
        if code & 0xF800 == 0xD800 {
            if code & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return None;
            }
            let low = self.hex(8)?;
            if low & 0xFC00 != 0xDC00 {
                return None;
            }
            code = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x1_0000;
            len = 12;
        }
        let mut utf8 = [0; 4];
        text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
        self.at += len;
        Some(())
    }

    fn hex(&self, distance: usize) -> Option<u32> {
        let digits = self.text.get(self.at + distance..self.at + distance + 4)?;
        let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
        u32::from_str_radix(text, 16).ok()
    }
}

/// Numbers that C reads and JSON does not have.
fn is_invalid_number(text: &[u8]) -> bool {
    if text.starts_with(b"+") {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text {
        [b'0', next, ..] => matches!(next, b'x' | b'X' | b'0'..=b'9'),
        _ => is_word(text, "inf") || is_word(text, "nan"),
    }
}

fn is_word(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// The number at the front of `text`, and how long it is; what C's `strtod` takes.
fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    let signed = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let sign = if text.first() == Some(&b'-') { -1.0 } else { 1.0 };
    let rest = &text[signed..];
    for (word, number) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if is_word(rest, word) {
            return Some((sign * number, signed + word.len()));
        }
    }
    if is_word(rest, "0x") {
        let digits = count(&rest[2..], u8::is_ascii_hexdigit);
        if digits > 0 {
            let hex = rest[2..2 + digits].iter();
            let value = hex
                .fold(0.0, |sum, &digit| sum * 16.0 + f64::from(char::from(digit).to_digit(16).unwrap_or(0)));
            return Some((sign * value, signed + 2 + digits));
        }
    }
    let len = decimal_len(rest)?;
    let value = std::str::from_utf8(&rest[..len]).ok()?.parse::<f64>().ok()?;
    Some((sign * value, signed + len))
}

fn decimal_len(text: &[u8]) -> Option<usize> {
    let whole = count(text, u8::is_ascii_digit);
    let mut len = whole;
    let mut digits = whole;
    if text.get(len) == Some(&b'.') {
        let fraction = count(&text[len + 1..], u8::is_ascii_digit);
        digits += fraction;
        len += 1 + fraction;
    }
    if digits == 0 {
        return None;
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(len + 1), Some(b'-' | b'+')));
        let exponent = count(&text[len + 1 + signed..], u8::is_ascii_digit);
        if exponent > 0 {
            len += 1 + signed + exponent;
        }
    }
    Some(len)
}

fn count(text: &[u8], is: fn(&u8) -> bool) -> usize {
    text.iter().take_while(|byte| is(byte)).count()
}
