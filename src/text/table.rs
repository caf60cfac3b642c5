//! The one writer of tables.

use console::{Alignment, measure_text_width, pad_str};

use super::clean;

/// The rows as lines, each column as wide as its widest cell. The first column begins at the left; `align` is for the
/// others. No cell can move the cursor, and an empty one is a dash.
pub fn table(rows: &[Vec<String>], align: Alignment) -> Vec<String> {
    painted_table(rows, align, &|_, _, cell| cell.to_owned())
}

/// The same, where `paint` gets each cell with its row and column, and adds nothing but colors.
pub fn painted_table(
    rows: &[Vec<String>],
    align: Alignment,
    paint: &dyn Fn(usize, usize, &str) -> String,
) -> Vec<String> {
    let cell = |text: &String| Some(clean(text)).filter(|text| !text.is_empty()).unwrap_or("-".to_owned());
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let widest =
        |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|cell| measure_text_width(cell)).max();
    let widths: Vec<usize> = (0..).map_while(widest).collect();
    // Figures stand apart by themselves.
    let gap = if align == Alignment::Right { "  " } else { "   " };
    let padded = |row: usize, (i, cell): (usize, &String)| {
        let align = if i == 0 { Alignment::Left } else { align };
        pad_str(&paint(row, i, cell), widths[i], align, None).into_owned()
    };
    let line = |(row, cells): (usize, &Vec<String>)| {
        cells.iter().enumerate().map(|cell| padded(row, cell)).collect::<Vec<_>>().join(gap)
    };
    rows.iter().enumerate().map(line).map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: &[&[&str]], align: Alignment) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        table(&rows, align)
    }

    #[test]
    fn columns_line_up_and_cells_stay_in_theirs() {
        let rows: &[&[&str]] = &[&["SERVICE", "日本", "AGE"], &["\x1b[2Jweb", "", "1m"], &["a", "b\rc", "d"]];
        assert_eq!(
            lines(rows, Alignment::Left),
            ["SERVICE   日本   AGE", "web       -      1m", "a         c      d"]
        );
    }

    #[test]
    fn colors_take_no_room() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        let paint = |row: usize, column: usize, cell: &str| match (row, column) {
            (0, 0) => format!("\x1b[1m{cell}\x1b[0m"),
            _ => cell.to_owned(),
        };
        let lines = painted_table(&rows, Alignment::Left, &paint);
        assert_eq!(lines, ["\x1b[1ma\x1b[0m      b", "long   c"]);
    }

    #[test]
    fn figures_end_at_the_same_column() {
        let rows: &[&[&str]] = &[&["probe", "before", "all"], &["failed", "3", "140"]];
        assert_eq!(lines(rows, Alignment::Right), ["probe   before  all", "failed       3  140"]);
        assert_eq!(table(&[], Alignment::Right), Vec::<String>::new());
    }
}
