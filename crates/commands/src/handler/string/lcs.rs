//! Longest common subsequence: the textbook table, walked back from its end.

use bytes::Bytes;
use datatypes::{Kv, Reader, Type};
use resp::Reply;

use super::super::{Outcome, STRING_BYTES_MAX, count, reader};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

/// Options of LCS.
#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = args.from(2).iter();
        while let Some(word) = rest.next() {
            if is(word, "LEN") {
                options.len = true;
            } else if is(word, "IDX") {
                options.idx = true;
            } else if is(word, "WITHMATCHLEN") {
                options.with_match_len = true;
            } else if is(word, "MINMATCHLEN") {
                let least = int(rest.next().ok_or(CommandError::Syntax)?)?;
                options.min_match_len = usize::try_from(least).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.len && options.idx { Err(CommandError::LcsLenWithIdx) } else { Ok(options) }
    }
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]
pub fn lcs(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut reader = reader(kv, cx);
    let a = text(&mut reader, args.at(0)?)?;
    let b = text(&mut reader, args.at(1)?)?;
    let options = Options::parse(args)?;
    let table = Table::new(&a, &b)?;
    if options.len {
        return Ok(count(table.total() as usize));
    }
    let walk = table.walk();
    if !options.idx {
        return Ok(Reply::Bulk(Bytes::from(walk.common)));
    }
    let matches = walk.ranges.iter().filter(|range| range.len >= options.min_match_len);
    let matches = matches.map(|range| range.reply(options.with_match_len)).collect();
    Ok(Reply::Map(vec![
        (Reply::bulk("matches"), Reply::Array(matches)),
        (Reply::bulk("len"), count(table.total() as usize)),
    ]))
}

fn text(reader: &mut Reader<'_>, key: &[u8]) -> Result<Bytes, CommandError> {
    match reader.lookup(key)? {
        None => Ok(Bytes::new()),
        Some(record) if record.kind == Type::String => Ok(record.payload),
        Some(_) => Err(CommandError::LcsNotStrings),
    }
}

/// Lengths of the common subsequences of all prefixes.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    cells: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Result<Self, CommandError> {
        let size = (a.len() as u128 + 1) * (b.len() as u128 + 1);
        if size * 4 > STRING_BYTES_MAX as u128 {
            return Err(CommandError::LcsTooLarge);
        }
        let mut table = Self { a, b, cells: vec![0; size as usize] };
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let best = match a[i - 1] == b[j - 1] {
                    true => table.at(i - 1, j - 1) + 1,
                    false => table.at(i - 1, j).max(table.at(i, j - 1)),
                };
                table.cells[i * (b.len() + 1) + j] = best;
            }
        }
        Ok(table)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * (self.b.len() + 1) + j]
    }

    fn total(&self) -> u32 {
        self.at(self.a.len(), self.b.len())
    }

    /// From the end to the start, as Redis goes: ranges come out last first.
    fn walk(&self) -> Walk {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        let mut common = Vec::with_capacity(self.total() as usize);
        let mut ranges: Vec<MatchRange> = Vec::new();
        let mut open = false;
        while i > 0 && j > 0 {
            if self.a[i - 1] == self.b[j - 1] {
                (i, j) = (i - 1, j - 1);
                common.push(self.a[i]);
                match ranges.last_mut() {
                    Some(range) if open => (range.a, range.b, range.len) = (i, j, range.len + 1),
                    _ => ranges.push(MatchRange { a: i, b: j, len: 1 }),
                }
                open = true;
            } else {
                open = false;
                if self.at(i - 1, j) > self.at(i, j - 1) { i -= 1 } else { j -= 1 }
            }
        }
        common.reverse();
        Walk { common, ranges }
    }
}

struct Walk {
    common: Vec<u8>,
    ranges: Vec<MatchRange>,
}

/// A stretch of equal bytes: where it starts in both strings.
struct MatchRange {
    a: usize,
    b: usize,
    len: usize,
}

impl MatchRange {
    fn reply(&self, with_len: bool) -> Reply {
        let ends = |start: usize| Reply::Array(vec![count(start), count(start + self.len - 1)]);
        let mut parts = vec![ends(self.a), ends(self.b)];
        if with_len {
            parts.push(count(self.len));
        }
        Reply::Array(parts)
    }
}
