//! Fenced blocks of a page.

pub struct Block {
    pub page: String,
    /// Of the fence, counted from 1.
    pub line: usize,
    pub language: String,
    /// The comment in the line before it, without its marks.
    pub marker: String,
    pub text: String,
}

impl Block {
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    pub fn not_run(&self) -> Option<&str> {
        self.marker.strip_prefix("not run:").map(str::trim)
    }

    pub fn is_workflow(&self) -> bool {
        self.marker == "workflow"
    }

    /// What is typed: all of it, or the lines behind a prompt.
    pub fn script(&self) -> String {
        match self.language.as_str() {
            "console" => {
                self.text.lines().filter_map(|line| line.strip_prefix("$ ")).fold(String::new(), join)
            }
            _ => self.text.clone(),
        }
    }
}

fn join(text: String, line: &str) -> String {
    text + line + "\n"
}

pub fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (n, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(language)) => {
                open = Some(Block {
                    page: page.to_owned(),
                    line: n + 1,
                    language: language.to_owned(),
                    marker: comment(before).to_owned(),
                    text: String::new(),
                });
            }
            (None, None) => before = line,
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}

fn comment(line: &str) -> &str {
    let inner = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
    inner.unwrap_or_default().trim()
}

#[test]
fn a_block_has_its_marker_and_its_prompts() {
    let page = "<!-- not run: it takes an hour -->\n```console\n$ a\nout\n$ b\n```\n\n```sh\nc\n```\n";
    let blocks = blocks_of("page", page);
    assert_eq!((blocks[0].place(), blocks[0].script()), ("page:2".to_owned(), "a\nb\n".to_owned()));
    assert_eq!(blocks[0].not_run(), Some("it takes an hour"));
    assert_eq!((blocks[1].not_run(), blocks[1].script()), (None, "c\n".to_owned()));
}
