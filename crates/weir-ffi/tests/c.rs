//! A program in C, compiled against the header and linked with the shared library.

use std::path::Path;
use std::process::Command;

#[test]
fn a_program_in_c_gets_verdicts() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no C compiler (cc)");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo builds every form of the library for tests, beside them.
    let libraries = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    assert!(libraries.join("libweir_ffi.so").exists(), "no shared library in {}", libraries.display());
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("client");
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root.join("include"))
        .arg(root.join("tests/client.c"))
        .arg("-o")
        .arg(&program)
        .arg(libraries.join("libweir_ffi.so"))
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = Command::new(&program).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{:?}: {text}", ran.status);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("config.size is 0, and "), "{text}");
    assert_eq!(lines[1..], [r#"1 403 {"error": {"code": 403, "message": "request blocked"}}"#, "0 0 "]);
}
