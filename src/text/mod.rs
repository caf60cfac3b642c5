//! Text as people and programs read it: cleaned, counted, listed, laid out, masked. A leaf: it knows nothing else of
//! the product.

mod clean;
pub mod date;
pub mod duration;
mod image;
mod list;
pub mod mask;
pub mod place;
mod similar;
mod table;
pub mod variable;
pub mod yaml;

pub use clean::{clean, clean_lines, cut_front};
pub use image::{image_name, repository_and_version, short_id, short_image};
pub use list::{count, join, verb};
pub use similar::{did_you_mean, nearest};
pub use table::{painted_table, table};
