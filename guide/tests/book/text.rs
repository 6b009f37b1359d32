//! The chapters: their files, blocks and headings.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The folder of this package. The tests read its text, so they do not run without its source.
pub(crate) fn guide() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the guide.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced code block.
pub(crate) struct Block {
    /// The word after the fence.
    pub(crate) language: String,
    pub(crate) code: String,
    /// Where the whole block stands in the page, fences included.
    pub(crate) place: Range<usize>,
    /// The text of the marker `<!-- code: … -->` before it.
    pub(crate) marker: Option<String>,
}

/// All pages, in the order of their names.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(guide().join("text"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

/// The numbered chapters, `00-….md` and on.
pub(crate) fn chapters() -> Vec<Page> {
    let is_chapter = |page: &Page| {
        page.name()
            .starts_with(|first: char| first.is_ascii_digit())
    };
    pages().into_iter().filter(is_chapter).collect()
}

impl Page {
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap().to_str().unwrap().into()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_GFM;
        Parser::new_ext(&self.text, options).into_offset_iter()
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (event, place) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    open = Some(Block {
                        language: language.to_string(),
                        code: String::new(),
                        marker: marker_before(&self.text, place.start),
                        place,
                    });
                }
                Event::Text(text) => {
                    if let Some(block) = &mut open {
                        block.code.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
                _ => {}
            }
        }
        blocks
    }

    /// The text of each heading, with its level.
    pub(crate) fn headings(&self) -> Vec<(usize, String)> {
        let mut headings = Vec::new();
        let mut open = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    open = Some((level as usize, String::new()));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, heading)) = &mut open {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => headings.extend(open.take()),
                _ => {}
            }
        }
        headings
    }

    /// The text that a person reads, without code.
    pub(crate) fn prose(&self) -> String {
        let mut prose = String::new();
        let mut in_code = false;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(_)) => in_code = true,
                Event::End(TagEnd::CodeBlock) => in_code = false,
                Event::Text(text) if !in_code => prose.push_str(&text),
                Event::SoftBreak | Event::HardBreak | Event::End(_) => prose.push('\n'),
                Event::Code(_) => prose.push_str(" `code` "),
                _ => {}
            }
        }
        prose
    }
}

/// The marker in the line before a block.
fn marker_before(text: &str, block: usize) -> Option<String> {
    let line = text[..block].trim_end_matches('\n').lines().last()?;
    let marker = line.strip_prefix("<!-- code: ")?.strip_suffix(" -->")?;
    Some(marker.into())
}
