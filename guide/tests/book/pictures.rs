//! The pictures can be read in a light and in a dark theme.
//!
//! A picture has its colours as CSS variables, in two palettes: `:root { --card: #…; --ink: #…; … }`, and
//! the same in `@media (prefers-color-scheme: dark)`. Nothing else in it is a colour.

use std::{collections::BTreeMap, fs};

use crate::text::guide;

/// Of WCAG 2, for text.
const LEAST_CONTRAST: f64 = 4.5;

/// The variables of the palette that follows `start`.
fn palette(svg: &str, start: usize) -> BTreeMap<String, [f64; 3]> {
    let body = svg[start..]
        .split_once('{')
        .unwrap()
        .1
        .split_once('}')
        .unwrap()
        .0;
    let mut palette = BTreeMap::new();
    for declaration in body.split(';').filter(|it| it.contains(':')) {
        let (name, value) = declaration.split_once(':').unwrap();
        let value = value.trim().strip_prefix('#').unwrap();
        assert_eq!(value.len(), 6, "{declaration}");
        let channel = |at| f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap());
        palette.insert(name.trim().into(), [channel(0), channel(2), channel(4)]);
    }
    palette
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|channel| {
        let channel = channel / 255.0;
        if channel <= 0.040_45 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn each_picture_can_be_read_in_light_and_in_dark() {
    for entry in fs::read_dir(guide().join("pictures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "svg") {
            continue;
        }
        let svg = fs::read_to_string(&path).unwrap();
        let name = path.display();
        assert!(svg.contains("<title>"), "{name} has no title");
        let light = svg.find(":root").expect("a palette");
        let dark = svg
            .find("prefers-color-scheme: dark")
            .expect("a dark palette");
        let dark = dark + svg[dark..].find(":root").expect("a dark palette");
        let (light, dark) = (palette(&svg, light), palette(&svg, dark));
        assert!(light.keys().eq(dark.keys()), "{name}: the palettes differ");
        for palette in [&light, &dark] {
            let card = palette["--card"];
            // Lines and surfaces need less; their names say so.
            let text = palette
                .iter()
                .filter(|(key, _)| !key.starts_with("--card") && !key.starts_with("--line"));
            for (key, colour) in text {
                let contrast = contrast(*colour, card);
                assert!(
                    contrast >= LEAST_CONTRAST,
                    "{name}: {key} has {contrast:.1}"
                );
            }
        }
        let styled = svg.rfind("</style>").unwrap();
        assert!(
            !svg[styled..].contains("=\"#"),
            "{name}: a colour beside the palette"
        );
    }
}
