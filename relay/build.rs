//! Embeds the browser client: a table of the files in `web/dist`, which `cargo xtask web` fills. Empty where nobody did.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let home = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    println!("cargo::rerun-if-changed=build.rs");
    let folder = home.join("../web/dist");
    let mut files = Vec::new();
    // The folder is part of the repository, so that it can be watched; a packaged crate has none.
    if folder.is_dir() {
        println!("cargo::rerun-if-changed={}", folder.display());
        collect(&folder, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for path in &files {
        let name = path.strip_prefix(&folder).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        if name.ends_with(".br") || name.ends_with(".gz") {
            continue;
        }
        let form = |end: &str| {
            let form = PathBuf::from(format!("{}.{end}", path.display()));
            if files.contains(&form) { format!("Some({})", bytes(&form)) } else { "None".to_owned() }
        };
        let (plain, brotli, gzip) = (bytes(path), form("br"), form("gz"));
        let _ =
            writeln!(table, "    File {{ path: {name:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},");
    }
    table.push_str("]\n");
    fs::write(out.join("site.rs"), table)
}

/// All files below a folder but hidden ones.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            files.push(path);
        }
    }
    Ok(())
}

/// The expression that holds a file's bytes.
fn bytes(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}
