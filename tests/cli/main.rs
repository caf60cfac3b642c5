//! What a user gets to see, and the order of the calls of docker behind it: whole outputs of docker-zdd with a
//! scripted docker first on the PATH. How to write one: `scenario`.

mod calls;
mod files;
mod output;
mod running;
mod scenario;
#[path = "../fake-docker/world.rs"]
mod world;

mod draining;
mod failing;
mod flags;
mod images;
mod interrupted;
mod locked;
mod machine;
mod refused;
mod rolling;
mod words;
