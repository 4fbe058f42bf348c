//! SVG rendered as PNG.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The Latin, Greek and Cyrillic part of Arimo, which has Arial's metrics (FONT.md).
static FONT: &[u8] = include_bytes!("Arimo-subset.ttf");

/// Pixels per SVG unit: two, so that printed pictures are sharp.
pub const SCALE: f32 = 2.0;

/// Renders an SVG as PNG.
///
/// # Errors
/// Returns why the picture can't be rendered, for instance because it does not fit in memory.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("Arimo");
    let options = Options { fontdb: Arc::new(fonts), font_family: "Arimo".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or("the SVG has no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("its pixels do not fit in memory")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}
