//! The house rules of ARCHITECTURE.md, as functions that say which are broken. They run as tests and by
//! `cargo xtask check house`.

pub(crate) mod architecture;
pub(crate) mod citations;
pub(crate) mod sources;
pub(crate) mod versions;

/// One line for each broken rule.
pub(crate) fn broken_rules() -> anyhow::Result<Vec<String>> {
    let mut broken = architecture::broken()?;
    broken.extend(sources::broken()?);
    broken.extend(citations::broken()?);
    broken.extend(versions::broken()?);
    Ok(broken)
}
