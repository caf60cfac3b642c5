//! Draws a recording of script(1) as an SVG that plays: `zdd-picture TYPESCRIPT TIMING COLUMNS ROWS >picture.svg`.
//!
//! Nothing in it is made up: a terminal (vt100) is fed what was recorded, at the times that were recorded, and each of its
//! screens is a frame. Where animations are off, the last one is shown.

mod frames;
mod svg;

use std::{env, fs};

use anyhow::{Context, Result, bail};

use frames::Terminal;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [typescript, timing, columns, rows] = args.as_slice() else {
        bail!("usage: zdd-picture TYPESCRIPT TIMING COLUMNS ROWS");
    };
    let typescript = fs::read(typescript).context(typescript.clone())?;
    let timing = fs::read_to_string(timing).context(timing.clone())?;
    let terminal = Terminal { columns: columns.parse()?, rows: rows.parse()? };
    let frames = frames::play(&terminal, &typescript, &timing)?;
    print!("{}", svg::draw(&terminal, &frames));
    Ok(())
}
