//! Calls × faults.

use std::{collections::BTreeMap, fmt};

use super::{FAULTS, cell::Cell, rig::Call};

pub struct Table {
    calls: Vec<Call>,
    cells: BTreeMap<(Call, &'static str), Cell>,
}

impl Table {
    pub fn new(calls: &[Call]) -> Table {
        Table { calls: calls.to_vec(), cells: BTreeMap::new() }
    }

    pub fn add(&mut self, call: &Call, fault: &'static str, cell: Cell) {
        self.cells.insert((call.clone(), fault), cell);
    }

    /// What must not be, a line each.
    pub fn problems(&self) -> Vec<String> {
        let one = |((call, fault), cell): (&(Call, &'static str), &Cell)| {
            let shown: Vec<_> =
                cell.problems().map(|problem| format!("{call}, {fault}: {problem}")).collect();
            shown
        };
        self.cells.iter().flat_map(one).collect()
    }

    fn totals(&self) -> String {
        let reached = self.cells.values().filter(|cell| cell.reached);
        let failed: usize = self.cells.values().map(|cell| cell.lost).sum();
        let leftovers = self.cells.values().filter(|cell| !cell.leftovers.is_empty()).count();
        let late = self.cells.values().filter(|cell| cell.tidied_late).count();
        format!(
            "{} cells, {} reached, {} requests, {failed} failed, {leftovers} with leftovers, {late} tidied by the next version",
            self.cells.len(),
            reached.count(),
            self.cells.values().map(|cell| cell.requests).sum::<usize>(),
        )
    }
}

/// Failed requests, and the exit code of the disturbed run (9: killed); `!` stands for a leftover or a wrong end
/// after the plain run, `~` for a history that only the next new version tidied, `-` for a call that did not come.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "failed requests/exit code of the disturbed run (9: killed)")?;
        writeln!(f, "! leftover or wrong end after the plain run, - the call did not come")?;
        writeln!(
            f,
            "~ the plain run left the history untidy, and the next one, of a new version, tidied it\n"
        )?;
        write!(f, "{:<56}", "call")?;
        FAULTS.iter().try_for_each(|fault| write!(f, " {fault:>11}"))?;
        writeln!(f)?;
        for call in &self.calls {
            let cells: Vec<_> = FAULTS.iter().map(|fault| self.cells.get(&(call.clone(), *fault))).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let name: String = call.to_string().chars().take(56).collect();
            write!(f, "{name:<56}")?;
            for cell in cells {
                write!(f, " {:>11}", cell.map(Cell::word).unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\n{}", self.totals())?;
        self.problems().iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}
