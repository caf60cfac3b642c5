//! What zdd's own things in a swarm are called. Pure.

use super::stack::sha256;

/// A config's name has at most so many letters (swarmkit).
const LONGEST: usize = 64;
/// Of a hash that stands for the rest of a name.
const TAIL: usize = 16;

/// The name, or one that stands for it where a swarm has no such names: those that are too long, and those that do not
/// end with a letter or a digit.
pub fn fitting(name: &str) -> String {
    let ends_well = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() <= LONGEST && ends_well {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST - TAIL - 1).collect();
    format!("{kept}.{}", &sha256(name.as_bytes())[..TAIL])
}

/// A service of a stack.
pub fn service(stack: &str, name: &str) -> String {
    format!("{stack}_{name}")
}

/// The service in which a job runs once.
pub fn job(service: &str, number: u32) -> String {
    format!("{service}-zdd-r{number}")
}

/// Whether a service is one that a job has run in.
pub fn is_job(service: &str) -> bool {
    let number = service.rsplit_once("-zdd-r").map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The config of a revision.
pub fn revision(project: &str, number: u32) -> String {
    fitting(&format!("zdd-{project}-r{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_stood_for() {
        assert_eq!(fitting("zdd-lock-shop"), "zdd-lock-shop");
        let long = "zdd-lock-".to_owned() + &"x".repeat(80);
        for name in [long.as_str(), "zdd-lock-shop-", "zdd-lock-shop_"] {
            let other = fitting(name);
            assert!(
                other.len() <= LONGEST && other.ends_with(|c: char| c.is_ascii_alphanumeric()),
                "{other}"
            );
        }
        assert_ne!(fitting("zdd-lock-shop-"), fitting("zdd-lock-shop_"));
    }

    #[test]
    fn jobs_are_told_from_services() {
        assert!(is_job(&job("migrate", 12)) && is_job("shop_migrate-zdd-r1"));
        for name in ["migrate", "zdd-r", "a-zdd-r", "a-zdd-rx", "a-zdd-r1x"] {
            assert!(!is_job(name), "{name}");
        }
    }
}
