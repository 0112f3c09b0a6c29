//! One table, laid out as text, markdown or CSV.
//!
//! ```
//! use isometer::report::{Format, Style, table::{Column, Table}};
//!
//! let table = Table {
//!     columns: vec![Column::text("layer"), Column::number("kappa").expendable(1)],
//!     rows: vec![vec!["fc".into(), "14.9".into()]],
//!     verdict: "fine".into(),
//!     ..Table::default()
//! };
//! let of = |width| String::from_utf8(table.render(Format::Table, &Style { width, colour: false })).unwrap();
//! assert!(of(None).contains("14.9") && of(None).trim_end().ends_with("fine"));
//! ```

use super::text::{shown, visible};
use super::{Format, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table as Layout, presets};

/// Rows that are laid out together.
const ROWS_AT_ONCE: usize = 1000;

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Header.
    pub name: &'static str,
    /// Numbers are set flush right.
    pub numeric: bool,
    /// Columns with the largest rank are left out first where the screen is too narrow; 0 stays.
    pub expendable: u8,
}

impl Column {
    /// A column of words that always stays.
    pub const fn text(name: &'static str) -> Column {
        Column {
            name,
            numeric: false,
            expendable: 0,
        }
    }

    /// A column of numbers that always stays.
    pub const fn number(name: &'static str) -> Column {
        Column {
            name,
            numeric: true,
            expendable: 0,
        }
    }

    /// Left out on narrow screens, larger ranks first.
    pub const fn expendable(mut self, rank: u8) -> Column {
        self.expendable = rank;
        self
    }
}

/// Rows of text under named columns, remarks below, and the verdict as the last line.
///
/// # Examples
/// ```
/// use isometer::report::{Format, Style, table::{Column, Table}};
/// let table = Table {
///     columns: vec![Column::text("name"), Column::number("kappa")],
///     rows: vec![vec!["a".into(), "3.0".into()]],
///     verdict: "fine".into(),
///     ..Table::default()
/// };
/// let text = String::from_utf8(table.render(Format::Markdown, &Style::PLAIN)).unwrap();
/// assert!(text.lines().any(|l| l.starts_with('|') && l.contains("3.0")) && text.contains("fine"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Columns, left to right.
    pub columns: Vec<Column>,
    /// One cell for each column.
    pub rows: Vec<Vec<String>>,
    /// Lines below the table: what a row cannot hold.
    pub remarks: Vec<String>,
    /// What it means and what to do.
    pub verdict: String,
    /// Whether the verdict is bad news (coloured red instead of green, where colour is on).
    pub alarming: bool,
}

impl Table {
    /// The table as text or markdown; [`Format::Csv`] and [`Format::Json`] have richer sources
    /// than display cells and are written by each report.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        let mut out = match format {
            Format::Markdown => self.markdown(),
            _ => self.text(style),
        };
        let line = |text| match format {
            Format::Markdown => inert(text),
            _ => shown(text).into_owned(),
        };
        for remark in &self.remarks {
            out.push_str(&line(remark));
            out.push('\n');
        }
        if format == Format::Markdown && !self.remarks.is_empty() {
            out.push('\n');
        }
        let verdict = line(&self.verdict);
        match (style.colour && format == Format::Table, self.alarming) {
            (true, true) => out.push_str(&format!("\x1b[1;31m{verdict}\x1b[0m\n")),
            // cyan: told from red by every eye
            (true, false) => out.push_str(&format!("\x1b[36m{verdict}\x1b[0m\n")),
            (false, _) => out.push_str(&format!("{verdict}\n")),
        }
        out.into_bytes()
    }

    fn text(&self, style: &Style) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let columns = self.columns_that_fit(style.width);
        let narrow = style
            .width
            .filter(|width| self.natural_width(&columns) > *width);
        // a layout of all rows at once takes a hundred times their text; ASCII is as wide as it is long, so that
        // the dashes give every part the same columns
        let ascii = self.rows.iter().flatten().all(|cell| cell.is_ascii());
        let part = match narrow.is_none() && ascii {
            true => ROWS_AT_ONCE,
            false => self.rows.len(),
        };
        let widths: Vec<usize> = columns.iter().map(|&c| self.column_width(c)).collect();
        let mut out = String::new();
        for (k, rows) in self.rows.chunks(part).enumerate() {
            let text = self.layout(&columns, &widths, rows, narrow);
            let head = if k == 0 { 0 } else { 2 };
            for line in without_broken_rule(&text).skip(head) {
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }

    /// Header, dashes as wide as the columns of the whole table, and some rows.
    fn layout(
        &self,
        columns: &[usize],
        widths: &[usize],
        rows: &[Vec<String>],
        narrow: Option<usize>,
    ) -> String {
        let mut layout = Layout::new();
        layout.load_style(presets::NOTHING);
        layout.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = narrow {
            layout.set_content_arrangement(ContentArrangement::Dynamic);
            layout.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        layout.set_header(columns.iter().map(|&c| self.columns[c].name));
        layout.add_row(widths.iter().map(|&width| "-".repeat(width)));
        for row in rows {
            layout.add_row(columns.iter().map(|&c| shown(&row[c])));
        }
        for (at, &c) in columns.iter().enumerate() {
            if let Some(column) = layout.column_mut(at) {
                column.set_padding((0, 2));
                if self.columns[c].numeric {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        layout.trim_fmt()
    }

    fn column_width(&self, column: usize) -> usize {
        self.rows
            .iter()
            .map(|row| shown(&row[column]).chars().count())
            .chain([self.columns[column].name.chars().count()])
            .max()
            .unwrap_or(0)
    }

    fn natural_width(&self, shown: &[usize]) -> usize {
        shown.iter().map(|&c| self.column_width(c) + 2).sum()
    }

    fn columns_that_fit(&self, width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return shown };
        while self.natural_width(&shown) > width {
            let Some(at) = (0..shown.len())
                .filter(|&at| self.columns[shown[at]].expendable > 0)
                .max_by_key(|&at| self.columns[shown[at]].expendable)
            else {
                break;
            };
            shown.remove(at);
        }
        shown
    }

    fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.columns.iter().map(|c| c.name.to_string()).collect());
        out.push_str(&line(
            self.columns
                .iter()
                .map(|c| if c.numeric { "---:" } else { "---" }.to_string())
                .collect(),
        ));
        for row in &self.rows {
            out.push_str(&line(
                row.iter()
                    .map(|cell| inert(cell).replace('|', "\\|"))
                    .collect(),
            ));
        }
        out.push('\n');
        out
    }
}

/// The lines of a layout; where columns are narrower than what they hold the dashes under the header go on for several, of
/// which the first is enough.
fn without_broken_rule(text: &str) -> impl Iterator<Item = &str> {
    let rule = |line: &&str| line.chars().all(|c| matches!(c, '-' | ' '));
    let first = text.lines().position(|line| rule(&line));
    let below = text.lines().skip(first.map_or(0, |k| k + 1));
    let more = first.map_or(0, |_| below.take_while(rule).count());
    let broken = first.map_or(0..0, |k| k + 1..k + 1 + more);
    let lines = text.lines().enumerate();
    lines
        .filter(move |(k, _)| !broken.contains(k))
        .map(|(_, line)| line)
}

/// Text that is no markup in markdown.
fn inert(text: &str) -> String {
    shown(text).replace('<', "\\<")
}

/// Records quoted as in RFC 4180, one a line, hidden characters spelled out; the first is the header.
///
/// # Examples
/// ```
/// use isometer::report::table::csv;
/// let records = [vec!["name".to_string(), "note".into()], vec!["a".into(), "1, 2".into()]];
/// assert_eq!(csv(&records), b"name,note\na,\"1, 2\"\n");
/// ```
pub fn csv(records: &[Vec<String>]) -> Vec<u8> {
    let mut out = String::new();
    for record in records {
        let fields: Vec<String> = record
            .iter()
            .map(|field| csv_field(&visible(field)))
            .collect();
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out.into_bytes()
}

fn csv_field(field: &str) -> String {
    if field.contains([',', '"']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            columns: vec![
                Column::text("tensor"),
                Column::number("kappa"),
                Column::text("limits").expendable(1),
            ],
            rows: vec![
                vec!["a|b".into(), "1".into(), "exact".into()],
                vec!["evil\x1b[2J".into(), "190.57".into(), "[1, 2]".into()],
            ],
            remarks: vec![],
            verdict: "fine".into(),
            alarming: false,
        }
    }

    fn text(format: Format, width: Option<usize>, colour: bool) -> String {
        String::from_utf8(table().render(format, &Style { width, colour })).unwrap()
    }

    #[test]
    fn text_is_aligned_and_ends_with_the_verdict() {
        assert_eq!(
            text(Format::Table, None, false),
            "tensor          kappa  limits\n\
             -------------  ------  ------\n\
             a|b                 1  exact\n\
             evil\\u{1b}[2J  190.57  [1, 2]\n\
             fine\n"
        );
    }

    #[test]
    fn narrow_screens_lose_expendable_columns_and_never_names() {
        let narrow = text(Format::Table, Some(25), false);
        assert!(!narrow.contains("limits"), "{narrow}");
        assert!(narrow.contains("kappa"));
        // a width nothing fits in: cells wrap, nothing is cut
        let tiny = text(Format::Table, Some(12), false);
        assert_eq!(tiny.matches('9').count(), 1, "{tiny}");
        let rules = tiny.lines().filter(|l| l.starts_with("---")).count();
        assert_eq!(rules, 1, "{tiny}");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert!(!text(Format::Table, None, false).contains('\x1b'));
        assert!(text(Format::Table, None, true).contains("\x1b[36mfine"));
    }

    #[test]
    fn long_tables_are_laid_out_in_parts_that_fit_together() {
        let mut table = table();
        let row = |k: usize| {
            vec![
                format!("t{}", "n".repeat(k % 7)),
                k.to_string(),
                String::new(),
            ]
        };
        table.rows = (0..2 * ROWS_AT_ONCE + 3).map(row).collect();
        let widths =
            |table: &Table| -> Vec<usize> { (0..3).map(|c| table.column_width(c)).collect() };
        let parts = table.text(&Style::PLAIN);
        let lines: Vec<&str> = parts.lines().collect();
        assert_eq!(lines.len(), table.rows.len() + 2);
        let whole = table.layout(&[0, 1, 2], &widths(&table), &table.rows, None);
        assert_eq!(parts, whole + "\n");
        // a name that is not ASCII moves no column of the other parts
        table.rows[5][0] = "\u{4e2d}\u{6587}\u{4e2d}\u{6587}\u{4e2d}".into();
        let whole = table.layout(&[0, 1, 2], &widths(&table), &table.rows, None);
        assert_eq!(table.text(&Style::PLAIN), whole + "\n");
    }

    #[test]
    fn markdown_escapes_bars() {
        let md = text(Format::Markdown, None, true);
        assert!(md.contains("| a\\|b | 1 | exact |\n"), "{md}");
        let mut marked = table();
        marked.remarks = vec!["x <b>".into()];
        marked.rows[0][0] = "<i>".into();
        let md = marked.render(Format::Markdown, &Style::PLAIN);
        let md = String::from_utf8(md).unwrap();
        assert!(md.contains("| \\<i> |") && md.contains("x \\<b>"), "{md}");
        assert!(!md.contains('\x1b'));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let bytes = csv(&[vec!["a".into(), "b,\"c\"".into()]]);
        assert_eq!(bytes, b"a,\"b,\"\"c\"\"\"\n");
        assert_eq!(
            csv(&[vec!["a\nb\x1b\u{202e}".into()]]),
            b"a\\nb\\u{1b}\\u{202e}\n"
        );
    }
}
