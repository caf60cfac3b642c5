//! End-to-end tests on a real engine: every test is a project of its own, counts every failed request, and
//! leaves nothing behind. `scripts/test` makes the images and runs them.

mod alone;
mod completion;
mod delivered;
mod docker_cli;
mod draining;
mod engines;
mod failures;
mod faults;
mod handed_over;
mod history;
mod hooks;
mod install;
mod leftovers;
mod names;
mod paces;
mod probe;
mod refusals;
mod relay;
mod remote;
mod rolling;
mod second_engine;
mod shapes;
#[path = "../cli/signals.rs"]
mod signals;
mod soak;
mod stack;
mod trouble;
#[path = "../cli/validator.rs"]
mod validator;
mod whole;
