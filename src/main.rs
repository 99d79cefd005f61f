//! The `weir` program: see `weir --help`.

/// Gives freed memory back to the system under load: with thousands of connections that send large bodies a node stays at
/// a third of what it takes with the system's allocator (docs/decisions/0012-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    weir::cli::main()
}
