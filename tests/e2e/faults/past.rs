//! A history that is as long as one gets, so that every rollout also forgets, and what is to hold of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use crate::stack::{Stack, docker};

/// So many revisions are kept.
const KEPT: usize = 10;

pub struct Past {
    /// Every image of a document that was ever seen.
    documents: BTreeSet<String>,
}

impl Past {
    /// Copies the only revision until there are as many as are kept.
    pub fn of(stack: &Stack) -> Past {
        let project = &stack.project;
        let (volume, image) = (format!("zdd-revision-{project}-"), format!("zdd-revision/{project}:r"));
        let format = "{{index .Labels \"io.zdd.revision\"}}";
        let label = docker(&["volume", "inspect", "--format", format, &format!("{volume}1")]);
        for number in 2..=KEPT {
            docker(&["tag", &format!("{image}1"), &format!("{image}{number}")]);
            let label = label.replace("\"number\":1,", &format!("\"number\":{number},"));
            let labels = [format!("io.zdd.revision.project={project}"), format!("io.zdd.revision={label}")];
            let volume = format!("{volume}{number}");
            docker(&["volume", "create", "--label", &labels[0], "--label", &labels[1], &volume]);
        }
        Past { documents: BTreeSet::new() }
    }

    /// The next rollout is to keep the images of its services as if they were new.
    pub fn drop_images(&mut self, stack: &Stack) {
        self.look(stack);
        for tag in tags(stack).keys().filter(|tag| number(tag).is_none()) {
            docker(&["image", "rm", &format!("zdd-revision/{}:{tag}", stack.project)]);
        }
    }

    /// Remembers what is there between two runs.
    pub fn look(&mut self, stack: &Stack) {
        let tags = tags(stack).into_iter();
        self.documents.extend(tags.filter(|(tag, _)| number(tag).is_some()).map(|(_, id)| id));
    }

    /// Each revision has its document, and each document its revision.
    pub fn is_tidy(&self, stack: &Stack) -> bool {
        let documents: BTreeSet<_> = tags(stack).keys().filter_map(|tag| number(tag)).collect();
        let revisions = revisions(stack);
        documents == revisions && revisions.len() == KEPT
    }

    /// What is not as it should be.
    pub fn wrongs(&self, stack: &Stack) -> Vec<String> {
        let tags = tags(stack);
        let lost = self.documents.iter().filter(|id| !tags.values().any(|tagged| tagged == *id));
        let dangling = lost.filter(|id| is_there(id));
        let mut wrongs: Vec<_> = dangling.map(|id| format!("a document without a tag: {id}")).collect();
        if !self.is_tidy(stack) {
            wrongs.push(format!("revisions {:?} with documents {tags:?}", revisions(stack)));
        }
        wrongs
    }
}

/// Tag → ID.
fn tags(stack: &Stack) -> BTreeMap<String, String> {
    let repository = format!("zdd-revision/{}", stack.project);
    let text = docker(&["image", "ls", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", &repository]);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(tag, id)| (tag.into(), id.into())).collect()
}

/// Of a document's tag.
fn number(tag: &str) -> Option<u32> {
    tag.strip_prefix('r')?.parse().ok()
}

fn revisions(stack: &Stack) -> BTreeSet<u32> {
    let (volumes, _) = stack.revisions();
    volumes.lines().filter_map(|name| name.rsplit_once('-')?.1.parse().ok()).collect()
}

fn is_there(image: &str) -> bool {
    Command::new("docker").args(["image", "inspect", image]).output().unwrap().status.success()
}
