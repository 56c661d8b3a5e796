//! Plain aligned tables.

use crate::paint::{Paint, Tone};

/// A cell, and what it means to the reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub fn of(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }

    pub fn toned(tone: Tone, text: impl ToString) -> Self {
        Self { text: text.to_string(), tone }
    }

    /// `unknown` stands for what nobody told.
    pub fn known(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::toned(Tone::Faint, "?"), Self::of)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows under a header, columns as wide as their widest cell.
pub(crate) struct Table {
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        let header = header.map(|name| Cell::toned(Tone::Heading, name)).into();
        Self { header, rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    pub fn render(&self, paint: Paint) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| lines().filter_map(|line| line.get(column)).map(Cell::width).max();
        let widths: Vec<usize> = (0..self.header.len()).map(|column| width(column).unwrap_or(0)).collect();
        lines().map(|line| render_line(line, &widths, paint)).collect()
    }
}

/// Nothing is padded after the last cell that says something.
fn render_line(cells: &[Cell], widths: &[usize], paint: Paint) -> String {
    let said = cells.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).take(said).enumerate() {
        if column > 0 {
            line.push_str("  ");
        }
        line.push_str(&paint.apply(cell.tone, &cell.text));
        if column + 1 < said {
            line.extend(std::iter::repeat_n(' ', width - cell.width()));
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["id", "name", "last"]);
        table.row([Cell::of(1), Cell::of("long cell"), Cell::default()]);
        table.row([Cell::of(22), Cell::known(None::<u8>), Cell::of("x")]);
        assert_eq!(table.render(Paint::OFF), "id  name       last\n1   long cell\n22  ?          x\n");
    }
}
