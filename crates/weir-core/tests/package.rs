//! The published package must hold every embedded rule file: `rules` is a link to a directory outside of the crate.

use std::collections::HashSet;
use std::process::Command;

#[test]
fn the_package_lists_every_embedded_rule_file() {
    let output = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let listed: HashSet<&str> = listed.lines().collect();
    let embedded = weir_core::builtin::files();
    assert!(!embedded.is_empty());
    for (file, _) in embedded {
        assert!(listed.contains(format!("rules/{file}").as_str()), "rules/{file} is not in the package");
    }
    assert!(listed.contains("README.md"));
}
