//! Figures for people: one Markdown table, aligned so that it reads as plain text too.

use std::fmt;

/// Rows of a measure, one's figure, the other's, and how many times the other's the one's is.
#[derive(Debug)]
pub struct Table {
    head: [String; 4],
    rows: Vec<[String; 4]>,
}

impl Default for Table {
    /// The server beside the relay.
    fn default() -> Self {
        Self::of("server", "relay")
    }
}

impl Table {
    #[must_use]
    pub fn of(one: &str, other: &str) -> Self {
        Self { head: ["measure", one, other, "ratio"].map(ToOwned::to_owned), rows: Vec::new() }
    }

    /// A measure that both have.
    pub fn compare(&mut self, what: &str, unit: &str, one: f64, other: f64) {
        let ratio = if other == 0.0 { "-".into() } else { format!("{:.2}", one / other) };
        self.rows.push([what.into(), figure(one, unit), figure(other, unit), ratio]);
    }

    /// A measure that only the first has.
    pub fn alone(&mut self, what: &str, unit: &str, one: f64) {
        self.rows.push([what.into(), figure(one, unit), "-".into(), "-".into()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.head;
        let mut widths = [0; 4];
        for row in [head].into_iter().chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut line = |row: &[String; 4]| {
            let [what, server, relay, ratio] = widths;
            writeln!(
                f,
                "| {:<what$} | {:>server$} | {:>relay$} | {:>ratio$} |",
                row[0], row[1], row[2], row[3]
            )
        };
        line(head)?;
        line(&widths.map(|width| "-".repeat(width)))?;
        self.rows.iter().try_for_each(line)
    }
}

/// Three digits or so, and the unit.
fn figure(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        ..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_says_ratios() {
        let mut table = Table::default();
        table.compare("latency", "ms", 1.5, 0.5);
        table.alone("memory", "KiB", 123.4);
        let text = table.to_string();
        assert_eq!(
            text,
            "| measure |  server |    relay | ratio |\n\
             | ------- | ------- | -------- | ----- |\n\
             | latency | 1.50 ms | 0.500 ms |  3.00 |\n\
             | memory  | 123 KiB |        - |     - |\n"
        );
    }
}
