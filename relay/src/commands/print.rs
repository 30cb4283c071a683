//! Answers on standard output: aligned columns for people, or one JSON object a line for programs.

use super::CommandError;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// How a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// One JSON object a line.
    pub(crate) json: bool,
}

impl Printer {
    /// One thing: a sentence for people, an object with its `type` for programs.
    pub(crate) fn one(self, kind: &str, row: &impl Serialize, sentence: &str) -> Result<(), CommandError> {
        let line = if self.json { object(kind, row)? } else { sentence.to_owned() };
        write(&(line + "\n"))
    }

    /// Many things: a table with a head for people, an object a line for programs.
    pub(crate) fn many<T: Serialize, const N: usize>(
        self,
        kind: &str,
        rows: &[T],
        head: [&str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<(), CommandError> {
        if self.json {
            let lines: Result<Vec<String>, _> = rows.iter().map(|row| object(kind, row)).collect();
            return write(&lines?.iter().flat_map(|line| [line, "\n"]).collect::<String>());
        }
        let rows: Vec<[String; N]> = rows.iter().map(cells).collect();
        write(&table(head.map(str::to_owned), &rows))
    }
}

fn table<const N: usize>(head: [String; N], rows: &[[String; N]]) -> String {
    let all = || std::iter::once(&head).chain(rows);
    let mut widths = [0_usize; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A row as JSON with its `type` first.
fn object(kind: &str, row: &impl Serialize) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        row: &'a T,
    }
    serde_json::to_string(&Typed { r#type: kind, row }).map_err(|error| CommandError::Output(error.into()))
}

/// A closed pipe is no failure: `| head` has seen enough.
fn write(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        _ => Ok(()),
    }
}

/// A time for people, in UTC.
pub(crate) fn day(ms: u64) -> String {
    let since = Duration::seconds(i64::try_from(ms / 1000).unwrap_or(i64::MAX));
    let time = OffsetDateTime::UNIX_EPOCH.checked_add(since);
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_rows_do_not_trail_spaces() {
        let rows = [["anna".to_owned(), "user".to_owned()], ["b".to_owned(), "operator".to_owned()]];
        let text = table(["name".to_owned(), "role".to_owned()], &rows);
        assert_eq!(text, "name  role\nanna  user\nb     operator\n");
    }

    #[test]
    fn a_row_names_its_type_and_a_time_reads_as_a_date() {
        let row = serde_json::json!({ "a": 1 });
        assert_eq!(object("thing", &row).unwrap(), r#"{"type":"thing","a":1}"#);
        assert_eq!(day(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(day(u64::MAX), format!("{} ms", u64::MAX));
    }
}
