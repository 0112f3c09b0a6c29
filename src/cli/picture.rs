//! Pictures as files: refused early, written whole.

use super::exit::BadFlag;
use super::file;
use super::output::Output;
use anyhow::Context;
use clap::{Args, ValueHint};
use isometer::report::figure::Picture;
use std::path::{Path, PathBuf};

/// `--plot`.
#[derive(Args, Debug)]
pub struct PlotArgs {
    /// Also draw the result, as SVG or PNG by the extension
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub plot: Option<PathBuf>,
}

impl PlotArgs {
    /// Where the picture goes, if one is wanted.
    pub fn target(&self) -> Result<Option<Target<'_>>, BadFlag> {
        let target = |path| Target::new("--plot", path);
        self.plot.as_deref().map(target).transpose()
    }
}

/// File types by extension.
#[derive(Clone, Copy)]
enum Kind {
    Svg,
    Png,
}

/// A file that can receive a picture.
pub struct Target<'a> {
    flag: &'static str,
    path: &'a Path,
    kind: Kind,
}

impl<'a> Target<'a> {
    /// Looks at the extension and the directory.
    pub fn new(flag: &'static str, path: &'a Path) -> Result<Target<'a>, BadFlag> {
        let kind = check(flag, path)?;
        Ok(Target { flag, path, kind })
    }

    /// Draws and writes; the number of bytes.
    pub fn save(&self, picture: &impl Picture) -> anyhow::Result<usize> {
        let bytes = match self.kind {
            Kind::Svg => picture.svg()?.into_bytes(),
            Kind::Png => picture.png()?,
        };
        file::write(self.path, &bytes).context(self.flag)?;
        Ok(bytes.len())
    }

    /// The same, with a note on stderr.
    pub fn save_beside(&self, picture: &impl Picture, output: &Output) -> anyhow::Result<()> {
        let bytes = self.save(picture)?;
        output.note(&format!("drew {} ({bytes} bytes)", self.path.display()));
        Ok(())
    }
}

/// What can be refused before anything is computed.
fn check(flag: &'static str, out: &Path) -> Result<Kind, BadFlag> {
    let extension = out.extension().map(|e| e.to_ascii_lowercase());
    let kind = match extension.as_ref().and_then(|e| e.to_str()) {
        Some("svg") => Kind::Svg,
        Some("png") => Kind::Png,
        _ => {
            let message = format!("{} names no figure: end it in .svg or .png", out.display());
            return Err(BadFlag { flag, message });
        }
    };
    file::check(flag, out)?;
    Ok(kind)
}
