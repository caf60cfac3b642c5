use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(zdd::run(std::env::args_os()))
}
