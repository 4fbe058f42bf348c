//! A picture as PNG.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Latin, Greek and Cyrillic of Arimo, which has Arial's proportions (FONT.md).
static FONT: &[u8] = include_bytes!("Arimo-subset.ttf");

/// Pixels for each unit of a picture, so that print is sharp.
pub const SCALE: f32 = 2.0;

/// Draws a picture.
///
/// # Errors
/// Why it can't be drawn: one that is larger than memory holds.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("Arimo");
    let options = Options { fontdb: Arc::new(fonts), font_family: "Arimo".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or("it has no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("it is too large")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}
