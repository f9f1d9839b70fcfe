//! A look at a page through Chromium, where there is one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Width of a small telephone.
const WIDTH: u32 = 360;

/// What Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Checks that Chromium loads a page without an error, that every picture on it is there, and that a telephone
/// need not scroll sideways. Without Chromium it says so and checks nothing.
pub fn shows(html: &str) -> Result<()> {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: none of {NAMES:?} is installed, so the page was not looked at in a browser");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("frame.html");
    std::fs::write(&page, frame(html))?;
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(url(&page))
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let console: Vec<&str> = errors.lines().filter(|line| line.contains("CONSOLE")).collect();
    ensure!(console.is_empty(), "the browser's console says {console:#?}");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = dom.split("<output>").nth(1).and_then(|rest| rest.split("</output>").next());
    let told = told.with_context(|| format!("the page was not looked at: {errors}"))?;
    let [pictures, missing, width]: [u32; 3] = told
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect::<Vec<_>>()
        .try_into()
        .ok()
        .with_context(|| format!("the browser says {told:?}"))?;
    ensure!(pictures > 0 && missing == 0, "{missing} of {pictures} pictures were not loaded");
    ensure!(width <= WIDTH, "the page is {width} pixels wide on a screen of {WIDTH}");
    Ok(())
}

/// The name of the Chromium that is installed, if one is.
pub fn chromium() -> Option<&'static str> {
    NAMES.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// A page with the other in a frame as wide as a telephone, which counts its pictures, those that were not
/// loaded, and its width.
fn frame(html: &str) -> String {
    let quoted = html.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><output></output>\
         <iframe width=\"{WIDTH}\" height=\"800\" style=\"border: 0\" srcdoc=\"{quoted}\"></iframe>\
         <script>\
         const frame = document.querySelector('iframe');\
         addEventListener('load', () => {{\
           const page = frame.contentDocument;\
           const pictures = [...page.images];\
           const missing = pictures.filter((picture) => !picture.complete || !picture.naturalWidth);\
           document.querySelector('output').textContent =\
             [pictures.length, missing.length, page.documentElement.scrollWidth].join(' ');\
         }});\
         </script>"
    )
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}
