//! The committed header describes the interface of this build.

use std::path::Path;

/// `WEIR_UPDATE_DOCS=1` makes it fresh.
#[test]
fn the_header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let sources = ["abi.rs", "abi/verdict.rs"];
    let builder =
        sources.iter().fold(cbindgen::Builder::new(), |builder, file| builder.with_src(root.join("src").join(file)));
    let mut fresh = Vec::new();
    builder.with_config(config).generate().unwrap().write(&mut fresh);
    let path = root.join("include/weir.h");
    if std::env::var_os("WEIR_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    let command = "WEIR_UPDATE_DOCS=1 cargo test -p weir-ffi --test header";
    assert!(committed == fresh, "crates/weir-ffi/include/weir.h is stale: run `{command}`");
    let text = String::from_utf8(fresh).unwrap();
    for name in ["WEIR_ABI_VERSION", "WEIR_STATUS_OK", "weir_inspect", "weir_verdict_free", "struct WeirRequest"] {
        assert!(text.contains(name), "{name} is missing");
    }
}
