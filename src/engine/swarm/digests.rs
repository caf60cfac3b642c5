//! What registries mean by images now, as the engine is told.

use std::{collections::BTreeMap, thread};

use serde_json::{Value, json};

use super::super::{CallError, Docker};
use crate::text::yaml;

/// At a time; each is two processes.
const SIDE_BY_SIDE: usize = 4;

impl Docker {
    /// Each image with its digest, or why there is none. The engine asks, so that its registries and proxies count.
    pub fn digests(&self, images: &[String]) -> BTreeMap<String, Result<String, CallError>> {
        if images.is_empty() {
            return BTreeMap::new();
        }
        if let Ok(all) = self.resolve_digests(images) {
            return images.iter().cloned().zip(all.into_iter().map(Ok)).collect();
        }
        // Compose says of one of them alone what is wrong.
        let mut found = BTreeMap::new();
        for some in images.chunks(SIDE_BY_SIDE) {
            let answers: Vec<_> = thread::scope(|scope| {
                let asked: Vec<_> = some
                    .iter()
                    .map(|image| scope.spawn(|| self.resolve_digests(std::slice::from_ref(image))))
                    .collect();
                asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
            });
            let one =
                |answer: Result<Vec<String>, CallError>| answer.map(|mut all| all.pop().unwrap_or_default());
            found.extend(some.iter().cloned().zip(answers.into_iter().map(one)));
        }
        found
    }

    fn resolve_digests(&self, images: &[String]) -> Result<Vec<String>, CallError> {
        let name = |at: usize| format!("image{at:04}");
        let services: serde_json::Map<_, _> =
            images.iter().enumerate().map(|(at, image)| (name(at), json!({"image": image}))).collect();
        let text = yaml::text(&json!({"name": "digests", "services": services}));
        let docker = self.with_document(text, None);
        let answer = docker.config_with(&["--resolve-image-digests"])?;
        let file: Value = serde_yaml::from_str(&answer).unwrap_or_default();
        let image = |at| file["services"][name(at)]["image"].as_str().unwrap_or_default().to_owned();
        Ok((0..images.len()).map(image).collect())
    }
}
