//! What a user gets to see, and the order of the calls of docker behind it: whole outputs of docker-zdd with a
//! scripted docker first on the PATH. How to write one: `scenario`. What each call must be like whatever it does:
//! `strict` of the fake. `cargo insta test --accept --test cli` writes new outputs into the tests; read them.

mod anywhere;
mod away;
mod calls;
mod files;
mod output;
mod running;
mod scenario;
#[path = "../fake-docker/world.rs"]
mod world;

mod colors;
mod deploy_sh;
mod doctor;
mod draining;
mod failing;
mod flags;
mod get;
mod history;
mod images;
mod init;
mod interrupted;
mod locked;
mod machine;
mod notify;
mod page;
mod piped;
mod probe;
mod refused;
mod rolling;
mod schema;
mod secrets;
mod signals;
mod status;
mod swarm;
mod unavailable;
mod validator;
mod variables;
mod watchdog;
mod words;
