//! End-to-end tests on a real engine: every test is a project of its own, counts every failed request, and
//! leaves nothing behind. `scripts/test` makes the images and runs them.

mod alone;
mod draining;
mod failures;
mod leftovers;
mod names;
mod rolling;
mod stack;
mod whole;
