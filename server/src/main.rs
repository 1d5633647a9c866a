//! `careline`: see `careline --help`.

fn main() -> std::process::ExitCode {
    server::cli::main()
}
