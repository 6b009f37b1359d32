//! The pictures can be read in a light and in a dark theme, and their texts have room.
//!
//! A picture has its colours as CSS variables, in two palettes: `:root { --card: #…; --ink: #…; … }`, and
//! the same in `@media (prefers-color-scheme: dark)`. Nothing else in it is a colour.

use std::{collections::BTreeMap, fs, path::PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::text::{guide, pages};

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

/// The pictures with their sources.
fn pictures() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(guide().join("text/pictures")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == "svg"));
    paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn each_picture_can_be_read_in_light_and_in_dark() {
    for (path, svg) in pictures() {
        let name = path.display();
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

/// The tags of this name, each with its attributes and the text after it.
fn tags<'a>(svg: &'a str, name: &str) -> Vec<(BTreeMap<&'a str, &'a str>, &'a str)> {
    let start = format!("<{name} ");
    let tags = svg.split(&start).skip(1);
    let tag = |it: &'a str| {
        let (tag, text) = it.split_once('>').unwrap();
        let words: Vec<&str> = tag.split('"').collect();
        let pairs = words.chunks_exact(2);
        let attributes = pairs.map(|pair| (pair[0].trim().trim_end_matches('='), pair[1]));
        (attributes.collect(), text.split('<').next().unwrap())
    };
    tags.map(tag).collect()
}

/// The value of a property in the rules for `text` and for a class, of which the latter counts more.
fn style<'a>(svg: &'a str, class: Option<&&str>, property: &str) -> Option<&'a str> {
    let of = |selector: &str| {
        let (_, rule) = svg.split_once(&format!("{selector} {{"))?;
        let (_, value) = rule
            .split('}')
            .next()?
            .split_once(&format!("{property}:"))?;
        Some(value.split(';').next()?.trim())
    };
    class
        .and_then(|class| of(&format!(".{class}")))
        .or_else(|| of("text"))
}

/// The width of a text in DejaVu Sans, which is wider than the fonts of most systems.
fn width(text: &str, size: f64) -> f64 {
    let ems = text.chars().map(|c| match c {
        ' ' | '.' | ',' | ':' | ';' | '\'' | 'i' | 'l' | 'j' | 'I' | '|' => 0.32,
        't' | 'f' | 'r' | '(' | ')' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' => 0.95,
        c if c.is_uppercase() => 0.7,
        _ => 0.63,
    });
    ems.sum::<f64>() * size
}

#[test]
fn each_text_of_a_picture_ends_inside_its_box() {
    let mut wrong = Vec::new();
    for (path, svg) in pictures() {
        let number = |attributes: &BTreeMap<&str, &str>, name| {
            attributes.get(name).map_or(0.0, |it| it.parse().unwrap())
        };
        let boxes = tags(&svg, "rect");
        let boxes = boxes
            .iter()
            .map(|(it, _)| ["x", "y", "width", "height"].map(|name| number(it, name)));
        let boxes: Vec<[f64; 4]> = boxes.collect();
        for (attributes, text) in tags(&svg, "text") {
            let (x, y) = (number(&attributes, "x"), number(&attributes, "y"));
            let class = attributes.get("class");
            let size = style(&svg, class, "font-size").map_or(16.0, |size| {
                size.strip_suffix("px").unwrap().parse().unwrap()
            });
            let end = match style(&svg, class, "text-anchor") {
                Some("middle") => x + width(text, size) / 2.0,
                _ => x + width(text, size),
            };
            // The last one that it begins in is the innermost.
            let is_around = |[left, top, width, height]: &&[f64; 4]| {
                (*left..left + width).contains(&x) && (*top..top + height).contains(&y)
            };
            let around = boxes.iter().rev().find(is_around);
            if around.is_none_or(|[left, _, width, _]| end > left + width) {
                wrong.push(format!("{}: {text:?} ends at {end}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no room:\n{}", wrong.join("\n"));
}

#[test]
fn each_picture_is_shown_and_says_the_same_in_its_title_and_in_the_text() {
    let mut titles = BTreeMap::new();
    for (path, svg) in pictures() {
        let (_, title) = svg.split_once("<title>").expect("a title");
        let title = title.split("</title>").next().unwrap().to_owned();
        titles.insert(path.file_name().unwrap().to_owned(), title);
    }
    for page in pages() {
        let mut open: Option<(PathBuf, String)> = None;
        for (event, _) in page.events() {
            match event {
                Event::Start(Tag::Image { dest_url, .. }) => {
                    open = Some((PathBuf::from(&*dest_url), String::new()));
                }
                Event::Text(text) => open.iter_mut().for_each(|(_, alt)| alt.push_str(&text)),
                Event::End(TagEnd::Image) => {
                    let (path, alt) = open.take().unwrap();
                    let title = titles.remove(path.file_name().unwrap());
                    assert_eq!(title, Some(alt), "{}: {}", page.name(), path.display());
                }
                _ => {}
            }
        }
    }
    assert!(titles.is_empty(), "not shown: {titles:?}");
}
