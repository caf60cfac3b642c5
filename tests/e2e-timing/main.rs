//! End-to-end tests that measure: they want the machine for themselves, so they are a program of their own.

#[path = "../e2e/stack.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod stack;
mod timing;
