//! End-to-end tests of the helper, in network namespaces of their own: no engine is needed, and nothing outside of them
//! is touched. They need root and Linux; elsewhere they say why they are skipped.

#![cfg(target_os = "linux")]

mod arm64;
mod claims;
mod connections;
mod counts;
mod end;
mod guard;
mod hold;
mod http;
mod left;
mod life;
mod net;
mod pair;
mod process;
mod steer;
mod take;
mod traffic;
mod unowned;
