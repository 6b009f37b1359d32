//! The code blocks: each equals the part of the program that its marker names.

use std::{env, fs};

use crate::{
    programs::part,
    text::{Page, pages},
};

/// What stands between the fences.
fn wanted(page: &Page, marker: &str) -> Result<String, String> {
    let (_, lines) = part(page.path.parent().unwrap(), marker)?;
    let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    let full = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = full.map(|line| line.len() - line.trim_start().len()).min();
    let indent = indent.unwrap_or(0);
    let lines = lines.iter().map(|line| line.get(indent..).unwrap_or(""));
    let text = lines.collect::<Vec<_>>().join("\n");
    Ok(format!("{}\n", text.trim_matches('\n')))
}

#[test]
fn each_block_is_what_its_program_says() {
    let bless = env::var_os("GUIDE_BLESS").is_some();
    let mut wrong = Vec::new();
    for page in pages() {
        let mut text = page.text.clone();
        // From the end, so that the places before stay right.
        for block in page.blocks().into_iter().rev() {
            let Some(marker) = &block.marker else {
                if block.language.starts_with("rust") {
                    wrong.push(format!(
                        "{}: rust without a marker:\n{}",
                        page.name(),
                        block.code
                    ));
                }
                continue;
            };
            match wanted(&page, marker) {
                Err(error) => wrong.push(format!("{}: {error}", page.name())),
                Ok(wanted) if wanted == block.code => {}
                Ok(wanted) if bless => {
                    let block_text = format!("```{}\n{wanted}```", block.language);
                    text.replace_range(block.place, &block_text);
                }
                Ok(_) => wrong.push(format!("{}: {marker} differs", page.name())),
            }
        }
        if bless && text != page.text {
            fs::write(&page.path, text).unwrap();
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nGUIDE_BLESS=1 cargo test -p nio-guide --test book fills the blocks in",
        wrong.join("\n")
    );
}
